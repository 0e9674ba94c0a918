"""An exec under a conmon of its own: with a terminal, and of runc."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

from ..host import migration
from ..host.errors import BayError
from ..host.files import read_text, write_json
from ..host.threads import offload
from . import commandcheck
from .console import Console
from .runtime import Runtime
from .runtimeerrors import explain, lacking
from .supervisor import Supervisor
from .types import Container, Json

_log = logging.getLogger(__name__)


class ConmonExec:
    """One exec: `begin`, `pid`, `code`; or `abort` at any point.

    `folder` is its own in the container's bundle, made and removed here. `rootfs` is what the
    container's processes see. Without `attach` nobody reads its output.
    """

    def __init__(
        self,
        runtime: Runtime,
        container: Container,
        exec_id: str,
        rootfs: Path,
        *,
        attach: bool,
        tty: bool,
        stdin: bool,
    ) -> None:
        self._id = exec_id
        self._folder = container.bundle / "execs" / exec_id
        self._rootfs = rootfs
        self._attach, self._tty, self._stdin = attach, tty, stdin
        self._args: list[str] = []
        self._conmon = Supervisor(
            self._arguments(runtime, container), self._folder, self._folder / "conmon.pid"
        )
        self.output: Console | None = None

    def _arguments(self, runtime: Runtime, container: Container) -> list[str]:
        folder = self._folder
        argv = [runtime.conmon, "--api-version", "1", "-c", container.id]
        argv += ["-u", self._id, "-n", container.name, "-b", str(folder)]
        argv += ["-p", str(folder / "pidfile"), "-P", str(folder / "conmon.pid")]
        argv += ["-e", "--exec-process-spec", str(folder / "process.json"), "-l", "none"]
        argv += ["--full-attach"]
        if self._attach:
            argv.append("--exec-attach")
        if self._tty:
            argv.append("-t")
        if self._stdin and self._attach:
            argv.append("-i")
        return argv + runtime.conmon_args(folder / "oci.log", create=False)

    async def begin(self, make: Callable[[], Json]) -> Console | None:
        """Start conmon on the OCI `process` that `make` gives (it blocks); its streams, if any.

        The process itself waits for `pid`: who looks by then misses nothing.
        """
        await migration.outside(self._prepare, make)
        self._conmon.begin()
        if self._attach:
            # conmon has its socket now and waits again.
            if (await self._conmon.attached()).get("data") != 0:
                raise BayError(f"conmon has no attach socket for exec {self._id[:12]}")
            self.output = await Console.open(self._folder, self._tty, stdin_once=True)
        return self.output

    def _prepare(self, make: Callable[[], Json]) -> None:
        """Start conmon, which takes its time, and meanwhile write what it is to run."""
        self._folder.mkdir(mode=0o700, parents=True)
        self._conmon.spawn(attach=self._attach)
        spec = make()
        self._args = spec["args"]
        # A runtime whose exec fails leaves a zombie behind in the container, see there.
        commandcheck.check(self._rootfs, self._args, spec["env"], spec["cwd"], "exec")
        write_json(self._folder / "process.json", spec)

    async def pid(self) -> int:
        """The process's pid on the host, once it runs.

        Raises RuntimeFailedError with Docker's sentence and code when it cannot run.
        """
        if self._attach:
            self._conmon.go()
        answer = await self._conmon.answer()
        if (pid := int(answer.get("data", -1))) > 0:
            return pid
        log = await offload(read_text, self._folder / "oci.log", "")
        said = str(answer.get("message") or "") or await offload(lacking, self._folder)
        raise explain(log, said, self._args, "exec")

    async def code(self) -> int | None:
        """Its exit code once it has ended and all its output is handed on; None: not known."""
        answer: Json = {}
        try:
            answer = await self._conmon.answer()
        except (OSError, ValueError) as error:
            _log.warning("exec %s: its exit code is not known: %s", self._id[:12], error)
        finally:
            self._conmon.release()
        code = answer.get("exit_code", answer.get("data"))
        if self.output is not None:
            await self.output.ended.wait()
            self.output.close()
        return None if code is None else int(code)

    async def abort(self) -> None:
        """End it at whatever point it is; nothing of it is left. Fine when it was never started."""
        if self.output is not None:
            self.output.close()
        await self._conmon.settle()
        await offload(self._conmon.kill)
        await self.close()

    async def close(self) -> None:
        """Remove what was written for it."""
        await offload(shutil.rmtree, self._folder, ignore_errors=True)
