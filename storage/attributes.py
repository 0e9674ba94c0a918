"""Extended attributes of layer files: which may come in, and which go out."""

from __future__ import annotations

import errno
import logging
import os

from ..host.errors import InvalidError

log = logging.getLogger(__name__)

OPAQUE = "trusted.overlay.opaque"
# overlayfs' own marks. From an archive they could redirect a path into another layer's files.
_PRIVATE = ("trusted.overlay.", "user.overlay.")
# What the host's own policy gives every file; of another host it means nothing, or wrong.
_OF_HOST = ("security.selinux", "system.nfs4_acl")
_CAPABILITY = "security.capability"
# vfs_ns_cap_data (linux/capability.h): revision 3 ends with the uid that is root in the file's
# user namespace, 4 bytes behind what revision 2 has.
_REVISION_2, _REVISION_3, _REVISION_3_SIZE = 2, 3, 24


def set_xattrs(target: int | bytes, xattrs: dict[str, bytes]) -> None:
    """Set what an archive brought, on a descriptor or an unfollowed path.

    Left out: overlayfs' own, and what this file system or this kind of file cannot hold
    (`user.*` on a link), which Docker leaves out too. Raises InvalidError for one too large.
    """
    for name, value in xattrs.items():
        if name.startswith(_PRIVATE):
            log.warning("left out %s of an archive: overlayfs' own attribute", name)
            continue
        if name in _OF_HOST:
            continue
        try:
            if isinstance(target, int):
                os.setxattr(target, name, value)
            else:
                os.setxattr(target, name, value, follow_symlinks=_is_own(target))
        except OSError as error:
            if error.errno in (errno.EOPNOTSUPP, errno.EPERM):
                log.warning("left out %s of an archive: %s", name, error.strerror)
            elif error.errno in (errno.ENOSPC, errno.E2BIG, errno.ERANGE):
                # ext4 says ENOSPC for a value over its block, on an empty disk.
                raise InvalidError(
                    f"the attribute {name[:100]!r} of {len(value)} bytes is too large for the"
                    " file system"
                ) from error
            else:
                raise


def _is_own(path: bytes) -> bool:
    """Whether `path` is `/proc/self/fd/N`, whose link is the way to the folder itself."""
    return path.count(b"/") == 4


def get_xattrs(path: bytes | int, follow: bool = False) -> dict[str, bytes]:
    """What an archive says of a file: all attributes but overlayfs' and the host's own, those of a
    nested overlay unescaped.
    """
    found: dict[str, bytes] = {}
    try:
        names = (
            os.listxattr(path)
            if isinstance(path, int)
            else os.listxattr(path, follow_symlinks=follow)
        )
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EPERM):
            return found
        raise
    for name in names:
        shown = name
        if name.startswith("trusted.overlay.overlay."):
            shown = "trusted.overlay." + name.removeprefix("trusted.overlay.overlay.")
        elif name.startswith(_PRIVATE[0]) or name in _OF_HOST:
            continue
        value = (
            os.getxattr(path, name)
            if isinstance(path, int)
            else os.getxattr(path, name, follow_symlinks=follow)
        )
        found[shown] = _portable(value) if name == _CAPABILITY else value
    return found


def _portable(capability: bytes) -> bytes:
    """File capabilities without the user namespace they were given in, as Docker archives them."""
    if len(capability) == _REVISION_3_SIZE and capability[3] == _REVISION_3:
        return capability[:3] + bytes([_REVISION_2]) + capability[4:20]
    return capability
