"""The processes of a container, by the host's own ps."""

from __future__ import annotations

import shlex

from ..host import cgroups, process
from ..host.errors import BayError, ConflictError, InvalidError
from ..host.threads import offload
from .context import Context, cgroup_path
from .types import Container, Json


async def top(context: Context, container: Container, arguments: str) -> Json:
    """Docker's `{"Titles": […], "Processes": [[…]]}` of the running `container`.

    Raises ConflictError when it does not run, InvalidError when ps refuses `arguments` or they
    leave out the PID column.
    """
    if not container.state.running:
        raise ConflictError(f"container {container.id} is not running")
    pids = await offload(cgroups.processes, cgroup_path(context.options, container))
    try:
        words = shlex.split(arguments or "-ef")
    except ValueError as error:
        raise InvalidError(f"invalid arguments of ps {arguments!r}: {error}") from None
    done = await offload(process.run, ["ps", *words])
    if done.code == 127:
        raise BayError("top needs ps on this host: install the package procps")
    if done.code != 0:
        raise InvalidError(f"ps: {(done.stderr.strip() or 'failed').splitlines()[0]}")
    lines = done.stdout.splitlines()
    titles = lines[0].split()
    if "PID" not in titles:
        raise InvalidError("Couldn't find PID field in ps output: add it to the columns")
    column = titles.index("PID")
    rows = [line.split(None, len(titles) - 1) for line in lines[1:]]
    chosen = [row for row in rows if len(row) > column and row[column] in {str(p) for p in pids}]
    return {"Titles": titles, "Processes": chosen}
