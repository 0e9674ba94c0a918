"""Makes the editable install as quick to start as an installed wheel.

Run by dev/setup.sh after pip. setuptools' finder imports pathlib and re into every Python of .venv,
and old pips' scripts import re: together more than a whole `bay ps`. What stands here does the same
with what an interpreter has loaded anyway.
"""

from __future__ import annotations

import ast
import sys
import sysconfig
from pathlib import Path

FINDER = '''"""Finds bayplan in its working tree; made by dev/editable.py."""
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import spec_from_file_location

MAPPING = {mapping!r}


class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "bayplan":
            spec = ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = []
            return spec
        if name in MAPPING:
            top = MAPPING[name]
            return spec_from_file_location(
                name, top + "/__init__.py", submodule_search_locations=[top]
            )
        return None


def install():
    sys.meta_path.append(Finder)
'''
SCRIPT = """#!{python}
import sys
from bayplan.cli.main import main
if __name__ == "__main__":
    sys.exit(main())
"""


def main() -> None:
    """Rewrite what pip has just written; without it, leave everything alone."""
    for path in Path(sysconfig.get_path("purelib")).glob("__editable___bayplan_*_finder.py"):
        text = path.read_text()
        if "_EditableFinder" not in text:
            continue
        (line,) = (one for one in text.splitlines() if one.startswith("MAPPING"))
        mapping = ast.literal_eval(line.partition("= ")[2])
        path.write_text(FINDER.format(mapping=mapping))
        script = Path(sysconfig.get_path("scripts")) / "bay"
        script.write_text(SCRIPT.format(python=sys.executable))
        print("made the start of .venv/bin/bay quick")


if __name__ == "__main__":
    main()
