"""Speech of whole files as text: OpenAI's `POST /v1/audio/transcriptions` and `/v1/audio/translations`."""

from __future__ import annotations

import asyncio
import logging
import secrets
import sys
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast

from fastapi import APIRouter, HTTPException, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, StreamingResponse

from ..errors import AimassError, InvalidInput, NotFound
from ..hearing.files import Segment, transcribe
from ..hearing.recognizers import FORMER, HEARS, RECOGNIZERS, describe
from ..inference import Engine
from ..inference.loader import VERSION
from ..ports import Caller
from ..settings import Settings
from ..speech.languages import code_of
from ..speech.words import HEARING_RATE, Task, Waveform
from ..stages.asr import AsrParams
from ..weights import catalogue
from .asked import APP, APP_FIELDS, Asked, AskedDep, is_ours
from .deps import CallerDep, NodeDep, SettingsDep, needs
from .hub.parts import pinned
from .openai_errors import OpenAiRoute, error_object
from .problems import RESPONSES
from .transcriptions import FORMATS, GRANULARITIES, body, event, response, text_of, usage
from .uploads import Desk, Form, Upload, form_of

log = logging.getLogger(__name__)


class UploadRoute(OpenAiRoute):
    max_body = sys.maxsize  # `form_of` counts


router = APIRouter(prefix="/v1/audio", tags=["audio"], route_class=UploadRoute, responses=RESPONSES,
                   dependencies=[needs("media")])

T = TypeVar("T")

ANY_MODEL = ("", "auto", "whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe", "gpt-transcribe")
PROMPT = 2000  # characters
WORDS = 200  # hotwords
PROGRESS_EVERY = 0.5  # s without a segment, after which progress is told
PROGRESS_STEP = 0.5  # s of sound between two events of progress
BOTH = APP_FIELDS | {"model", "prompt", "response_format", "temperature", "hotwords"}
TRANSCRIPTION = BOTH | {"language", "timestamp_granularities", "stream", "progress", "chunking_strategy", "include"}

# for openapi.json: the body is read by hand, since it may be far larger than memory
BODY = {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": {
    "type": "object", "required": ["file"], "properties": {
        "file": {"type": "string", "format": "binary", "description": "any container with sound; several are a batch"},
        "model": {"type": "string", "description": "whisper-1 for the best there is, an engine, or a model by name"},
        "language": {"type": "string"}, "prompt": {"type": "string"}, "temperature": {"type": "number"},
        "response_format": {"type": "string", "enum": list(FORMATS)}, "hotwords": {"type": "string"},
        "timestamp_granularities[]": {"type": "array", "items": {"type": "string", "enum": list(GRANULARITIES)}},
        "stream": {"type": "boolean"}, "progress": {"type": "boolean"}} | APP}}}}}


@dataclass(frozen=True, slots=True)
class Wish:
    """The fields of a request, checked."""

    want: str
    model: str
    task: Task
    language: str | None
    prompt: str
    hotwords: tuple[str, ...]
    temperature: float
    form: str
    granularities: tuple[str, ...]
    stream: bool
    progress: bool


@router.post("/transcriptions", openapi_extra=BODY)
async def transcriptions(request: Request, node: NodeDep, settings: SettingsDep, caller: CallerDep,
                         asked: AskedDep) -> Response:
    """The words of a sound or video file, of any container; with several `file` parts, a list of answers.
    With `app_id` the stage `asr` of that app says what the form does not: model, language, prompt, hotwords."""
    return await _answer(request, caller, node.engine, settings, asked, "transcribe", TRANSCRIPTION)


@router.post("/translations", openapi_extra=BODY)
async def translations(request: Request, node: NodeDep, settings: SettingsDep, caller: CallerDep,
                       asked: AskedDep) -> Response:
    """The same in English, with a model that translates."""
    return await _answer(request, caller, node.engine, settings, asked, "translate", BOTH)


async def _answer(request: Request, caller: Caller, engine: Engine, settings: Settings, asked: Asked, task: Task,
                  known: frozenset[str]) -> Response:
    desk = _desk(request, settings)
    async with AsyncExitStack() as stack:
        stack.enter_context(desk.place())
        form = await stack.enter_async_context(form_of(request, settings))
        usual = await asked.usual_of(form, "asr", AsrParams)
        if usual is not None:
            task = _filled(form, usual, task)
        form = pinned(request, caller, form, HEARS)
        wish = await run_in_threadpool(_wish, form, settings, task, known)
        stack.enter_context(asked)
        if wish.stream:
            sound = await stack.enter_async_context(desk.decoded(form.files[0]))
            work = _Work(engine, settings, wish, sound, asked)
            stack.push_async_callback(work.close)
            await work.begin()
            kept = stack.pop_all()
            return StreamingResponse(_events(work, kept), media_type="text/event-stream",
                                     headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
        if len(form.files) == 1:
            return await _while_there(request, _one(desk, engine, settings, wish, form.files[0], asked))
        return await _while_there(request, _batch(desk, engine, settings, wish, form.files, asked))


def _desk(request: Request, settings: Settings) -> Desk:
    state = request.app.state
    if not hasattr(state, "desk"):
        state.desk = Desk(settings)
    return cast(Desk, state.desk)


class _Work:
    """The segments of one file, as they come."""

    def __init__(self, engine: Engine, settings: Settings, wish: Wish, sound: Waveform,
                 asked: Asked) -> None:
        self.asked = asked
        self.wish, self.seconds, self.done = wish, len(sound) / HEARING_RATE, 0.0
        self.segments: list[Segment] = []
        self._coming = cast(AsyncGenerator[Segment, None], transcribe(
            engine, settings, sound, want=wish.want, model=wish.model, language=wish.language, task=wish.task,
            prompt=wish.prompt, hotwords=wish.hotwords, temperature=wish.temperature, word_times=True,
            session=f"file_{secrets.token_hex(8)}", progress=self._progress, opened=self._opened))
        self.heard_by: dict[str, str] = {}
        self._next: asyncio.Task[Segment | None] | None = None
        self._moved = asyncio.Event()

    def _progress(self, seconds: float) -> None:
        self.done = seconds
        self._moved.set()

    def _opened(self, engine: str, model: str) -> None:
        self.heard_by = {"engine": engine, "model": model}
        self.asked.model = model

    async def begin(self) -> None:
        """Until then, what is wrong can be told as an HTTP status. Waits for the first segment, or until some of the
        sound is known to be without speech: silence at the begin may be long, and clients wait for an answer."""
        self._next = asyncio.create_task(self._segment(), name="segment")
        moved = asyncio.create_task(self._moved.wait(), name="progress")
        try:
            await asyncio.wait({self._next, moved}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            moved.cancel()
        try:
            if self._next.done():
                self._next.result()
        except NotFound as error:
            if error.field == "engine":  # nobody who is here does that
                raise InvalidInput(error.detail, field="language" if self.wish.language else "model") from error
            raise
        except InvalidInput as error:
            if error.field == "task":  # which is the route here
                raise InvalidInput(error.detail, field="model") from error
            raise

    async def news(self) -> AsyncGenerator[Segment | None, None]:
        """Segments as they come, and None when none came for a while."""
        while True:
            if self._next is None:
                self._next = asyncio.create_task(self._segment(), name="segment")
            done, _ = await asyncio.wait({self._next}, timeout=PROGRESS_EVERY)
            if not done:
                yield None
                continue
            segment, self._next = self._next.result(), None
            if segment is None:
                return
            self.segments.append(segment)
            yield segment

    async def close(self) -> None:
        if self._next is not None:  # ends the segments, too
            self._next.cancel()
            await asyncio.gather(self._next, return_exceptions=True)
        await self._coming.aclose()

    async def _segment(self) -> Segment | None:
        return await anext(self._coming, None)

    def around(self) -> dict[str, Any]:
        return {"seconds": self.seconds, "task": self.wish.task, "temperature": self.wish.temperature,
                "granularities": self.wish.granularities or ("segment",), "heard_by": self.heard_by}


async def _heard(desk: Desk, engine: Engine, settings: Settings, wish: Wish, upload: Upload,
                 asked: Asked) -> _Work:
    async with desk.decoded(upload) as sound:
        work = _Work(engine, settings, wish, sound, asked)
        try:
            await work.begin()
            async for _ in work.news():
                pass
        finally:
            await work.close()
        return work


async def _one(desk: Desk, engine: Engine, settings: Settings, wish: Wish, upload: Upload,
               asked: Asked) -> Response:
    work = await _heard(desk, engine, settings, wish, upload, asked)
    return await run_in_threadpool(response, wish.form, work.segments, **work.around())


async def _batch(desk: Desk, engine: Engine, settings: Settings, wish: Wish, uploads: Sequence[Upload],
                 asked: Asked) -> Response:
    """One answer for each file in its order; what is wrong with one is told in its place."""
    answers: list[dict[str, Any]] = []
    for upload in uploads:
        try:
            work = await _heard(desk, engine, settings, wish, upload, asked)
            answer = await run_in_threadpool(body, wish.form, work.segments, **work.around())
        except AimassError as error:
            answer = _told(error)
        answers.append({"file": upload.name} | answer)
    return JSONResponse({"object": "list", "data": answers})


async def _events(work: _Work, kept: AsyncExitStack) -> AsyncGenerator[str, None]:
    """`transcript.text.delta` for every segment, `transcript.text.done` at the end. `transcript.progress` is ours,
    for those who asked for it, in silence as well: strict clients stop at what they don't know."""
    told, last = "", 0.0
    try:
        async with aclosing(work.news()) as news:
            async for segment in news:
                if segment is not None:
                    text = text_of(work.segments)
                    yield event({"type": "transcript.text.delta", "delta": text[len(told) :]})
                    told = text
                if work.wish.progress and work.done - last >= PROGRESS_STEP:
                    last = work.done
                    yield event({"type": "transcript.progress", "seconds": round(work.done, 2),
                                 "total": round(work.seconds, 2)})
        yield event({"type": "transcript.text.done", "text": text_of(work.segments), "usage": usage(work.seconds),
                     **work.heard_by})
    except AimassError as error:
        work.asked.failed = is_ours(error)
        yield event(_told(error))
    finally:
        # in a task of its own: where the client is gone, the server cancels every await of this one anew
        await asyncio.shield(asyncio.create_task(kept.aclose(), name="after events"))


def _told(error: AimassError) -> dict[str, Any]:
    status = 400 if error.status == 422 else error.status
    return {"error": error_object(status, error.detail, error.field)}


async def _while_there(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The work's answer; a client that hangs up ends it."""

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    working, watching = asyncio.create_task(work, name="transcription"), asyncio.create_task(gone(), name="client")
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise HTTPException(400, "the client is gone")
        return await working
    finally:
        for task in (working, watching):
            task.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)


# what was asked for ---------------------------------------------------------------------------------------


def _wish(form: Form, settings: Settings, task: Task, known: frozenset[str]) -> Wish:
    """Raises `InvalidInput` or `NotFound` naming the field."""
    fields = form.fields
    for name in fields:
        if name not in known:
            raise InvalidInput(f"there is no parameter {name[:64]!r} here; there are: file, "
                               f"{', '.join(sorted(known))}", field=name[:64])
    if not form.files:
        raise InvalidInput("a part named file is needed: the sound to recognise", field="file")
    want, model = _model(_text(fields, "model"), settings)
    wish = Wish(
        want=want, model=model, task=task, language=_language(_text(fields, "language")),
        prompt=_text(fields, "prompt", PROMPT), hotwords=_hotwords(fields.get("hotwords", [])),
        temperature=_number(fields, "temperature"), form=_format(_text(fields, "response_format") or "json"),
        granularities=_granularities(fields.get("timestamp_granularities", [])),
        stream=_flag(fields, "stream"), progress=_flag(fields, "progress"))
    if fields.get("include"):
        raise InvalidInput("include: log probabilities are not given here; word confidences are in verbose_json",
                           field="include")
    if wish.granularities and wish.form != "verbose_json":
        raise InvalidInput("timestamp_granularities need response_format=verbose_json",
                           field="timestamp_granularities")
    if wish.stream and (len(form.files) > 1 or wish.form not in ("json", "text")):
        raise InvalidInput("stream=true takes one file and response_format json or text", field="stream")
    if len(form.files) > 1 and wish.form not in ("json", "verbose_json"):
        raise InvalidInput("several files are answered as json or verbose_json", field="response_format")
    return wish


def _filled(form: Form, usual: AsrParams, task: Task) -> Task:
    """What the form does not say is as in the app's stage; which may translate, where this route transcribes."""
    engine = "" if usual.engine == "auto" else usual.engine
    given = {"model": "/".join(filter(None, (engine, usual.model))), "language": usual.language,
             "prompt": usual.prompt, "hotwords": usual.hotwords.replace(" ", ",")}
    if _text(form.fields, "model") in ANY_MODEL:
        form.fields.pop("model", None)
    for name, value in given.items():
        if value and not form.fields.get(name) and not (name == "language" and task == "translate"):
            form.fields[name] = [value]
    return usual.task if task == "transcribe" else task


def _text(fields: dict[str, list[str]], name: str, most: int = 200) -> str:
    values = fields.get(name, [])
    if len(values) > 1:
        raise InvalidInput(f"{name} is given {len(values)} times", field=name)
    text = values[0] if values else ""
    if len(text) > most:
        raise InvalidInput(f"{name} has at most {most} characters", field=name)
    return text.strip()


def _model(name: str, settings: Settings) -> tuple[str, str]:
    """Engine and model. Only names of what is here are taken: a path would let callers look around on this machine."""
    if name in ANY_MODEL:
        return "", ""
    if name in RECOGNIZERS:
        return name, ""
    if "diarize" in name:
        raise InvalidInput("nobody here tells speakers apart in a file; send each one's sound by itself",
                           field="model")
    if VERSION.fullmatch(name):  # of the hub, found already
        return "", name
    engine, _, rest = name.partition("/")
    name, rest = FORMER.get(name, name), FORMER.get(rest, rest)
    described = describe(settings)
    for each in described:
        for model in each["models"]:
            if name == model["name"] or (engine == each["engine"] and rest == model["name"]):
                return each["engine"], model["name"]
    for known in (name, rest):
        if known in catalogue() and catalogue()[known].purpose == "hearing":
            raise NotFound(f"the weights of {known} are not here: aimass models pull {known}", field="model")
    there = [each["engine"] for each in described if each["available"]]
    there += [model["name"] for each in described for model in each["models"]]
    raise NotFound(f"there is no model {name[:100]!r}; there are: whisper-1 (the best there is), "
                   f"{', '.join(there)}", field="model")


def _language(given: str) -> str | None:
    if not given:
        return None
    code = code_of(given)
    if code is None:
        raise InvalidInput(f"{given[:32]!r} is no language; give an ISO 639-1 code such as en", field="language")
    return code


def _format(name: str) -> str:
    if name == "diarized_json":
        raise InvalidInput("nobody here tells speakers apart, so there is no diarized_json", field="response_format")
    if name not in FORMATS:
        raise InvalidInput(f"there is no response_format {name[:32]!r}; there are: {', '.join(FORMATS)}",
                           field="response_format")
    return name


def _granularities(values: list[str]) -> tuple[str, ...]:
    for value in values:
        if value not in GRANULARITIES:
            raise InvalidInput(f"there is no granularity {value[:32]!r}; there are: {', '.join(GRANULARITIES)}",
                               field="timestamp_granularities")
    return tuple(values)


def _hotwords(values: list[str]) -> tuple[str, ...]:
    words = tuple(word.strip() for value in values for word in value.split(",") if word.strip())
    if len(words) > WORDS or sum(map(len, words)) > PROMPT:
        raise InvalidInput(f"at most {WORDS} hotwords, and {PROMPT} characters in all", field="hotwords")
    return words


def _number(fields: dict[str, list[str]], name: str) -> float:
    text = _text(fields, name) or "0"
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise InvalidInput(f"{name} is a number from 0 to 1, not {text[:32]!r}", field=name)
    return value


def _flag(fields: dict[str, list[str]], name: str) -> bool:
    text = (_text(fields, name) or "false").lower()
    values: dict[str, Literal[True, False]] = {"true": True, "1": True, "false": False, "0": False}
    if text not in values:
        raise InvalidInput(f"{name} is true or false, not {text[:32]!r}", field=name)
    return values[text]
