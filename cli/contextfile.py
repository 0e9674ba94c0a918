"""A context as a file, to carry to another machine: the tar that docker writes, tar or zip to read.

`meta.json` has the name, the description and the endpoint; `tls/docker/` the certificates.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
import zipfile

from ..host.errors import InvalidError
from ..host.light import Any
from .contexts import Context

Json = dict[str, Any]

_FILES = {"ca.pem": "ca", "cert.pem": "cert", "key.pem": "key"}
# As docker's own limit of a context that is read.
_LARGEST = 10 << 20


def pack(context: Context) -> bytes:
    """The tar of a context and its certificates. Raises InvalidError for one not there."""
    meta = {
        "Name": context.name,
        "Metadata": {"Description": context.description} if context.description else {},
        "Endpoints": {"docker": {"Host": context.host, "SkipTLSVerify": context.skip_verify}},
    }
    files = {"meta.json": json.dumps(meta).encode()}
    for name, field in _FILES.items():
        path = getattr(context, field)
        if path:
            try:
                with open(path, "rb") as file:
                    files[f"tls/docker/{name}"] = file.read()
            except OSError as error:
                raise InvalidError(
                    f"cannot export {context.name}: {path}: {error.strerror}"
                ) from None
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o600
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def unpack(data: bytes, name: str) -> tuple[Context, dict[str, bytes]]:
    """(the context, to be called `name`; its certificates by field). Raises InvalidError."""
    files = _files(data)
    try:
        meta: Json = json.loads(files["meta.json"])
        endpoint: Json = meta["Endpoints"]["docker"]
        context = Context(
            name=name,
            host=str(endpoint["Host"]),
            description=str((meta.get("Metadata") or {}).get("Description") or ""),
            skip_verify=bool(endpoint.get("SkipTLSVerify")),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidError(f"no context in the file: {error} in its meta.json") from None
    found = {
        field: files[f"tls/docker/{file}"]
        for file, field in _FILES.items()
        if f"tls/docker/{file}" in files
    }
    return context, found


def _files(data: bytes) -> dict[str, bytes]:
    """The regular files of a tar or a zip by name; only what a context has is looked at."""
    if len(data) > _LARGEST:
        raise InvalidError("no context in the file: it is larger than 10 MB")
    wanted = {"meta.json", *(f"tls/docker/{name}" for name in _FILES)}
    found: dict[str, bytes] = {}
    try:
        if zipfile.is_zipfile(io.BytesIO(data)):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                for one in archive.infolist():
                    if one.filename in wanted and one.file_size <= _LARGEST:
                        found[one.filename] = archive.read(one)
            return found
        # docker leaves out the padding at the end.
        with tarfile.open(fileobj=io.BytesIO(data + bytes(tarfile.RECORDSIZE))) as tar:
            for entry in tar:
                name = os.path.normpath(entry.name)
                if entry.isreg() and name in wanted:
                    file = tar.extractfile(entry)
                    found[name] = file.read(_LARGEST) if file else b""
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError) as error:
        raise InvalidError(f"no context in the file: neither a tar nor a zip ({error})") from None
    return found
