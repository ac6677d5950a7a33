"""What a page can do with a model: which inputs are sound, and which stage shows it live."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

from ...painting.names import named

RATE = re.compile(r"(\d+(?:\.\d+)?) ?(k?)Hz", re.ASCII)
RATES = (3000, 96000)  # Hz that a browser decodes to
SPEECH = "speech-recognition"

# the stage that uses models of a task, and its parameter for the name
STAGES = {"detection": ("detect", "model"), "face-detection": ("detect", "model"),
          "classification": ("classify", "model"), "face-embedding": ("faces", "model"),
          "person-segmentation": ("background", "model"),
          "image-to-image": ("model", "name"), "style-transfer": ("style", "name"), SPEECH: ("asr", "model"),
          "noise-suppression": ("denoise", "model")}
WHOLE = {"kind": "sound", "name": "", "hint": "", "value": None, "rate": 16000, "width": 0, "axes": 1}  # a file of it
LOOKING = ("detection", "face-detection", "classification", "face-embedding", "person-segmentation")


def sound_of(unit: str, shape: list[int | None]) -> dict[str, Any] | None:
    """`rate` in Hz, and `width`, the samples of one row, 0 for any, of an input whose unit names a rate; else None.

    `shape` is that of one row: (samples,), or with axes of one before.
    """
    found = RATE.search(unit)
    if found is None or not shape or any(axis != 1 for axis in shape[:-1]):
        return None
    rate = round(float(found[1]) * (1000 if found[2] else 1))
    if not RATES[0] <= rate <= RATES[1]:
        return None
    return {"rate": rate, "width": shape[-1] or 0, "axes": len(shape)}


def innermost(schema: dict[str, Any]) -> tuple[str, list[int | None]]:
    """The unit of a schema's numbers, and the shape of the lists around them."""
    shape: list[int | None] = []
    while schema.get("type") == "array":
        shape.append(schema.get("minItems"))
        schema = schema["items"]
    return str(schema.get("description", "")) if schema.get("type") == "number" else "", shape


def live(task: str, model: str, pictured: bool) -> str:
    """The live page's address with that model in its pipeline; empty where no stage can use it.

    `pictured`: it says how pictures become its input, which those that look at pictures want to know.
    """
    stage, parameter = STAGES.get(task, ("", ""))
    if not stage or (task in LOOKING and not pictured):
        return ""
    name = named(model).name if stage == "style" and "@" not in model else model
    return f"/#pipeline={quote(json.dumps([{'stage': stage, parameter: name}], separators=(',', ':')))}"
