"""The words of Go templates: text and actions, and the tokens of an action."""

from __future__ import annotations

import json
import re

from ..host.light import Any, NamedTuple

_TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<string>"(?:\\.|[^"\\\n])*")
    |(?P<raw>`[^`]*`)
    |(?P<char>'(?:\\.|[^'\\])')
    |(?P<number>[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    |(?P<variable>\$\w*)
    |(?P<field>\.[A-Za-z_]\w*)
    |(?P<dot>\.)
    |(?P<name>[A-Za-z_]\w*)
    |(?P<mark>:=|[=|(),])""",
    re.VERBOSE,
)
_COMMENT = re.compile(r"\{\{(?:-\s)?\s*/\*.*?\*/\s*(?:\s-)?\}\}", re.DOTALL)


class Token(NamedTuple):
    """One word of an action; `apart` is whether a blank stands before it."""

    kind: str
    text: str
    apart: bool = False
    value: Any = None


def split_actions(text: str, error: type[Exception]) -> list[str | list[Token]]:
    """The template's texts and actions in order, trimmed where `{{-` and `-}}` say so."""
    parts: list[str | list[Token]] = []
    at = 0
    trim_next = False
    while at < len(text):
        start = text.find("{{", at)
        before = text[at:] if start < 0 else text[at:start]
        if trim_next:
            before = before.lstrip()
        if start < 0:
            parts.append(before)
            break
        trims = text.startswith("{{-", start) and text[start + 3 : start + 4].isspace()
        parts.append(before.rstrip() if trims else before)
        tokens, at, trim_next = _action(text, start, trims, error)
        parts.append(tokens)
    return [part for part in parts if part]


def _action(
    text: str, start: int, trims: bool, error: type[Exception]
) -> tuple[list[Token], int, bool]:
    """(tokens, where the action ends, whether it trims what follows) of the action at `start`."""
    comment = _COMMENT.match(text, start)
    if comment:
        return [], comment.end(), bool(re.search(r"\s-\}\}$", comment.group()))
    at = start + (3 if trims else 2)
    tokens: list[Token] = []
    apart = True
    while at < len(text):
        if text.startswith("}}", at):
            return tokens, at + 2, False
        if text.startswith("-}}", at) and apart:
            return tokens, at + 3, True
        match = _TOKEN.match(text, at)
        if match is None:
            raise error(f'template: unexpected "{text[at]}" in {{{{{text[start + 2 : at + 1]}')
        at = match.end()
        if match.lastgroup == "space":
            apart = True
            continue
        tokens.append(_token(str(match.lastgroup), match.group(), apart, error))
        apart = False
    raise error("template: unclosed action")


def _token(kind: str, text: str, apart: bool, error: type[Exception]) -> Token:
    if kind == "field":
        return Token(kind, text[1:], apart)
    if kind == "number":
        value: Any = float(text) if set(text) & set(".eE") else int(text)
        return Token("literal", text, apart, value)
    if kind == "raw":
        return Token("literal", text, apart, text[1:-1])
    if kind in ("string", "char"):
        return Token("literal", text, apart, _unquote(text, error))
    return Token(kind, text, apart)


def _unquote(text: str, error: type[Exception]) -> Any:
    """The value of a quoted string, or the number of a quoted character."""
    body = text[1:-1]
    if text[0] == "'":
        body = body.replace("\\'", "'").replace('"', '\\"')
    try:
        value = json.loads(f'"{body}"', strict=False)
    except ValueError:
        import ast  # for the escapes that JSON lacks: \x27, \a, \v

        try:
            value = ast.literal_eval(f'"{body}"')
        except (ValueError, SyntaxError):
            raise error(f"template: bad string {text}") from None
    return ord(value) if text[0] == "'" else value


class Reader:
    """Goes through the tokens of one action."""

    def __init__(self, tokens: list[Token], error: type[Exception]) -> None:
        self._tokens = tokens
        self._error = error
        self._at = 0

    def peek(self) -> Token:
        """The next token, without taking it. Raises the error at the end of the action."""
        if self._at >= len(self._tokens):
            raise self._error("template: missing value for command")
        return self._tokens[self._at]

    def next(self) -> Token:
        """Take the next token."""
        token = self.peek()
        self._at += 1
        return token

    def take(self, mark: str) -> bool:
        """Take the next token if it is `mark`."""
        if self._at < len(self._tokens) and self._tokens[self._at][:2] == ("mark", mark):
            self._at += 1
            return True
        return False

    def at_operand(self) -> bool:
        """Whether another argument follows."""
        if self._at >= len(self._tokens):
            return False
        token = self._tokens[self._at]
        return token.kind != "mark" or token.text == "("

    def chained_field(self) -> str | None:
        """The field that follows without a blank, taken; None when none does."""
        if self._at < len(self._tokens):
            token = self._tokens[self._at]
            if token.kind == "field" and not token.apart:
                self._at += 1
                return token.text
        return None

    def assignment(self) -> tuple[list[str], str]:
        """(variables, sign) of `$a, $b :=` at the front; ([], "") when there is none."""
        start = self._at
        names: list[str] = []
        while self._at < len(self._tokens) and self._tokens[self._at].kind == "variable":
            names.append(self.next().text)
            if not self.take(","):
                break
        for sign in (":=", "="):
            if names and self.take(sign):
                return names, sign
        self._at = start
        return [], ""

    def expect_end(self) -> None:
        """Raises the error unless all tokens are taken."""
        if self._at < len(self._tokens):
            raise self._error(f'template: unexpected "{self._tokens[self._at].text}"')
