"""Runs moby/buildkit's parser and shell test data on our parser; takes a checkout's path.

    .venv/bin/python dev/buildkit_data.py /path/to/buildkit

The data is the other project's: it is read where it lies and never copied here.
"""

from __future__ import annotations

import sys
from pathlib import Path

from bayplan.core import configchanges, words
from bayplan.core.build.parser import Dockerfile, Instruction, parse
from bayplan.host.errors import BayError

_SHOWN = {"\t": "\\t", "\n": "\\n", "\b": "\\b", "\f": "\\f", "\r": "\\r", "\0": "\\x00"}
_LISTS = ("ADD", "COPY", "EXPOSE", "FROM", "VOLUME")


def quoted(text: str) -> str:
    """Go's %q, as far as the data has it."""
    result = text.replace("\\", "\\\\").replace('"', '\\"')
    for letter, shown in _SHOWN.items():
        result = result.replace(letter, shown)
    return f'"{result}"'


def dump(one: Instruction, file: Dockerfile) -> str:
    """An instruction as the data's `result` files have it."""
    flags = "".join(" [" + " ".join(map(quoted, one.flags)) + "]" if one.flags else "")
    return f"({one.name.lower()}{flags}{arguments(one, file)})"


def arguments(one: Instruction, file: Dockerfile) -> str:
    if one.name == "ONBUILD":
        inner = parse(one.text).instructions[0]
        return " " + dump(inner, file)
    found: list[str]
    if one.name == "HEALTHCHECK" and one.text:
        kind, _, rest = one.text.partition(" ")
        found = [kind, *(one.words if one.words is not None else [rest.strip()] * bool(rest))]
    elif one.words is not None:
        found = list(one.words)
    elif one.name in ("ENV", "LABEL"):
        found = pairs(one, file)
    elif one.name == "ARG":
        found = words.split(one.text, file.escape)
    elif one.name in _LISTS:
        found = one.text.split()
    else:
        found = [one.text] if one.text else []
    return "".join(" " + quoted(word) for word in found)


def pairs(one: Instruction, file: Dockerfile) -> list[str]:
    old = "=" not in words.split(one.text, file.escape)[0]
    found: list[str] = []
    for name, value in configchanges.pairs(one.text, one.name, file.escape):
        found += [name, value, "" if old else "="]
    return found


def parser_cases(root: Path) -> tuple[int, int]:
    good = total = 0
    for folder in sorted((root / "testfiles").iterdir()):
        total += 1
        wanted = (folder / "result").read_text().strip()
        try:
            file = parse((folder / "Dockerfile").read_text())
            got = "\n".join(dump(one, file) for one in file.instructions)
        except (BayError, ValueError) as error:
            got = f"error: {error}"
        if got == wanted:
            good += 1
        else:
            print(f"--- {folder.name}\n{got}\n--- wanted\n{wanted}")
    for folder in sorted((root / "testfiles-negative").iterdir()):
        total += 1
        try:
            file = parse((folder / "Dockerfile").read_text())
            got = "\n".join(dump(one, file) for one in file.instructions)
            print(f"--- {folder.name} was accepted:\n{got}")
        except (BayError, ValueError, IndexError):
            good += 1
    return good, total


def shell_cases(root: Path) -> tuple[int, int]:
    good = total = 0
    values = {"PWD": "/home", "SHELL": "bash", "KOREAN": "한국어", "NULL": ""}
    for line in (root / "envVarTest").read_text().splitlines():
        if not line.strip() or line.startswith("#") or line.strip().startswith("W|"):
            continue
        _, source, wanted = (part.strip() for part in line.split("|"))
        try:
            got = words.expand(source, values)
        except BayError:
            got = "error"
        total += 1
        good += got == wanted
        if got != wanted:
            print(f"{source!r}: got {got!r}, wanted {wanted!r}")
    return good, total


def word_cases(root: Path) -> tuple[int, int]:
    good = total = 0
    values: dict[str, str] = {}
    for line in (root / "wordsTest").read_text().split("\n"):
        if line.startswith("#") or not line.strip():
            continue
        if line.startswith("ENV "):
            name, _, value = line[4:].lstrip().partition("=")
            values[name] = value
            continue
        source, _, wanted = line.partition("|")
        source = source.strip()
        try:
            got = words.expand_words(source, values)
        except BayError:
            got = ["error"]
        total += 1
        want = [word.lstrip() if n == 0 else word for n, word in enumerate(wanted.split(","))]
        good += got == want
        if got != want:
            print(f"{source!r}: got {got}, wanted {want}")
    return good, total


def main() -> None:
    root = Path(sys.argv[1]) / "frontend" / "dockerfile"
    for name, (good, total) in (
        ("parser files", parser_cases(root / "parser")),
        ("variables", shell_cases(root / "shell")),
        ("words", word_cases(root / "shell")),
    ):
        print(f"{name}: {good} of {total}")


if __name__ == "__main__":
    main()
