"""A style of one's own, learned from a picture: as a job, for that takes from minutes to an hour."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from .. import sandbox
from ..errors import AimassError, Conflict, InvalidInput
from ..inference import installed
from ..inference.device import cores
from ..jobs import Jobs, Work
from ..painting.names import named
from ..settings import Settings
from ..store.blobs import pieces_of
from ..training import check, judge, picture
from ..training.lesson import Lesson, learn
from ..training.styles import NAME_LETTERS, STEPS, names_of, unmistakable
from ..weights import folder_of
from .deps import CallerDep, SettingsDep, needs
from .jobs import JobInfo, JobsDep, OrderDep, accepted
from .pictures import FILE, KINDS, Place, UploadRoute, body, on_white, only, read
from .problems import RESPONSES
from .uploads import Form, form_of

router = APIRouter(prefix="/v1/images/style", tags=["images"], route_class=UploadRoute, responses=RESPONSES,
                   dependencies=[needs("models:write")])

KIND = "style-train"
MOST_STEPS = 20_000
MEMORY = 32 << 30  # bytes of address space; torch takes much of it and uses little
OUTPUT = 1 << 28  # bytes of reports and previews

TRAIN = body({
    "style_image": FILE | {"description": f"the picture whose style is learned: {KINDS}"},
    "name": {"type": "string", "maxLength": NAME_LETTERS, "description": "what people are to call it"},
    "steps": {"type": "integer", "minimum": 1, "maximum": MOST_STEPS, "default": STEPS, "description":
              "how long it learns; more is better, up to a point"}}, ["style_image", "name"])


@router.post("/train", status_code=202, openapi_extra=TRAIN)
async def train_style(request: Request, response: Response, settings: SettingsDep, caller: CallerDep,
                      jobs: JobsDep, order: OrderDep) -> JobInfo:
    """Learn the style of a picture. When the job is done, the style is one of those that are installed, also for
    sessions; its result is the model's folder as a ZIP file. Asked for again, a lesson that was broken off goes on."""
    await jobs.admit(caller.owner, order.key)
    async with AsyncExitStack() as stack:
        stack.enter_context(Place())
        form = await stack.enter_async_context(form_of(request, settings, ("style_image",)))
        name, steps = _wish(form)
        upload = only(form, "style_image")
        file = Path(upload.name.replace("\\", "/")).name[:100] or "picture"
        pixels = on_white(await read(upload))
        await run_in_threadpool(picture.checked, pixels, file, upload.part)  # what is wrong with it is told at once
        await run_in_threadpool(check)
        await run_in_threadpool(judge.find, None, folder_of(settings))
        blob = await jobs.blobs.put(pieces_of(upload.file))
        payload = {"picture": blob.sha256, "file": file, "name": name, "steps": steps}
        job = await jobs.known(KIND, payload, owner=caller.owner, idempotency_key=order.key)
        if job is None:
            known = await run_in_threadpool(_free, name, file)
            job = await jobs.begin(
                KIND, payload, owner=caller.owner, name=f"style-{known}.zip", media_type="application/zip",
                facts={"style": known, "title": name, "steps": steps}, blobs=[blob.sha256],
                idempotency_key=order.key, webhook=order.webhook)
    return accepted(job, response)


def register(jobs: Jobs, settings: Settings) -> None:
    """What such a job does."""
    async def make(payload: dict[str, Any]) -> Work:
        models, work = str(folder_of(settings)), str(settings.data_dir.absolute() / "training")
        number = await jobs.blobs.open(payload["picture"])
        lesson = Lesson(payload["file"], payload["name"], payload["steps"], models, work, models,
                        [str(folder) for folder in installed().folders], max(1, cores() // 2))
        return Work(learn, (number, lesson), _limits(settings), files=(number,))

    jobs.register(KIND, make)


def _wish(form: Form) -> tuple[str, int]:
    for field in form.fields:
        if field not in ("name", "steps"):
            raise InvalidInput(f"there is no field {field[:64]!r}; there are: style_image, name, steps",
                               field=field[:64])
    name = form.fields.get("name", [""])[-1].strip()
    if not 1 <= len(name) <= NAME_LETTERS:
        raise InvalidInput(f"say what the style is to be called, in 1 to {NAME_LETTERS} letters", field="name")
    said = form.fields.get("steps", [str(STEPS)])[-1].strip()
    if not said.isascii() or not said.isdigit() or not 1 <= int(said[:9]) <= MOST_STEPS:
        raise InvalidInput(f"steps are from 1 to {MOST_STEPS:,}", field="steps")
    return name, int(said)


def _free(name: str, file: str) -> str:
    """What pipelines will call it. Raises `Conflict` where there is one of that name, `InvalidInput` for none."""
    try:
        model, title = names_of(name, Path(file))
    except AimassError as error:
        raise InvalidInput(f"{name!r} is no name: {error.detail}", field="name") from error
    known = named(model).name
    if model in installed().names():
        raise Conflict(f"there is a style {known!r} already; give this one another name", field="name")
    unmistakable(model, title)
    return known


def _limits(settings: Settings) -> sandbox.Limits:
    return sandbox.Limits(seconds=settings.job_seconds, cpu_seconds=round(settings.job_seconds * max(4, cores())),
                          memory_bytes=MEMORY, output_bytes=OUTPUT, processes=256)
