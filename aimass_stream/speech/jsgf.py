"""Phrases as a grammar in the Java Speech Grammar Format 1.0, for a recogniser that can hear nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from . import quantities
from .grammar import OPEN, Choice, Lists, Node, Phrase, Row, Said, Slot, parse, slots_of, tokens

SPOKEN = {"ok": "okay"}  # from how `tokens` writes a word to how a dictionary does
SHORT = {("what", "is"): "what's", ("it", "is"): "it's", ("that", "is"): "that's", ("who", "is"): "who's",
         ("where", "is"): "where's", ("do", "not"): "don't", ("can", "not"): "can't", ("i", "am"): "i'm"}
# what is polite is rare, and would else make up for what fits badly
BEFORE = "(/30/ <NULL> | /2/ please | /2/ (could | can | would) you [please] | /1/ okay)"
AFTER = "(/30/ <NULL> | /4/ please | /1/ now | /1/ thank you)"
LED = "/9/"  # how much oftener than not a number has words before it that it might go without
_REFERENCES = re.compile(r"<([a-z_]+)>")


def jsgf(phrases: Sequence[Phrase], known: Callable[[str], bool]) -> tuple[str, tuple[str, ...]]:
    """The grammar, with one public rule, and the patterns that it can't hold.

    Left out is what has an open slot (``<text>``) or needs a word that is not `known`; a way among others goes alone.
    """
    writer = _Writer(known)
    ways, left_out = [], []
    for phrase in phrases:
        for pattern in phrase.patterns:
            node = parse(pattern)
            kinds = [slot.kind for slot in slots_of(node)]
            way = None if set(kinds) & set(OPEN) else writer.pattern(node, phrase.lists, kinds.count("unit"))
            ways += [way] if way else []
            left_out += [] if way else [pattern]
    rules = [f"public <command> = {BEFORE} ({' | '.join(dict.fromkeys(ways)) or '<VOID>'}) {AFTER};"]
    rules += [f"<{name}> = {quantities.RULES[name]};" for name in _needed(writer.kinds)]
    return "\n".join(["#JSGF V1.0;", "grammar commands;", *rules, ""]), tuple(left_out)


def words_of(phrases: Sequence[Phrase]) -> list[str]:
    """Every word that a grammar of these might have: what `jsgf` asks for."""
    asked: dict[str, None] = {}

    def known(word: str) -> bool:
        asked[word] = None
        return True

    jsgf(phrases, known)
    return list(asked)


class _Writer:
    def __init__(self, known: Callable[[str], bool]) -> None:
        self.known = known
        self.kinds: dict[str, None] = {}  # in the order of their first use
        self.unit = "unit"  # the rule that stands for this kind now

    def pattern(self, node: Node, lists: Lists, units: int) -> str | None:
        """Two units in one pattern are of one measure."""
        if units < 2 or "unit" in lists:
            return self.write(node, lists)
        ways = []
        for measure, (often, _) in quantities.MEASURES.items():
            self.unit = f"unit_{measure}"
            ways.append(f"/{often}/ {self.write(node, lists)}")
        self.unit = "unit"
        return None if self.write(node, lists) is None else f"({' | '.join(ways)})"

    def write(self, node: Node, lists: Lists) -> str | None:
        match node:
            case Said(word):
                return self._words([word])
            case Slot(_, kind) if kind in lists:
                return _one_of(self._words(tokens(way)) for way in lists[kind])
            case Slot(_, kind):
                return self._kind(self.unit if kind == "unit" else kind)
            case Choice(ways, needed):
                written = _one_of(self.write(way, lists) for way in ways)
                return written if needed else f"[{written}]" if written else ""
            case Row(parts):
                return self._row(parts, lists)

    def _row(self, parts: tuple[Node, ...], lists: Lists) -> str | None:
        written, at = [], 0
        while at < len(parts):
            if [part.kind for part in parts[at : at + 2] if isinstance(part, Slot)] == ["number", "unit"]:
                written.append(f"(/20/ {self._kind('number')} {self._kind(self.unit)} | "
                               f"/1/ {self._kind(f'one_{self.unit}')})")
                at += 2
                continue
            pair = [part.word for part in parts[at : at + 2] if isinstance(part, Said)]
            short = SHORT.get((pair[0], pair[1])) if len(pair) == 2 else None
            part = self.write(_placed(parts[at], parts[at + 1 : at + 2]), lists)
            if part and at == 0 and _leads(parts, lists):
                part = f"({LED} {part[1:-1]} | <NULL>)"
            if part is None:
                return None
            if short and self.known(short):
                written.append(f"({' '.join(pair)} | {short})")
            else:
                written.append(part)
            at += 2 if short and self.known(short) else 1
        return " ".join(filter(None, written))

    def _kind(self, kind: str) -> str:
        self.kinds[kind] = None
        return f"<{kind}>"

    def _words(self, words: list[str]) -> str | None:
        spoken = [SPOKEN.get(word, word) for word in words]
        return " ".join(spoken) if all(map(self.known, spoken)) else None


def _leads(parts: tuple[Node, ...], lists: Lists) -> bool:
    """It begins with words that may be missing, and goes on with a number or the like."""
    match parts[:2]:
        case (Choice(needed=False), Slot(_, kind)):
            return kind not in lists
    return False


def _placed(part: Node, following: tuple[Node, ...]) -> Node:
    if isinstance(part, Slot) and following and isinstance(following[0], Said):
        return Slot(part.name, quantities.BEFORE_A_WORD.get(part.kind, part.kind))
    return part


def _one_of(ways: Iterable[str | None]) -> str | None:
    there = list(dict.fromkeys(filter(None, ways)))
    return f"({' | '.join(there)})" if there else None


def _needed(kinds: Iterable[str]) -> list[str]:
    """These rules and the ones they refer to."""
    found: dict[str, None] = {}
    wanted = list(kinds)
    while wanted:
        name = wanted.pop()
        if name not in found:
            found[name] = None
            wanted += _REFERENCES.findall(quantities.RULES[name])
    return list(found)
