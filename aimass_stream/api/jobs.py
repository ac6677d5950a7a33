"""Jobs, whatever began them: how far one is, what it looks like by now, what came of it, and ending it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Annotated, Any, ClassVar, Literal, cast

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field
from starlette.responses import FileResponse, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from ..errors import Busy, Conflict, NotFound
from ..jobs import Job, Jobs
from .deps import CallerDep
from .problems import RESPONSES, Problem

log = logging.getLogger(__name__)

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], responses=RESPONSES)

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
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    waiting: int = Field(description="jobs that come before it, while it is queued")
    progress: float = Field(description="0 to 1")
    message: str = Field(description="how far it is, for people")
    eta: float | None = Field(description="s until it is done, as far as can be foretold")
    preview: int = Field(description="how many pictures of the result there were by now; GET .../preview has the last")
    facts: dict[str, Any] = Field(description="what is known of the result; which, depends on the kind")
    error: Problem | None = Field(description="why it failed")
    result: JobResult | None = Field(description="what GET .../result has")
    created: float = Field(description="s since the epoch")
    expires: float | None = Field(description="s since the epoch: until then the result is kept")


class JobList(BaseModel):
    jobs: list[JobInfo] = Field(description="the newest first")


def jobs_of(request: Request) -> Jobs:
    return cast(Jobs, request.app.state.jobs)


JobsDep = Annotated[Jobs, Depends(jobs_of)]


def job_of(job_id: str, jobs: JobsDep, caller: CallerDep) -> Job:
    return jobs.get(job_id, caller.name)


JobDep = Annotated[Job, Depends(job_of)]


def info(jobs: Jobs, job: Job) -> JobInfo:
    done = job.state == "done"
    return JobInfo(
        id=job.id, kind=job.kind, state=job.state, waiting=jobs.waiting(job), progress=round(job.progress, 4),
        message=job.message, eta=None if job.eta is None else round(job.eta, 1), preview=job.previews, facts=job.facts,
        error=None if job.error is None else Problem.model_validate(job.error.problem()),
        result=JobResult(name=job.name, media_type=job.media_type, bytes=job.size) if done else None,
        created=job.created, expires=job.expires)


def accepted(jobs: Jobs, job: Job, response: Response) -> JobInfo:
    """What is answered to who began it."""
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return info(jobs, job)


@router.get("")
async def list_jobs(jobs: JobsDep, caller: CallerDep) -> JobList:
    """The caller's jobs: those that wait or run, and those whose results are kept."""
    return JobList(jobs=[info(jobs, job) for job in jobs.find(caller.name)])


@router.get("/{job_id}")
async def show_job(job: JobDep, jobs: JobsDep) -> JobInfo:
    return info(jobs, job)


@router.get("/{job_id}/events", response_class=Response, responses={200: {
    "description": "An event `job` each time that something is new, with the job as `GET /v1/jobs/{job_id}` has it; "
                   "the last one when it has ended", "content": {"text/event-stream": {}}}})
async def follow_job(job: JobDep, jobs: JobsDep) -> Response:
    """Follow a job by server-sent events, beginning with how it is now."""
    if len(Following.at_once) >= MOST_WATCHERS:
        raise Busy(f"{MOST_WATCHERS} jobs are being followed already, which is the limit")
    return Following(_events(jobs, job))


@router.get("/{job_id}/preview", response_class=Response, responses={200: {"content": {"image/jpeg": {}}}})
async def preview(job: JobDep) -> Response:
    """The last picture of what is being made."""
    if not job.preview:
        raise NotFound("there is no picture of it yet")
    return Response(job.preview, media_type="image/jpeg", headers={"Cache-Control": "no-store"})


@router.get("/{job_id}/result", response_class=Response, responses={200: {
    "description": "The file; parts of it with `Range`", "content": {"application/octet-stream": {}}}})
async def result(job: JobDep) -> Response:
    """What came of the job. 409 while there is nothing."""
    path = job.result()
    if not await asyncio.to_thread(path.exists):
        raise Conflict("the result can't be read on this system")
    return FileResponse(path, media_type=job.media_type, filename=job.name, content_disposition_type="inline",
                        headers={"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"})


@router.delete("/{job_id}", status_code=204)
async def end_job(job: JobDep, jobs: JobsDep) -> None:
    """End a job, if it has not ended, and forget it with its result."""
    await jobs.end(job)


async def _events(jobs: Jobs, job: Job) -> AsyncIterator[bytes]:
    async for new in jobs.watch(job, ALIVE):
        yield f"event: job\ndata: {info(jobs, job).model_dump_json()}\n\n".encode() if new else b": alive\n\n"


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
