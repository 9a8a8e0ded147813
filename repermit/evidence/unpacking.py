"""The proof in a ZIP, as the page of a contact hands it out beside a page to print. Pure.

May import errors.
"""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

from repermit.errors import Refused

if TYPE_CHECKING:
    from zipfile import ZipInfo

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_IS_ENCRYPTED = 0x1
# What zipfile says of a file that is cut off, altered, or made to harm.
_BROKEN = (
    BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, OverflowError,
    NotImplementedError,
)  # fmt: skip


def proof_in(octets: bytes, *, most: int) -> bytes:
    """Return the one proof in a ZIP, and anything else as it is.

    No more than `most` octets are unpacked, whatever the ZIP says of itself. Raises Refused.
    """
    if len(octets) > most or not octets.startswith(_ZIP):
        return octets
    try:
        with ZipFile(io.BytesIO(octets)) as archive:
            return _unpacked(archive, _proof_of(archive), most)
    except _BROKEN:
        raise Refused("the ZIP is broken: it cannot be unpacked") from None


def _proof_of(archive: ZipFile) -> ZipInfo:
    found = [one for one in archive.infolist() if _is_proof(one)]
    if not found:
        raise Refused("there is no proof in the ZIP, whose name would end in .json")
    if len(found) > 1:
        raise Refused("there is more than one proof in the ZIP: unpack it, and take one of them")
    return found[0]


def _is_proof(member: ZipInfo) -> bool:
    """Say whether this may be a proof; macOS adds a hidden twin to each file."""
    name = PurePosixPath(member.filename)
    is_hidden = name.name.startswith(".") or "__MACOSX" in name.parts
    return name.suffix.lower() == ".json" and not is_hidden


def _unpacked(archive: ZipFile, member: ZipInfo, most: int) -> bytes:
    if member.flag_bits & _IS_ENCRYPTED:
        raise Refused("the ZIP is protected by a password: unpack it first")
    # Of the others zipfile unpacks all that it has read, however much that becomes.
    if member.compress_type not in {ZIP_STORED, ZIP_DEFLATED}:
        raise Refused("the ZIP is packed in an unusual way: unpack it first")
    with archive.open(member) as stream:
        unpacked = stream.read(most + 1)
    if len(unpacked) > most:
        raise Refused("unpacked, it has more than %(most)s octets", most=most)
    return unpacked
