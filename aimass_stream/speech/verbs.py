"""Is there a verb yet? Common English verbs in all their forms, for telling a beginning from a sentence.

A word that is a verb and a noun ("the look", "they look") is taken for a noun after a determiner or a preposition.
Verbs that are rare go unnoticed unless they end in -ed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


REGULAR = _words(
    "accept add admit agree allow announce answer appear approach argue arrange arrive ask attack avoid believe belong "
    "blur boil book borrow burn call cancel care carry cause change charge check clean clear climb close collect "
    "compare complain complete concern connect consider contain continue convert cook copy count cover cross cry "
    "dance decide deliver deny depend describe destroy develop die disappear discover drop end enjoy enter escape "
    "exist expect explain express fail fear fetch fill finish fix flash flip follow force form gather guess happen "
    "hate help hide hope hurry imagine improve include increase intend invite join jump keep kick kill kiss knock "
    "last laugh learn lie lift like listen live lock look love manage mark matter mention mind mirror miss mix move "
    "mute name need notice obey occur offer open order owe own pack paint park pass pause pay pick plan play please "
    "point pour prefer prepare press promise protect prove pull push raise reach realise realize receive recognise "
    "recognize record refuse regard remain remember remind remove repair repeat replace reply report require rest "
    "return roll rotate rush save seem serve share shout skip slip smell smile smoke solve sound spell stare start "
    "stay stop study succeed suffer suggest supply suppose surprise switch talk taste tend test thank touch trade "
    "train translate travel treat trust try turn understand use visit vote wait walk want warn wash watch weigh "
    "whisper wish wonder work worry zoom")
IRREGULAR = _words(
    "beat beats beating beaten become becomes becoming became begin begins beginning began begun bend bent bet bite "
    "bites bit bitten blow blows blew blown break breaks breaking broke broken bring brings bringing brought build "
    "builds building built burst bursts buy buys buying bought catch catches catching caught choose chooses chose "
    "chosen come comes coming came cost costs creep crept cut cuts cutting deal dealt dig dug draw draws drew drawn "
    "drink drinks drinking drank drunk drive drives driving drove driven eat eats eating ate eaten fall falls falling "
    "fell fallen feed fed feel feels feeling felt fight fights fought find finds finding found fling flung fly flies "
    "flying flew flown forget forgets forgot forgotten forgive forgave get gets getting got gotten give gives giving "
    "gave given go goes going went gone grow grows growing grew grown hang hangs hung hear hears hearing heard held "
    "hold holds holding hit hits hurt hurts keep keeps keeping kept knew know knows knowing known laid lay lays lead "
    "leads led leap leapt leave leaves leaving left lend lent let lets letting lit lose loses losing lost made make "
    "makes making mean means meant meet meets meeting met paid put puts putting ran read reads reading ride rides rode "
    "ridden ring rang rise rises rose risen run runs running said sang sank sat saw say says saying see sees seeing "
    "seen sell sells sold send sends sending sent set sets setting shake shook shaken shine shone shoot shot shrink "
    "shut shuts sing sings sink sit sits sitting sleep sleeps slept slide slid speak speaks speaking spoke spoken "
    "spend spends spent spring sprang stand stands standing stood steal stole stick stuck strike struck sweep swept "
    "swim swam swing swung take takes taking taken taught teach teaches tear tore tell tells telling think thinks "
    "thinking thought threw throw throws thrown thrust told took understood wake wakes woke wear wears wore worn weep "
    "wept win wins won write writes writing wrote written meet swear swore")
HELPERS = _words(
    "is are was were am be been being has had have having will would can could should shall may might must do does did "
    "doing isn't aren't wasn't weren't don't doesn't didn't won't can't cannot couldn't wouldn't shouldn't mustn't "
    "haven't hasn't hadn't ain't let's gonna wanna gotta ought")
BE = _words("is are was were am be been being i'm you're we're they're he's she's it's that's isn't aren't wasn't "
            "weren't get got gets")
CONTRACTED = ("'m", "'re", "'ve", "'ll", "'d")
CONTRACTED_IS = _words("he's she's it's that's there's what's who's where's how's here's everything's something's "
                       "nothing's everyone's")
NO_VERBS = _words("hundred indeed instead naked sacred wicked rugged ragged wretched beloved kindred hatred shed speed "
                  "seed weed breed creed greed steed exceed bed red sled reed deed heed hotbed infrared")


def _forms(base: str) -> set[str]:
    if base.endswith("e"):
        return {base, base + "s", base + "d", base[:-1] + "ing"}
    if base.endswith("y") and base[-2] not in "aeou":
        return {base, base[:-1] + "ies", base[:-1] + "ied", base + "ing"}
    third = base + "es" if base.endswith(("s", "sh", "ch", "x", "o")) else base + "s"
    doubled = base + base[-1]  # "stopped"; what doubles no letter has just no such word
    return {base, third, base + "ed", base + "ing", doubled + "ed", doubled + "ing"}


FORMS = IRREGULAR.union(*(_forms(base) for base in REGULAR))


def is_verb(word: str, before: str, nominal: Collection[str]) -> bool:
    """`nominal`: words after which a noun follows and no verb; `before` is the word before, or empty."""
    if word in HELPERS or word in CONTRACTED_IS or word.endswith(CONTRACTED):
        return True
    if before in nominal or before.endswith("'s"):
        return False
    return word in FORMS or (word.endswith("ed") and len(word) > 4 and word not in NO_VERBS)


def has_verb(words: Sequence[str], nominal: Collection[str]) -> bool:
    """Whether one of the words (lower case) is a verb, as far as that can be seen."""
    return any(is_verb(word, before, nominal) for before, word in zip(["", *words], words, strict=False))
