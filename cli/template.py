"""Templates for `--format`: the part of Go's text/template that people use with Docker.

Fields, variables, pipelines, `if`, `range`, `with`, `define`, `template`, `block`, and the
functions of `gofuncs`. See https://pkg.go.dev/text/template for the language. A parsed template is
a list of functions that write to a list of strings.
"""

from __future__ import annotations

from ..host.errors import InvalidError
from ..host.light import Any, Callable, Iterable
from .errors import CodedError
from .gofuncs import FUNCTIONS, OPTIONAL, call, show, truth
from .gosyntax import Reader, Token, split_actions

MISSING = "<no value>"
# Templates that call each other; Go has 100,000, which a Python has no stack for.
_DEEPEST = 100


class TemplateError(InvalidError):
    """A template that doesn't fit the object it is used on."""


class TemplateParseError(CodedError, TemplateError):
    """A template that can't be read."""

    def __init__(self, message: str) -> None:
        super().__init__(f"template parsing error: {message}", 64)


class Scope:
    """Where an action runs: `dot`, and the variables seen there (`$` is the whole object)."""

    def __init__(self, dot: Any, names: dict[str, Any]) -> None:
        self.dot = dot
        self.names = names

    def inner(self, dot: Any) -> Scope:
        """A scope inside this one: what it declares goes with it."""
        return Scope(dot, dict(self.names))


Expression = Callable[[Scope], Any]
Node = Callable[[Scope, list[str]], None]


class _LeaveError(Exception):
    """`break` or `continue` inside of a `range`."""

    def __init__(self, word: str) -> None:
        self.word = word


class Template:
    """A parsed template. Raises TemplateParseError."""

    def __init__(self, text: str) -> None:
        self._parts = split_actions(text, TemplateParseError)
        self._at = self._depth = self._loops = self._calls = 0
        self._defined: dict[str, list[Node]] = {}
        self._nodes, end = self._block(("",))
        assert end == ""

    def render(self, value: Any) -> str:
        """The template filled in with `value`. Raises TemplateError."""
        out: list[str] = []
        scope = Scope(value, {"$": value})
        try:
            for node in self._nodes:
                node(scope, out)
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            raise TemplateError(f"template: {error}") from error
        return "".join(out)

    # -- parsing -------------------------------------------------------------------------------

    def _block(self, ends: tuple[str, ...]) -> tuple[list[Node], str]:
        """The nodes up to an action that begins with one of `ends`, and that word ("": the end)."""
        nodes: list[Node] = []
        self._depth += 1
        while self._at < len(self._parts):
            part = self._parts[self._at]
            self._at += 1
            if isinstance(part, str):
                nodes.append(_text(part))
                continue
            word = part[0].text if part and part[0].kind == "name" else ""
            if word in ends and word:
                self._rest = part[1:]
                self._depth -= 1
                return nodes, word
            if word in ("else", "end"):
                raise TemplateParseError(f"template: unexpected {{{{{word}}}}}")
            nodes += self._action(word, part)
        if "" not in ends:
            raise TemplateParseError("template: unexpected EOF: an {{end}} is missing")
        return nodes, ""

    def _action(self, word: str, part: list[Token]) -> list[Node]:
        if not part:
            return []
        if word == "if":
            return [self._if(part[1:])]
        if word == "with":
            return [self._with(part[1:])]
        if word == "range":
            return [self._range(part[1:])]
        if word in ("break", "continue"):
            if not self._loops:
                raise TemplateParseError(f"template: {{{{{word}}}}} outside {{{{range}}}}")
            return [_leave(word)]
        if word == "template":
            return [self._template(part)]
        if word in ("define", "block"):
            return self._define(word, part)
        return [_print(part)]

    def _define(self, word: str, part: list[Token]) -> list[Node]:
        """Keep what follows up to its end by its name; `block` is run where it stands, too."""
        if word == "define" and (self._depth > 1 or len(part) > 2):
            raise TemplateParseError("template: unexpected {{define}}")
        if word == "block" and len(part) == 2:
            raise TemplateParseError("template: missing value for block clause")
        called = self._template(part)
        loops, self._loops = self._loops, 0
        body = self._block(("end",))[0]
        self._loops = loops
        name = part[1].value
        if name in self._defined:
            raise TemplateParseError(f'template: multiple definition of template "{name}"')
        self._defined[name] = body
        return [called] if word == "block" else []

    def _template(self, part: list[Token]) -> Node:
        """Run the template of a name on a value: it sees that alone, none of our variables."""
        if len(part) < 2 or part[1].kind != "literal" or not isinstance(part[1].value, str):
            raise TemplateParseError(f"template: {{{{{part[0].text}}}}} needs a name in quotes")
        name = part[1].value
        value = pipeline(part[2:])[1] if part[2:] else _constant(None)

        def run(scope: Scope, out: list[str]) -> None:
            if name not in self._defined:
                raise TemplateError(f'template: template "{name}" not defined')
            if self._calls == _DEEPEST:
                raise TemplateError(f"template: exceeded maximum template depth ({_DEEPEST})")
            dot = value(scope.inner(scope.dot))
            self._calls += 1
            try:
                _run(self._defined[name], Scope(dot, {"$": dot}), out)
            finally:
                self._calls -= 1

        return run

    def _else(self, end: str, again: Callable[[list[Token]], Node]) -> list[Node]:
        """What follows `else`: its nodes, those of an `else if`, or none after `end`."""
        if end == "end":
            return []
        if self._rest:
            return [again(self._rest[1:])]
        return self._block(("end",))[0]

    def _if(self, tokens: list[Token]) -> Node:
        _, condition = pipeline(tokens)
        then, end = self._block(("else", "end"))
        otherwise = self._else(end, self._if)

        def run(scope: Scope, out: list[str]) -> None:
            inner = scope.inner(scope.dot)
            _run(then if truth(condition(inner)) else otherwise, inner, out)

        return run

    def _with(self, tokens: list[Token]) -> Node:
        _, value = pipeline(tokens)
        then, end = self._block(("else", "end"))
        otherwise = self._else(end, self._with)

        def run(scope: Scope, out: list[str]) -> None:
            inner = scope.inner(scope.dot)
            found = value(inner)
            if truth(found):
                inner.dot = found
                _run(then, inner, out)
            else:
                _run(otherwise, inner, out)

        return run

    def _range(self, tokens: list[Token]) -> Node:
        names, value = pipeline(tokens)
        self._loops += 1
        body, end = self._block(("else", "end"))
        self._loops -= 1
        otherwise = self._else(end, self._range)

        def run(scope: Scope, out: list[str]) -> None:
            pairs = list(_pairs(value(scope.inner(scope.dot))))
            for key, item in pairs:
                inner = scope.inner(item)
                inner.names.update(zip(names[-2:], (key, item)[-len(names) :], strict=False))
                try:
                    _run(body, inner, out)
                except _LeaveError as leave:
                    if leave.word == "break":
                        break
            if not pairs:
                _run(otherwise, scope, out)

        return run


def _run(nodes: Iterable[Node], scope: Scope, out: list[str]) -> None:
    for node in nodes:
        node(scope, out)


def _text(text: str) -> Node:
    return lambda _scope, out: out.append(text)


def _leave(word: str) -> Node:
    def run(_scope: Scope, _out: list[str]) -> None:
        raise _LeaveError(word)

    return run


def _print(tokens: list[Token]) -> Node:
    names, value = pipeline(tokens)

    def run(scope: Scope, out: list[str]) -> None:
        found = value(scope)
        if not names:
            out.append(MISSING if found is None else show(found))

    return run


def _pairs(value: Any) -> Iterable[tuple[Any, Any]]:
    """What `range` goes over: a list with its indices, a map in the order of its keys, 0 to n-1."""
    if value is None:
        return ()
    if isinstance(value, dict):
        return sorted(value.items())
    if isinstance(value, int) and not isinstance(value, bool):
        return ((i, i) for i in range(value))
    if isinstance(value, list | tuple):
        return enumerate(value)
    raise TemplateError(f"template: range can't iterate over {show(value)}")


def pipeline(tokens: list[Token]) -> tuple[list[str], Expression]:
    """(variables it sets, its value): `[$a [, $b] :=] command [| command]…`."""
    reader = Reader(tokens, TemplateParseError)
    names, declare = reader.assignment()
    value = _pipe(reader)
    reader.expect_end()
    if not names or declare == "range":
        return names, value

    def assign(scope: Scope) -> Any:
        found = value(scope)
        scope.names[names[0]] = found
        return found

    return names, assign


def _pipe(reader: Reader) -> Expression:
    value = _command(reader, None)
    while reader.take("|"):
        value = _command(reader, value)
    return value


def _command(reader: Reader, piped: Expression | None) -> Expression:
    """One command: a function or a field with its arguments; `piped` is its last argument."""
    head = reader.peek()
    if head.kind == "name" and head.text not in ("true", "false", "nil"):
        name = reader.next().text
        if name not in FUNCTIONS:
            raise TemplateParseError(f'template: function "{name}" not defined')
        arguments = _operands(reader, piped)
        if name in ("and", "or"):
            return _shortcut(name, arguments)
        return lambda scope: call(name, [argument(scope) for argument in arguments])
    value = _operand(reader)
    arguments = _operands(reader, piped)
    if not arguments:
        return lambda scope: _called(value(scope))
    return lambda scope: _method(value(scope), [argument(scope) for argument in arguments])


def _operands(reader: Reader, piped: Expression | None) -> list[Expression]:
    found = []
    while reader.at_operand():
        found.append(_operand(reader, argument=True))
    return [*found, piped] if piped else found


def _operand(reader: Reader, argument: bool = False) -> Expression:
    """A field, variable, literal or parenthesis, with the fields that follow it directly."""
    token = reader.next()
    value: Expression
    if token.kind == "field":
        value = _field(lambda scope: scope.dot, token.text)
    elif token.kind == "dot":
        value = _dot
    elif token.kind == "variable":
        value = _variable(token.text)
    elif token.kind == "literal":
        value = _constant(token.value)
    elif token.text == "(":
        value = _pipe(reader)
        if not reader.take(")"):
            raise TemplateParseError("template: a ) is missing")
    elif token.kind == "name" and token.text in ("true", "false", "nil"):
        value = _constant({"true": True, "false": False, "nil": None}[token.text])
    elif token.kind == "name" and argument and token.text in FUNCTIONS:
        function = FUNCTIONS[token.text]
        value = lambda _scope: function()  # noqa: E731  # the branches each set it
    else:
        raise TemplateParseError(f'template: unexpected "{token.text}"')
    while (name := reader.chained_field()) is not None:
        value = _field(value, name)
    return value


def _dot(scope: Scope) -> Any:
    return scope.dot


def _constant(value: Any) -> Expression:
    return lambda _scope: value


def _variable(name: str) -> Expression:
    def find(scope: Scope) -> Any:
        if name not in scope.names:
            raise TemplateError(f'template: undefined variable "{name}"')
        return scope.names[name]

    return find


def _shortcut(name: str, arguments: list[Expression]) -> Expression:
    """`and` and `or`: the first argument that decides; those after it aren't looked at."""

    def run(scope: Scope) -> Any:
        found: Any = None
        for argument in arguments:
            found = argument(scope)
            if truth(found) is (name == "or"):
                break
        return found

    return run


def _field(value: Expression, name: str) -> Expression:
    return lambda scope: field_of(_called(value(scope)), name)


def field_of(value: Any, name: str) -> Any:
    """The field `name` of an object. Raises TemplateError where there can be no such field."""
    if isinstance(value, dict):
        if name in value:
            return value[name]
        if _is_struct(value) and name not in OPTIONAL:
            raise TemplateError(
                f"template: can't evaluate field {name}: there are {', '.join(sorted(value))}"
            )
        return None
    if value is None:
        raise TemplateError(f"template: nil pointer evaluating .{name}")
    raise TemplateError(f'template: can\'t evaluate field {name} in "{show(value)}"')


def _is_struct(value: dict[Any, Any]) -> bool:
    """Whether a JSON object is one of Docker's structures rather than a map of the user's."""
    return bool(value) and all(str(key)[:1].isupper() and str(key).isalnum() for key in value)


def _called(value: Any) -> Any:
    """A method's result where it stands without arguments."""
    return value() if callable(value) else value


def _method(value: Any, arguments: list[Any]) -> Any:
    if not callable(value):
        raise TemplateError(f"template: can't give argument to non-function {show(value)}")
    return value(*arguments)
