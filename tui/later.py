"""A coroutine that is made when it is awaited."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Later(Awaitable[T], Generic[T]):
    """What a worker is given to do: `function(*arguments)`, called when its turn comes.

    A coroutine that was made for a worker that never began, since the screen was closed, would be
    complained about on the user's terminal.
    """

    def __init__(self, function: Callable[..., Coroutine[Any, Any, T]], *arguments: Any) -> None:
        self._function = function
        self._arguments = arguments

    def __await__(self) -> Generator[Any, Any, T]:
        return self._function(*self._arguments).__await__()
