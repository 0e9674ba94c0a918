"""A certificate authority of the test's own, with openssl(1)."""

from __future__ import annotations

import subprocess
from pathlib import Path


class Authority:
    """A CA below `folder`; `issue` gives folders with ca.pem, cert.pem and key.pem."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self.folder = folder / name
        self.folder.mkdir(parents=True)
        self._openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-days", "2", "-subj", f"/CN={name}", "-keyout", "ca-key.pem", "-out", "ca.pem"),
            *("-addext", "basicConstraints=critical,CA:TRUE"),
        )

    def issue(self, name: str, usage: str) -> Path:
        """A folder with a certificate for `usage` (serverAuth, clientAuth) on the loopback."""
        folder = self.folder / name
        folder.mkdir()
        (folder / "ext").write_text(
            f"subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\nextendedKeyUsage={usage}\n"
        )
        self._openssl(
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-subj", f"/CN={name}", "-keyout", f"{name}/key.pem", "-out", f"{name}/csr"),
        )
        self._openssl(
            *("x509", "-req", "-days", "2", "-in", f"{name}/csr", "-out", f"{name}/cert.pem"),
            *("-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial"),
            *("-extfile", f"{name}/ext"),
        )
        (folder / "ca.pem").write_bytes((self.folder / "ca.pem").read_bytes())
        return folder

    def _openssl(self, *words: str) -> None:
        done = subprocess.run(
            ["openssl", *words], cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def flags(folder: Path) -> list[str]:
    """The words for the certificates of `folder`, of docker, bay and the engine alike."""
    return [
        *("--tlsverify", "--tlscacert", str(folder / "ca.pem")),
        *("--tlscert", str(folder / "cert.pem"), "--tlskey", str(folder / "key.pem")),
    ]
