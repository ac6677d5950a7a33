"""POST /v1/batch: a few requests for inference answered together."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from ...errors import Busy
from ..deps import CallerDep, address_of
from ..limits import LimitedRoute
from ..predict import infer_of
from ..problems import RESPONSES
from . import inside
from .wanted import MOST, Wanted, listed

MOST_ANSWERS = 64 << 20  # bytes of all answers
AT_ONCE = 16  # lists being answered


class BatchRoute(LimitedRoute):
    max_body: ClassVar[int] = 4 << 20


router = APIRouter(prefix="/v1/batch", tags=["batch"], responses=RESPONSES, route_class=BatchRoute)

REQUEST = {"type": "object", "additionalProperties": False, "properties": {
    "id": {"type": "string", "maxLength": 256, "description": "comes back with the answer"},
    "method": {"type": "string", "enum": ["POST"]},
    "path": {"type": "string", "description": "/predict/{model} or /v2/models/{name}/infer",
             "examples": ["/predict/fish"]},
    "body": {"type": "object", "description": "as that route takes it"},
    "model": {"type": "string", "description": "in place of path and body"}, "input": {}}}
BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": {
    "type": "object", "required": ["requests"], "additionalProperties": False, "properties": {
        "requests": {"type": "array", "minItems": 1, "maxItems": MOST, "items": REQUEST}}}}}}}


class BatchAnswer(BaseModel):
    id: str | None = Field(description="as it was said")
    status: int = Field(description="as it would have been alone")
    headers: dict[str, str] = Field(description="x-model, x-model-reason, retry-after, where they are")
    body: Any = Field(description="the answer, or the problem")


class BatchAnswers(BaseModel):
    responses: list[BatchAnswer] = Field(description="in the order of the requests")


@router.post("", response_model=BatchAnswers, openapi_extra=BODY)
async def batch(request: Request, caller: CallerDep) -> Response:
    """Ask one model or several up to 32 times, all at once. Each counts as a request of its own, and has its own
    status; 422 is for a list that can't be read."""
    caller.need("media")
    if len(_Taken.now) >= AT_ONCE:
        raise Busy(f"{AT_ONCE} lists are being answered already, which is the limit", retry_after=1)
    with _Taken():
        wanted = await listed(infer_of(request).desk, await request.body())
        headers, address = inside.shown(request.scope), address_of(request)

        async def one(each: Wanted) -> inside.Answer:
            return await inside.ask(request.app, each.path, each.body, headers=headers, address=address,
                                    most=MOST_ANSWERS // len(wanted))

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(each)) for each in wanted]
        parts = [_written(each, task.result()) for each, task in zip(wanted, tasks, strict=True)]
    return Response(b'{"responses":[' + b",".join(parts) + b"]}", media_type="application/json")


def _written(wanted: Wanted, answer: inside.Answer) -> bytes:
    """The body is JSON as it came, and is not read again."""
    head = orjson.dumps({"id": wanted.id or None, "status": answer.status, "headers": answer.headers})
    return head[:-1] + b',"body":' + answer.body + b"}"


class _Taken:
    now: ClassVar[set[_Taken]] = set()

    def __enter__(self) -> None:
        self.now.add(self)

    def __exit__(self, *_: object) -> None:
        self.now.discard(self)
