"""Measures how the paintings are painted, in numbers that the package carries instead of the pictures.

    python models/styles/manners.py

writes aimass_stream/painting/paintings.json from ../shared/data; the stage colour and the search for the nearest style
read it.
"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
from training import STYLES

from aimass_stream.painting.manner import manner
from aimass_stream.painting.names import PREFIX

ROOT = Path(__file__).resolve().parent.parent.parent
PAINTINGS = ROOT.parent / "shared" / "data" / "images" / "styles"


def main() -> None:
    found = {}
    for style in STYLES:
        picture = cv2.imread(str(PAINTINGS / style.file))
        if picture is None:
            raise FileNotFoundError(PAINTINGS / style.file)
        found[style.name.removeprefix(PREFIX)] = {
            "title": style.title, "painter": style.painter, "year": style.year,
            "manner": manner(np.asarray(picture, np.uint8))}
    lines = [f"  {json.dumps(name)}: {json.dumps(told, ensure_ascii=False)}" for name, told in found.items()]
    target = ROOT / "aimass_stream" / "painting" / "paintings.json"
    target.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
