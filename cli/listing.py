"""Lists of objects: a table, JSON, or a template of the user's, from the same rows."""

from __future__ import annotations

import sys

from ..host.light import Any, Callable, Iterable, Mapping, NamedTuple, Sequence
from .flags import Flag, many, text
from .table import align, is_styled

Row = dict[str, Any]

# Fields that have a flag of their own in some list (`ps --size`, `images --digests`).
_ASKED_FOR = frozenset({"Size", "Digest"})
FORMAT = text(
    "format",
    "Format output: 'table', 'table TEMPLATE', 'json' or 'TEMPLATE' (a Go template)",
)


class Listing(NamedTuple):
    """A kind of list. `headers` maps each field a template may name to its column's header.

    `columns` are the fields of the default table and `styles` their styles on a terminal. `raw` are
    Docker's names and the fields of `--format raw`, where it has that.
    """

    headers: Mapping[str, str]
    columns: Sequence[str]
    styles: Mapping[str, str] = {}  # never changed: none of its users may
    raw: Sequence[tuple[str, str]] = ()

    def show(self, rows: Iterable[Row], form: str = "", columns: Sequence[str] = ()) -> None:
        """Print `rows` in the form of `--format`; without one, a table of `columns`."""
        form = form.replace("\\t", "\t").replace("\\n", "\n")
        if form in ("", "table"):
            self._table(rows, columns or self.columns)
        elif form == "json":
            import json

            encode = json.JSONEncoder(
                ensure_ascii=False, sort_keys=True, separators=(",", ":")
            ).encode
            for row in rows:
                print(encode({k: v for k, v in row.items() if not callable(v)}))
        elif form == "raw" and self.raw:
            self._raw(rows, columns or self.columns)
        else:
            self._template(rows, form)

    def _raw(self, rows: Iterable[Row], columns: Sequence[str]) -> None:
        """A line for each field and an empty one behind each row; some only when asked for."""
        raw = [(name, it) for name, it in self.raw if it not in _ASKED_FOR or it in columns]
        for row in rows:
            for name, field in raw:
                print(f"{name}: {row[field]}".rstrip())
            print()

    def _table(self, rows: Iterable[Row], columns: Sequence[str]) -> None:
        cells = [[str(row[name]) for name in columns] for row in rows]
        header = [self.headers[name] for name in columns]
        styles = [self.styles.get(name, "") for name in columns] if is_styled() else None
        sys.stdout.write("".join(f"{line}\n" for line in align([header, *cells], styles)))

    def _template(self, rows: Iterable[Row], form: str) -> None:
        from .gofuncs import Fields
        from .template import Template

        table = form.startswith("table ")
        template = Template(form.removeprefix("table ").strip() if table else form)
        lines = [template.render(Fields(row)) for row in rows]
        if table:
            header = template.render({**self.headers, "Label": lambda name: str(name)})
            styles = [""] * (header.count("\t") + 1) if is_styled() else None
            lines = align([line.split("\t") for line in (header, *lines)], styles)
        sys.stdout.write("".join(f"{line}\n" for line in lines))


def label_getter(labels: Mapping[str, str] | None) -> Callable[[str], str]:
    """The method `.Label "name"` of a row."""
    return lambda name: (labels or {}).get(name, "")


def join_labels(labels: Mapping[str, str] | None) -> str:
    """Labels as one cell: `a=1,b=2`, sorted."""
    return ",".join(f"{name}={value}" for name, value in sorted((labels or {}).items()))


def filter_flag(about: str, short: str = "f") -> Flag:
    """The flag `--filter name=value`."""
    return many("filter", about, short, kind="filter", convert=_filter)


def _filter(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError("bad format of filter (expected name=value)")
    return name.strip().lower(), value.strip()


def parse_filters(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]] | None:
    """`--filter` flags as the API takes them; None without any."""
    filters: dict[str, list[str]] = {}
    for name, value in pairs:
        filters.setdefault(name, []).append(value)
    return filters or None
