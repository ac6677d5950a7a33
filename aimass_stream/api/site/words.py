"""What the pages say, in the languages there are: a text in English is its own key.

`web/words/LANGUAGE.json` has the others; modules of the pages read the same file.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping

from fastapi import Request

from ..pages import ROOT

LANGUAGES = {"en": "English", "zh": "中文"}
COOKIE = "aimass_language"
ASKED = re.compile(r"\s*([a-zA-Z]{1,8})(?:-[a-zA-Z0-9]{1,8})*\s*(?:;\s*q=([01](?:\.\d{0,3})?))?\s*")
MOST = 16  # languages that a browser may ask for


@functools.cache
def texts(language: str) -> Mapping[str, str]:
    """By what they are in English. Read once."""
    path = ROOT / "words" / f"{language}.json"
    found: dict[str, str] = json.loads(path.read_text("utf-8")) if language != "en" else {}
    return found


SERVER = "! "  # how texts begin that are the server's answers
INSERTED = re.compile(r"\{(\w+)\}")


@functools.cache
def _answers(language: str) -> list[tuple[re.Pattern[str], str]]:
    """What the server's most frequent answers look like, and what they are in that language."""
    found = []
    for text, own in texts(language).items():
        if text.startswith(SERVER):
            parts = INSERTED.split(text.removeprefix(SERVER))
            like = "".join(f"(?P<{part}>.+?)" if place % 2 else re.escape(part) for place, part in enumerate(parts))
            found.append((re.compile(like, re.DOTALL), own))
    return found


def told(detail: str, language: str) -> str:
    """An answer of the server's in that language, where it is known."""
    for like, own in _answers(language):
        found = like.fullmatch(detail)
        if found is not None:
            return own.format(**found.groupdict())
    return detail


def language_of(request: Request) -> str:
    """What was chosen, else what the browser would like best of what there is (RFC 9110, section 12.5.4)."""
    chosen = request.cookies.get(COOKIE)
    if chosen in LANGUAGES:
        return chosen
    best, weight = "en", 0.0
    for part in request.headers.get("accept-language", "").split(",")[:MOST]:
        asked = ASKED.fullmatch(part)
        if asked is not None and asked[1].lower() in LANGUAGES and float(asked[2] or 1) > weight:
            best, weight = asked[1].lower(), float(asked[2] or 1)
    return best
