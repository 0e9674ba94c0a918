"""What the main screen does that takes long: pulls, pushes, archives, builds."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from textual import work
from textual.worker import Worker

from ...host.errors import InvalidError
from .. import forms, tabs
from ..jobs import Job, Load, Save
from ..later import Later
from ..pulls import Pull, Push
from .acting import Acting
from .pull import AskImage

if TYPE_CHECKING:
    from ..builds import Build
    from ..forms import Form, Values


class Working(Acting):
    """The part of the main screen that has jobs; each goes on while it is not looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: dict[Job, Worker[bool]] = {}

    def begin(self, job: Job, look: bool = True) -> Worker[bool]:
        """Do a job in the background, shown over the screen; whether it worked."""
        self.tell(job.command)
        worker = self.run_worker(Later(self._run_job, job), group="jobs")
        self.jobs[job] = worker
        if look:
            self._look_at(job)
        return worker

    async def _run_job(self, job: Job) -> bool:
        try:
            await job.run(self.source)
        finally:
            self.jobs.pop(job, None)
            self.redraw("images")
        if job.error:
            if self.app.screen.id != "building":  # there it is seen already
                self.complain(job.error.splitlines()[0], f"{job.title} failed")
            return False
        self.notify(job.what, title=job.past, markup=False)
        self.feed.touch("images")
        return True

    @work
    async def _look_at(self, job: Job) -> None:
        from ..builds import Build

        if isinstance(job, Build):
            await self._look_at_build(job)
            return
        from .progress import Progress

        if await self.app.push_screen_wait(Progress(job)):
            self.cancel(job)

    async def _look_at_build(self, job: Build) -> None:
        from .building import Building

        while (answer := await self.app.push_screen_wait(Building(job))) == "view":
            await self._show_dockerfile(job)
        if answer == "cancel":
            self.cancel(job)

    async def _show_dockerfile(self, job: Build) -> None:
        from ..files import shown
        from .viewer import Viewer

        path = job.folder / job.dockerfile
        try:
            lines = path.read_text(errors="replace").splitlines()
        except OSError as error:
            self.complain(f"{path}: {error.strerror}")
            return
        marks = {job.failed_line: "▸"}
        numbered = (f"{marks.get(n, ' ')} {n:3} {line}\n" for n, line in enumerate(lines, 1))
        viewer = Viewer(str(path), f"line {job.failed_line}", shown("".join(numbered).encode()))
        above = max(0, job.failed_line - 5)
        viewer.call_after_refresh(lambda: viewer.view.action_scroll_lines(above))
        await self.app.push_screen_wait(viewer)

    def cancel(self, job: Job) -> None:
        """End a job; what it had half done is undone by the engine."""
        worker = self.jobs.get(job)
        if worker is not None:
            worker.cancel()
            self.notify(job.title, title="Cancelled", markup=False)

    @work
    async def action_jobs(self) -> None:
        """What is under way."""
        from .progress import Jobs

        chosen = await self.app.push_screen_wait(Jobs(lambda: list(self.jobs), self.cancel))
        if chosen is not None:
            self._look_at(chosen)

    # --- pull

    def action_pause_or_pull(self) -> None:
        """Pause or go on where containers are, pull in the other lists."""
        if self.kind in ("containers", "projects"):
            self.action_do("pause")
        elif not self.refused():
            self.pull_dialog()

    @work
    async def pull_dialog(self) -> None:
        """Ask what to pull, then pull it."""
        reference = await self.ask(AskImage())
        if reference:
            self.pull(reference)

    def pull(self, reference: str) -> Worker[bool]:
        """Pull in the background; whether it worked."""
        return self.begin(Pull(reference))

    # --- the others

    @work
    async def action_work(self, verb: str) -> None:
        """Ask what `push`, `save`, `load` and `build` need to know, then begin."""
        if verb != "save" and self.refused():
            return
        form = {
            "push": self._push_form,
            "save": self._save_form,
            "load": self._load_form,
            "build": self._build_form,
        }[verb]()
        if form is not None:
            job = await self.ask_form(form)
            if job is not None:
                self.begin(job)

    def _images(self) -> list[str]:
        if self.kind != "images":
            return []
        return [forms.image_called(row)[1] for row in self.chosen("images")]

    def _push_form(self) -> Form | None:
        names = self._images()
        if not names:
            return None
        note = "Its name says where to: registry/name:tag. Tag it first (T) to push elsewhere."
        lines = (forms.Line("image", "Image", "registry/name:tag", names[0]),)

        def make(values: Values) -> Push:
            name = str(values["image"]).strip()
            if not name:
                raise InvalidError("image: say which image to push")
            return Push(name)

        return forms.Form(f"Push {names[0]}", "Push", lines, make, note=note)

    def _save_form(self) -> Form | None:
        names = self._images()
        if not names:
            return None
        sizes = {
            name: int(one.get("Size") or 0)
            for one in self.model.images
            for name in (*(one.get("RepoTags") or []), one["Id"].removeprefix("sha256:")[:12])
        }
        total = sum(sizes.get(name, 0) for name in names)
        simple = names[0].replace("/", "_").replace(":", "_")
        lines = (forms.Line("file", "File", "", str(Path.cwd() / f"{simple}.tar")),)

        def make(values: Values) -> Save:
            path = Path(os.path.expanduser(str(values["file"]).strip()))
            if not path.name or not path.parent.is_dir():
                raise InvalidError(f"file: there is no folder {path.parent}")
            return Save(names, path, total)

        what = names[0] if len(names) == 1 else f"{len(names)} images"
        return forms.Form(f"Save {what}", "Save", lines, make)

    def _load_form(self) -> Form:
        lines = (forms.Line("file", "File", "an archive of `save`, compressed or not"),)

        def make(values: Values) -> Load:
            path = Path(os.path.expanduser(str(values["file"]).strip()))
            if not path.is_file():
                raise InvalidError(f"file: there is no file {path}")
            return Load(path)

        return forms.Form("Load images", "Load", lines, make)

    def _build_form(self) -> Form:
        from .. import buildform

        # The engine sees our files where it is ours and on this machine; else they are sent.
        near = self.dialer.host.kind == "unix" and tabs.is_ours(self.model.version)
        return buildform.form(near)
