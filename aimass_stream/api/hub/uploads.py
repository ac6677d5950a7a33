"""/v1/uploads: files in parts, resumable, as the tus protocol 1.0 has it (core, creation, termination, expiration)."""

from __future__ import annotations

import base64
import binascii
import json
from email.utils import formatdate
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Header, HTTPException, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ...errors import InvalidInput
from ..deps import AccountsDep, CallerDep
from ..problems import RESPONSES
from ..repeats import RepeatableRoute
from .parts import HubDep

if TYPE_CHECKING:
    from ...hub.uploads import Upload

router = APIRouter(prefix="/v1/uploads", tags=["models"], responses=RESPONSES, route_class=RepeatableRoute)

TUS = "1.0.0"
PART = "application/offset+octet-stream"
MOST = 64 * 1024  # bytes of what says what comes

UploadId = Annotated[str, Path(max_length=64)]


class NewUpload(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field(max_length=200, description="of the file, in the model's folder", examples=["model.onnx"])
    size: int = Field(ge=1, description="bytes of all of it")
    sha256: str | None = Field(None, description="what it has to be, as 64 hexadecimal digits")


class FromUrl(BaseModel):
    model_config = ConfigDict(extra="forbid")
    url: str = Field(max_length=4000, description="of a public host, by https: the server fetches it, as a job")
    name: str | None = Field(None, max_length=200, description="of the file; without it, as the address ends")
    sha256: str | None = Field(None, description="what it has to be, as 64 hexadecimal digits")


class UploadView(BaseModel):
    id: str
    name: str
    size: int = Field(description="bytes of all of it")
    offset: int = Field(description="bytes that are here")
    sha256: str | None = Field(description="once it is whole")
    created: float = Field(description="s since the epoch")
    expires: float = Field(description="s since the epoch; what was made of it stays")


class UploadMade(UploadView):
    job: str | None = Field(None, description="that fetches it, where it has an address: see /v1/jobs")


class UploadList(BaseModel):
    uploads: list[UploadView] = Field(description="the newest first")


BODY = {"requestBody": {"content": {"application/json": {"schema": {
    "anyOf": [NewUpload.model_json_schema(), FromUrl.model_json_schema()]}}}}}
PARTS = {"requestBody": {"content": {PART: {"schema": {"type": "string", "format": "binary"}}}}}


@router.post("", status_code=201, openapi_extra=BODY)
async def begin_upload(request: Request, response: Response, hub: HubDep, accounts: AccountsDep, caller: CallerDep
                       ) -> UploadMade:
    """Announce a file: as JSON, or as tus does by `Upload-Length` and `Upload-Metadata` (filename, sha256). Or say its
    address, and the server fetches it."""
    caller.need("models:write")
    wanted, job = await _wanted(request), None
    if isinstance(wanted, FromUrl):
        caller.need("jobs")
        upload, made = await hub.following.fetch(caller, wanted.url, wanted.name, wanted.sha256)
        job = made.id
        await accounts.parts.allowance.upload(caller, upload.size)
    else:
        upload = await hub.uploads.begin(caller, wanted.name, wanted.size, wanted.sha256)
    response.headers["Location"] = f"/v1/uploads/{upload.id}"
    _headers(response, upload)
    return UploadMade(**_view(upload).model_dump(), job=job)


@router.options("", status_code=204)
async def tell_uploads(hub: HubDep) -> Response:
    """What is possible, for clients of tus."""
    return Response(status_code=204, headers={
        "Tus-Resumable": TUS, "Tus-Version": TUS, "Tus-Extension": "creation,termination,expiration",
        "Tus-Max-Size": str(hub.uploads.most)})


@router.get("")
async def list_uploads(hub: HubDep, caller: CallerDep) -> UploadList:
    """The caller's own."""
    caller.need("models:write")
    return UploadList(uploads=[_view(upload) for upload in await hub.uploads.find(caller)])


@router.get("/{upload_id}")
async def get_upload(upload_id: UploadId, response: Response, hub: HubDep, caller: CallerDep) -> UploadView:
    caller.need("models:write")
    upload = await hub.uploads.get(caller, upload_id)
    _headers(response, upload)
    return _view(upload)


@router.head("/{upload_id}")
async def look_at_upload(upload_id: UploadId, hub: HubDep, caller: CallerDep) -> Response:
    """`Upload-Offset` says from where to go on."""
    caller.need("models:write")
    response = Response(status_code=200)
    _headers(response, await hub.uploads.get(caller, upload_id))
    return response


@router.patch("/{upload_id}", status_code=204, openapi_extra=PARTS)
async def append_part(upload_id: UploadId, request: Request, hub: HubDep, caller: CallerDep,
                      upload_offset: Annotated[int, Header(ge=0)]) -> Response:
    """The bytes that follow those that are here. 409 says from where to go on; what came of a part that broke off is
    kept. The last one takes a little longer: then all of it is hashed."""
    caller.need("models:write")
    if request.headers.get("content-type", "").partition(";")[0].strip() != PART:
        raise HTTPException(415, f"send the bytes with the header Content-Type: {PART}")
    upload = await hub.uploads.append(caller, upload_id, upload_offset, request.stream())
    response = Response(status_code=204)
    _headers(response, upload)
    if upload.sha256 is not None:
        response.headers["Upload-SHA256"] = upload.sha256
    return response


@router.delete("/{upload_id}", status_code=204)
async def end_upload(upload_id: UploadId, hub: HubDep, caller: CallerDep) -> Response:
    """Forget it; a version that was made of it keeps the file."""
    caller.need("models:write")
    await hub.uploads.end(caller, upload_id)
    return Response(status_code=204, headers={"Tus-Resumable": TUS})


async def _wanted(request: Request) -> NewUpload | FromUrl:
    length = request.headers.get("upload-length")
    try:
        if length is not None:
            told = _metadata(request.headers.get("upload-metadata", ""))
            return NewUpload(name=told.get("filename") or told.get("name", ""), size=int(length),
                             sha256=told.get("sha256"))
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > MOST:
                raise HTTPException(413, f"an announcement has at most {MOST} bytes")
        return (FromUrl if _has_url(bytes(body)) else NewUpload).model_validate_json(bytes(body))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "body"
        raise InvalidInput(f"{where}: {first['msg']}", field=where) from None
    except ValueError:
        raise InvalidInput("Upload-Length is a number of bytes", field="Upload-Length") from None


def _has_url(body: bytes) -> bool:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(told, dict) and "url" in told


def _metadata(header: str) -> dict[str, str]:
    """``key base64,key base64``."""
    told = {}
    for pair in header.split(","):
        key, _, value = pair.strip().partition(" ")
        try:
            told[key] = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise InvalidInput("Upload-Metadata has words with their values in base64", field="Upload-Metadata"
                               ) from None
    return told


def _headers(response: Response, upload: Upload) -> None:
    response.headers.update({
        "Tus-Resumable": TUS, "Upload-Offset": str(upload.offset), "Upload-Length": str(upload.size),
        "Upload-Expires": formatdate(upload.expires, usegmt=True), "Cache-Control": "no-store"})


def _view(upload: Upload) -> UploadView:
    return UploadView(id=upload.id, name=upload.name, size=upload.size, offset=upload.offset, sha256=upload.sha256,
                      created=upload.created, expires=upload.expires)
