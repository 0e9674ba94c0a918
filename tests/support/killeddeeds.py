"""The work in which an engine is killed: how each begins, is done, and what then must be so.

Each can be done again, whatever an earlier attempt left.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from dataclasses import dataclass

from . import zoo
from .killedworld import KEPT, PACE, Tree, World

DOCKERFILE = """FROM {base}
COPY data /data
RUN cp -r /data /copied && echo done > /log
COPY data /again
RUN --mount=type=cache,target=/cache cp -r /data /cache/{number}
"""
_SNAPSHOTS = "/bay/containers/killing/snapshots"
WORK = (
    *("pull", "unpack", "zstd", "index", "digest", "commit", "rmi", "prune", "load", "snapshot"),
    *("rollback", "branch", "tag", "import", "save", "export", "repair", "build", "push"),
    *("volume", "rm"),
)


def nothing() -> None:
    """No more than what is looked at after every kill."""


@dataclass(frozen=True)
class Deed:
    """`prepare` brings about what `work` starts from; `held` is so once it was done, `between`
    after a kill somewhere in it. A store that is `damaged` is mended by the work itself.
    """

    work: Callable[[], object]
    prepare: Callable[[], object] = nothing
    held: Callable[[], object] = nothing
    between: Callable[[], object] = nothing
    damaged: bool = False


class Deeds:
    """All of them, by name: `deeds.of("pull")`."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._number = 0
        self._data = world.tar("data")
        # What a container or a volume holds before, and is to hold after.
        self._before: Tree = {}
        self._after: Tree = {}
        self._known = self._images() | self._containers() | self._files() | self._others()

    def of(self, name: str) -> Deed:
        """The deed of that name, one of WORK."""
        return self._known[name]

    # --- images

    def _images(self) -> dict[str, Deed]:
        world, ask, has = self._world, self._world.ask, self._has
        first, second = world.first, world.second

        def anew() -> None:
            world.ledger.pause = PACE
            world.forget(second, world.digest)

        def unpaced() -> None:
            # Without a pause a pull is as long as the unpacking takes.
            anew()
            world.ledger.pause = 0

        def pulled(image: str) -> Deed:
            return Deed(lambda: world.pull(image), lambda: world.forget(image), has(image))

        def damage() -> None:
            """Change a file of a layer, as a bad disk does."""
            layers = ask(200, "GET", f"/images/{second}/json").json()["RootFS"]["Layers"]
            folder = world.engine.root / "layers" / layers[-1].removeprefix("sha256:")
            next(folder.glob("fs/*/9/99")).write_bytes(b"damaged")

        def repair() -> None:
            told = ask(200, "POST", "/bay/system/check", {"Repair": True}).lines()[-1]["Summary"]
            assert told["Problems"] == told["Repaired"], told

        def push() -> str:
            return f"{world.registry.address}/pushed"

        def fresh() -> None:
            self._number += 1
            self._write()
            world.forget(f"{push()}:{self._number - 1}")
            ask(201, "POST", f"/commit?container=killing&repo={push()}&tag={self._number}", {})

        def served() -> None:
            path = f"/v2/pushed/manifests/{self._number}"
            assert world.registry.request("GET", path)[0] == 200

        archive = world.tar("imported")
        source = "/images/create?fromSrc=-&repo=imported&tag=one"
        return {
            "pull": Deed(lambda: world.pull(second), anew, has(second)),
            "unpack": Deed(lambda: world.pull(second), unpaced, has(second)),
            "zstd": pulled(world.zstd),
            "index": pulled(world.index),
            "digest": Deed(lambda: world.pull(world.digest), anew, has(world.digest)),
            "commit": Deed(self._commit, self._write, has("made:one")),
            "rmi": Deed(
                lambda: ask((200, 404), "DELETE", f"/images/{second}?force=1"),
                lambda: world.pull(second), has(second, not_=True),
            ),
            "prune": Deed(
                lambda: ask(200, "POST", '/images/prune?filters={"dangling":["false"]}'),
                lambda: (world.pull(second), self._commit()), has(second, not_=True),
            ),
            "load": Deed(
                lambda: ask(200, "POST", "/images/load", world.archive), anew, has(second)
            ),
            "tag": Deed(
                lambda: ask(201, "POST", f"/images/{first}/tag?repo=tagged&tag=one"),
                lambda: world.forget("tagged:one"), has("tagged:one"),
            ),
            "import": Deed(
                lambda: ask(200, "POST", source, archive),
                lambda: world.forget("imported:one"), has("imported:one"),
            ),
            "repair": Deed(repair, lambda: (world.pull(second), damage()), repair, damaged=True),
            "push": Deed(
                lambda: ask(200, "POST", f"/images/{push()}/push?tag={self._number}"),
                fresh, served,
            ),
        }  # fmt: skip

    def _has(self, image: str, not_: bool = False) -> Callable[[], None]:
        def look() -> None:
            names = self._world.names()
            assert (image in names) != not_, names

        return look

    def _commit(self) -> None:
        self._world.ask(201, "POST", "/commit?container=killing&repo=made&tag=one", {})

    def _write(self) -> None:
        self._world.write("killing", f"file{self._number % KEPT}")

    # --- writable layers

    def _containers(self) -> dict[str, Deed]:
        world, ask = self._world, self._world.ask

        def fewer() -> None:
            """Hundreds of kills are not to fill the disk."""
            self._number += 1
            self._write()
            known = [one for one in ask(200, "GET", _SNAPSHOTS).json() if one["Name"] != "base"]
            for one in known[:-KEPT]:
                ask(204, "DELETE", f"{_SNAPSHOTS}/{one['Id']}")

        def later() -> None:
            self._write()
            self._before = world.tree("killing")

        def either() -> None:
            assert world.tree("killing") in (self._before, world.saved), "NEITHER OLD NOR NEW"

        def back() -> None:
            assert world.tree("killing") == world.saved

        def branch() -> None:
            # A kill may come after all was done.
            if not world.exists("containers/branched/json"):
                ask(201, "POST", f"{_SNAPSHOTS}/base/branch", {"Name": "branched"})

        def whole() -> None:
            if world.exists("containers/branched/json"):
                assert world.tree("branched") == world.saved, "HALF A BRANCH"

        def doomed() -> None:
            world.engine.api("DELETE", "/containers/doomed?force=1&v=1")
            body = {"Image": world.first, "Cmd": ["x"], "Volumes": {"/kept": {}}}
            ask(201, "POST", "/containers/create?name=doomed", body)
            world.write("doomed", "written")

        def unwritten() -> None:
            assert not world.exists("containers/doomed/json")

        return {
            "snapshot": Deed(lambda: ask(201, "POST", _SNAPSHOTS, {}), fewer),
            "rollback": Deed(
                lambda: ask(204, "POST", f"{_SNAPSHOTS}/base/rollback"), later, back, either
            ),
            "branch": Deed(
                branch, lambda: world.engine.api("DELETE", "/containers/branched?force=1"),
                lambda: (whole(), world.engine.inspect("branched")), whole,
            ),
            "rm": Deed(
                lambda: ask((204, 404), "DELETE", "/containers/doomed?force=1&v=1"),
                doomed, unwritten,
            ),
        }  # fmt: skip

    # --- what a client writes

    def _files(self) -> dict[str, Deed]:
        world = self._world

        def client(verb: str, what: str) -> Deed:
            place = world.engine.home / f"{verb}.tar"

            def work() -> None:
                # With -H, since a client of the default host would start an engine.
                argv = ("-H", world.engine.host, verb, "-o", place, what)
                done = world.engine.bay(*argv)
                assert done.returncode == 0, done.stderr

            def whole() -> None:
                with tarfile.open(place) as tar:
                    assert len(tar.getnames()) > KEPT

            def absent() -> None:
                """What was cut short is not there, under no name."""
                if place.exists():
                    whole()
                left = {one.name for one in world.engine.home.iterdir() if verb in one.name}
                assert left <= {place.name}, left

            return Deed(work, lambda: place.unlink(missing_ok=True), whole, absent)

        return {"save": client("save", world.first), "export": client("export", "killing")}

    # --- builds and volumes

    def _others(self) -> dict[str, Deed]:
        world, ask = self._world, self._world.ask
        volume = world.engine.root / "volumes/kept"

        def forget() -> None:
            self._number += 1
            world.forget("built:one")
            ask(200, "POST", "/build/prune?all=1")

        def fill() -> None:
            ask(201, "POST", "/volumes/create", {"Name": "kept", "Labels": {"kept": "yes"}})
            with tarfile.open(fileobj=io.BytesIO(self._data)) as tar:
                tar.extractall(volume / "_data")
            self._before = zoo.census(volume)

        def gone() -> None:
            assert not volume.exists() and not world.exists("volumes/kept")

        def all_or_none() -> None:
            if not world.exists("volumes/kept"):
                gone()
                return
            assert zoo.census(volume) == self._before, "HALF A VOLUME"
            labels = ask(200, "GET", "/volumes/kept").json()["Labels"]
            assert labels == {"kept": "yes"}, "A VOLUME WITHOUT ITS LABELS"

        return {
            "build": Deed(
                lambda: ask(200, "POST", "/build?t=built:one", self._context()),
                forget, self._has("built:one"),
            ),
            "volume": Deed(
                lambda: ask((204, 404), "DELETE", "/volumes/kept"), fill, gone, all_or_none
            ),
        }  # fmt: skip

    def _context(self) -> bytes:
        text = DOCKERFILE.format(base=self._world.base, number=self._number).encode()
        raw = io.BytesIO(self._data)
        with tarfile.open(fileobj=raw, mode="a") as tar:
            info = tarfile.TarInfo("Dockerfile")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text))
        return raw.getvalue()
