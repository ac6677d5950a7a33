"""/v1/faces: people who agree to be recognised by their face, and who do not any more."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from ..errors import InvalidInput
from ..seeing.embedder import choose
from ..seeing.gallery import ENOUGH, PEOPLE
from ..seeing.register import Register, only_face, shared
from .deps import CallerDep, NodeDep, SettingsDep, needs
from .pictures import FILE, KINDS, Place, UploadRoute, body, on_white, read
from .problems import RESPONSES
from .uploads import Form, form_of
from .vision import known

if TYPE_CHECKING:
    from ..store.people import Person

router = APIRouter(prefix="/v1/faces", tags=["faces"], route_class=UploadRoute, responses=RESPONSES,
                   dependencies=[needs("admin")])

MOST_PICTURES = 12  # of a person
MOST_NAME, MOST_WORDS = 80, 2000  # letters
FIELDS: dict[str, Any] = {
    "image": FILE | {"description": f"one picture of the person or several, up to {MOST_PICTURES}, each with their "
                     f"face alone: {KINDS}"},
    "name": {"type": "string", "maxLength": MOST_NAME},
    "consent": {"type": "string", "maxLength": MOST_WORDS, "description": "the words that they agreed to"},
    "consent_by": {"type": "string", "maxLength": MOST_NAME, "description": "who gave it; without it, they themselves"}}


class Consent(BaseModel):
    by: str
    words: str
    when: str = Field(description="ISO 8601")


class KnownPerson(BaseModel):
    id: str
    name: str
    consent: Consent
    pictures: int = Field(description="kept of the face")


class Known(BaseModel):
    model: str = Field(description="what tells faces apart")
    tier: str = Field(description="no-weights: local binary patterns")
    names: bool = Field(description="whether anybody is named: without weights not before the faces that are known "
                        f"are enough to measure on ({PEOPLE} people and {ENOUGH} pictures)")
    threshold: float | None = Field(description="likeness from which a face is somebody's; null while nobody is named")
    strangers: int = Field(description="pictures that were held against all other people's")
    accepted: int = Field(description="of them, taken for somebody: at most one in a hundred where this sets the "
                          "threshold")
    recognised: float = Field(description="share of the pictures that are recognised by the person's other ones")
    people: list[KnownPerson] = Field(description="the oldest first")


@router.post("", status_code=201, openapi_extra=body(FIELDS, ["image", "name", "consent"]))
async def enrol(request: Request, response: Response, node: NodeDep, settings: SettingsDep, caller: CallerDep
                ) -> KnownPerson:
    """Have a person recognised from now on in every session with the stage `faces`. Only their face is kept of the
    pictures, with their name and consent.
    """
    async with AsyncExitStack() as stack:
        stack.enter_context(Place())
        form = await stack.enter_async_context(form_of(request, settings, ("image",)))
        name, by, words = _said(form)
        if not 1 <= len(form.files) <= MOST_PICTURES:
            raise InvalidInput(f"send one to {MOST_PICTURES} pictures as parts named image, not {len(form.files)}",
                               field="image")
        faces = []
        for number, upload in enumerate(form.files, 1):
            picture = await run_in_threadpool(on_white, await read(upload))
            faces.append(await only_face(node.engine, picture, upload.name[:100] or f"picture {number}"))
    register = await shared(node.engine, settings.data_dir)
    person = await register.enrol(choose(node.engine.store), name, by, words, faces)
    response.headers["Location"] = f"/v1/faces/{person.id}"
    return _told(person)


@router.get("")
async def people(node: NodeDep, settings: SettingsDep, caller: CallerDep) -> Known:
    """Who is known, and how sure names are with these faces. Pictures are given to nobody."""
    register, embedder = await shared(node.engine, settings.data_dir), choose(node.engine.store)
    await register.ready(embedder)
    trust = register.gallery(embedder).trust
    return Known(model=embedder.name, tier=embedder.tier, names=trust.answers,
                 threshold=round(trust.threshold, 4) if trust.answers else None, strangers=trust.strangers,
                 accepted=trust.accepted, recognised=round(trust.known, 3),
                 people=[_told(person) for person in await register.people()])


@router.delete("/{person_id}", status_code=204)
async def forget(person_id: str, node: NodeDep, settings: SettingsDep, caller: CallerDep) -> None:
    """Delete a person: name, consent, pictures and vectors are overwritten on disk, and no session names them any more,
    nor does the attendance of those that are over.
    """
    register: Register = await shared(node.engine, settings.data_dir)
    await register.forget(person_id)
    for record in node.records():
        record.attendance.forget(person_id)


def _said(form: Form) -> tuple[str, str, str]:
    """Name, who consents, and to which words."""
    fields = known(form, ("name", "consent", "consent_by"))
    for field, most in (("name", MOST_NAME), ("consent", MOST_WORDS), ("consent_by", MOST_NAME)):
        value = fields.get(field, "")
        if len(value) > most or not value.isprintable():
            raise InvalidInput(f"{field} has at most {most} letters, in one line", field=field)
    if not fields.get("name"):
        raise InvalidInput("whose face is it? Send a name", field="name")
    if not fields.get("consent"):
        raise InvalidInput("nobody is enrolled without consent: send the words that they agreed to", field="consent")
    return fields["name"], fields.get("consent_by") or fields["name"], fields["consent"]


def _told(person: Person) -> KnownPerson:
    consent = person.consent
    when = datetime.fromtimestamp(consent.when, UTC).isoformat(timespec="seconds")
    return KnownPerson(id=person.id, name=person.name, pictures=person.pictures,
                       consent=Consent(by=consent.by, words=consent.words, when=when))
