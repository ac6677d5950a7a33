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

from .verbs import BE, HELPERS, has_verb, is_verb

USUAL, LEAST, MOST = 0.5, 0.3, 1.5  # s
LEANING = 0.9  # s, for what is rather not over,
HALF = 0.7  # and for what may be all, or only the begin

TOKEN = re.compile(r"[\w'’]+|[.,;:?!…。，？！、：；—-]+")


class Ending(Enum):
    """What the words say."""

    FINISHED = "finished"
    UNKNOWN = "unknown"
    HALF_OPEN = "half open"
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
                    "came comes come saw see sees began tried felt caught threw raised held carried received contained "
                    "contains includes included offered produced considered observed destroyed handled chose built "
                    "bought laid pushed pulled wore avoided enjoyed expected noticed required supposed reached thrust "
                    "appears appeared remains grew grows remained prefer prefers preferred intend intends tends tended")
ADJECTIVES = _words("big small little large great good bad old new young long short high low red green blue black "
                    "white own same other first second third last next few many several different certain whole entire "
                    "own early late strong hard soft cold hot warm cool dark light heavy deep wide narrow poor rich "
                    "fine real true main only recent general special local national public private human important "
                    "beautiful strange sudden terrible single double former latter young happy sad quick slow easy "
                    "difficult simple final sharp soft loud quiet bright empty full extra huge tiny wild free fresh "
                    "dry wet sweet bitter clean dirty nice lovely ugly proper similar various common usual modern "
                    "ancient silent steady golden wooden northern southern eastern western grey gray brown yellow pink "
                    "purple much average entire dear serious sure certain vast mere thick thin tall steep rough smooth")
NUMBERS = _words("zero oh one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
                 "sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred "
                 "thousand million")
OPERATORS = _words("plus minus times divided multiplied percent point equals")
WANTS_UNIT = re.compile(r"\b(timer|alarm|remind|wake|wait|in|for|set|volume|convert)\b")
PHONE = re.compile(r"\b(number|call|dial|code|pin|phone)\b")

SUBORDINATE = _words("if when while because although though unless since whenever before after once")
QUESTIONS = _words("what what's who who's where where's when how how's why which whose is are was were am do does did "
                   "can could will would should shall may have has isn't aren't don't doesn't didn't won't can't")
ASKING = _words("what who where when how why which")
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
SAYING = _words("say says said think thinks thought believe hope hoped told mean so important sure certain afraid glad "
                "sorry clear possible likely convinced surprised believed felt announced")
ECHOING = _words("why hope think maybe perhaps or course certainly absolutely probably if guess afraid rather")
KNOWING = _words("know knows knew see guess that's or so tell say just no somehow")
OPENERS = _words("i we they he she it there this these those you here")
QUALITY = re.compile(r"[a-z]{2}(ous|ive|al|ful|less|able|ible|ish|ic|est)$")
ENGLISH = DETERMINERS | PREPOSITIONS | CONJUNCTIONS | OPENERS | NUMBERS
HAS_NOT = _words("don't doesn't didn't won't can't couldn't wouldn't shouldn't haven't hasn't hadn't")
NOMINAL = (DETERMINERS | PREPOSITIONS | ADJECTIVES | NUMBERS) - {"to", "like"}
CLOSERS = _words("it them me him us you yours mine hers theirs ours now today tomorrow tonight yesterday again there "
                 "here please too though anymore instead away forever together himself herself itself myself yourself "
                 "themselves everything something anything nothing everyone someone anyone nobody o'clock degrees "
                 "minutes seconds hours minute second hour days weeks ever yet already soon later")


def needed_silence(text: str, *, usual: float = USUAL, least: float = LEAST, most: float = MOST) -> float:
    """s of silence after `text` that end the turn; `usual` where the words say nothing."""
    return {Ending.FINISHED: min(least, usual), Ending.UNKNOWN: usual,
            Ending.HALF_OPEN: max(usual, min(most, HALF)), Ending.LEANING_OPEN: max(usual, min(most, LEANING)),
            Ending.OPEN: max(usual, most)}[ending(text)]


def looks_finished(text: str) -> bool:
    """The words are surely a whole turn: a reply may be begun."""
    return ending(text) is Ending.FINISHED


def finished(text: str, silence: float, *, usual: float = USUAL) -> bool:
    """Is the turn over after `silence` s?"""
    return bool(text) and silence >= needed_silence(text, usual=usual)


def ending(text: str) -> Ending:
    """What the words and marks of `text`, a turn so far, say about its end."""
    tokens = TOKEN.findall(text.lower().replace("’", "'"))
    marks = ""
    while tokens and not _is_word(tokens[-1]):
        marks = f"{tokens.pop()} {marks}"  # '"Go!".' has two, apart
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
    if re.search("[?!？！]", marks):
        return Ending.FINISHED
    if _leans_open(sentence):
        return Ending.LEANING_OPEN
    if _complete(sentence):
        return Ending.FINISHED
    # whoever writes capitals writes full stops, too: here is none
    if not marks and text.lstrip()[:1].isupper():
        return Ending.LEANING_OPEN
    return Ending.HALF_OPEN if _begun(sentence) else Ending.UNKNOWN


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
        return not _elliptic(sentence)
    return last in OPERATORS - {"percent"} or (last == "percent" and "of" not in sentence and "what" in sentence)


def _elliptic(sentence: list[str]) -> bool:
    """A helping verb or a subject may end it: "so do I", "what did you do", "show me where it is"."""
    last, before, first = sentence[-1], sentence[-2] if len(sentence) > 1 else "", sentence[0]
    if before in ASKING:  # "what is", "the house which was"
        return before != first and last in PRONOUNS
    asked = any(word in ASKING - {"which", "who"} for word in sentence[:-2])
    answered = first in {"yes", "no"} and len(sentence) == 3
    return before in AUXILIARIES | QUESTIONS | {"yes", "no", "so"} or (
        (asked or answered) and last in AUXILIARIES and before in PRONOUNS) or (
        last in {"do", "did", "does"} and first in QUESTIONS)


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
        return sentence[-2:-1] == [] or sentence[-2] not in BE
    if len(sentence) > 1 and _verb_to_come(last, sentence[-2], sentence[0]):
        return True
    return sentence[0] in SUBORDINATE and "," not in sentence and len(sentence) < 7


def _verb_to_come(last: str, before: str, first: str) -> bool:
    """A helping verb, a "not" or an adverb right behind one, or a question's word within a sentence: none ends it."""
    if last in {"be", "been", "being", "have"} | HAS_NOT:
        return first not in QUESTIONS | {"yes", "no", "so"} and before not in {"yes", "no", "so"}
    if last in {"not", "never"}:
        return before not in ECHOING and (before in HELPERS | SUBJECTS | AUXILIARIES)
    if last in {"what", "how", "which", "why"}:
        return before not in KNOWING
    adverb = last in {"already", "ever", "always", "often"} or (len(last) > 4 and last.endswith("ly"))
    return adverb and before in HELPERS | DETERMINERS | SUBJECTS | CLAUSES


def _begun(sentence: list[str]) -> bool:
    """Something is named and nothing said of it: the begin of a sentence, or an answer. Of long ones the verb may be
    one that is not known."""
    words = [word for word in sentence if _is_word(word)]
    if ENGLISH.isdisjoint(words) or words[-1] in CLOSERS | PARTICLES | NUMBERS | {"not"} or words[-1][-1].isdigit():
        return False
    return len(words) <= 4 and not has_verb(words, NOMINAL)


def _half_said(sentence: list[str]) -> bool:
    """A subject with hardly a verb, an owner without what is owned, a quality without its thing, an act without end."""
    last, before = sentence[-1], sentence[-2] if len(sentence) > 1 else ""
    if sentence[0] in OPENERS and len(sentence) <= 2 and last not in CLOSERS - PRONOUNS:
        return True
    if last.endswith(("'s", "s'")) and last not in CLOSERS:
        return True
    if before in DETERMINERS and last.endswith("ed") and is_verb(last, "", ()):
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
