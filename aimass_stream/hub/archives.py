"""Archives (zip, tar) of a model's folder, unpacked so that nothing leaves the folder and no bomb goes off.

What an archive's headers say is not believed: bytes are counted as they are written. For the sandbox.
"""

from __future__ import annotations

import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from ..errors import InvalidInput, TooLarge

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")
MOST_FILES = 2000
DEEPEST = 4  # folders
RATIO, UNJUDGED = 200, 64 << 20  # times the archive's size, from so many bytes on: weights don't shrink like that
PIECE = 1 << 20  # bytes
NAME = re.compile(r"[\w.()+@ -]{1,120}")  # of a file or a folder
RESERVED = {"con", "prn", "aux", "nul"}  # on other systems


class Member(NamedTuple):
    name: str
    file: IO[bytes]


def is_archive(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)


def inner(name: str) -> PurePosixPath:
    """The name of a file inside a model's folder. Raises `InvalidInput` for one that could lead out of it."""
    path = PurePosixPath(name)
    bad = (not path.parts or path.is_absolute() or "\\" in name or len(path.parts) > DEEPEST
           or any(not NAME.fullmatch(part) or part.strip(". ") == "" or part.lower() in RESERVED
                  for part in path.parts))
    if bad:
        raise InvalidInput(f"{name[:100]!r} can't be the name of a model's file", field="files")
    return path


def unpack(archive: Path, folder: Path, most: int) -> list[str]:
    """The archive's files by name, written beneath `folder`; a folder around all of them is left out.

    Raises `InvalidInput` for links, devices, names that lead elsewhere and what is no whole archive, and `TooLarge`
    over `most` bytes.
    """
    most = min(most, max(UNJUDGED, archive.stat().st_size * RATIO))
    names: set[str] = set()
    try:
        for member in _zipped(archive) if zipfile.is_zipfile(archive) else _tarred(archive):
            path = inner(member.name)
            if str(path).lower() in names:
                raise InvalidInput(f"{str(path)[:100]} is in the archive twice", field="files")
            if len(names) >= MOST_FILES:
                raise TooLarge(f"the archive has more than {MOST_FILES} files", field="files")
            names.add(str(path).lower())
            most -= _written(member.file, folder / path, most)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, LZMAError, OSError, NotImplementedError,
            RuntimeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"the archive can't be read: {str(error)[:200]}", field="files") from None
    _lift(folder)
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def _zipped(archive: Path) -> Iterator[Member]:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            if info.is_dir():
                continue
            if kind not in (0, stat.S_IFREG):
                raise InvalidInput(f"{info.filename[:100]} is a link or a device", field="files")
            if info.flag_bits & 1:
                raise InvalidInput("the archive is encrypted", field="files")
            with opened.open(info) as file:
                yield Member(info.filename, file)


def _tarred(archive: Path) -> Iterator[Member]:
    with tarfile.open(archive, "r:*") as opened:
        for info in opened:
            if info.isdir():
                continue
            file = opened.extractfile(info) if info.isreg() else None
            if file is None:
                raise InvalidInput(f"{info.name[:100]} is a link or a device", field="files")
            yield Member(info.name.removeprefix("./"), file)


def _written(file: IO[bytes], path: Path, most: int) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    size = 0
    with path.open("xb") as target:
        while piece := file.read(PIECE):
            size += len(piece)
            if size > most:
                raise TooLarge("the archive's files are larger than they may be, or it is a bomb", field="files")
            target.write(piece)
    return size


def _lift(folder: Path) -> None:
    """Take away a single folder around everything."""
    inside = list(folder.iterdir())
    if len(inside) == 1 and inside[0].is_dir():
        shell = inside[0].rename(folder / ".shell")
        for path in shell.iterdir():
            path.rename(folder / path.name)
        shell.rmdir()
