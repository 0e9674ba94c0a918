"""The program `bay`: reads the flags before the verb, has the verb run, gives its exit code.

Nothing slow is imported here: `bay ps` in a script or a prompt has to answer at once.
"""

from __future__ import annotations

import sys

from ..host.light import TYPE_CHECKING, Sequence
from .flags import UsageError, many, parse, switch, text

if TYPE_CHECKING:
    import os
else:
    from ..host import lightos as os

GLOBAL_FLAGS = (
    switch("debug", "Show the whole traceback of an error", "D"),
    many("host", "Engine to connect to: unix:///path, tcp://host:port, ssh://user@host", "H"),
    many("context", "Context to use (see `bay context`)", "c", kind="string"),
    text("config", "Folder of the client's settings"),
    switch("tls", "Use TLS; implied by --tlsverify"),
    text("tlscacert", "Trust only certificates signed by this CA"),
    text("tlscert", "TLS certificate of this client"),
    text("tlskey", "TLS key of this client"),
    switch("tlsverify", "Use TLS and check the engine's certificate"),
    switch("read-only", "The screen shows, and changes nothing"),
    switch("version", "Print the version and quit", "v"),
    many("log-level", "Ignored; for scripts written for docker", "l", hidden=True),
)
SIGINT_CODE = 130
# Verbs that start something, for which an engine prepares as soon as somebody is connected.
_STARTS = {"exec", "restart", "run", "start"}
# The engine and the screen close in order, and coverage writes its data at the end.
_NEED_AN_END = {"asyncio", "coverage"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code. `argv` is without the program's name."""
    words = list(sys.argv[1:] if argv is None else argv)
    code = 1
    try:
        code = _main(words)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has gone (`bay ps | head -1`). Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        code = SIGINT_CODE
    if argv is None and not _NEED_AN_END & sys.modules.keys():
        # Python's own end takes 5 ms to free what the kernel frees at once.
        sys.stderr.flush()
        os._exit(code)
    return code


def _main(words: list[str]) -> int:
    try:
        options = parse(GLOBAL_FLAGS, words, interspersed=False)
    except UsageError as error:
        from .command import PROGRAM
        from .dispatch import complain

        return complain(f"{error}\n\nUsage:  {PROGRAM} [OPTIONS] COMMAND [ARG...]\n", 125)
    if options["version"]:
        from ..host.version import VERSION

        print(f"Bayplan version {VERSION}")
        return 0
    rest = options.args
    if options["help"] or rest[:1] == ["help"]:
        from .dispatch import show_help

        return show_help([word for word in rest if word != "help"], GLOBAL_FLAGS)
    from .app import App  # what comes before needs no client

    app = App(options)
    if _STARTS.intersection(rest[:2]):  # `container run`
        app.connect_early()
    from .dispatch import dispatch  # while the engine prepares

    return dispatch(app, rest, GLOBAL_FLAGS)


if __name__ == "__main__":
    sys.exit(main())
