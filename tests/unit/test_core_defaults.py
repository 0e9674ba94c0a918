"""What a create request leaves out is filled in as Docker fills it in."""

from __future__ import annotations

import pytest
from bayplan.core import defaults
from bayplan.host.errors import InvalidError

IMAGE = {
    "config": {
        "Entrypoint": ["/entry"],
        "Cmd": ["serve"],
        "Env": ["PATH=/bin", "MODE=image"],
        "WorkingDir": "/srv",
        "User": "app",
        "Labels": {"a": "1", "b": "1"},
        "ExposedPorts": {"80/tcp": {}},
        "Volumes": {"/data": {}},
        "StopSignal": "SIGINT",
        "Healthcheck": {"Test": ["CMD", "true"], "Interval": 5},
    }
}


def test_the_image_fills_in_what_was_not_given() -> None:
    result = defaults.config({}, IMAGE, "app:1")
    assert result["Entrypoint"] == ["/entry"]
    assert result["Cmd"] == ["serve"]
    assert result["WorkingDir"] == "/srv"
    assert result["User"] == "app"
    assert result["StopSignal"] == "SIGINT"
    assert result["Image"] == "app:1"


def test_a_command_keeps_the_images_entrypoint() -> None:
    result = defaults.config({"Cmd": ["other"]}, IMAGE, "app")
    assert (result["Entrypoint"], result["Cmd"]) == (["/entry"], ["other"])


def test_an_entrypoint_drops_the_images_command() -> None:
    result = defaults.config({"Entrypoint": ["/mine"]}, IMAGE, "app")
    assert (result["Entrypoint"], result["Cmd"]) == (["/mine"], None)


def test_an_empty_entrypoint_removes_the_images() -> None:
    result = defaults.config({"Entrypoint": [""], "Cmd": ["sh"]}, IMAGE, "app")
    assert (result["Entrypoint"], result["Cmd"]) == (None, ["sh"])


def test_nothing_to_run_is_refused() -> None:
    with pytest.raises(InvalidError, match="no command specified"):
        defaults.config({}, {"config": {}}, "scratchy")


def test_own_variables_come_first_and_a_bare_name_keeps_the_images_out() -> None:
    result = defaults.config({"Env": ["NEW=x=y", "PATH"]}, IMAGE, "app")
    assert result["Env"] == ["NEW=x=y", "PATH", "MODE=image"]


def test_labels_ports_and_volumes_are_joined() -> None:
    given = {"Labels": {"b": "2"}, "ExposedPorts": {"53/udp": {}}, "Volumes": {"/more": {}}}
    result = defaults.config(given, IMAGE, "app")
    assert result["Labels"] == {"a": "1", "b": "2"}
    assert set(result["ExposedPorts"]) == {"80/tcp", "53/udp"}
    assert set(result["Volumes"]) == {"/data", "/more"}


def test_health_check_fields_are_merged() -> None:
    result = defaults.config({"Healthcheck": {"Retries": 2}}, IMAGE, "app")
    assert result["Healthcheck"] == {"Test": ["CMD", "true"], "Interval": 5, "Retries": 2}


def test_host_defaults_are_dockers() -> None:
    result = defaults.host_config({})
    assert result["NetworkMode"] == "bridge"
    assert result["ShmSize"] == 64 * 1024 * 1024
    assert result["RestartPolicy"] == {"Name": "no", "MaximumRetryCount": 0}
    assert result["LogConfig"]["Type"] == "json-file"
    assert "/proc/kcore" in result["MaskedPaths"]


def test_defaults_are_not_shared_between_containers() -> None:
    defaults.host_config({})["LogConfig"]["Config"]["max-size"] = "1m"
    assert defaults.host_config({})["LogConfig"]["Config"] == {}


def test_privileged_masks_nothing() -> None:
    result = defaults.host_config({"Privileged": True})
    assert result["MaskedPaths"] is None
    assert result["ReadonlyPaths"] is None


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"RestartPolicy": {"Name": "often"}}, "unknown policy 'often'"),
        ({"RestartPolicy": {"Name": "always", "MaximumRetryCount": 3}}, "only be used with"),
        ({"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": -1}}, "negative"),
        ({"AutoRemove": True, "RestartPolicy": {"Name": "always"}}, "can't create 'AutoRemove'"),
        ({"LogConfig": {"Type": "splunk"}}, 'plugin "splunk" not found'),
        ({"Memory": 1024}, "Minimum memory limit allowed is 6MB"),
        ({"Memory": 1 << 30, "MemorySwap": 1 << 20}, "memoryswap"),
        ({"MemorySwap": 1 << 20}, "always set the Memory limit"),
        ({"NanoCpus": 1, "CpuQuota": 5}, "cannot both be set"),
    ],
)
def test_what_cannot_be_meant_is_refused(given: dict[str, object], sentence: str) -> None:
    with pytest.raises(InvalidError, match=sentence):
        defaults.host_config(given)


def test_a_log_driver_that_is_not_there_is_refused_in_dockers_words() -> None:
    """Not asked of dockerd beside ours: it looks for the plugin for 15 seconds."""
    with pytest.raises(InvalidError) as refused:
        defaults.host_config({"LogConfig": {"Type": "nope"}})
    assert str(refused.value) == 'error looking up logging plugin nope: plugin "nope" not found'
