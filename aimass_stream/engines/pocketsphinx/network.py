"""A grammar in JSGF as the smallest network of words, each with its probability where it may come.

PocketSphinx's own compiler makes a copy of a rule wherever it is used, and the paths of each copy are decoded for
themselves: of all that can be asked about numbers that made a network that decodes four times as slowly as this one.
Here the grammar is made deterministic (one arc for a word, whatever may follow it) and its equal ends are merged.
JSGF's weights become probabilities; a word's is its share of all sentences that begin with the words before it.

Read are rules, alternatives with weights, groups, options, references and ``<NULL>``. No rule may refer to itself.
"""

from __future__ import annotations

import re
from typing import TypeAlias

Transition: TypeAlias = "tuple[int, int, float, str] | tuple[int, int, float]"  # from, to, probability, word

_HEADER = re.compile(r"\s*#JSGF[^;]*;\s*grammar\s+[^;]+;")
_RULE = re.compile(r"\s*(public\s+)?<([^<>\s]+)>\s*=([^;]*);")
_PARTS = re.compile(r"\s*(?:([()\[\]|])|/([0-9.]+)/|<([^<>\s]+)>|([^\s()\[\]|<>/]+))")
MOST = 200_000  # states of the grammar written out: more is refused


def network(jsgf: str) -> tuple[int, int, list[Transition]]:
    """First state, last state, transitions. Raises `ValueError` for what can't be read, and for what says nothing."""
    states = _Written(*_rules(jsgf))
    return _Least(states).transitions()


def _rules(jsgf: str) -> tuple[str, dict[str, str]]:
    header = _HEADER.match(jsgf)
    if header is None:
        raise ValueError("it does not begin as a grammar in JSGF")
    at, public, rules = header.end(), "", {}
    while rule := _RULE.match(jsgf, at):
        at = rule.end()
        rules[rule[2]] = rule[3]
        public = public or (rule[2] if rule[1] else "")
    if jsgf[at:].strip():
        raise ValueError(f"it can't be read at {jsgf[at:].strip()[:20]!r}")
    if not public:
        raise ValueError("it has no public rule")
    return public, rules


class _Written:
    """All sentences as a network with empty steps, which lead from a state to one of a higher number."""

    def __init__(self, public: str, rules: dict[str, str]) -> None:
        self._rules = rules
        self._open: list[str] = []  # the rules that are being written
        self.words: list[dict[str, list[tuple[int, float]]]] = []  # by state, by word: where to, how likely
        self.empty: list[list[tuple[int, float]]] = []
        self.end = self._rule(public, self._state())

    def _state(self) -> int:
        if len(self.words) >= MOST:
            raise ValueError("it is too large")
        self.words.append({})
        self.empty.append([])
        return len(self.words) - 1

    def _rule(self, name: str, start: int) -> int:
        """Gives the state after it."""
        if name == "NULL":
            return start
        if name not in self._rules or name in self._open:
            raise ValueError(f"<{name}> refers to itself" if name in self._open else f"there is no <{name}>")
        self._open.append(name)
        text = self._rules[name]
        parts: list[tuple[str, str, str, str]] = []
        at = 0
        while at < len(text.rstrip()):
            part = _PARTS.match(text, at)
            if part is None:
                raise ValueError(f"<{name}> can't be read at {text[at:at + 20]!r}")
            at = part.end()
            parts.append((part[1] or "", part[2] or "", part[3] or "", part[4] or ""))
        end, rest = self._ways(parts, 0, start, optional=False)
        if rest < len(parts):
            raise ValueError(f"<{name}> closes what was not opened")
        self._open.pop()
        return end

    def _ways(self, parts: list[tuple[str, str, str, str]], at: int, start: int, *, optional: bool) -> tuple[int, int]:
        """Alternatives from this place on: the state after them, and the place."""
        ends: list[tuple[int, int, float]] = []  # first state, last state, weight
        while True:
            weight = 1.0
            if at < len(parts) and parts[at][1]:
                weight, at = float(parts[at][1]), at + 1
            first = self._state()
            last, at = self._row(parts, at, first)
            ends.append((first, last, weight))
            if at >= len(parts) or parts[at][0] != "|":
                break
            at += 1
        if optional:
            first = self._state()
            ends.append((first, first, sum(weight for _, _, weight in ends)))
        end, total = self._state(), sum(weight for _, _, weight in ends)
        for first, last, weight in ends:
            if weight and last >= 0:
                self.empty[start].append((first, weight / total))
                self.empty[last].append((end, 1.0))
        return end, at

    def _row(self, parts: list[tuple[str, str, str, str]], at: int, start: int) -> tuple[int, int]:
        begin = at
        while at < len(parts) and parts[at][0] not in ("|", ")", "]"):
            mark, weight, rule, word = parts[at]
            at += 1
            if weight:
                raise ValueError(f"/{weight}/ stands where no alternative begins")
            if rule:
                start = self._void() if rule == "VOID" else self._rule(rule, start)
            elif word:
                following = self._state()
                self.words[start].setdefault(word, []).append((following, 1.0))
                start = following
            else:
                start, at = self._ways(parts, at, start, optional=mark == "[")
                if at >= len(parts) or parts[at][0] != {"(": ")", "[": "]"}[mark]:
                    raise ValueError(f"a {mark!r} is not closed")
                at += 1
        if at == begin:
            raise ValueError("an alternative is empty")
        return start, at

    def _void(self) -> int:
        """A state that nothing leads to."""
        return self._state()


class _Least:
    """The same sentences, deterministic and with equal ends merged."""

    def __init__(self, written: _Written) -> None:
        self._written = written
        self._reached = self._closures()
        self._arcs: list[dict[str, int]] = []  # by state, by word: where to
        self._sets: list[frozenset[int]] = []
        self._mass: list[dict[int, float]] = []
        self._determine()
        self._weigh()

    def _closures(self) -> list[dict[int, float]]:
        """By state: those that have words, or are the end, which empty steps lead to, and how likely."""
        reached: list[dict[int, float]] = [{} for _ in self._written.words]
        for state in reversed(range(len(reached))):
            if self._written.words[state] or state == self._written.end:
                reached[state][state] = 1.0
            for following, share in self._written.empty[state]:
                for last, more in reached[following].items():
                    reached[state][last] = reached[state].get(last, 0.0) + share * more
        return reached

    def _determine(self) -> None:
        start = frozenset(self._reached[0])
        numbers = {start: 0}
        self._sets.append(start)
        while len(self._arcs) < len(self._sets):
            found: dict[str, set[int]] = {}
            for state in self._sets[len(self._arcs)]:
                for word, targets in self._written.words[state].items():
                    for target, _ in targets:
                        found.setdefault(word, set()).update(self._reached[target])
            arcs = {}
            for word, states in found.items():
                if states:
                    key = frozenset(states)
                    if key not in numbers:
                        numbers[key] = len(self._sets)
                        self._sets.append(key)
                    arcs[word] = numbers[key]
            self._arcs.append(arcs)

    def _order(self) -> list[int]:
        """Each state before those that it leads to."""
        order, seen, stack = [], {0}, [(0, iter(self._arcs[0].values()))]
        while stack:
            state, rest = stack[-1]
            following = next((other for other in rest if other not in seen), None)
            if following is None:
                order.append(state)
                stack.pop()
            else:
                seen.add(following)
                stack.append((following, iter(self._arcs[following].values())))
        return order[::-1]

    def _weigh(self) -> None:
        """How likely each state is to be passed, by the states of what was written that it stands for."""
        self._mass = [{} for _ in self._sets]
        self._mass[0] = dict(self._reached[0])
        for state in self._order():
            for was, mass in self._mass[state].items():
                for word, targets in self._written.words[was].items():
                    for target, share in targets:
                        for last, more in self._reached[target].items():
                            goal = self._mass[self._arcs[state][word]]
                            goal[last] = goal.get(last, 0.0) + mass * share * more

    def transitions(self) -> tuple[int, int, list[Transition]]:
        if not self._arcs[0]:
            raise ValueError("it has no sentence")
        merged: dict[tuple[bool, frozenset[tuple[str, int]]], int] = {}
        number: dict[int, int] = {}
        weights: dict[tuple[int, int, str], float] = {}
        ends: dict[int, float] = {}
        for state in reversed(self._order()):
            last = self._written.end in self._sets[state]
            arcs = frozenset((word, number[target]) for word, target in self._arcs[state].items())
            number[state] = place = merged.setdefault((last, arcs), len(merged))
            for word, target in self._arcs[state].items():
                arc = (place, number[target], word)
                weights[arc] = weights.get(arc, 0.0) + sum(
                    mass * share for was, mass in self._mass[state].items()
                    for _, share in self._written.words[was].get(word, []))
            if last:
                ends[place] = ends.get(place, 0.0) + self._mass[state][self._written.end]
        total: dict[int, float] = dict(ends)
        for (place, _, _), weight in weights.items():
            total[place] = total.get(place, 0.0) + weight
        end = len(merged)
        found: list[Transition] = [(place, target, weight / total[place], word)
                                   for (place, target, word), weight in weights.items()]
        found += [(place, end, weight / total[place]) for place, weight in ends.items()]
        return number[0], end, found
