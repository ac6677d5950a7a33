"""Text that comes word by word, cut into what can be said as soon as it stands.

The first clause of an utterance is short, because somebody waits for it: a comma ends it. Later ones are sentences,
cut at a comma only when they are long. What looks like the end of a sentence and is none: abbreviations, initials,
decimals, addresses on the web, times, the numbers of a list, dots that trail off in the middle.
"""

from __future__ import annotations

import re
from typing import Literal

FIRST_LEAST = 3  # characters of a first clause that ends with a comma
FIRST_MOST = 80  # characters, then it is cut between words
LEAST = 120  # characters of a later clause that ends with a comma
MOST = 240  # characters of any clause

HARD = r"[.!?…]+[\"'”’)\]»*_`]*(?=\s|$)"  # ends a sentence, if a blank follows
HARD_CJK = r"[。！？；…]+[」』”’）]*"  # needs none
SOFT = r"[,;:–—]+[\"”’)\]»*_`]*(?=\s|$)"
SOFT_CJK = r"[，、：]"
STOP = re.compile(rf"(?P<hard>{HARD})|(?P<dense>{HARD_CJK})|(?P<soft>{SOFT}|{SOFT_CJK})|(?P<line>\n)")

QUOTES = "\"'”’»"
LAST_WORD = re.compile(r"[\w.'’&-]*$")
# a dot after these goes on with the sentence
NEVER = frozenset([
    "dr", "mr", "mrs", "ms", "mx", "prof", "st", "mt", "rev", "hon", "gen", "col", "sgt", "capt", "lt", "cmdr",
    "gov", "sen", "rep", "vs", "e.g", "i.e", "eg", "ie", "cf", "ca", "fig", "figs", "no", "nos", "vol", "pp",
    "ch", "sec", "approx", "resp", "viz", "op", "ed", "eds", "jan", "feb", "mar", "apr", "jun", "jul", "aug",
    "sep", "sept", "oct", "nov", "dec", "bzw", "z.b", "d.h", "u.a", "usw"
])
PERHAPS = frozenset([
    "etc", "a.m", "p.m", "am", "pm", "u.s", "u.k", "u.n", "e.u", "ph.d", "m.d", "inc", "ltd", "co", "corp", "jr",
    "sr", "dept", "est", "al", "ave", "blvd", "rd"
])

Verdict = Literal["end", "on", "wait"]


class Clauses:
    """`feed` answers the clauses that are complete by now, `flush` what is left. Holds one clause's text at most,
    besides what it was just fed."""

    def __init__(self) -> None:
        self._text = ""
        self._begun = False  # the first clause has been given

    def feed(self, delta: str) -> list[str]:
        self._text += delta
        return self._take(final=False)

    def flush(self) -> list[str]:
        """The text is over; what comes next is another utterance."""
        found = self._take(final=True)
        self._text, self._begun = "", False
        return found

    def clear(self) -> None:
        self._text, self._begun = "", False

    def _take(self, *, final: bool) -> list[str]:
        found, begin = [], 0
        while begin < len(self._text):
            most = MOST if self._begun else FIRST_MOST
            window = self._text[begin : begin + most + 1]
            end = self._end(window, most, final=final and begin + len(window) == len(self._text))
            if end is None:
                break
            clause = window[:end].strip()
            begin += end
            if any(letter.isalnum() for letter in clause):
                found.append(clause)
                self._begun = True
        self._text = self._text[begin:]
        return found

    def _end(self, window: str, most: int, *, final: bool) -> int | None:
        """Where the first clause in `window` ends; None while that is open."""
        soft = 0
        for stop in STOP.finditer(window):
            if stop["line"]:
                return stop.end()
            if stop["soft"]:
                soft = stop.end()
                if soft >= (LEAST if self._begun else FIRST_LEAST) and (soft < len(window) or stop.group() in "，、："):
                    return soft
                continue
            verdict = "end" if stop["dense"] else _verdict(window, stop, final=final)
            if verdict == "end":
                return stop.end()
            if verdict == "wait":
                return None if len(window) <= most else _between_words(window, most, soft)
        if len(window) > most:
            return _between_words(window, most, soft)
        return len(window) if final else None


def _verdict(text: str, stop: re.Match[str], *, final: bool) -> Verdict:
    """Whether the sentence ends at these marks."""
    rest = text[stop.end() :].lstrip(" \t")
    if not rest and text[stop.end() :] == "":
        return "end" if final else "wait"
    if stop.group()[-1] in QUOTES:  # "Really?" he asked.
        return "wait" if not rest and not final else "on" if rest[:1].islower() else "end"
    if not stop.group().startswith("."):
        return "end"
    if stop.group().startswith(".."):
        return "wait" if not rest and not final else "on" if rest[:1].islower() else "end"
    match = LAST_WORD.search(text[: stop.start()])
    word = match.group().lower().strip("'’") if match is not None else ""
    if word in NEVER or (len(word) == 1 and word.isalpha() and word != "i") or _numbers_a_line(text, stop, word):
        return "on"
    if word in PERHAPS:
        return "wait" if not rest and not final else "on" if rest[:1].islower() or rest[:1].isdigit() else "end"
    return "end"


def _numbers_a_line(text: str, stop: re.Match[str], word: str) -> bool:
    return word.isdigit() and len(word) <= 3 and not text[: stop.start() - len(word)].strip()


def _between_words(text: str, most: int, soft: int) -> int:
    """A long clause is cut at a comma in its later half, else at a blank, else where it must."""
    blank = max(text.rfind(" ", 0, most), text.rfind("\t", 0, most))
    return soft if soft > most // 2 else blank + 1 if blank > 0 else most
