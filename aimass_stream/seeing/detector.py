"""A detector of the catalogue. Its manifest's ``[options]`` say, beside how a picture goes in (`input`)::

    head = "yolo"         which of HEADS reads the outputs
    labels = "coco"       or a list of words, one a class
    merge = "suppress"    or blend: the mean of what overlaps
    tier = "weights"      or no-weights: gives way to detectors with weights
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np

from ..errors import InvalidInput, InvalidPipeline
from ..inference import Entry, ModelStore
from ..inference.loader import named
from ..vision import face_heads, heads
from ..vision.boxes import blend, clip, sane, suppress
from ..vision.heads import Head, Outputs, Question
from ..vision.labels import labels_of
from ..vision.letterbox import Letterbox
from ..weights import npm
from .input import PictureInput

HEADS: dict[str, Head] = {
    "fastestdet": heads.fastestdet, "yolo": heads.yolo, "yolov5": heads.yolov5, "yolox": heads.yolox,
    "yolov3": heads.yolov3, "darknet": heads.darknet, "ssd": heads.ssd, "ready": heads.ready,
    "mediapipe": face_heads.mediapipe,
    "yunet": face_heads.yunet, "rfb": face_heads.rfb,
}
TASKS = ("detection", "face-detection")
FAMILIES = {"faces": "litert", "opencv": "opencv", "onnx": "onnx"}  # what people call an engine, and its module
LAST_RESORT = "opencv-faces"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for: candidates from `threshold` on, merged at `overlap`, of these labels (none: all)."""

    threshold: float = 0.5
    overlap: float = 0.4
    limit: int = 100
    labels: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing in a picture."""

    label: str
    score: float  # 0 to 1
    box: tuple[float, float, float, float]  # left, top, right, bottom; px
    number: int = 0  # of its class
    points: tuple[tuple[float, float], ...] = ()  # px
    text: str = ""  # what a code says
    id: int = 0  # the same for as long as it is followed; 0 of what is not, or not yet
    predicted: bool = False  # where it should be by now: nobody saw it in this picture

    def json(self) -> dict[str, Any]:
        """``box`` is [x, y, width, height], as in the REST interface."""
        left, top, right, bottom = self.box
        told: dict[str, Any] = {"label": self.label, "score": round(self.score, 3),
                                "box": [round(value, 1) for value in (left, top, right - left, bottom - top)]}
        if self.points:
            told["points"] = [[round(x, 1), round(y, 1)] for x, y in self.points]
        if self.text:
            told["text"] = self.text
        if self.id:
            told["id"] = self.id
        return told | ({"predicted": True} if self.predicted else {})


class Detector:
    """Made of a manifest; `input.prepare` and `read` are pure and belong in a thread."""

    def __init__(self, entry: Entry) -> None:
        """Raises `InvalidInput` that names what in the manifest does not make a detector."""
        options = entry.options
        if options.get("head") not in HEADS:
            raise InvalidInput(f"{entry.name}: head must be one of {', '.join(HEADS)}", field="options.head")
        self.name = entry.name
        self.tier = str(options.get("tier", "weights"))
        self.labels = labels_of(options)
        self.options = options
        self._head = HEADS[options["head"]]
        self._merge = blend if options.get("merge") == "blend" else suppress
        self.input = PictureInput(entry)

    def read(self, outputs: Outputs, place: Letterbox, size: tuple[int, int], picture: tuple[int, int],
             wish: Wish) -> list[Thing]:
        """What is in a picture of (width, height), the surest first."""
        question = Question(*size, wish.threshold, len(self.labels), self.options)
        candidates = sane(self._head(outputs, question), wish.threshold)
        if wish.labels:
            wanted = [number for number, label in enumerate(self.labels) if label in wish.labels]
            candidates = candidates.take(np.isin(candidates.classes, wanted))
        kept = self._merge(candidates, wish.overlap, wish.limit)
        boxes = clip(place.back(kept.boxes), *picture)
        points = place.back(kept.points) if kept.points.size else kept.points
        count = len(kept)
        each = zip(kept.classes.tolist(), kept.scores.tolist(), boxes.tolist(),
                   points.tolist() if points.size else repeat((), count), kept.texts or repeat("", count), strict=True)
        return [Thing(self.labels[number], score, tuple(box), number, tuple(map(tuple, marks)), text)
                for number, score, box, marks, text in each]


# which one -------------------------------------------------------------------------------------------


def family(entry: Entry) -> str:
    """faces, opencv or onnx; empty for another engine."""
    module = entry.engine.partition(":")[0].rpartition(".")[2]
    return next((name for name, known in FAMILIES.items() if known == module), "")


def detectors(store: ModelStore, model: str = "") -> list[Entry]:
    """With `model` also that one, if it is a version of the hub."""
    return [entry for entry in named(store, model) if entry.task in TASKS]


def choose(store: ModelStore, engine: str, model: str, label: str = "", *,
           without: Collection[str] = frozenset()) -> Entry:
    """The detector of that name; without one, the best of that engine; of any engine with "auto". With `label` only
    those that know it, and never one of `without`.

    What has weights comes before the no-weights tier, what finds many kinds of things before what finds faces, and
    what measured better before what measured worse (`ap50` in the card). Raises `InvalidPipeline`.
    """
    there = [entry for entry in detectors(store, model) if engine in ("auto", family(entry)) and _knows(entry, label)
             and entry.name not in without]
    if model:
        for entry in there:
            if entry.name == model:
                return entry
        raise InvalidPipeline(f"there is no detector {model[:64]!r} of the engine {engine}; there are: "
                              f"{', '.join(entry.name for entry in there) or 'none'}", field="model")
    usable = [entry for entry in there if entry.npm is None or engine != "auto" or npm.installed(entry.npm.package)]
    ranked = sorted(usable, key=_rank)
    if not ranked:
        raise InvalidPipeline(f"there is no detector of the engine {engine}: put a folder with a model.toml into one "
                              "of AIMASS_MODEL_DIRS", field="engine")
    return ranked[0]


def _knows(entry: Entry, label: str) -> bool:
    try:
        return not label or label in labels_of(entry.options)
    except InvalidInput:
        return False


def _rank(entry: Entry) -> tuple[bool, bool, bool, float, str]:
    weightless = entry.options.get("tier") == "no-weights"
    # faces stand for the no-weights tier: what finds nothing but plates or codes is taken when it is named
    return (weightless, weightless and entry.name not in ("mediapipe-faces", LAST_RESORT),
            not weightless and entry.task != "detection", -float(entry.card.get("ap50", 0)),
            f"{entry.name == LAST_RESORT:d}{entry.name}")
