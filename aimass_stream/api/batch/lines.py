"""The lines of a batch, asked one after the other, some at a time; what was answered is not asked again.

Answers are written as they come, in a file of the job's own, each line with its number in its id. A server that is
killed begins again with the lines that have no whole line there.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import orjson

from ...errors import AimassError, InvalidInput, TooLarge, Unauthorized
from ...jobs import Jobs, Progress
from ...ports import Caller
from ...uncut import opened
from ..oip.bodies import Desk
from . import inside, wanted

MOST_LINES = 50_000
LONGEST = 1 << 20  # bytes of a line
MOST_ANSWER = 8 << 20  # bytes of one
AT_ONCE = 16
PIECE = 1 << 20
SYNC = 1.0  # s after which what was written is made sure
PATIENCE = 600.0  # s that a line waits for a quota or for a model, in all
LONGEST_WAIT = 60.0  # s
LATER = (429, 503)
NUMBER = re.compile(rb'\{"id":"batch_req_(\d+)"')

Ask = Callable[[str, bytes, Caller], Any]


@dataclass(slots=True)
class Done:
    """What a file of answers has."""

    numbers: set[int]
    failed: int
    size: int  # bytes of whole lines


@dataclass(frozen=True, slots=True)
class Batch:
    """What a job of the kind `batch` has to do."""

    job: str
    source: Path  # JSONL
    partial: Path
    caller: Caller
    endpoint: str


def told(caller: Caller) -> dict[str, Any]:
    """As JSON."""
    return {name: sorted(value) if isinstance(value, frozenset) else value for name, value in asdict(caller).items()}


def caller_of(kept: dict[str, Any]) -> Caller:
    return Caller(**kept | {"scopes": frozenset(kept["scopes"]), "teams": frozenset(kept["teams"])})


async def run(batch: Batch, target: Path, ask: Ask, desk: Desk, confirm: Callable[[Caller], Caller]
              ) -> AsyncGenerator[Progress, None]:
    """Writes the answers to `target`. Raises `InvalidInput` for a file that has what is no request, before any line is
    asked; `Unauthorized` where the caller's key is no longer good."""
    total = await _checked(batch, desk)
    done = await asyncio.to_thread(_done, batch.partial)
    file = await opened(lambda: _opened(batch.partial, done.size))
    under_way: set[asyncio.Task[tuple[int, bytes, bool]]] = set()
    sure = time.monotonic()
    try:
        yield _progress(done, total)
        async for number, line in _lines(batch.source):
            if number in done.numbers:
                continue
            confirm(batch.caller)
            under_way.add(asyncio.create_task(_answered(number, line, batch, ask, desk), name=f"{batch.job} {number}"))
            if len(under_way) >= AT_ONCE:
                under_way = await _some(under_way, file, done)
                if time.monotonic() - sure > SYNC:
                    await asyncio.to_thread(os.fsync, file.fileno())
                    sure = time.monotonic()
                yield _progress(done, total)
        while under_way:
            under_way = await _some(under_way, file, done)
            yield _progress(done, total)
        await asyncio.to_thread(os.fsync, file.fileno())
        await asyncio.to_thread(shutil.copyfile, batch.partial, target)
    finally:
        for task in under_way:
            task.cancel()
        if under_way:
            await asyncio.wait(under_way)
        await asyncio.to_thread(file.close)


async def sweep(folder: Path, board: Jobs) -> None:
    """Forget what was written for batches that are over."""
    for path in await asyncio.to_thread(lambda: list(folder.glob("*.jsonl"))):
        try:
            over = (await board.get(path.stem, lambda owner: True)).over
        except AimassError:
            over = True
        if over:
            await asyncio.to_thread(path.unlink, True)


async def _some(under_way: set[asyncio.Task[tuple[int, bytes, bool]]], file: IO[bytes], done: Done
                ) -> set[asyncio.Task[tuple[int, bytes, bool]]]:
    """Waits for one or more, and writes them down."""
    ended, rest = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
    came = sorted((task.result() for task in ended), key=lambda each: each[0])
    await asyncio.to_thread(file.write, b"".join(line for _, line, _ in came))
    for number, _, failed in came:
        done.numbers.add(number)
        done.failed += failed
    return rest


async def _answered(number: int, line: bytes, batch: Batch, ask: Ask, desk: Desk) -> tuple[int, bytes, bool]:
    """A line of the output, and whether it failed. Over a limit, it waits as it is told."""
    request = await wanted.one(desk, line)
    until = time.monotonic() + PATIENCE
    while True:
        answer: inside.Answer = await ask(request.path, request.body, batch.caller)
        wait = answer.headers.get("retry-after", "")
        if answer.status not in LATER or not wait.isdigit() or time.monotonic() > until:
            break
        await asyncio.sleep(min(LONGEST_WAIT, max(1, int(wait))))
    if answer.status == Unauthorized.status:
        raise Unauthorized("the key that began this is no longer good")
    head = orjson.dumps({"id": f"batch_req_{number}", "custom_id": request.id})[:-1]
    response = orjson.dumps({"status_code": answer.status, "request_id": f"{batch.job}_{number}"})[:-1]
    text = head + b',"response":' + response + b',"body":' + answer.body.replace(b"\n", b" ") + b'},"error":null}\n'
    return number, text, answer.status >= 400


async def _checked(batch: Batch, desk: Desk) -> int:
    """How many lines there are. Raises `InvalidInput` and says which line is wrong."""
    seen: set[str] = set()
    total = 0
    async for number, line in _lines(batch.source):
        try:
            request = await wanted.one(desk, line)
            if request.path != batch.endpoint and not request.path.startswith(f"{batch.endpoint}/"):
                raise InvalidInput(f"the batch is for {batch.endpoint}, and not for {request.path[:80]}", field="url")
            if request.id in seen:
                raise InvalidInput(f"there is another line with the custom_id {request.id[:64]!r}", field="custom_id")
        except InvalidInput as error:
            raise InvalidInput(f"line {number}: {error.detail}", field=error.field, line=number) from None
        seen.add(request.id)
        total = total + 1
        if not total % 100:
            await asyncio.sleep(0)
    if not total:
        raise InvalidInput("the file has no line", field="input_file_id")
    return total


async def _lines(path: Path) -> AsyncIterator[tuple[int, bytes]]:
    """Those that are not empty, with their numbers from 1. Raises `TooLarge` or `InvalidInput`."""
    file = await opened(lambda: path.open("rb"))
    try:
        number = 0
        while lines := await asyncio.to_thread(_read, file):
            for line in lines:
                number += 1
                if len(line) > LONGEST:
                    raise TooLarge(f"line {number} has more than {LONGEST} bytes", line=number)
                if number > MOST_LINES:
                    raise TooLarge(f"a batch has at most {MOST_LINES} lines")
                if line.strip():
                    yield number, line
    finally:
        file.close()


def _read(file: IO[bytes]) -> list[bytes]:
    lines, size = [], 0
    while size < PIECE and (line := file.readline(LONGEST + 2)):
        lines.append(line)
        size += len(line)
    return lines


def _done(path: Path) -> Done:
    """What is in a file of answers; a line that was cut off is none."""
    done = Done(set(), 0, 0)
    with suppress(FileNotFoundError), path.open("rb") as file:
        for line in file:
            found = NUMBER.match(line)
            if found is None or not line.endswith(b"\n"):
                break
            done.numbers.add(int(found[1]))
            done.failed += not re.search(rb'"response":\{"status_code":2', line[:1024])
            done.size += len(line)
    return done


def _opened(path: Path, size: int) -> IO[bytes]:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("ab", 0)
    file.truncate(size)
    return file


def _progress(done: Done, total: int) -> Progress:
    count = len(done.numbers)
    return Progress(count / total, f"{count} of {total} lines", {
        "total": total, "completed": count - done.failed, "failed": done.failed})


