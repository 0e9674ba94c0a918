"""What actions come to: requests, the commands that equal them, and what takes them back."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from bayplan.host.errors import InvalidError
from bayplan.tui import buildform, forms, projects, prune, verbs
from bayplan.tui.builds import Build
from bayplan.tui.deeds import carry_out
from bayplan.tui.jobs import Job
from bayplan.tui.model import Json, Model
from bayplan.tui.pulls import Pull


def container(name: str, state: str = "running", **labels: str) -> Json:
    return {
        "Id": f"{name}-id",
        "Names": [f"/{name}"],
        "State": state,
        "Labels": {key.replace("_", "."): value for key, value in labels.items()},
        "NetworkSettings": {"Networks": {"front": {}}},
    }


def service(name: str, needs: str = "", state: str = "running") -> Json:
    one = container(name, state)
    one["Labels"] = {
        "com.docker.compose.project": "shop",
        "com.docker.compose.service": name,
        "com.docker.compose.depends_on": needs,
    }
    return one


# --- undo


@pytest.mark.parametrize(
    ("verb", "state", "back"),
    [("stop", "running", "start"), ("start", "exited", "stop"), ("pause", "running", "unpause")],
)
def test_what_can_be_taken_back_is(verb: str, state: str, back: str) -> None:
    deed = verbs.container(verb, [container("web", state)])
    assert deed is not None and deed.undo is not None
    assert deed.undo.steps[0].path == f"/containers/web-id/{back}"
    assert deed.undo.command == f"bay {back} web"


def test_a_removal_cannot_be_taken_back() -> None:
    deed = verbs.container("remove", [container("web")])
    assert deed is not None and deed.undo is None and deed.question


def test_a_rename_is_taken_back_by_the_old_name() -> None:
    deed = forms.rename(container("web")).make({"name": "front"})
    assert deed.command == "bay rename web front"
    assert deed.steps[0].query == {"name": "front"}
    assert deed.undo.steps[0].query == {"name": "web"}


# --- projects


def test_a_project_starts_what_is_needed_first_and_stops_it_last() -> None:
    members = [
        service("web", "app:service_healthy:true"),
        service("app", "db:service_started:false"),
        service("db"),
    ]
    assert projects.order(members) == {"web-id": 2, "app-id": 1, "db-id": 0}
    project = projects.gather(members)[0]
    stop = projects.deed("stop", project, Model())
    assert stop is not None and stop.command == "docker compose -p shop stop"
    assert {step.name: step.stage for step in stop.steps} == {"web": -2, "app": -1, "db": 0}


def test_services_that_need_each_other_do_not_end_the_screen() -> None:
    members = [service("a", "b:service_started:"), service("b", "a:service_started:")]
    assert set(projects.order(members)) == {"a-id", "b-id"}


def test_toggle_brings_up_a_project_that_is_half_up() -> None:
    half = projects.gather([service("a"), service("b", state="exited")])[0]
    deed = projects.deed("toggle", half, Model())
    assert deed is not None and [step.name for step in deed.steps] == ["b"]


def test_down_removes_containers_then_networks_and_no_volume() -> None:
    model = Model(
        containers=[service("web"), container("other")],
        networks=[
            {"Id": "n1", "Name": "shop_default", "Labels": {"com.docker.compose.project": "shop"}},
            {"Id": "n2", "Name": "bridge", "Labels": {}},
        ],
    )
    project = projects.find(model, "shop")
    assert project is not None
    deed = projects.deed("remove", project, model)
    assert deed is not None and deed.question
    paths = [step.path for step in sorted(deed.steps, key=lambda step: step.stage)]
    assert paths == ["/containers/web-id", "/networks/n1"]
    chosen = verbs.with_options(deed, {"v": True})
    assert chosen.steps[0].query == {"force": True, "v": True}
    assert chosen.steps[-1].query == {}, "v is nothing to a network"


async def test_stages_are_carried_out_one_after_the_other() -> None:
    seen: list[str] = []

    class Slow:
        async def call(self, method: str, path: str, query: Any, body: Any) -> None:
            seen.append(f"begin {path}")
            await asyncio.sleep(0)
            seen.append(f"end {path}")

    steps = [verbs.Step(n, n, "POST", n, "…", stage=stage) for n, stage in (("b", 1), ("a", 0))]
    deed = verbs.Deed("Stop", steps, "")
    assert await carry_out(deed, Slow(), Model(), lambda: None) == []  # type: ignore[arg-type]
    assert seen == ["begin a", "end a", "begin b", "end b"]


# --- forms


def test_commit_says_its_command_and_its_query() -> None:
    deed = forms.commit(container("web")).make(
        {"image": "shop/web:fixed", "comment": "by hand", "pause": False}
    )
    assert deed.command == "bay commit -p=false -m 'by hand' web shop/web:fixed"
    query = deed.steps[0].query
    assert (query["repo"], query["tag"], query["pause"]) == ("shop/web", "fixed", False)


@pytest.mark.parametrize("name", ["Upper:1", "a b", ":1", "name:"])
def test_names_that_no_image_can_have_are_refused(name: str) -> None:
    with pytest.raises(InvalidError, match="lower case"):
        forms.tag("sha256:1", "web:1").make({"name": name})


def test_a_registry_with_a_port_is_no_tag() -> None:
    deed = forms.tag("sha256:1", "web:1").make({"name": "reg:5000/web"})
    assert deed.steps[0].query == {"repo": "reg:5000/web", "tag": "latest"}
    assert deed.undo.command == "bay rmi reg:5000/web:latest"


def test_a_network_form_makes_docker_s_body() -> None:
    values = {"name": "back", "driver": "bridge", "subnet": "10.7.0.0/24", "internal": True}
    deed = forms.network().make(values)
    assert deed.command == "bay network create --subnet 10.7.0.0/24 --internal back"
    assert deed.steps[0].body["IPAM"] == {"Config": [{"Subnet": "10.7.0.0/24"}]}


def test_connect_offers_what_is_not_joined_and_its_undo_leaves() -> None:
    web = container("web")
    nets = [{"Id": "f", "Name": "front"}, {"Id": "b", "Name": "back"}, {"Id": "h", "Name": "host"}]
    model = Model(containers=[web], networks=nets)
    form = forms.connect(model, web, None)
    assert form.lines[0].choices == (("back", "b"),)
    deed = form.make({"network": "b", "alias": "www", "address": ""})
    assert deed.command == "bay network connect --alias www back web"
    assert deed.undo.steps[0].path == "/networks/b/disconnect"
    with pytest.raises(InvalidError):
        form.make({"network": "", "alias": "", "address": ""})


# --- jobs


def test_speed_and_time_left_are_of_the_last_seconds() -> None:
    job = Job("x", "")
    job.total = 1000
    start = job._marks[0][0]
    job.current = 100
    assert job.moved(start + 1) == (100, 9)
    job.current = 500
    speed, left = job.moved(start + 2)
    assert speed == 250 and left == 2


def test_a_pull_counts_bytes_that_came_and_layers_that_were_here() -> None:
    pull = Pull("shop/web")
    pull.take({"id": "a", "status": "Downloading", "progressDetail": {"current": 50, "total": 100}})
    pull.take({"id": "b", "status": "Already exists"})
    assert (pull.current, pull.total) == (50, 100)
    pull.take({"id": "a", "status": "Pull complete"})
    assert pull.share == 1 and pull.current == 100


def test_the_steps_of_dockers_own_builder_are_found_in_the_dockerfile(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM starter\n\nRUN true\nRUN  false\n")
    build = Build(tmp_path, "Dockerfile", ["x:1"], {}, local=False)
    for text in ("Step 1/3 : FROM starter\n", " ---> 123\n", "Step 2/3 : RUN true\n"):
        build.take({"stream": text})
    build.take({"stream": " ---> Using cache\n"})
    build.take({"stream": "Step 3/3 : RUN false\n"})
    build.take({"error": "The command '/bin/sh -c false' returned a non-zero code: 1"})
    build._end()
    assert [(one.line, one.state) for one in build.steps.values()] == [
        (1, "done"),
        (3, "cached"),
        (4, "failed"),
    ]
    assert build.failed_line == 4 and "non-zero" in build.error


def test_the_steps_of_podmans_builder_are_counted_over_all_stages(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM starter AS a\nRUN true\nFROM starter\nRUN true\n")
    build = Build(tmp_path, "Dockerfile", ["x:1"], {}, local=False)
    for text in ("[1/2] STEP 1/2: FROM starter AS a\n", "[1/2] STEP 2/2: RUN true\n"):
        build.take({"stream": text})
    build.take({"stream": "--> Using cache 0a3b\n"})
    for text in ("[2/2] STEP 1/2: FROM starter\n", "[2/2] STEP 2/2: RUN true\n", "hello\n"):
        build.take({"stream": text})
    assert build.planned == 4 and build.share == 0.75
    assert [(one.name, one.line, one.state) for one in build.steps.values()] == [
        ("1", 1, "done"),
        ("1", 2, "cached"),
        ("2", 3, "done"),
        ("2", 4, "running"),
    ]
    assert list(build.steps[4].said) == ["hello", ""]


def test_the_build_form_refuses_a_folder_without_a_dockerfile(tmp_path: Path) -> None:
    form = buildform.form(local=True)
    values = dict.fromkeys(("dockerfile", "tag", "arguments", "target"), "")
    values |= {"folder": str(tmp_path), "nocache": "", "pull": ""}
    with pytest.raises(InvalidError, match="no Dockerfile"):
        form.make(values)
    (tmp_path / "Dockerfile").write_text("FROM starter\n")
    made = form.make({**values, "tag": "a:1", "arguments": "X=1 'Y=a b'"})
    assert made.command == f"bay build -t a:1 --build-arg X=1 --build-arg 'Y=a b' {tmp_path}"
    with pytest.raises(InvalidError, match="NAME=value"):
        form.make({**values, "arguments": "X"})


def test_a_clean_up_offers_what_pulls_left_and_removes_only_that() -> None:
    found = prune.Found({}, [], [], left=(2, 500))
    wastes = prune.sort_out(Model(), [], [], found)
    (left,) = [one for one in wastes if one.items]
    assert left.size == 500 and not left.at_first and "2 of pulls" in left.items[0][1]
    deed = prune.deed(wastes)
    assert [(step.method, step.path) for step in deed.steps] == [("POST", prune.LEFTOVERS)]
    assert deed.command == "bay image prune --leftovers -f"
