"""Has the speaker finished? How long a silence to wait for, by the words before it.

A detector of voices hears that it is quiet, not why. The last words often tell: nobody ends on "and", "to the" or
"um", a question that has its verb and its object is over, and "call me at five five" is not. Recognisers differ in
what they write: some know no punctuation, some put a full stop wherever the sound ends. So words come first, and
a full stop counts only where the words do not speak against it. English words; of other languages only fillers and
marks that are no full stop are known, and the usual silence is waited for.
"""

from __future__ import annotations

import re
from enum import Enum

USUAL, LEAST, MOST = 0.5, 0.3, 1.5  # s
LEANING = 0.9  # s, for what is rather not over

TOKEN = re.compile(r"[\w'’]+|[.,;:?!…。，？！、：；—-]+")


class Ending(Enum):
    """What the words say."""

    FINISHED = "finished"
    UNKNOWN = "unknown"
    LEANING_OPEN = "leaning open"
    OPEN = "open"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FILLERS = _words("um uh uhm umm er erm ehm hmm hm mm ah eh like well so äh ähm euh este")
CONJUNCTIONS = _words("and but or nor because cause if when while although though unless until whether than as since "
                      "whereas which whose whom where who before after")
DETERMINERS = _words("a an the my your his our their its every each these those no another any some either neither "
                     "both such what's which's")
PREPOSITIONS = _words("to of for with from at by into onto about between under among against during without within "
                      "toward towards upon through across behind beside beyond near per via except despite like in on "
                      "over around along above below")
AUXILIARIES = _words("is are was were am be been being has had have will would can could should shall may might must "
                     "do does did isn't aren't wasn't weren't i'm you're we're they're he's she's it's that's there's "
                     "i've you've we've they've i'll you'll we'll they'll he'll she'll it'll i'd you'd we'd they'd "
                     "gonna wanna gotta let's cannot")
SUBJECTS = _words("i we they he she")
DANGLING = _words("very really quite rather more most less least only even just almost nearly also not never always "
                  "usually often sometimes maybe perhaps probably actually basically too")
TRANSITIVE = _words("want need like love set make put give take tell show bring get send find buy play call ask remind "
                    "think know mean said says say seems seem became become let keep use add remove change turn wants "
                    "needs gives takes tells shows brings gets sends finds gave took told showed brought got sent "
                    "found made called asked thought meant had wanted needed kept used looks sounds feels went goes go "
                    "came comes come saw see sees")
ADJECTIVES = _words("big small little large great good bad old new young long short high low red green blue black "
                    "white own same other first second third last next few many several different certain whole entire "
                    "own early late strong hard soft cold hot warm cool dark light heavy deep wide narrow poor rich "
                    "fine real true main only recent general special local national public private human important "
                    "beautiful strange sudden terrible single double former latter")
NUMBERS = _words("zero oh one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
                 "sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred "
                 "thousand million")
OPERATORS = _words("plus minus times divided multiplied percent point equals")
WANTS_UNIT = re.compile(r"\b(timer|alarm|remind|wake|wait|in|for|set|volume|convert)\b")
PHONE = re.compile(r"\b(number|call|dial|code|pin|phone)\b")

SUBORDINATE = _words("if when while because although though unless since whenever before after once")
QUESTIONS = _words("what what's who who's where where's when how how's why which whose is are was were am do does did "
                   "can could will would should shall may have has isn't aren't don't doesn't didn't won't can't")
WHOLE = frozenset({
    "yes", "yeah", "yep", "no", "nope", "okay", "ok", "sure", "thanks", "thank you", "thank you very much", "please",
    "stop", "hello", "hi", "hey", "bye", "goodbye", "good morning", "good evening", "good night", "right", "exactly",
    "of course", "no thanks", "no thank you", "yes please", "never mind", "go on", "continue", "cancel", "help",
    "that's all", "that is all", "that's it", "i don't know", "not now", "me too", "why not", "go ahead", "be quiet",
    "start", "pause", "resume", "louder", "softer", "quieter", "again", "next", "back", "repeat that", "what", "why",
    "好", "好的", "是", "不", "谢谢", "你好", "再见"})
COMMANDS = _words("turn switch stop start play pause open close show hide mirror rotate make set mute unmute blur "
                  "remove add take put bring tell give read spell call send save delete cancel repeat skip go come "
                  "wait look remember forget zoom flip crop undo reset record translate convert calculate count wake "
                  "remind")
ONE_OBJECT = _words("stop start pause open close show hide mirror rotate mute unmute blur undo reset end clear")
PARTICLES = _words("on off up down out in back over away around through")
PARTICLE_VERBS = _words("turn turned switch switched log sign come came go went get got move moved put take took shut "
                        "carry calm sit stand wake zoom play hang give fall fell going coming looking on it them that "
                        "lights light music sound radio picture volume camera effects everything")
PRONOUNS = _words("it there this that you he she we they i these those")
CLAUSES = CONJUNCTIONS - {"and", "but", "or", "nor", "than", "as", "like"}
SAYING = _words("say says said think thinks thought believe hope hoped told mean so")
OPENERS = _words("i we they he she it there this these those you here")
QUALITY = re.compile(r"[a-z]{2}(ous|ive|al|ful|less|able|ible|ish|ic|est)$")
CLOSERS = _words("it them me him us you yours mine hers theirs ours now today tomorrow tonight yesterday again there "
                 "here please too though anymore instead away forever together himself herself itself myself yourself "
                 "themselves everything something anything nothing everyone someone anyone nobody o'clock degrees "
                 "minutes seconds hours minute second hour days weeks ever yet already soon later")


def needed_silence(text: str, *, usual: float = USUAL, least: float = LEAST, most: float = MOST) -> float:
    """s of silence after `text` that end the turn; `usual` where the words say nothing."""
    return {Ending.FINISHED: min(least, usual), Ending.UNKNOWN: usual,
            Ending.LEANING_OPEN: max(usual, min(most, LEANING)), Ending.OPEN: max(usual, most)}[ending(text)]


def looks_finished(text: str) -> bool:
    """The words are surely a whole turn: a reply may be begun."""
    return ending(text) is Ending.FINISHED


def finished(text: str, silence: float, *, usual: float = USUAL) -> bool:
    """Is the turn over after `silence` s?"""
    return bool(text) and silence >= needed_silence(text, usual=usual)


def ending(text: str) -> Ending:
    """What the words and marks of `text`, a turn so far, say about its end."""
    tokens = TOKEN.findall(text.lower().replace("’", "'"))
    marks = tokens.pop() if tokens and not _is_word(tokens[-1]) else ""
    said = [token for token in tokens if _is_word(token)]
    if not said:
        return Ending.UNKNOWN
    if re.search(r"[,;:、，：；—…-]|\.\.", marks):
        return Ending.OPEN
    if " ".join(said) in WHOLE:
        return Ending.FINISHED
    sentence = _last_sentence(tokens)
    if _hangs(sentence):
        return Ending.OPEN
    if marks and set(marks) <= set("?!？！"):
        return Ending.FINISHED
    if _leans_open(sentence):
        return Ending.LEANING_OPEN
    if _complete(sentence):
        return Ending.FINISHED
    # whoever writes capitals writes full stops, too: here is none
    return Ending.LEANING_OPEN if not marks and text.lstrip()[:1].isupper() else Ending.UNKNOWN


def _is_word(token: str) -> bool:
    return token[0].isalnum()


def _last_sentence(tokens: list[str]) -> list[str]:
    """Words and commas after the last full stop; all of them if there is none."""
    for place in range(len(tokens) - 1, -1, -1):
        if not _is_word(tokens[place]) and tokens[place][0] in ".?!。？！":
            return tokens[place + 1 :]
    return tokens


def _hangs(sentence: list[str]) -> bool:
    """Nobody ends like this."""
    last = sentence[-1]
    before = sentence[-2] if len(sentence) > 1 else ""
    if last in FILLERS and before not in {"as", "very", "quite", "think", "hope", "it"}:
        return True
    if last in DETERMINERS or last in CONJUNCTIONS - {"where", "who", "though", "before", "after"}:
        return True
    if last in {"before", "after", "where", "who"} and before not in {"", "ever", "day", "know", "or", "guess"}:
        return last in {"where", "who"} or before not in {"week", "year", "morning", "night", "month"}
    if last == "that" and before in SAYING:
        return True
    if last in PRONOUNS and (before in CLAUSES or (before in AUXILIARIES and len(sentence) == 2)):
        return True
    if last in PREPOSITIONS:
        return not (last in PARTICLES and before in PARTICLE_VERBS) and not _stranded(sentence)
    if last in AUXILIARIES or last in SUBJECTS:
        return not (before in AUXILIARIES | QUESTIONS | {"yes", "no", "so"} or (last in {"do", "did", "does"}
                    and sentence[0] in QUESTIONS))
    return last in OPERATORS - {"percent"} or (last == "percent" and "of" not in sentence and "what" in sentence)


def _stranded(sentence: list[str]) -> bool:
    """A preposition at a question's end, "what are you looking for": the question's word is its object."""
    return sentence[0] in {"what", "who", "where", "which", "what's"} and len(sentence) > 3


def _leans_open(sentence: list[str]) -> bool:
    """Something is likely to follow."""
    last = sentence[-1]
    if last in NUMBERS or last.isdigit():
        line = " ".join(sentence)
        digits = sum(word in NUMBERS or word.isdigit() for word in sentence)
        if PHONE.search(line) and digits < 7:
            return True
        return bool(WANTS_UNIT.search(line)) and " at " not in f" {line} "
    if last in DANGLING and last not in {"too", "more", "most", "less", "not", "never", "maybe", "probably"}:
        return True
    if last in ADJECTIVES and len(sentence) > 1 and sentence[-2] in DETERMINERS | PREPOSITIONS | ADJECTIVES:
        return True
    if _half_said(sentence):
        return True
    if last in TRANSITIVE and sentence[0] not in {"what", "who", "where", "which", "how"}:
        return True
    return sentence[0] in SUBORDINATE and "," not in sentence and len(sentence) < 7


def _half_said(sentence: list[str]) -> bool:
    """A subject with hardly a verb, an owner without what is owned, a quality without its thing, an act without end."""
    last, before = sentence[-1], sentence[-2] if len(sentence) > 1 else ""
    if sentence[0] in OPENERS and len(sentence) <= 2 and last not in CLOSERS - PRONOUNS:
        return True
    if last.endswith(("'s", "s'")) and last not in CLOSERS:
        return True
    if QUALITY.search(last) and before in DETERMINERS | {"very", "so", "too", "more", "most", "of", "with", "in"}:
        return True
    return last.endswith("ing") and before in AUXILIARIES | SUBJECTS | {"was", "were", "began", "kept", "by", "of"}


def _complete(sentence: list[str]) -> bool:
    """A question or a command that has all that it needs."""
    words = [word for word in sentence if _is_word(word)]
    while len(words) > 1 and words[0] in FILLERS | {"and", "but", "please", "okay", "now", "then", "hey"}:
        words = words[1:]
    first, last = words[0], words[-1]
    if first in QUESTIONS - SUBORDINATE or (first == "when" and len(words) > 2 and words[1] in AUXILIARIES):
        return len(words) >= 3 and last in CLOSERS | {"is", "are", "mean", "name", "time", "date", "day", "weather"}
    if first in ONE_OBJECT and len(words) == 3 and words[1] in DETERMINERS:
        return True
    if first in COMMANDS:
        return last in CLOSERS or (last in PARTICLES and len(words) >= 3)
    return last in CLOSERS and len(words) >= 4
