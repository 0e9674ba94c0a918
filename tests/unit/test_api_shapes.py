"""Bodies of the wrong types are refused in Docker's words before anything reads them."""

from __future__ import annotations

from typing import Any

import pytest
from bayplan.api import shapes
from bayplan.host.errors import InvalidError


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"Image": "a", "Cmd": "sh", "HostConfig": None, "Unknown": 5},
        {"Cmd": ["a"], "HostConfig": {"PortBindings": {"80/tcp": None, "81/tcp": [{}]}}},
        {"NetworkingConfig": {"EndpointsConfig": {"net": None}}},
        {"HostConfig": {"Memory": 5, "MemorySwappiness": None, "Mounts": [{"Type": "bind"}]}},
    ],
)
def test_what_dockers_clients_send_passes(body: Any) -> None:
    shapes.check(body, shapes.CREATE)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"Image": 5}, "cannot unmarshal number into field Image of type string"),
        ({"Env": "x"}, "cannot unmarshal string into field Env of type array"),
        ({"Env": [1]}, "cannot unmarshal number into field Env of type string"),
        ({"Tty": 1}, "cannot unmarshal number into field Tty of type bool"),
        ({"Cmd": [["a"]]}, "cannot unmarshal array into field Cmd of type string"),
        ({"HostConfig": []}, "cannot unmarshal array into field HostConfig of type object"),
        (
            {"HostConfig": {"Memory": 1 << 63}},
            "number 9223372036854775808 into field HostConfig.Memory of type int64",
        ),
        ({"HostConfig": {"Binds": ["/a\0b:/c"]}}, "field HostConfig.Binds has a NUL byte"),
        ({"Volumes": {"/a\0b": {}}}, "a name in Volumes has a NUL byte"),
        (
            {"HostConfig": {"Memory": True}},
            "cannot unmarshal bool into field HostConfig.Memory of type int64",
        ),
        (
            {"HostConfig": {"PortBindings": {"80/tcp": [1]}}},
            "cannot unmarshal number into field HostConfig.PortBindings.80/tcp of type object",
        ),
    ],
)
def test_a_wrong_type_names_its_field(body: Any, sentence: str) -> None:
    with pytest.raises(InvalidError, match=sentence):
        shapes.check(body, shapes.CREATE)
