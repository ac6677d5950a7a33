"""Models that hear and speak here (`GET /v1/models`, as OpenAI's), and the weights that could be fetched besides."""

from __future__ import annotations

from typing import Any, Literal, cast

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from ..errors import NotFound
from ..events import DownloadProgress
from ..hearing import recognizers
from ..inference import installed
from ..settings import Settings
from ..speaking import voices
from ..weights.background import Fetcher
from .deps import CallerDep, SettingsDep
from .openai_errors import OpenAiRoute
from .problems import RESPONSES

router = APIRouter(prefix="/v1", tags=["models"], route_class=OpenAiRoute, responses=RESPONSES)

HEARS = "whisper-1"  # what clients of OpenAI's ask for; the best recogniser there is
SPEAKS = "tts-1"


class Model(BaseModel):
    id: str
    object: str = "model"
    created: int = Field(0, description="s since the epoch; 0: came with the package")
    owned_by: str = "aimass-stream"
    purpose: str = Field(description="hearing or voice")
    engine: str
    title: str = ""
    languages: list[str] = Field(default=[], description="the engine's own answer; ISO 639-1 or BCP 47")
    general: bool = Field(True, description="false: for tests and demonstrations")
    reason: str = Field("", description="why it is the one that is taken by itself")


class ModelList(BaseModel):
    object: str = "list"
    data: list[Model] = Field(description="what can be used now; the first of a purpose is what 'auto' takes")
    engines: list[dict[str, Any]] = Field(description="each engine: available, why not, what it can do")
    weights: list[dict[str, Any]] = Field(description="what `POST /v1/models/{name}/pull` can fetch, with its state")


def fetcher_of(request: Request) -> Fetcher:
    return cast(Fetcher, request.app.state.fetcher)


@router.get("/models")
async def list_models(request: Request, settings: SettingsDep, caller: CallerDep,
                      only: Literal["weights"] | None = None) -> ModelList:
    """Which models can be used now, which engines there are, and which weights could be fetched.

    With `only=weights` the engines are not asked, which the first time takes seconds.
    """
    if only == "weights":
        return ModelList(data=[], engines=[], weights=await run_in_threadpool(fetcher_of(request).describe))
    return await run_in_threadpool(_listed, settings, fetcher_of(request))


@router.get("/models/{name}")
async def show_model(name: str, request: Request, settings: SettingsDep, caller: CallerDep) -> Model:
    listed = await run_in_threadpool(_listed, settings, fetcher_of(request))
    for model in listed.data:
        if model.id == name:
            return model
    raise NotFound(f"there is no model {name[:64]!r}; there are: {', '.join(each.id for each in listed.data)}",
                   field="model")


@router.post("/models/{name}/pull", status_code=202)
async def pull_model(name: str, request: Request, caller: CallerDep) -> DownloadProgress:
    """Begin to fetch weights from the hub; `GET /v1/models` and `download.progress` events say how far it is."""
    caller.need("models:write")
    return fetcher_of(request).begin(name)


def _listed(settings: Settings, fetcher: Fetcher) -> ModelList:
    heard, spoken = recognizers.describe(settings), voices.describe(settings)
    engines = [{"purpose": "hearing"} | each for each in heard] + [{"purpose": "voice"} | each for each in spoken]
    return ModelList(data=[*_hearing(settings, heard), *_voices(spoken)], engines=engines, weights=fetcher.describe())


def _hearing(settings: Settings, engines: list[dict[str, Any]]) -> list[Model]:
    try:
        choice = recognizers.chosen(settings)
    except NotFound:
        return []
    found = [Model(id=model["name"], created=_created(model["name"]), purpose="hearing", engine=each["engine"],
                   title=model["title"], languages=list(model["abilities"]["languages"]), general=model["general"])
             for each in engines for model in each["models"]]
    best = [each for each in found if (each.engine, each.id) == (choice.engine, choice.model)]
    usual = [each.model_copy(update={"id": HEARS, "reason": f"{choice.model}: {choice.reason}"}) for each in best]
    return [*usual, *found]


def _voices(engines: list[dict[str, Any]]) -> list[Model]:
    there = [each for each in engines if each["available"]]
    found = [Model(id=each["engine"], purpose="voice", engine=each["engine"], languages=list(each["languages"]),
                   title=f"The voices of {each['engine']}")
             for each in there]
    return [*(each.model_copy(update={"id": SPEAKS}) for each in found[:1]), *found]


def _created(name: str) -> int:
    try:
        entry = installed().get(name)
    except NotFound:
        return 0
    return int((entry.folder / "model.toml").stat().st_mtime) if entry.card.get("pulled") else 0
