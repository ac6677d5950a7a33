"""/v1/batches: many requests for inference as a job, in the shape of OpenAI's Batch API."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path as File
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from fastapi import APIRouter, FastAPI, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.types import ASGIApp

from ...accounts import Accounts
from ...errors import Busy, InvalidInput, NotFound
from ...jobs import Here, Job, Jobs, Progress
from ...ports import Caller
from ...settings import Settings
from ..deps import CallerDep
from ..jobs import JobsDep, OrderDep
from ..openai_errors import OpenAiRoute
from ..problems import RESPONSES
from . import inside, lines
from .files import BATCH, JSONL, file_of, id_of, listed

if TYPE_CHECKING:
    from ...store.jobs import Job as Row

router = APIRouter(prefix="/v1/batches", tags=["batch"], responses=RESPONSES, route_class=OpenAiRoute)

PREFIX = "batch_"
FOLDER = "batches"  # in the folder of the data: answers of those that are not done
DAY = 24 * 3600
ENDPOINTS = ("/predict", "/v2/models")
STATES = {"queued": "validating", "running": "in_progress", "done": "completed", "failed": "failed",
          "cancelled": "cancelled"}
HOST = [(b"host", b"localhost")]
LOOK = 1  # s until a line that has to wait looks again

BatchId = Annotated[str, Path(max_length=64)]


class NewBatch(BaseModel):
    model_config = ConfigDict(extra="forbid")
    input_file_id: str = Field(max_length=64, description="of POST /v1/files: lines of custom_id, method, url, body")
    endpoint: str = Field(max_length=200, examples=["/predict/fish"],
                          description="/predict or /v2/models, or what begins so: all lines are for that")
    completion_window: Literal["24h"] = "24h"
    metadata: dict[str, Annotated[str, Field(max_length=512)]] | None = Field(None, max_length=16)


class Counts(BaseModel):
    total: int
    completed: int
    failed: int = Field(description="lines that were answered with an error")


class BatchError(BaseModel):
    code: str
    message: str
    param: str | None
    line: int | None


class Errors(BaseModel):
    object: Literal["list"] = "list"
    data: list[BatchError]


class BatchView(BaseModel):
    id: str
    object: Literal["batch"] = "batch"
    endpoint: str
    errors: Errors | None = Field(description="why it failed: a line that is no request")
    input_file_id: str
    completion_window: str = "24h"
    status: Literal["validating", "in_progress", "completed", "failed", "cancelling", "cancelled"]
    output_file_id: str | None = Field(description="for GET /v1/files/{id}/content, once it is completed: all answers")
    error_file_id: str | None = Field(None, description="null: refusals are among the answers, with their status")
    created_at: int = Field(description="s since the epoch, as all that follow")
    in_progress_at: int | None
    completed_at: int | None
    failed_at: int | None
    cancelled_at: int | None
    expires_at: int | None
    request_counts: Counts
    metadata: dict[str, str] | None
    job: str = Field(description="the same in /v1/jobs: progress by events, webhooks")


class BatchList(BaseModel):
    object: Literal["list"] = "list"
    data: list[BatchView] = Field(description="the newest first")
    first_id: str | None
    last_id: str | None
    has_more: bool


def asking(app: ASGIApp, accounts: Accounts) -> lines.Ask:
    """Asks this server, for whoever began a batch. A quarter of their requests a minute is left to themselves: to look
    at the batch, or to end it."""
    async def ask(path: str, body: bytes, caller: Caller) -> inside.Answer:
        requests = (await accounts.parts.allowance.report(caller))["requests"]
        limit, used = requests["limit"], requests["used"]
        if limit is not None and used is not None and used >= max(1, limit * 3 // 4):
            return inside.problem(Busy(f"a batch takes three quarters of {limit} requests a minute", retry_after=LOOK))
        return await inside.ask(app, path, body, headers=HOST, address=caller.address, most=lines.MOST_ANSWER,
                                caller=caller)

    return ask


def register(app: FastAPI, board: Jobs, settings: Settings, accounts: Accounts) -> None:
    """What a job of this kind does."""
    ask = asking(app, accounts)

    async def work(row: Row, target: File) -> AsyncGenerator[Progress, None]:
        folder = settings.data_dir / FOLDER
        await lines.sweep(folder, board)
        kept = row.payload
        async with board.blobs.local(kept["sha256"]) as source:
            batch = lines.Batch(row.id, source, folder / f"{row.id}.jsonl", lines.caller_of(kept["caller"]),
                                kept["endpoint"])
            async for told in lines.run(batch, target, ask, app.state.infer.desk, accounts.confirm):
                yield told

    board.register(BATCH, lambda payload: Here(cast(Any, work)))


@router.post("")
async def begin_batch(new: NewBatch, jobs: JobsDep, order: OrderDep, caller: CallerDep) -> BatchView:
    """Ask for each line of a file, as many times as it has lines (at most 50,000). Every line is permitted, limited and
    counted as a request of its own; over a limit, it waits."""
    caller.need("media")
    endpoint = new.endpoint.rstrip("/")
    if not any(endpoint == each or endpoint.startswith(f"{each}/") for each in ENDPOINTS):
        raise InvalidInput(f"a batch is for {' or '.join(ENDPOINTS)}, or for what begins so", field="endpoint")
    file = await file_of(new.input_file_id, jobs, caller)
    sha256 = jobs.result(file)
    job = await jobs.begin(BATCH, {"sha256": sha256, "caller": lines.told(caller), "endpoint": endpoint,
                                   "input": new.input_file_id, "metadata": new.metadata},
                           owner=caller.owner, name=f"{file.row.name.removesuffix('.jsonl')}-answers.jsonl",
                           media_type=JSONL, blobs=[sha256], idempotency_key=order.key, webhook=order.webhook)
    return view(job)


@router.get("")
async def list_batches(jobs: JobsDep, caller: CallerDep, after: Annotated[str | None, Query(max_length=64)] = None,
                       limit: Annotated[int, Query(ge=1, le=100)] = 20) -> BatchList:
    """One's own."""
    caller.need("jobs")
    found = await listed(jobs, caller, BATCH, after, limit + 1)
    data = [view(job) for job in found[:limit]]
    return BatchList(data=data, first_id=data[0].id if data else None, last_id=data[-1].id if data else None,
                     has_more=len(found) > limit)


@router.get("/{batch_id}")
async def get_batch(batch_id: BatchId, jobs: JobsDep, caller: CallerDep) -> BatchView:
    return view(await _batch(batch_id, jobs, caller))


@router.post("/{batch_id}/cancel")
async def cancel_batch(batch_id: BatchId, jobs: JobsDep, caller: CallerDep) -> BatchView:
    """409 if it has ended."""
    return view(await jobs.cancel(await _batch(batch_id, jobs, caller)))


async def _batch(batch_id: str, jobs: Jobs, caller: Caller) -> Job:
    caller.need("jobs")
    with suppress(NotFound):
        job = await jobs.get(f"job_{batch_id.removeprefix(PREFIX)}", caller.owns)
        if batch_id.startswith(PREFIX) and job.row.kind == BATCH:
            return job
    raise NotFound(f"there is no batch {batch_id[:64]!r}", field="batch_id")


def view(job: Job) -> BatchView:
    row = job.row
    ended = {state: int(row.ended) if row.state == state and row.ended is not None else None
             for state in ("done", "failed", "cancelled")}
    error = row.error if row.state == "failed" else None
    state = "cancelling" if row.cancelling and not row.over else STATES[row.state]
    return BatchView(
        id=f"{PREFIX}{job.id.removeprefix('job_')}", endpoint=row.payload["endpoint"],
        errors=None if error is None else Errors(data=[BatchError(
            code="invalid_request" if error.get("status", 500) < 500 else "server_error", message=error["detail"],
            param=error.get("field"), line=error.get("line"))]),
        input_file_id=row.payload["input"], status=cast(Any, state),
        output_file_id=id_of(job) if row.state == "done" else None, created_at=int(row.created),
        in_progress_at=None if row.begun is None else int(row.begun), completed_at=ended["done"],
        failed_at=ended["failed"], cancelled_at=ended["cancelled"],
        expires_at=int(row.created) + DAY if row.expires is None else int(row.expires),
        request_counts=Counts(**{key: int(row.facts.get(key, 0)) for key in ("total", "completed", "failed")}),
        metadata=row.payload.get("metadata"), job=job.id)


