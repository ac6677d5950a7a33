"""Short video files, painted: as jobs, for that takes longer than a request."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import AsyncExitStack, aclosing
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from .. import sandbox
from ..errors import InvalidInput, InvalidMedia, SandboxError, TooLarge
from ..inference import installed
from ..inference.loader import VERSION
from ..jobs import Jobs, Work
from ..jobs.film import Bounds, look, paint
from ..painting.inline import encoded
from ..settings import Settings
from ..stages.style import NAMES, StyleParams, network, strokes
from ..store.blobs import pieces_of
from ..store.sealed import is_sealed
from .asked import APP, AskedDep
from .deps import CallerDep, SettingsDep, needs
from .hub.parts import pinned
from .images import PICTURE, near, shown, wish
from .jobs import JobInfo, JobsDep, OrderDep, accepted
from .pictures import FILE, KINDS, Place, UploadRoute, body, on_white, only
from .problems import RESPONSES
from .uploads import Upload, form_of, on_disk

if TYPE_CHECKING:
    from ..store.jobs import State

router = APIRouter(prefix="/v1/videos", tags=["images"], route_class=UploadRoute, responses=RESPONSES,
                   dependencies=[needs("media")])

KIND = "style-video"
MEMORY = 3 << 30  # bytes of address space: networks, and pictures of 4096x4096
LOOKING = sandbox.Limits(seconds=60, cpu_seconds=30, memory_bytes=MEMORY, file_bytes=1 << 20)
OUTPUT = 1 << 28  # bytes of reports and previews
MOST_RESULT = 1 << 30  # bytes
WAITING: tuple[State, ...] = ("queued", "running")
MOST_HELD = 1000  # jobs that are looked at

STYLE = body({
    "video": FILE | {"description": "any video file; a picture's longer side beyond the server's max_width is shrunk"},
    "style": {"type": "string", "description": "a style's name, title or painter, in English or Chinese"},
    "style_image": FILE | {"description": f"instead: a picture whose own style is taken; {KINDS}"},
    "by": {"type": "string", "enum": ["picture", "nearest"], "description": "with style_image, as for pictures"},
    "strength": {"type": "number", "minimum": 0, "maximum": 1, "default": 1}} | APP, ["video"])


class VideoPlace(Place):
    what = "videos are being sent"
    taken = 0


@router.post("/style", status_code=202, openapi_extra=STYLE)
async def paint_video(request: Request, response: Response, settings: SettingsDep, caller: CallerDep,
                      jobs: JobsDep, order: OrderDep, asked: AskedDep) -> JobInfo:
    """Paint a video file in a style of the library, steadily, as live pictures are. The result is an MP4 file with the
    video's own sound and timing, upright. With `app_id` the stage `style` of that app says what the form does not."""
    await jobs.admit(caller.owner, order.key)
    async with AsyncExitStack() as stack:
        stack.enter_context(VideoPlace())
        form = await stack.enter_async_context(form_of(request, settings, ("video", "style_image")))
        usual = await asked.usual_of(form, "style", StyleParams)
        form = await run_in_threadpool(pinned, request, caller, form, NAMES, "style")
        wanted = await run_in_threadpool(wish, form, "video", usual)
        stack.enter_context(asked)
        facts: dict[str, Any] = {}
        name = style = wanted.style
        if not style:
            example = await shown(form, wanted)
            if wanted.nearest:
                name, facts["distance"] = await run_in_threadpool(near, example)
                style = name
            else:
                name, style = PICTURE, await run_in_threadpool(lambda: encoded(strokes(on_white(example))))
        video = only(form, "video", "video file")
        facts |= await _look(video, await on_disk(video.file), bounds_of(settings))
        await run_in_threadpool(_in_the_open, (style, "" if usual is None else usual.second))
        params = (usual or StyleParams()).model_dump() | {"name": style, "strength": wanted.strength}
        blob = await jobs.blobs.put(pieces_of(video.file))
        job = await jobs.begin(
            KIND, {"video": blob.sha256, "params": params}, owner=caller.owner, name=f"{_stem(video.name)}-{name}.mp4",
            media_type="video/mp4", facts=facts | {"style": name, "strength": wanted.strength}, blobs=[blob.sha256],
            idempotency_key=order.key, webhook=order.webhook)
    return accepted(job, response)


def register(jobs: Jobs, settings: Settings) -> None:
    """What such a job does."""
    async def make(payload: dict[str, Any]) -> Work:
        number = await jobs.blobs.open(payload["video"])
        store = installed()
        places = [str(folder) for folder in store.folders], None if store.versions is None else str(store.versions)
        return Work(paint, (number, payload["params"], *places, bounds_of(settings)), _limits(settings),
                    files=(number,))

    jobs.register(KIND, make)


async def held(jobs: Jobs) -> dict[str, list[str]]:
    """Versions of the hub that such jobs paint with which are not over, by the jobs' ids."""
    found: dict[str, list[str]] = {}
    for state in WAITING:
        for job in await jobs.find(kind=KIND, state=state, limit=MOST_HELD):
            params = job.row.payload["params"]
            found[job.id] = [name for name in (params["name"], params["second"]) if VERSION.fullmatch(name)]
    return found


def _in_the_open(styles: Sequence[str]) -> None:
    """A video is painted in a sandbox, which has no key. Raises `InvalidInput`."""
    for style in styles:
        entry = network(style) if VERSION.fullmatch(style) else None
        if entry is not None and is_sealed(entry.file(".safetensors")):
            raise InvalidInput(f"{style} is encrypted: it paints pictures and what is live, and no video files",
                               field="style")


def bounds_of(settings: Settings) -> Bounds:
    return Bounds(settings.max_video_seconds, max(settings.max_width, settings.max_height))


async def _look(video: Upload, number: int, bounds: Bounds) -> dict[str, Any]:
    """Its size and length, read in the sandbox. Raises `InvalidMedia` or `TooLarge`."""
    named = video.name[:100] or "the video"
    if not os.fstat(number).st_size:
        raise InvalidMedia(f"{named} is empty", field="video")
    try:
        async with aclosing(sandbox.stream(look, number, bounds, files=[number], limits=LOOKING)) as pieces:
            told = b"".join([piece async for piece in pieces])
        return dict(json.loads(told))
    except TooLarge as error:
        raise TooLarge(f"{named} {error.detail}", field="video") from error
    except (InvalidMedia, SandboxError, ValueError) as error:
        detail = error.detail if isinstance(error, (InvalidMedia, SandboxError)) else "can't be read"
        raise InvalidMedia(f"{named} {detail}", field="video") from error


def _limits(settings: Settings) -> sandbox.Limits:
    return sandbox.Limits(seconds=settings.job_seconds, cpu_seconds=round(settings.job_seconds * 4),
                          memory_bytes=MEMORY, file_bytes=max(1, min(MOST_RESULT, settings.job_keep_bytes)),
                          output_bytes=OUTPUT)


def _stem(name: str) -> str:
    """For the result's name."""
    stem = name.replace("\\", "/").rpartition("/")[2].rpartition(".")[0]
    return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in stem)[:60].strip("-") or "video"
