"""The section on faces: in how many people's boxes one is found, and how many of them are none."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from aimass_stream.errors import Unavailable
from aimass_stream.inference import FolderStore, installed

from ..aims import Aim
from ..speech.section import Result, percent, table
from . import shelf
from .detection import SOME, detections, faces_model
from .labelled import MISSING, PERSON, Labelled, labelled
from .offline import Around, engine, staged
from .precision import Truth, inside

RECALL, WRONG = 0.65, 0.03
OURS = ("mediapipe-faces", "opencv-faces")

Boxes = Sequence[tuple[float, float, float, float]]  # left, top, right, bottom; px


@dataclass(frozen=True, slots=True)
class Counts:
    people: int  # boxes that are not marked as difficult
    reached: int  # of these, with a face in them
    faces: int  # that were found
    wrong: int  # of these, in no person's box


def counted(found: Mapping[str, Boxes], people: Mapping[str, Truth]) -> Counts:
    """By picture, the surest face first; a difficult person is not counted, and a face in its box is not wrong."""
    reached = wrong = faces = 0
    for name, boxes in found.items():
        truth = people.get(name)
        taken = np.zeros(len(truth.boxes) if truth is not None else 0, np.bool_)
        for box in boxes:
            at = inside(np.array(box, np.float32), truth.boxes, taken) if truth is not None else None
            faces += 1
            if at is None:
                wrong += 1
            else:
                taken[at] = True
        if truth is not None:
            reached += int((taken & ~truth.difficult).sum())
    return Counts(sum(int((~truth.difficult).sum()) for truth in people.values()), reached, faces, wrong)


def run(quick: bool) -> Result:
    result: Result = {"finders": {}, "absent": {}, "default": faces_model()}
    data = labelled()
    if data is None:
        result["absent"]["labelled pictures"] = MISSING
        return result
    data = data.first(SOME) if quick else data
    store = FolderStore([*shelf.shelved().folders, *installed().folders])
    for name in (*OURS, *(public.name for public in shelf.PUBLIC if public.faces)):
        public = next((one for one in shelf.PUBLIC if one.name == name), None)
        if public is not None and (reason := shelf.missing(public)):
            result["absent"][public.title] = reason
            continue
        try:
            result["finders"][name] = asdict(asyncio.run(_found(store, name, data)))
        except Unavailable as error:
            result["absent"][name] = error.detail
            continue
        print(f"  {name}: {result['finders'][name]}", flush=True)
    return result


async def _found(store: FolderStore, name: str, data: Labelled) -> Counts:
    found = {}
    async with engine(store) as made, staged("detect", Around(made), model=name, follow=False, overlay=False,
                                             deadline=5000) as stage:
        for picture in data.pictures:
            told = sorted(await detections(stage, data.read(picture)), key=lambda one: -float(one["score"]))
            found[picture] = [(x, y, x + width, y + height) for x, y, width, height in (one["box"] for one in told)]
    return counted(found, data.truths[PERSON])


def aims(result: Result) -> list[Aim]:
    text = f"faces in >= {RECALL:.0%} of the people boxes with <= {WRONG:.0%} wrong"
    signs = Aim("sign digits on people not trained on >= 90 %", "measured where the classifier is trained, not here",
                None)
    one = result["finders"].get(result["default"])
    if one is None:
        return [Aim(text, "; ".join(result["absent"].values()), None), signs]
    reached, wrong = _shares(one)
    return [Aim(text, f"{percent(reached)} ({one['reached']} of {one['people']}), {percent(wrong)} wrong "
                f"({one['wrong']} of {one['faces']}), {result['default']}",
                reached >= RECALL and wrong <= WRONG), signs]


def _shares(one: Mapping[str, int]) -> tuple[float, float]:
    return one["reached"] / max(1, one["people"]), one["wrong"] / max(1, one["faces"])


def tell(result: Result) -> str:
    rows = [[name, one["people"], one["reached"], percent(_shares(one)[0]), one["faces"], one["wrong"],
             percent(_shares(one)[1])] for name, one in result["finders"].items()]
    text = ("The stage `detect` with its defaults (score of at least 0.5) on the photographs of PASCAL VOC. A face "
            "counts for the person in whose box its middle lies, one for each; it is wrong where there is none. Of the "
            "people many are seen from behind, from afar or without their heads: nobody reaches all.\n\n"
            + table(["finder", "people", "with a face", "recall", "faces", "wrong", "of the faces"], rows))
    for what, reason in result["absent"].items():
        text += f"\n\nNot measured: {what} ({reason})."
    return text
