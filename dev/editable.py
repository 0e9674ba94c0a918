"""Makes the editable install as quick to start as an installed wheel.

Run by dev/setup.sh after pip. setuptools' finder imports pathlib and re into every Python of .venv,
and old pips' scripts import re: together more than a whole `bay ps`. What stands here does the same
with what an interpreter has loaded anyway.
"""

from __future__ import annotations

import ast
import os
import subprocess
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
# -S: without site, whose start is a third of Python's own. What it would put on the path (the
# site-packages, and what their .pth files name) is written out, and bayplan is its working tree.
# -P: beside this script are no modules. Children start by sys.executable, with site again.
SCRIPT = """#!{python} -PS
import sys
from _frozen_importlib import ModuleSpec, module_from_spec
from posix import environ
if b"COVERAGE_PROCESS_START" in environ:
    import site
    site.main()
sys.prefix = sys.exec_prefix = {prefix!r}
sys.path += {path!r}
spec = ModuleSpec("bayplan", None, is_package=True)
spec.submodule_search_locations.append({tree!r})
sys.modules["bayplan"] = module_from_spec(spec)
from bayplan.cli.main import main
if __name__ == "__main__":
    sys.exit(main())
"""
# What the kernel reads of a first line (BINPRM_BUF_SIZE, linux/binfmts.h); it has no quotes either.
LONGEST = 255


def added() -> list[str]:
    """What `site` puts on the path of this interpreter."""
    code = "import sys; print(*sys.path, sep='\\n')"
    bare = subprocess.run(
        [sys.executable, "-IS", "-c", code], capture_output=True, text=True, check=True
    )
    return [path for path in sys.path if path not in bare.stdout.splitlines()]


def main() -> None:
    """Rewrite what pip has just written; without it, leave everything alone."""
    for path in Path(sysconfig.get_path("purelib")).glob("__editable___bayplan_*_finder.py"):
        (line,) = (one for one in path.read_text().splitlines() if one.startswith("MAPPING"))
        mapping = ast.literal_eval(line.partition("= ")[2])
        texts = {path: FINDER.format(mapping=mapping)}
        if " " not in sys.executable and len(f"#!{sys.executable} -PS") <= LONGEST:
            script = Path(sysconfig.get_path("scripts")) / "bay"
            tree = os.fspath(Path(__file__).resolve().parent.parent)
            texts[script] = SCRIPT.format(
                python=sys.executable, prefix=sys.prefix, path=added(), tree=tree
            )
        changed = [place for place, text in texts.items() if place.read_text() != text]
        for place in changed:
            place.write_text(texts[place])
        if changed:
            print("made the start of .venv/bin/bay quick")


if __name__ == "__main__":
    main()
