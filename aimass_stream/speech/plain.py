"""Text as a voice can say it: without control characters, and without the marks that only eyes read."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

# controls, private use, surrogates, unassigned; format characters but for the joiners that some scripts need
SILENT = {"Cc", "Cs", "Co", "Cn"}
JOINERS = "\u200c\u200d"


def plain(text: str) -> str:
    """Text with one blank for every run of blanks and characters that nobody can say; never fails, whatever it is."""
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    said = "".join(letter if _sayable(letter) else " " if letter in "\t\n\r" or _category(letter) == "Cc" else ""
                   for letter in text)
    return " ".join(said.split())


def _sayable(letter: str) -> bool:
    return letter in JOINERS or (_category(letter) not in SILENT and _category(letter) != "Cf")


def _category(letter: str) -> str:
    return unicodedata.category(letter)


PAGE = 4096  # characters that are looked at together
TOKEN = 40  # characters without a blank: espeak's buffers overflow on long runs such as "A.B.C.D."
CUT = re.compile(r"[,;:.!?،。，、；：！？…—)\]]\s*|\s+")


def parts(text: str, first: int, most: int) -> Iterator[tuple[str, bool]]:
    """Any text as `plain` parts, and of each whether another one follows.

    It is cut where a voice pauses anyway, else between words; the first part has at most `first` characters, for a
    quick first sound, later ones at most `most`. Runs of letters that no voice can stand are cut, too. Each part is
    made when it is asked for: of a book, no more is looked at than is said.
    """
    held: str | None = None
    for page in _pages(text):
        rest = re.sub(rf"\S{{{TOKEN}}}(?=\S)", lambda run: run.group() + " ", plain(page))
        while rest:
            if held is not None:
                yield held, True
            end = _end(rest, first if held is None else most)
            held, rest = rest[:end].rstrip(), rest[end:].lstrip()
    if held is not None:
        yield held, False


def _pages(text: str) -> Iterator[str]:
    """Pieces of some thousand characters, cut at a blank if there is one."""
    begin = 0
    while begin < len(text):
        end = begin + PAGE
        if end < len(text):
            blank = text.rfind(" ", begin, end)
            end = blank if blank > begin else end
        yield text[begin:end]
        begin = end


def _end(text: str, room: int) -> int:
    if len(text) <= room:
        return len(text)
    cuts = list(CUT.finditer(text, 0, room))
    stops = [cut.end() for cut in cuts if not cut.group().isspace() and cut.end() > room // 4]
    return stops[-1] if stops else cuts[-1].end() if cuts else room


# language models write for eyes; each of these stands for what is said in its place
FENCE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
IMAGE = re.compile(r"!\[([^\]\n]{0,200})\]\([^)\s]{0,2000}\)")
LINK = re.compile(r"\[([^\]\n]{1,200})\]\([^)\s]{0,2000}\)")
HEADING = re.compile(r"^[ \t]{0,3}#{1,6}[ \t]+(.*?)[ \t]*#*$", re.MULTILINE)
QUOTE = re.compile(r"^[ \t]{0,3}>[ \t]?", re.MULTILINE)
BULLET = re.compile(r"^[ \t]*[-*+•][ \t]+(?:\[[ xX]\][ \t]+)?", re.MULTILINE)
RULE = re.compile(r"^[ \t]*(?:[-*_][ \t]*){3,}$", re.MULTILINE)
TABLE = re.compile(r"^[ \t]*\|?[ \t]*:?-{2,}:?[ \t]*(?:\|[ \t]*:?-{2,}:?[ \t]*)*\|?[ \t]*$", re.MULTILINE)
STRONG = re.compile(r"(\*\*|__|~~)(?=\S)(.{1,500}?)(?<=\S)\1", re.DOTALL)
EMPHASIS = re.compile(r"(?<![\w*_])([*_])(?=\S)([^*_\n]{1,500}?)(?<=\S)\1(?![\w*_])")
CODE = re.compile(r"`([^`\n]{1,500})`")
STRAY = re.compile(r"\*{2,}|~{2,}|_{2,}|`+|(?<!\w)\*(?=\w)|(?<=\w)\*(?!\w)")  # whose other half is in another clause
PICTOGRAPHS = re.compile(
    "[\U0001f000-\U0001faff\u2600-\u27bf\u2b00-\u2bff\u2300-\u23ff\ufe0e\ufe0f\u200d\u20e3\U000e0020-\U000e007f]+")


def spoken(markdown: str) -> str:
    """What of a language model's text is read aloud: no marks of Markdown, no code blocks, no emoji."""
    text = FENCE.sub("\n", markdown)
    for pattern in (RULE, TABLE, QUOTE, BULLET):
        text = pattern.sub("", text)
    text = HEADING.sub(r"\1.", text)
    text = LINK.sub(r"\1", IMAGE.sub(r"\1", text))
    text = CODE.sub(r"\1", STRONG.sub(r"\2", text))
    text = EMPHASIS.sub(r"\2", text)
    text = PICTOGRAPHS.sub(" ", STRAY.sub("", text))
    text = re.sub(r"[ \t]*\|[ \t]*", ", ", text)
    return re.sub(r"([.!?:,])\.(?=\s|$)", r"\1", text)


class Fences:
    """Leaves the code blocks out of Markdown that comes in pieces."""

    def __init__(self) -> None:
        self._inside = False
        self._held = ""  # back-ticks at the end that may be the begin of a fence

    def feed(self, delta: str) -> str:
        text, said = self._held + delta, []
        self._held = ""
        while text:
            before, fence, after = text.partition("```")
            if not fence:
                kept = before.rstrip("`")
                if len(kept) < len(before):
                    before, self._held = kept, before[len(kept) :]
            if not self._inside:
                said.append(before)
            if fence:
                self._inside = not self._inside
                said.append("\n")
            text = after
        return "".join(said)

    def flush(self) -> str:
        rest, self._held = self._held, ""
        inside, self._inside = self._inside, False
        return "" if inside else rest
