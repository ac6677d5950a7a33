"""One request for what networks make, which may be by an app: the app's stage of that kind says what is usual, and what
became of the request is counted, for the app as well."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Self, TypeVar, cast

from fastapi import Depends, Request
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from ..errors import AimassError, InvalidInput
from ..ports import AppCall, Caller
from .deps import CallerDep
from .uploads import Form
from .whip import object_of

if TYPE_CHECKING:
    from ..apps.apps import Apps, Started
    from ..usage import Usage

P = TypeVar("P", bound=BaseModel)

LONGEST = 16384  # characters of parameters
APP_FIELDS = frozenset({"app_id", "parameters"})
APP = {"app_id": {"type": "string", "maxLength": 64, "description": "the id or slug of an app: a stage of it says what "
                  "is usual"},
       "parameters": {"type": "string", "description": "those that the app exposes, as JSON text"}}


class Asked:
    """`with` it where the work is done: at the end of that it is counted once, as failed where that was ours."""

    def __init__(self, usage: Usage, apps: Apps | None, caller: Caller) -> None:
        self.model = ""  # that did it, once it is known
        self.failed = False  # what was told in the middle of an answer
        self._usage, self._apps, self._caller = usage, apps, caller
        self._app: Started | None = None
        self._begun = time.monotonic()

    async def usual(self, app_id: str | None, parameters: object, stage: str, params: type[P]) -> P | None:
        """The parameters of the app's first stage of that name; None where there is no app.

        Raises `InvalidInput`, for an app without such a stage too, `NotFound` or `Forbidden`.
        """
        call = AppCall.of(app_id, parameters)
        if call is None or self._apps is None:
            return None
        started, spec, _ = await self._apps.start(self._caller, call)
        found = next((each for each in spec.stages if each.name == stage), None)
        if found is None:
            names = ", ".join(each.name for each in spec.stages) or "none"
            raise InvalidInput(f"the app {started.manifest.name!r} has no stage {stage!r}, which this needs. "
                               f"Its stages: {names}", field="app_id")
        self._app = started
        return params.model_validate(found.params)

    async def usual_of(self, form: Form, stage: str, params: type[P]) -> P | None:
        """The same for a form, whose fields of an app are taken out."""
        app_id, text = (form.fields.pop(name, [None])[-1] for name in ("app_id", "parameters"))
        if text is not None and len(text) > LONGEST:
            raise InvalidInput(f"parameters have at most {LONGEST} characters", field="parameters")
        return await self.usual(app_id, None if text is None else object_of(text), stage, params)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        gone = isinstance(error, asyncio.CancelledError | GeneratorExit)
        failed = self.failed or (error is not None and not gone and is_ours(error))
        seconds = time.monotonic() - self._begun
        app = self._app
        self._usage.meter.request(self._caller, self.model, seconds, app="" if app is None else app.id, failed=failed)
        if app is not None and self._apps is not None:
            self._apps.asked(app, self._caller, seconds, failed=failed)


def is_ours(error: BaseException) -> bool:
    """Whether it is none of the caller's faults."""
    if isinstance(error, HTTPException):
        return error.status_code >= 500
    return not isinstance(error, AimassError) or error.status >= 500


def _asked(request: Request, caller: CallerDep) -> Asked:
    state = request.app.state
    return Asked(state.usage, cast("Apps | None", getattr(state, "apps", None)), caller)


AskedDep = Annotated[Asked, Depends(_asked)]
