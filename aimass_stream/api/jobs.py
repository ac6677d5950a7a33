"""Jobs, whatever began them: how far one is, what it looks like by now, what came of it, and ending it."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, cast

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import BaseModel, Field
from starlette.responses import FileResponse, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from ..errors import Busy, NotFound, Unauthorized
from ..jobs import Job, Jobs
from ..webhooks import target_of
from .cursors import CursorQuery, LimitQuery, decode, link, page
from .deps import AccountsDep, CallerDep, SettingsDep
from .problems import RESPONSES, Problem

log = logging.getLogger(__name__)

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], responses=RESPONSES)

State: TypeAlias = Literal["queued", "running", "done", "failed", "cancelled"]

ALIVE = 10.0  # s after which a comment is sent where there is no news: proxies end what is silent
SEND_SECONDS = 30.0  # for a client to take an event; one that stops reading is cut
MOST_WATCHERS = 64


class JobResult(BaseModel):
    name: str = Field(description="a name for the file")
    media_type: str
    bytes: int


class JobInfo(BaseModel):
    id: str
    kind: str
    state: State
    waiting: int = Field(description="jobs that come before it, while it is queued")
    progress: float = Field(description="0 to 1")
    message: str = Field(description="how far it is, for people")
    eta: float | None = Field(description="s until it is done, as far as can be foretold")
    preview: int = Field(description="how many pictures of the result there were by now; GET .../preview has the last")
    facts: dict[str, Any] = Field(description="what is known of the result; which, depends on the kind")
    error: Problem | None = Field(description="why it failed")
    result: JobResult | None = Field(description="what GET .../result has")
    attempts: int = Field(description="how often it was begun; what is lost with its process is begun again")
    created: float = Field(description="s since the epoch")
    expires: float | None = Field(description="s since the epoch: until then the result is kept")


class JobList(BaseModel):
    jobs: list[JobInfo] = Field(description="the newest first")
    next: str | None = Field(description="`cursor` of the next page")


def jobs_of(request: Request) -> Jobs:
    return cast(Jobs, request.app.state.jobs)


JobsDep = Annotated[Jobs, Depends(jobs_of)]


async def job_of(job_id: str, jobs: JobsDep, caller: CallerDep) -> Job:
    caller.need("jobs")
    return await jobs.get(job_id, caller.owns)


JobDep = Annotated[Job, Depends(job_of)]


@dataclass(frozen=True, slots=True)
class Order:
    """What may be said to every route that begins a job."""

    key: str | None
    webhook: str | None


def order_of(
    settings: SettingsDep, caller: CallerDep,
    idempotency_key: Annotated[str | None, Header(
        min_length=1, max_length=255, description="the same key again answers the job that it began")] = None,
    webhook: Annotated[str | None, Query(max_length=2000, description="URL that is told how it ended")] = None,
) -> Order:
    caller.need("jobs")
    if webhook is not None:
        target_of(webhook, settings)
    return Order(idempotency_key, webhook)


OrderDep = Annotated[Order, Depends(order_of)]


def info(job: Job) -> JobInfo:
    row = job.row
    return JobInfo(
        id=row.id, kind=row.kind, state=row.state, waiting=row.waiting, progress=round(row.progress, 4),
        message=row.message, eta=None if job.eta is None else round(job.eta, 1), preview=job.previews, facts=row.facts,
        error=Problem.model_validate(row.error) if row.state == "failed" else None,
        result=JobResult(name=row.name, media_type=row.media_type, bytes=row.size) if row.state == "done" else None,
        attempts=row.attempts, created=row.created, expires=row.expires)


def accepted(job: Job, response: Response) -> JobInfo:
    """What is answered to who began it."""
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return info(job)


def ended(job: Job) -> bytes:
    """What a webhook is told."""
    moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"type": f"job.{job.state}", "timestamp": moment, "data": info(job).model_dump(mode="json")},
                      ensure_ascii=False).encode()


@router.get("")
async def list_jobs(request: Request, response: Response, jobs: JobsDep, caller: CallerDep,
                    kind: Annotated[str | None, Query(max_length=64)] = None, state: State | None = None,
                    everybody: Annotated[bool, Query(description="all jobs there are; for admins")] = False,
                    cursor: CursorQuery = None, limit: LimitQuery = 100) -> JobList:
    """The caller's jobs: those that wait or run, and those whose results are kept."""
    caller.need("admin" if everybody else "jobs")
    owners = None if everybody else {caller.owner} if caller.team else {caller.owner, *caller.teams}
    found = await jobs.find(owners, kind=kind, state=state, after=decode(cursor, float, str), limit=limit + 1)
    rows, following = page(found, limit, lambda job: (job.row.created, job.id))
    link(request, response, following)
    return JobList(jobs=[info(job) for job in rows], next=following)


@router.get("/{job_id}")
async def show_job(job: JobDep) -> JobInfo:
    return info(job)


@router.get("/{job_id}/events", response_class=Response, responses={200: {
    "description": "An event `job` each time that something is new, with the job as `GET /v1/jobs/{job_id}` has it; "
                   "the last one when it has ended", "content": {"text/event-stream": {}}}})
async def follow_job(job: JobDep, jobs: JobsDep, accounts: AccountsDep, caller: CallerDep) -> Response:
    """Follow a job by server-sent events, beginning with how it is now. They end with the key that is shown."""
    if len(Following.at_once) >= MOST_WATCHERS:
        raise Busy(f"{MOST_WATCHERS} jobs are being followed already, which is the limit")
    return Following(_events(jobs, job, lambda: accounts.confirm(caller)))


@router.get("/{job_id}/preview", response_class=Response, responses={200: {"content": {"image/jpeg": {}}}})
async def preview(job: JobDep) -> Response:
    """The last picture of what is being made."""
    if not job.preview:
        raise NotFound("there is no picture of it yet")
    return Response(job.preview, media_type="image/jpeg", headers={"Cache-Control": "no-store"})


@router.get("/{job_id}/result", response_class=Response, responses={200: {
    "description": "The file; parts of it with `Range`", "content": {"application/octet-stream": {}}}})
async def result(job: JobDep, jobs: JobsDep) -> Response:
    """What came of the job. 409 while there is nothing."""
    return OpenFile(await jobs.blobs.open(jobs.result(job)), job.row.name, job.row.media_type)


@router.post("/{job_id}/cancel")
async def cancel_job(job: JobDep, jobs: JobsDep) -> JobInfo:
    """End a job, and keep it for a while as one that was cancelled. 409 if it has ended."""
    return info(await jobs.cancel(job))


@router.delete("/{job_id}", status_code=204)
async def end_job(job: JobDep, jobs: JobsDep) -> None:
    """End a job, if it has not ended, and forget it with its result."""
    await jobs.end(job)


async def _events(jobs: Jobs, job: Job, confirm: Callable[[], object]) -> AsyncIterator[bytes]:
    async for news in jobs.watch(job, ALIVE):
        try:
            confirm()
        except Unauthorized:
            return
        yield b": alive\n\n" if news is None else f"event: job\ndata: {info(news).model_dump_json()}\n\n".encode()


class OpenFile(FileResponse):
    """A file that is open already, so that it can be read to its end even if it is forgotten meanwhile."""

    def __init__(self, number: int, name: str, media_type: str) -> None:
        super().__init__(f"/proc/self/fd/{number}", media_type=media_type, filename=name,
                         content_disposition_type="inline",
                         headers={"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"})
        self._number = number

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            os.close(self._number)


class Following(StreamingResponse):
    """Events for a client, which is cut when it has stopped reading."""

    at_once: ClassVar[set[Following]] = set()

    def __init__(self, events: AsyncIterator[bytes]) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"Cache-Control": "no-store",
                                                                          "X-Accel-Buffering": "no"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def punctually(message: Message) -> None:
            async with asyncio.timeout(SEND_SECONDS):
                await send(message)

        self.at_once.add(self)
        try:
            await super().__call__(scope, receive, punctually)
        except TimeoutError:
            log.info("a client has not read the events of its job for %g s and is cut off", SEND_SECONDS)
        finally:
            self.at_once.discard(self)
