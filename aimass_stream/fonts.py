"""Which font draws a text, out of those this machine has.

Pillow draws the letters: OpenCV's own are stroke fonts that know ASCII and nothing else. DejaVu Sans comes
inside OpenCV's Linux wheel (it covers Latin, Greek, Cyrillic, Arabic, Hebrew and many symbols); what it lacks
is looked for among the machine's fonts, and where there is no font at all Pillow's built-in one is left.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import cv2
from PIL import ImageFont

Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont

BUILT_IN = ""  # the name of Pillow's own font
FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts", "/Library/Fonts",
           "/System/Library/Fonts", "C:/Windows/Fonts")
# in order of preference; the later ones are for the scripts that the earlier ones lack
PATTERNS = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "Arial.ttf", "arial.ttf",
            "NotoSansCJK-Regular.ttc", "NotoSansCJK*.ttc", "wqy-*.ttc", "DroidSansFallback*.ttf", "PingFang.ttc",
            "msyh.ttc", "Hiragino*.ttc", "malgun.ttf", "NotoSansDevanagari-Regular.ttf", "NotoSansThai-Regular.ttf",
            "Nirmala.ttf", "NotoSansSymbols2-Regular.ttf", "Symbola*.ttf")
PROBE = 24  # px: the size at which fonts are asked what they can draw


@functools.lru_cache(maxsize=1)
def available() -> tuple[str, ...]:
    """Paths of the usable fonts, best first, and `BUILT_IN` at the end. Looks at the disk once."""
    return (*dict.fromkeys(_found()), BUILT_IN)


def _found() -> Iterator[str]:
    bundled = Path(cv2.__file__).parent / "qt" / "fonts" / PATTERNS[0]
    if bundled.is_file():
        yield str(bundled)
    files = [file for folder in FOLDERS if Path(folder).expanduser().is_dir()
             for file in Path(folder).expanduser().rglob("*.tt[fc]")]
    for pattern in PATTERNS:
        yield from sorted(str(file) for file in files if file.match(pattern))


@functools.lru_cache(maxsize=32)
def load(font: str, size: float) -> Font:
    """A font at a size in px. Opening costs about 0.1 ms."""
    return ImageFont.truetype(font, size) if font else ImageFont.load_default(size)


def choose(text: str) -> str:
    """The first font that has all characters of `text`, else the one that lacks the fewest."""
    characters = {character for character in text if character.isprintable() and not character.isspace()}
    best, fewest = BUILT_IN, len(characters) + 1
    for font in available():
        missing = sum(not has(font, character) for character in characters)
        if missing < fewest:
            best, fewest = font, missing
        if not missing:
            break
    return best


@functools.lru_cache(maxsize=4096)
def has(font: str, character: str) -> bool:
    """Whether the font draws this character as anything but its sign for unknown ones."""
    try:
        face = load(font, PROBE)
        drawn, unknown = face.getmask(character), face.getmask("\uffff")
    except (OSError, UnicodeError):  # a font file FreeType can't read; a built-in font of Latin-1 only
        return False
    return (drawn.size, bytes(drawn)) != (unknown.size, bytes(unknown))
