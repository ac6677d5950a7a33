"""/v1/files: files of batches, as OpenAI's clients send and fetch them. They are kept as results of jobs are."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from ...errors import Conflict, InvalidInput, NotFound
from ...jobs import Job, Jobs
from ...ports import Caller
from ...store.blobs import pieces_of
from ..deps import CallerDep, SettingsDep
from ..jobs import JobsDep, OpenFile
from ..openai_errors import OpenAiRoute
from ..problems import RESPONSES
from ..uploads import form_of

KIND = "file"
BATCH = "batch"
PREFIX = "file-"
JSONL = "application/jsonl"
MOST = 128 << 20  # bytes
NAME = re.compile(r"[^\w.() -]")


class FileRoute(OpenAiRoute):
    max_body = MOST + (1 << 20)


router = APIRouter(prefix="/v1/files", tags=["batch"], responses=RESPONSES, route_class=FileRoute)

FileId = Annotated[str, Path(max_length=64)]
BODY = {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": {
    "type": "object", "required": ["file", "purpose"], "properties": {
        "file": {"type": "string", "format": "binary", "description": "JSONL, one request a line"},
        "purpose": {"type": "string", "enum": [BATCH]}}}}}}}


class FileView(BaseModel):
    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int = Field(description="s since the epoch")
    expires_at: int | None
    filename: str
    purpose: str = Field(description="batch, or batch_output for answers")
    status: Literal["processed"] = "processed"


class FileList(BaseModel):
    object: Literal["list"] = "list"
    data: list[FileView] = Field(description="the newest first")
    first_id: str | None
    last_id: str | None
    has_more: bool


class FileDeleted(BaseModel):
    id: str
    object: Literal["file"] = "file"
    deleted: bool = True


@router.post("", openapi_extra=BODY)
async def send_file(request: Request, settings: SettingsDep, jobs: JobsDep, caller: CallerDep) -> FileView:
    """A file of requests for a batch."""
    caller.need("jobs")
    async with form_of(request, settings) as form:
        unknown = set(form.fields) - {"purpose", "expires_after", "expires_after[anchor]", "expires_after[seconds]"}
        if unknown:
            raise InvalidInput(f"there is no field {min(unknown)[:64]!r}", field=min(unknown)[:64])
        if form.fields.get("purpose", [""])[-1] != BATCH:
            raise InvalidInput(f"the purpose of files here is {BATCH!r}", field="purpose")
        if len(form.files) != 1:
            raise InvalidInput("send one file as a part named file", field="file")
        upload = form.files[0]
        await run_in_threadpool(upload.file.seek, 0)
        blob = await jobs.blobs.put(pieces_of(upload.file), limit=MOST)
        if not blob.size:
            raise InvalidInput("the file is empty", field="file")
        name = NAME.sub("_", upload.name)[:200] or "batch.jsonl"
        kept = await jobs.keep(KIND, blob, owner=caller.owner, name=name, media_type=JSONL, facts={"purpose": BATCH})
    return view(kept)


@router.get("")
async def list_files(jobs: JobsDep, caller: CallerDep, after: Annotated[str | None, Query(max_length=64)] = None,
                     limit: Annotated[int, Query(ge=1, le=200)] = 100,
                     purpose: Annotated[str | None, Query(max_length=32)] = None) -> FileList:
    """Those that were sent; a batch says which file its answers are."""
    caller.need("jobs")
    found = await listed(jobs, caller, KIND, after, limit + 1) if purpose in (None, BATCH) else []
    data = [view(job) for job in found[:limit]]
    return FileList(data=data, first_id=data[0].id if data else None, last_id=data[-1].id if data else None,
                    has_more=len(found) > limit)


@router.get("/{file_id}")
async def get_file(file_id: FileId, jobs: JobsDep, caller: CallerDep) -> FileView:
    return view(await file_of(file_id, jobs, caller))


@router.get("/{file_id}/content", response_class=Response, responses={200: {
    "description": "The file; parts of it with `Range`", "content": {JSONL: {}}}})
async def get_content(file_id: FileId, jobs: JobsDep, caller: CallerDep) -> Response:
    job = await file_of(file_id, jobs, caller)
    return OpenFile(await jobs.blobs.open(jobs.result(job)), job.row.name, JSONL)


@router.delete("/{file_id}")
async def delete_file(file_id: FileId, jobs: JobsDep, caller: CallerDep) -> FileDeleted:
    """A batch that works on it goes on: it has kept it. 409 for a batch's answers, which go with it."""
    job = await file_of(file_id, jobs, caller)
    if job.row.kind != KIND:
        raise Conflict("these are the answers of a batch: DELETE /v1/jobs/{id} forgets both", field="file_id")
    await jobs.end(job)
    return FileDeleted(id=file_id)


async def file_of(file_id: str, jobs: Jobs, caller: Caller) -> Job:
    """Raises `NotFound`."""
    caller.need("jobs")
    with suppress(NotFound):
        job = await jobs.get(f"job_{file_id.removeprefix(PREFIX)}", caller.owns)
        if file_id.startswith(PREFIX) and job.row.kind in (KIND, BATCH) and job.state == "done":
            return job
    raise NotFound(f"there is no file {file_id[:64]!r}", field="file_id")


async def listed(jobs: Jobs, caller: Caller, kind: str, after: str | None, limit: int) -> list[Job]:
    """The caller's of a kind, those that come after one with that id."""
    position = None
    if after is not None:
        last = await jobs.get(f"job_{re.sub('^(file-|batch_)', '', after)}", caller.owns)
        position = last.row.created, last.id
    owners = {caller.owner} if caller.team else {caller.owner, *caller.teams}
    return await jobs.find(owners, kind=kind, after=position, limit=limit)


def view(job: Job) -> FileView:
    row: Any = job.row
    return FileView(id=id_of(job), bytes=row.size, created_at=int(row.ended or row.created),
                    expires_at=None if row.expires is None else int(row.expires), filename=row.name,
                    purpose=BATCH if row.kind == KIND else "batch_output")


def id_of(job: Job) -> str:
    return f"{PREFIX}{job.id.removeprefix('job_')}"
