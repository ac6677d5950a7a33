"""The section on faces and hands: in how many people's boxes a face is found, how many are none; signed digits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import httpx
import numpy as np

from aimass_stream.vision.boxes import Floats

from ..aims import Aim
from ..servers import OURS, SUBJECTS, Server, serving
from ..speech.section import Result, percent, table
from . import shelf, signs
from .detection import SOME, faces_model
from .labelled import MISSING, PERSON, Labelled, labelled
from .live import ENVIRONMENT
from .precision import Truth, inside

RECALL, WRONG, DIGITS = 0.65, 0.03, 0.9
TALL = 80  # px of a person's box: with less, a face is too small to be made out by eye
FINDERS = ("mediapipe-faces", "opencv-faces")
WAYS = ("whole", "tiles")  # as live pictures are looked at, and as single ones are
CALL = 60.0  # s

Boxes = Sequence[tuple[float, float, float, float]]  # left, top, right, bottom; px


@dataclass(frozen=True, slots=True)
class Counts:
    people: int  # boxes that are not marked as difficult
    reached: int  # of these, with a face in them
    tall: int  # of the people, those at least so high
    tall_reached: int
    faces: int  # that were found
    wrong: int  # of these, in no person's box


def counted(found: Mapping[str, Boxes], people: Mapping[str, Truth]) -> Counts:
    """By picture, the surest face first; a difficult person is not counted, and a face in its box is not wrong."""
    wrong = faces = 0
    heights, reached = [np.zeros(0, np.float32)], [np.zeros(0, np.bool_)]
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
            heights.append(_heights(truth)[~truth.difficult])
            reached.append(taken[~truth.difficult])
    tall, hit = np.concatenate(heights) >= TALL, np.concatenate(reached)
    return Counts(len(hit), int(hit.sum()), int(tall.sum()), int((tall & hit).sum()), faces, wrong)


def _heights(truth: Truth) -> Floats:
    return np.asarray(truth.boxes[:, 3] - truth.boxes[:, 1], np.float32)


def run(quick: bool) -> Result:
    result: Result = {"finders": {}, "absent": {}, "default": faces_model(), "signs": signs.run(quick)}
    data = labelled()
    if data is None:
        result["absent"]["labelled pictures"] = MISSING
        return result
    data = data.first(SOME) if quick else data
    folders = ",".join(str(folder) for folder in shelf.shelved().folders)
    missing = {public.name: shelf.missing(public) for public in shelf.PUBLIC if public.faces}
    with serving(SUBJECTS[OURS], environment={**ENVIRONMENT, "AIMASS_MODEL_DIRS": folders}, core=None) as server:
        for name in (*FINDERS, *missing):
            if reason := missing.get(name):
                result["absent"][name] = reason
                continue
            try:
                result["finders"][name] = {way: asdict(_found(server, name, way, data)) for way in WAYS}
            except httpx.HTTPStatusError as error:
                result["absent"][name] = str(error.response.json().get("detail", error))
                continue
            print(f"  {name}: {result['finders'][name]}", flush=True)
    return result


def _found(server: Server, name: str, way: str, data: Labelled) -> Counts:
    """By ``POST /v1/vision/faces``. Raises `httpx.HTTPStatusError` where the server can't."""
    found = {}
    with httpx.Client(base_url=server.base, timeout=CALL) as client:
        for picture, path in data.pictures.items():
            answer = client.post("/v1/vision/faces", files={"image": path.read_bytes()},
                                 data={"model": name, "tiles": "1" if way == "whole" else "3"}).raise_for_status()
            boxes = [one["box"] for one in answer.json()["detections"]]  # the surest first
            found[picture] = [(x, y, x + width, y + height) for x, y, width, height in boxes]
    return counted(found, data.truths[PERSON])


def aims(result: Result) -> list[Aim]:
    text = f"faces in >= {RECALL:.0%} of the people boxes of at least {TALL} px height with <= {WRONG:.0%} wrong"
    signed = _signed(result["signs"])
    ways = result["finders"].get(result["default"])
    if ways is None:
        return [Aim(text, "; ".join(result["absent"].values()), None), signed]
    one = ways["tiles"]
    tall, wrong = one["tall_reached"] / max(1, one["tall"]), one["wrong"] / max(1, one["faces"])
    return [Aim(text, f"{percent(tall)} ({one['tall_reached']} of {one['tall']}; of all people {one['reached']} of "
                f"{one['people']}), {percent(wrong)} wrong ({one['wrong']} of {one['faces']}), {result['default']}",
                tall >= RECALL and wrong <= WRONG), signed]


def _signed(one: Result) -> Aim:
    text = f"sign digits on people not trained on >= {DIGITS:.0%}"
    if one["absent"]:
        return Aim(text, one["absent"], None)
    share = one["right"] / one["pictures"]
    return Aim(text, f"{percent(share)} ({one['right']} of {one['pictures']} pictures of {one['people']} people; a "
               f"hand is found in {one['hands']})", share >= DIGITS)


def tell(result: Result) -> str:
    titles = {"whole": "whole, as live", "tiles": "in tiles"}
    rows = [[name, titles[way], one["people"], f"{one['reached']} ({percent(one['reached'] / max(1, one['people']))})",
             one["tall"], f"{one['tall_reached']} ({percent(one['tall_reached'] / max(1, one['tall']))})",
             one["faces"], one["wrong"]]
            for name, ways in result["finders"].items() for way, one in ways.items()]
    text = ("`POST /v1/vision/faces` (score of at least 0.5) on the photographs of PASCAL VOC: the whole picture, "
            "as live pictures are looked at, and in up to 3x3 tiles as single ones are. A face counts for the one "
            "in whose box its middle lies, one for each; it is wrong where there is none. Boxes marked as difficult do "
            "not count. Many are seen from behind, from afar or without their heads: nobody reaches all.\n\n"
            + table(["finder", "looked at", "people", "with a face", f"{TALL} px or taller", "with a face", "faces",
                     "wrong"], rows))
    for what, reason in result["absent"].items():
        text += f"\n\nNot measured: {what} ({reason})."
    return f"{text}\n\nSign digits: {_signed(result['signs']).measured}, in the Sign Language Digits Dataset."
