"""Containers straight on the runtime layer, without an engine: a busybox rootfs and conmon."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bayplan.core import conmon, spec
from bayplan.core.console import Console, Session
from bayplan.core.runtime import Runtime
from bayplan.core.types import Container
from bayplan.host.inotify import MOVED_TO, Inotify

PASSWD = "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n"
GROUP = "root:x:0:\nalice:x:1000:\naudio:x:29:alice\n"


def make_rootfs(folder: Path) -> Path:
    """A root file system of the host's static busybox with all its applets."""
    for name in ("bin", "etc", "proc", "sys", "dev", "tmp", "root"):
        (folder / name).mkdir(parents=True)
    shutil.copy("/usr/bin/busybox", folder / "bin/busybox")
    listed = subprocess.run(["busybox", "--list"], capture_output=True, text=True, check=True)
    for applet in set(listed.stdout.split()) - {"busybox"}:
        os.symlink("busybox", folder / "bin" / applet)
    (folder / "etc/passwd").write_text(PASSWD)
    (folder / "etc/group").write_text(GROUP)
    return folder


class Sandbox:
    """One runtime, one rootfs, and the containers a test makes with them."""

    def __init__(self, runtime: Runtime, folder: Path, rootfs: Path) -> None:
        self.runtime = runtime
        self.folder = folder
        self.rootfs = rootfs
        self.exits = folder / "exits"

    def container(self, command: Sequence[str], **settings: Any) -> Container:
        """A container's record: `host_config`, and keys of Docker's Config (`Tty=True`)."""
        identity = secrets.token_hex(32)
        bundle = self.folder / "containers" / identity
        bundle.mkdir(parents=True)
        return Container(
            id=identity,
            name=f"test-{identity[:6]}",
            created=0,
            image="",
            image_ref="",
            host_config=settings.pop("host_config", {}),
            config={"Cmd": list(command), **settings},
            bundle=bundle,
        )

    def spec(self, container: Container) -> dict[str, Any]:
        """Its OCI configuration, in a network namespace of its own."""
        request = spec.SpecRequest(
            container=container,
            image_config={},
            rootfs=self.rootfs,
            netns="",
            cgroup_path=self.runtime.cgroup(container.id),
        )
        result = spec.build(request)
        for namespace in result["linux"]["namespaces"]:
            if not namespace.get("path"):
                namespace.pop("path", None)
        return result

    async def create(self, container: Container) -> int:
        """Create it under conmon; the pid."""
        config = container.config
        launch = conmon.Launch(
            id=container.id,
            name=container.name,
            bundle=container.bundle,
            tty=container.tty,
            stdin_open=bool(config.get("OpenStdin")),
            stdin_once=bool(config.get("StdinOnce")),
            log_path=container.bundle / "ctr.log",
            exit_dir=self.exits,
        )
        spec = await asyncio.to_thread(self.spec, container)
        return await conmon.create(self.runtime, launch, spec)

    async def exit_code(self, container: Container) -> int:
        """Its exit code, when it has ended."""
        self.exits.mkdir(exist_ok=True)
        moved = asyncio.Event()
        watch = Inotify.shared().watch(self.exits, MOVED_TO, lambda *_: moved.set())
        try:
            while not (self.exits / container.id).exists():
                await asyncio.wait_for(moved.wait(), 120)
                moved.clear()
        finally:
            watch.close()
        return int((self.exits / container.id).read_text())

    @asynccontextmanager
    async def running(
        self, command: Sequence[str], *, patient: bool = False, **settings: Any
    ) -> AsyncIterator[tuple[Container, Console, Session]]:
        """A started container, its console, and a session that sees all output; gone after."""
        container = self.container(command, **settings)
        config = container.config
        try:
            await self.create(container)
            once = bool(config.get("StdinOnce"))
            console = await Console.open(container.bundle, container.tty, once)
            try:
                stdin = bool(config.get("OpenStdin"))
                session = console.session(stdin, patient=patient)
                await self.runtime.start(container.id)
                yield container, console, session
            finally:
                console.close()
        finally:
            await self.runtime.delete(container.id, force=True)

    async def run(self, command: Sequence[str], **settings: Any) -> tuple[int, bytes]:
        """Run to the end: exit code and all output, of both streams."""
        async with self.running(command, **settings) as (container, _, session):
            output = await read_all(session)
            return await self.exit_code(container), output


async def read_all(session: Session) -> bytes:
    """All output of a session until its end."""
    output = b""
    while (packet := await asyncio.wait_for(session.read(), 120)) is not None:
        output += packet[1]
    return output
