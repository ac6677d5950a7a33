from __future__ import annotations

import gc
import re
from fractions import Fraction
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from aimass_stream import fonts
from aimass_stream.frames import Picture, Pixels, TextFrame, VideoFrame, now
from aimass_stream.speech.captions import board
from aimass_stream.speech.words import Word
from aimass_stream.stages import BUILT_IN
from aimass_stream.stages.captions import DOUBTFUL, SURE, wrapped

from ..support.context import REGISTRY, Context, started, video
from ..support.hearing import spoken

pytestmark = pytest.mark.anyio

GREY = Picture.from_i420(np.full((480 * 3 // 2, 640), 90, np.uint8))
fonts.available()


def luma(frame: VideoFrame) -> Pixels:
    return frame.picture.i420[: frame.height]


def text(words: str, *, final: bool = True, track: str = "text-0") -> TextFrame:
    return TextFrame(text=words, final=final, pts=0, time_base=Fraction(1, 1000), track=track)


async def test_what_was_said_stands_at_the_bottom_and_the_rest_is_untouched() -> None:
    stage, _ = await started("captions")
    board(Context.session).commit("audio-0", spoken("Nine boats left the harbour"))
    after = await stage.process(video(picture=GREY))
    changed = np.flatnonzero((luma(after) != 90).any(axis=1))
    assert changed.min() > 380
    assert changed.max() < 480
    assert luma(after).max() > SURE - 10
    assert (after.picture.i420[480:] != 90).any()  # the box takes the colour away, too
    assert await stage.process(video(picture=GREY)) is not None
    await stage.close()


async def test_unsure_words_are_grey() -> None:
    stage, _ = await started("captions", background=1)
    board(Context.session).suggest("audio-0", (Word("mumble", 0, 1, 0.2),))
    doubtful = luma(await stage.process(video(picture=GREY)))[380:]
    assert DOUBTFUL - 10 <= doubtful.max() <= DOUBTFUL
    board(Context.session).commit("audio-0", (Word("Clear", 0, 1, 0.9), Word("mumble", 1, 2, 0.2)))
    both = luma(await stage.process(video(picture=GREY)))[380:]
    bright = np.flatnonzero((both > DOUBTFUL + 40).any(axis=0))
    grey = np.flatnonzero(((both > DOUBTFUL - 15) & (both <= DOUBTFUL)).any(axis=0))
    assert bright.max() < grey.max()
    await stage.close()


async def test_nothing_is_written_before_anybody_spoke_and_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    stage, _ = await started("captions", hold=2)
    frame = video(picture=GREY)
    assert await stage.process(frame) is frame
    board(Context.session).commit("audio-0", spoken("Hello"))
    assert await stage.process(frame) is not frame
    later = now() + 2.5
    monkeypatch.setattr("aimass_stream.stages.captions.now", lambda: later)
    assert await stage.process(frame) is frame
    await stage.close()


async def test_only_the_last_lines_show() -> None:
    stage, context = await started("captions", lines=2)
    board(Context.session).commit("audio-0", spoken("word " * 55))
    after = await stage.process(video(picture=GREY))
    changed = np.flatnonzero((luma(after) != 90).any(axis=1))
    assert changed.max() - changed.min() < 2 * 0.05 * 480 * 1.35 + 0.05 * 480
    assert context.ran == ["_draw"]
    await stage.process(video(picture=GREY))
    assert context.ran == ["_draw"]  # not drawn again while it is the same
    await stage.close()


async def test_text_that_comes_in_is_shown_unless_it_is_what_the_recogniser_wrote() -> None:
    stage, _ = await started("captions")
    shown = board(Context.session)
    shown.listen("audio-0")
    shown.commit("audio-0", spoken("heard words"))
    frame = text("heard words", track="audio-0")
    assert await stage.process(frame) is frame
    state = shown.shown()
    assert state is not None
    assert len(state.words) == 2
    await stage.process(text("typed by", final=False))
    await stage.process(text("typed by hand"))
    state = shown.shown()
    assert state is not None
    assert (state.speaker, [word.text for word in state.words]) == ("text-0", ["typed", "by", "hand"])
    await stage.close()


async def test_the_board_is_gone_with_the_last_who_holds_it() -> None:
    stage, _ = await started("captions")
    held = board(Context.session)
    held.commit("audio-0", spoken("old words"))
    del held
    await stage.close()
    del stage
    gc.collect()
    assert board(Context.session).shown() is None


@pytest.mark.parametrize("given", [{}, {"size": 20, "lines": 6, "position": "top"}, {"background": 0}])
async def test_odd_sizes(given: dict[str, Any]) -> None:
    stage, _ = await started("captions", **given)
    board(Context.session).commit("audio-0", spoken("Donaudampfschifffahrtsgesellschaft и 漢字 🙂 " * 3))
    for width, height in ((2, 2), (16, 480), (640, 16), (322, 182), (1920, 1080)):
        picture = Picture.from_i420(np.full((height * 3 // 2, width), 90, np.uint8))
        after = await stage.process(video(picture=picture, rotation=90))
        assert (after.width, after.height, after.rotation) == (height, width, 0)
    await stage.close()


def test_its_first_sentence_names_each_stage_whose_words_it_writes() -> None:
    """It is what is read where a stage is chosen; without one of them nothing is ever written."""
    [said] = [item["doc"].partition(". ")[0] for item in REGISTRY.describe() if item["name"] == "captions"]
    modules = {name: import_module(f"aimass_stream.stages.{place.split(':')[0]}") for name, place in BUILT_IN.items()}
    sources = {f"`{name}`" for name, module in modules.items() if hasattr(module, "board")} - {"`captions`"}
    assert set(re.findall("`.*?`", said)) == sources
    assert "has to be in the pipeline" in " ".join(said.split())


def test_words_wrap_at_the_edge() -> None:
    face = fonts.load(fonts.choose("a"), 20)
    lines = wrapped(spoken("one two three four five six"), face, face.getlength("one two three") - 1, " ")
    assert ["".join(piece for piece, _ in line) for line in lines] == ["one two", "three four", "five six"]
    unspaced = wrapped(tuple(Word(sign, 0, 1) for sign in "abcdef"), face, face.getlength("abc") + 1, "", "Ann: ")
    assert "".join(piece for piece, _ in unspaced[0]).startswith("Ann: ")
    assert "".join("".join(piece for piece, _ in line) for line in unspaced) == "Ann: abcdef"
