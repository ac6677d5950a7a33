"""The six paintings, and what their networks learn from in ../shared/data."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from aimass_stream.training import judge
from aimass_stream.training.contents import Array, Contents, photographs
from aimass_stream.training.figures import cut, scenes
from aimass_stream.training.folder import DRAWN, JUDGE, Told
from aimass_stream.training.losses import SqueezeNet
from aimass_stream.training.picture import read
from aimass_stream.training.trainer import Trainer
from aimass_stream.training.wishes import Style

STYLES = (
    Style("style-starry-night", "starry_night.jpg", "The Starry Night", "Vincent van Gogh", "1889"),
    Style("style-great-wave", "great_wave.jpg", "The Great Wave", "Katsushika Hokusai", "1831"),
    Style("style-scream", "the_scream.jpg", "The Scream", "Edvard Munch", "1893"),
    Style("style-composition-vii", "composition_vii.jpg", "Composition VII", "Wassily Kandinsky", "1913"),
    Style("style-shipwreck", "shipwreck_of_the_minotaur.jpg", "The Shipwreck of the Minotaur", "J. M. W. Turner",
          "about 1810"),
    Style("style-udnie", "udnie.jpg", "Udnie", "Francis Picabia", "1913"),
)
HELD_OUT = ("kodim04", "kodim21")  # photographs for figures only


def trainer(style: Style, shared: Path, steps: int, *, fades: bool = True) -> Trainer:
    """`shared` is ../shared/data; without its photographs there are only pictures made by code."""
    folder = shared / "images" / "kodak"
    contents = Contents(photographs(folder, HELD_OUT) if folder.is_dir() else [], 1)
    eyes = SqueezeNet(judge.read(shared / "weights" / "squeezenet1_0.safetensors"))
    return Trainer(style, read(shared / "images" / "styles" / style.file), eyes, contents, steps, fades=fades)


def held_out(shared: Path) -> list[Array]:
    """640x480: photographs that were not trained on, where they are, and drawn scenes."""
    paths = [shared / "images" / "kodak" / f"{name}.jpg" for name in HELD_OUT]
    return [*(cut(np.ascontiguousarray(read(path))) for path in paths if path.exists()), *scenes()]


def told(learned: Trainer, trunk: int) -> Told:
    """What the card says."""
    style, count = learned.style, len(learned.contents.photographs)
    kodak = f"{count} Kodak test photographs, released for unrestricted use (content)"
    sources = (f"{style.title}, {style.painter}, {style.year}: a painting in the public domain",
               *([kodak] if count else []), DRAWN, JUDGE)
    described = f"Repaints pictures after {style.title} by {style.painter}; made by models/styles/recipe.py"
    return Told(style.title, described, "Apache-2.0", sources, f"after {trunk} of the common trunk",
                "models/styles/recipe.py")
