"""Many requests for inference as a file of them, which the server works on as a job (docs/api/inference.md)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import AimassError, Unavailable
from .connection import Connection, part
from .jobs import Jobs
from .recorded import write
from .records import Batch, BatchFile, Job, read

PAGE = 100  # rows that are asked for at once
SENDING = 600.0  # s that a file may be on its way


class Batches:
    """`Client.batches`."""

    def __init__(self, connection: Connection, jobs: Jobs) -> None:
        self._connection, self._jobs = connection, jobs

    async def find(self, most: int = 1000) -> list[Batch]:
        """One's own, the newest first."""
        return [read(Batch, row) for row in await self._rows("/v1/batches", most)]

    async def show(self, batch_id: str) -> Batch:
        return read(Batch, await self._connection.request("GET", _batch(batch_id)))

    async def begin(self, file_id: str, endpoint: str = "/predict", *, metadata: dict[str, str] | None = None,
                    key: str | None = None) -> Batch:
        """Ask for each line of a file that was sent. All of its paths begin with `endpoint`; the same `key` again
        answers the batch that it began."""
        body = {"input_file_id": file_id, "endpoint": endpoint, "metadata": metadata}
        given: dict[str, Any] = {"headers": {"Idempotency-Key": key}} if key else {}
        return read(Batch, (await self._connection.checked("POST", "/v1/batches", json=body, **given)).json())

    async def cancel(self, batch_id: str) -> Batch:
        """`Conflict` where it is over already."""
        return read(Batch, await self._connection.request("POST", f"{_batch(batch_id)}/cancel"))

    async def wait(self, batch_id: str, told: Callable[[Job], None] | None = None) -> Batch:
        """The batch when it is completed. Raises what was wrong with the file, and `Unavailable` for one that was
        cancelled; `told` is told of its job."""
        batch = await self.show(batch_id)
        await self._jobs.wait(batch.job, told)
        return await self.show(batch_id)

    async def answers(self, batch_id: str, target: Path | str) -> Path:
        """All answers into a file of JSON lines. `Unavailable` while it is not completed."""
        batch = await self.show(batch_id)
        if batch.output_file_id is None:
            raise Unavailable(f"the batch {batch_id} is {batch.status}: there are no answers yet")
        return await self.content(batch.output_file_id, target)

    # files -----------------------------------------------------------------------------------------

    async def send(self, path: Path | str) -> BatchFile:
        """A file of lines `{"custom_id", "method", "url", "body"}`."""
        path = Path(path)
        try:
            content = await asyncio.to_thread(path.read_bytes)
        except OSError as error:
            raise AimassError(f"{path} can't be read: {error.strerror}") from error
        answer = await self._connection.checked("POST", "/v1/files", seconds=SENDING, data={"purpose": "batch"},
                                                files={"file": (path.name, content, "application/jsonl")})
        return read(BatchFile, answer.json())

    async def files(self, most: int = 1000) -> list[BatchFile]:
        """Those that were sent, the newest first."""
        return [read(BatchFile, row) for row in await self._rows("/v1/files", most)]

    async def file(self, file_id: str) -> BatchFile:
        return read(BatchFile, await self._connection.request("GET", _file(file_id)))

    async def content(self, file_id: str, target: Path | str) -> Path:
        answer = await self._connection.checked("GET", f"{_file(file_id)}/content", seconds=SENDING)
        return await write(Path(target), answer.content)

    async def delete(self, file_id: str) -> None:
        """One that was sent; a batch that works on it goes on."""
        await self._connection.request("DELETE", _file(file_id))

    async def _rows(self, path: str, most: int) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        while len(rows) < most:
            query = {"after": rows[-1]["id"] if rows else None, "limit": min(PAGE, most - len(rows))}
            page = await self._connection.request("GET", path, query=query)
            rows += page["data"]
            if not page["has_more"] or not page["data"]:
                break
        return rows


def _batch(batch_id: str) -> str:
    return f"/v1/batches/{part(batch_id)}"


def _file(file_id: str) -> str:
    return f"/v1/files/{part(file_id)}"
