"""Uploaded files: read off the request to disk, decoded in the sandbox, and given as one long piece of sound.

However long a recording is, it costs bounded memory: the upload and its samples lie in files without a name,
which are gone with the request whatever happens.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import IO, Any, cast

import numpy as np
from fastapi import HTTPException, Request
from starlette.datastructures import FormData, UploadFile
from starlette.requests import ClientDisconnect
from starlette.types import Message

from .. import sandbox
from ..errors import Busy, InvalidInput, InvalidMedia, SandboxError, TooLarge
from ..settings import Settings
from ..speech.decode import decode
from ..speech.words import HEARING_RATE, Waveform
from ..uncut import opened, to_the_end

MAX_FILES = 16  # in one request
MAX_FIELDS = 64
MAX_FIELD = 64 * 1024  # bytes
STALLED = 30.0  # s without a byte after which an upload is given up: its place is for others
MEMORY = 1 << 30  # bytes a decoder may use


@dataclass(frozen=True, slots=True)
class Upload:
    name: str  # as the client calls it: for people only
    file: IO[bytes]
    part: str = "file"  # of the form


@dataclass(frozen=True, slots=True)
class Form:
    fields: dict[str, list[str]]  # "include[]" is "include"
    files: list[Upload]


class Desk:
    """How many uploads are worked on at once: further ones are refused, and their decoders take turns."""

    def __init__(self, settings: Settings) -> None:
        self._most = settings.max_listeners
        self.taken = 0
        self._decoders = asyncio.Semaphore(max(2, os.cpu_count() or 1))
        self._settings = settings

    @contextlib.contextmanager
    def place(self) -> Any:
        """Raises `Busy`."""
        if self.taken >= self._most:
            raise Busy(f"{self._most} uploads are being worked on already, which is the limit", retry_after=10)
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1

    @asynccontextmanager
    async def decoded(self, upload: Upload) -> AsyncIterator[Waveform]:
        """The file's sound, which lies on disk. Raises `InvalidMedia` or `TooLarge`."""
        folder = self._settings.data_dir
        async with AsyncExitStack() as stack:
            samples = stack.enter_context(await opened(lambda: _nameless(folder)))
            async with self._decoders:
                await self._decode(upload, samples)
            yield await asyncio.to_thread(_mapped, samples)

    async def _decode(self, upload: Upload, samples: IO[bytes]) -> None:
        number = await on_disk(upload.file)
        if not os.fstat(number).st_size:
            raise InvalidMedia(f"{upload.name[:100] or 'the file'} is empty", field="file")
        seconds = self._settings.max_audio_seconds
        limits = sandbox.Limits(
            seconds=60 + seconds / 20, cpu_seconds=round(20 + seconds / 60), memory_bytes=MEMORY, file_bytes=1 << 20,
            processes=8, output_bytes=round(seconds + 60) * HEARING_RATE * 2)
        try:
            async with aclosing(sandbox.stream(decode, number, seconds, files=[number], limits=limits)) as pieces:
                async for piece in pieces:
                    await asyncio.to_thread(_append, samples, piece)
        except SandboxError as error:
            raise InvalidMedia(f"{upload.name[:100] or 'the file'} can't be decoded: {error.detail}",
                               field="file") from error


def _nameless(folder: Any) -> IO[bytes]:
    folder.mkdir(parents=True, exist_ok=True)
    return cast(IO[bytes], tempfile.TemporaryFile(dir=folder))


async def on_disk(file: IO[bytes]) -> int:
    """Its descriptor; a small upload lies in memory until then. Who closes the file while it is moved would close the
    memory, and leave the new file open."""
    return await to_the_end(asyncio.to_thread(_moved, file))


def _moved(file: IO[bytes]) -> int:
    file.flush()
    return file.fileno()


def _append(samples: IO[bytes], piece: bytes) -> None:
    samples.write((np.frombuffer(piece[: len(piece) // 2 * 2], "<i2") / np.float32(32768)).astype(np.float32).tobytes())
    samples.flush()


def _mapped(samples: IO[bytes]) -> Waveform:
    """All of it, without reading it."""
    return np.asarray(np.memmap(samples, np.float32, "r")) if samples.tell() else np.zeros(0, np.float32)


@asynccontextmanager
async def form_of(request: Request, settings: Settings, parts: Sequence[str] = ("file",)) -> AsyncIterator[Form]:
    """The multipart form of a request, files on disk. `settings.max_upload` is for all files together; `parts` are
    the names that a file may have.

    Raises `HTTPException` 415 for another kind of body, 400 for a broken one, 408 for one that stalls, and
    `TooLarge` as soon as it shows.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise HTTPException(415, f"send multipart/form-data with a part named {parts[0]}, not {kind or 'nothing'}")
    most = settings.max_upload + MAX_FIELD
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > most:
        raise TooLarge(_too_large(settings), field=parts[0])
    read = 0

    async def receive() -> Message:
        nonlocal read
        try:
            async with asyncio.timeout(STALLED):
                message = await request.receive()
        except TimeoutError:
            raise HTTPException(408, f"nothing of the upload came for {STALLED:g} s") from None
        read += len(message.get("body", b""))
        if read > most:
            raise TooLarge(_too_large(settings), field=parts[0])
        return message

    limited = Request(request.scope, receive)
    try:
        form = await limited.form(max_files=MAX_FILES, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD)
    except ClientDisconnect:
        raise HTTPException(400, "the upload ended before it was complete") from None
    try:
        yield _sorted(form, parts)
    finally:
        await form.close()


def _sorted(form: FormData, parts: Sequence[str]) -> Form:
    found = Form({}, [])
    for name, value in form.multi_items():
        plain = name.removesuffix("[]")
        if isinstance(value, UploadFile):
            if plain not in parts:
                raise InvalidInput(f"no file is called {name[:64]} here; send it as a part named {' or '.join(parts)}",
                                   field=name[:64])
            found.files.append(Upload(value.filename or "", value.file, plain))
        elif plain in parts:
            raise InvalidInput(f"{plain} is text; send it as a file, with a file name", field=plain)
        else:
            found.fields.setdefault(plain, []).append(value)
    return found


def _too_large(settings: Settings) -> str:
    return f"an upload has at most {settings.max_upload} bytes"
