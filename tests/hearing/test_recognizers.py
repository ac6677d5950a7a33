"""Which recogniser is chosen, from a table of real classes without models, and from what is installed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aimass_stream.errors import InvalidInput, NotFound, Unavailable
from aimass_stream.hearing import recognizers
from aimass_stream.hearing.recognizers import Offer, Offers, chosen, describe, open_recognizer
from aimass_stream.inference import Engine, installed
from aimass_stream.speech.contract import HearingAbilities

from ..support.options import settings
from ..support.whisper import make

ENGLISH = HearingAbilities(("en",), True, True, False, True, False)
WORLD = HearingAbilities(("en", "zh", "de"), True, True, True, True, True)
THERE: dict[str, Offers] = {}


class Standing:
    """What these engines offer is what a test puts into `THERE`."""

    name = ""

    @classmethod
    def available(cls, settings: Any) -> Offers:
        return THERE.get(cls.name, ([], "its weights are not here"))


class First(Standing):
    name = "whisper"


class Second(Standing):
    name = "emformer"


class Third(Standing):
    name = "pocketsphinx"


@pytest.fixture
def standing(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    table = {each.name: f"{__name__}:{each.__name__}" for each in (First, Second, Third)}
    monkeypatch.setattr(recognizers, "RECOGNIZERS", table)
    recognizers.opener.cache_clear()
    THERE.clear()
    yield
    recognizers.opener.cache_clear()


NANO = Offer("nano", ENGLISH, wer=0.6, general=False, rank=10)
SMALL, TINY = Offer("small", WORLD, rank=3), Offer("tiny", WORLD, rank=1)
SPHINX = Offer("pocketsphinx-en-us", ENGLISH, wer=0.34)
RNNT = Offer("librispeech", ENGLISH, wer=0.05)


@pytest.mark.usefixtures("standing")
@pytest.mark.parametrize(("there", "wanted", "told"), [
    ({"pocketsphinx": [SPHINX]}, ("pocketsphinx", "pocketsphinx-en-us"), "the only one"),
    ({"whisper": [NANO], "pocketsphinx": [SPHINX]}, ("pocketsphinx", "pocketsphinx-en-us"), "WER 34%"),
    ({"whisper": [Offer("nano", ENGLISH, wer=0.2, general=False)], "pocketsphinx": [SPHINX]}, ("whisper", "nano"),
     "(pocketsphinx-en-us WER 34%)"),
    ({"whisper": [Offer("nano", ENGLISH, general=False)], "pocketsphinx": [SPHINX]},
     ("pocketsphinx", "pocketsphinx-en-us"), "WER"),
    ({"whisper": [NANO, TINY, SMALL], "pocketsphinx": [SPHINX]}, ("whisper", "small"), "trained weights"),
    ({"whisper": [NANO], "emformer": [RNNT], "pocketsphinx": [SPHINX]}, ("emformer", "librispeech"), "WER 5%"),
])
def test_auto_takes_the_best_that_is_there(there: dict[str, list[Offer]], wanted: tuple[str, str], told: str) -> None:
    THERE.update({name: (offers, "") for name, offers in there.items()})
    choice = chosen(settings())
    assert (choice.engine, choice.model) == wanted
    assert told in choice.reason


@pytest.mark.usefixtures("standing")
def test_what_is_asked_for_is_taken_or_refused() -> None:
    THERE.update({"whisper": ([NANO, TINY], ""), "pocketsphinx": ([SPHINX], "")})
    assert chosen(settings(), want="whisper", model="nano")[:2] == ("whisper", "nano")
    assert chosen(settings(), model="pocketsphinx-en-us")[:2] == ("pocketsphinx", "pocketsphinx-en-us")
    for former in (chosen(settings(), model="en-us"), chosen(settings(), want="pocketsphinx", model="en-us"),
                   chosen(settings(hearing_model="en-us"))):
        assert former[:2] == ("pocketsphinx", "pocketsphinx-en-us")
    assert chosen(settings(hearing_model="nano")).model == "nano"
    assert chosen(settings(hearing_model="nano"), want="pocketsphinx").model == "pocketsphinx-en-us"
    assert chosen(settings(hearing="pocketsphinx")).engine == "pocketsphinx"
    assert chosen(settings(), language="zh").model == "tiny"
    assert chosen(settings(), task="translate").model == "tiny"
    assert chosen(settings(), model="/some/where")[:2] == ("whisper", "/some/where")
    with pytest.raises(InvalidInput, match="whisper, emformer, pocketsphinx"):
        chosen(settings(), want="siri")
    with pytest.raises(NotFound, match=r"emformer can't be used here .its weights are not here.; there are: auto, wh"):
        chosen(settings(), want="emformer")
    with pytest.raises(NotFound, match="hears 'fr'"):
        chosen(settings(), language="fr")
    with pytest.raises(NotFound, match="there are: nano, pocketsphinx-en-us, tiny"):
        chosen(settings(), model="large")


@pytest.mark.usefixtures("standing")
def test_a_stage_that_says_auto_leaves_it_to_the_settings() -> None:
    THERE.update({"whisper": ([TINY], ""), "pocketsphinx": ([SPHINX], "")})
    assert chosen(settings(), want="auto").engine == "whisper"
    assert chosen(settings(hearing="pocketsphinx"), want="auto").engine == "pocketsphinx"
    assert chosen(settings(hearing="pocketsphinx"), want="auto", model="tiny").engine == "whisper"
    with pytest.raises(NotFound, match="its weights are not here"):
        chosen(settings(hearing="emformer"), want="auto")


@pytest.mark.usefixtures("standing")
def test_every_engine_is_described() -> None:
    THERE["whisper"] = ([TINY], "")
    first, second, _ = describe(settings())
    assert (first["available"], first["languages"]) == (True, ["de", "en", "zh"])
    assert first["models"][0]["abilities"]["translation"] is True
    assert (second["available"], second["reason"]) == (False, "its weights are not here")


def test_an_engine_whose_library_is_missing_harms_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(recognizers.RECOGNIZERS, "emformer", "no_such_library:Recognizer")
    recognizers.opener.cache_clear()
    described = {each["engine"]: each for each in describe(settings())}
    assert "can't be loaded" in described["emformer"]["reason"]
    recognizers.opener.cache_clear()


@pytest.mark.anyio
async def test_a_directory_is_opened_once_for_all_sessions_and_a_broken_one_says_why(tmp_path: Path) -> None:
    folder = await asyncio.to_thread(make, tmp_path / "tiny")
    engine = Engine(installed())
    options = settings(hearing_model=str(folder))
    both = await asyncio.gather(*(open_recognizer(engine, options, session=name) for name in ("a", "b")))
    assert [each.engine for each in both] == ["whisper", "whisper"]
    assert both[0].model == "tiny"
    assert list(engine.models()) == [f"whisper {folder}"]
    await engine.unload(f"whisper {folder}")
    await both[0].begin(0.0)  # it is loaded anew for the next utterance
    assert list(engine.models()) == [f"whisper {folder}"]
    refused: list[tuple[dict[str, Any], str]] = [
        ({"language": "zh"}, "does not hear"), ({"policy": "coin"}, "no policy"),
        ({"task": "translate"}, "translates nothing")]
    for wrong, told in refused:
        with pytest.raises(InvalidInput, match=told):
            await open_recognizer(engine, options, session="c", **wrong)
    (folder / "model.bin").rename(folder / "gone")
    for path, told in ((str(folder / "nowhere"), "no directory"), (str(tmp_path), "lacks model.bin")):
        with pytest.raises((InvalidInput, Unavailable), match=told):
            await open_recognizer(engine, settings(), session="d", model=path)
    await engine.close()
