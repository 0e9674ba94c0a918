"""What the command line takes from `typing`, `functools` and their like, without their start.

`typing` alone imports re, enum, functools and collections: 25 ms of processor time of a `bay ps`,
twice what Python itself needs. Type checkers see the real names; what runs is below.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from functools import cached_property
    from typing import Any, BinaryIO, NamedTuple, TextIO

    suppress = contextlib.suppress
else:
    Any = BinaryIO = TextIO = object

    class _Alias:
        """Stands for a generic class in the names of types, which nobody asks at run time."""

        def __class_getitem__(cls, _):
            return cls

    Callable = Iterable = Iterator = Mapping = Sequence = _Alias

    class _Fields(type):
        """Makes a tuple with names of a class's annotated fields, as `typing.NamedTuple` does."""

        def __new__(cls, name, bases, space):
            if not bases:
                return super().__new__(cls, name, (tuple,), space)
            names = tuple(space.get("__annotations__", ()))
            defaults = {field: space.pop(field) for field in names if field in space}
            space |= {"_fields": names, "_defaults": defaults, "__slots__": ()}
            for place, field in enumerate(names):
                space[field] = property(lambda self, place=place: tuple.__getitem__(self, place))
            return super().__new__(cls, name, bases, space)

    class NamedTuple(metaclass=_Fields):
        """As `typing.NamedTuple`, as far as the command line needs it."""

        __slots__ = ()

        def __new__(cls, *values, **named):  # noqa: D102 - as any tuple
            names, defaults = cls._fields, cls._defaults
            if len(values) < len(names):
                try:
                    values += tuple(
                        named.pop(field) if field in named else defaults[field]
                        for field in names[len(values) :]
                    )
                except KeyError as error:
                    raise TypeError(f"{cls.__name__} lacks {error}") from None
            if named or len(values) > len(names):
                raise TypeError(f"{cls.__name__} has no room for {list(named) or values}")
            return tuple.__new__(cls, values)

        def _asdict(self):
            return dict(zip(self._fields, self, strict=True))

        def _replace(self, **changed):
            return type(self)(**{**self._asdict(), **changed})

        def __repr__(self):
            inside = ", ".join(f"{name}={value!r}" for name, value in self._asdict().items())
            return f"{type(self).__name__}({inside})"

        def __getnewargs__(self):
            return tuple(self)

    class suppress:  # noqa: N801 - the name it stands for
        """As `contextlib.suppress`: leaves the block at one of `kinds`, and goes on after it."""

        def __init__(self, *kinds):
            self._kinds = kinds

        def __enter__(self):
            return None

        def __exit__(self, kind, error, trace):
            return kind is not None and issubclass(kind, self._kinds)

    class cached_property:  # noqa: N801 - the name it stands for
        """As `functools.cached_property`: computed at first use, then an attribute."""

        def __init__(self, function):
            self._function = function
            self.__doc__ = function.__doc__

        def __set_name__(self, owner, name):
            self._name = name

        def __get__(self, instance, owner=None):
            if instance is None:
                return self
            value = instance.__dict__[self._name] = self._function(instance)
            return value


__all__ = [
    "TYPE_CHECKING",
    "Any",
    "BinaryIO",
    "Callable",
    "Iterable",
    "Iterator",
    "Mapping",
    "NamedTuple",
    "Sequence",
    "TextIO",
    "cached_property",
    "suppress",
]
