"""One way to write words, so that error rates compare what was said and not how it is spelt."""

from __future__ import annotations

import re
import unicodedata

from .numbers import worded

TITLES = {"mr": "mister", "mrs": "missus", "ms": "miss", "dr": "doctor", "prof": "professor", "vs": "versus",
          "ok": "okay", "st": "saint"}
APOSTROPHES = str.maketrans("", "", "'’‘`´ʼ")
BREAKS = re.compile(r"[^\w]+|_+")


def normalise(text: str) -> str:
    """Lower case, numbers as words, no punctuation, no accents, single blanks; contractions keep their letters.

    Used on the reference and on what was recognised alike. Brackets are no words: ``[music]`` is left out.
    """
    text = re.sub(r"\[[^\]]*\]|\([^)]*\)", " ", text)
    plain = unicodedata.normalize("NFKD", worded(text)).translate(APOSTROPHES).casefold()
    plain = "".join(sign for sign in plain if not unicodedata.combining(sign))
    return " ".join(TITLES.get(word, word) for word in BREAKS.split(plain) if word)
