"""Photographs with labelled boxes beside the project, where they are. They are measured on and shown nowhere."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from aimass_stream.frames import Pixels

from .precision import Truth

SHARED = Path(__file__).parents[3] / "shared" / "data"
FOLDER = SHARED / "images" / "detection"
MISSING = "../shared/data/images/detection is not here"
PERSON = "person"


@dataclass(frozen=True)
class Labelled:
    pictures: dict[str, Path]  # by file name
    truths: dict[str, dict[str, Truth]]  # by class, then by file name

    def read(self, name: str) -> Pixels:
        """(h, w, 3) BGR, without an odd last row or column, which no codec could carry."""
        picture = cv2.imread(str(self.pictures[name]))
        if picture is None:
            raise FileNotFoundError(self.pictures[name])
        height, width = picture.shape[:2]
        return np.ascontiguousarray(picture[: height & ~1, : width & ~1], np.uint8)

    def first(self, count: int) -> Labelled:
        kept = dict(list(self.pictures.items())[:count])
        return Labelled(kept, {label: {name: truth for name, truth in of_class.items() if name in kept}
                               for label, of_class in self.truths.items()})


def labelled() -> Labelled | None:
    """The VOC photographs in COCO's form; None where they are not here."""
    listed = FOLDER / "instances.json"
    if not listed.is_file():
        return None
    told = json.loads(listed.read_text(encoding="utf-8"))
    there = {image["id"]: image["file_name"] for image in told["images"]
             if (FOLDER / "images" / image["file_name"]).is_file()}
    classes = {category["id"]: str(category["name"]) for category in told["categories"]}
    boxes: dict[tuple[str, str], list[tuple[list[float], bool]]] = defaultdict(list)
    for one in told["annotations"]:
        if one["image_id"] in there:
            x, y, width, height = one["bbox"]
            boxes[classes[one["category_id"]], there[one["image_id"]]].append(
                ([x, y, x + width, y + height], bool(one.get("difficult"))))
    truths: dict[str, dict[str, Truth]] = {name: {} for name in classes.values()}
    for (label, name), found in boxes.items():
        truths[label][name] = Truth(np.array([box for box, _ in found], np.float32),
                                    np.array([hard for _, hard in found], np.bool_))
    return Labelled({name: FOLDER / "images" / name for name in sorted(there.values())}, truths)
