"""What of SSML is read, and what is said about the rest."""

from __future__ import annotations

import time

import pytest

from aimass_stream.errors import InvalidInput, TooLarge
from aimass_stream.speech.contract import Manner
from aimass_stream.speech.ssml import MOST_PARTS, Break, Text, parse


def texts(ssml: str) -> list[str]:
    return [part.text for part in parse(f"<speak>{ssml}</speak>") if isinstance(part, Text)]


def test_pauses_stand_where_they_are_written() -> None:
    parts = parse('<speak>One<break time="300ms"/>two <break strength="strong"/> three<break/></speak>')
    assert [part.text if isinstance(part, Text) else part.seconds for part in parts] == [
        "One", 0.3, "two", 0.7, "three", 0.4]


def test_paragraphs_and_sentences_pause_once() -> None:
    parts = parse("<speak><p><s>One.</s><s>Two.</s></p><p>Three.</p></speak>")
    assert [part.text if isinstance(part, Text) else part.seconds for part in parts] == [
        "One.", 0.3, "Two.", 0.6, "Three.", 0.6]


@pytest.mark.parametrize(("attributes", "manner"), [
    ('rate="fast"', Manner(speed=1.35)), ('rate="150%"', Manner(speed=1.5)), ('rate="-20%"', Manner(speed=0.8)),
    ('rate="900%"', Manner(speed=4.0)), ('pitch="high"', Manner(pitch=1.15)), ('pitch="+10%"', Manner(pitch=1.1)),
    ('pitch="-12st"', Manner(pitch=0.5)), ('volume="silent"', Manner(volume=0.0)),
    ('volume="-6dB"', Manner(volume=0.501)),
    ('rate="slow" pitch="low" volume="loud"', Manner(speed=0.75, pitch=0.87, volume=1.4)),
])
def test_prosody_changes_the_manner(attributes: str, manner: Manner) -> None:
    inside = parse(f"<speak>a <prosody {attributes}>b</prosody> c</speak>")
    assert [part.text for part in inside if isinstance(part, Text)] == ["a", "b", "c"]
    first, changed, last = (part.manner for part in inside if isinstance(part, Text))
    assert first == last == Manner()
    assert changed.speed == pytest.approx(manner.speed)
    assert changed.pitch == pytest.approx(manner.pitch, abs=0.001)
    assert changed.volume == pytest.approx(manner.volume, abs=0.001)


def test_prosody_inside_prosody_multiplies_within_bounds() -> None:
    inside = parse('<speak><prosody rate="200%"><prosody rate="300%">x</prosody></prosody></speak>')
    assert isinstance(inside[0], Text)
    assert inside[0].manner.speed == 4.0


@pytest.mark.parametrize(("ssml", "said"), [
    ('<say-as interpret-as="characters">aB 1</say-as>', "a, B, 1"),
    ('<say-as interpret-as="spell-out">xyz</say-as>', "x, y, z"),
    ('<say-as interpret-as="cardinal">1,234</say-as>', "one thousand two hundred thirty-four"),
    ('<say-as interpret-as="ordinal">21</say-as>', "twenty-first"),
    ('<say-as interpret-as="ordinal">3rd</say-as>', "third"),
    ('<say-as interpret-as="digits">007</say-as>', "zero zero seven"),
    ('<say-as interpret-as="telephone">+49 30-12</say-as>', "plus four nine, three zero, one two"),
    ('<say-as interpret-as="date" format="dmy">6.5.2024</say-as>', "May 6th, 2024"),
    ('<say-as interpret-as="date" format="mdy">5/6/2024</say-as>', "May 6th, 2024"),
    ('<say-as interpret-as="time">14:05</say-as>', "14 oh 5"),
    ('<say-as interpret-as="time">2:00pm</say-as>', "2 P M"),
    ('<say-as interpret-as="cardinal">many</say-as>', "many"),
    ('<sub alias="World Wide Web">WWW</sub>', "World Wide Web"),
    ('<sub alias="x">a <b>c</b> d</sub>', "x"),
])
def test_say_as_and_sub(ssml: str, said: str) -> None:
    assert texts(f"one {ssml} two") == ["one", said, "two"]


def test_voice_and_language() -> None:
    parts = parse('<speak xml:lang="en-GB">a<voice name="en-us+f3">b</voice><lang xml:lang="cmn">c</lang></speak>')
    manners = [part.manner for part in parts if isinstance(part, Text)]
    assert [(manner.voice, manner.language) for manner in manners] == [
        ("", "en-GB"), ("en-us+f3", "en-GB"), ("", "cmn")]


def test_other_elements_and_namespaces_are_read_through() -> None:
    assert texts("a <emphasis>b</emphasis><mark name='x'/> &amp; &lt;c&gt;") == ["a", "b", "& <c>"]
    spoken = parse('<s:speak xmlns:s="http://www.w3.org/2001/10/synthesis">hello <s:break time="1s"/></s:speak>')
    assert spoken == [Text("hello", Manner()), Break(1.0)]


@pytest.mark.parametrize(("ssml", "column", "what"), [
    ("plain text", 1, "syntax error"), ("<speak>a<b</speak>", 11, "not well-formed"),
    ("<speak>open", 12, "no element found"), ("<html>x</html>", 1, "outermost element"),
    ("<speak>&nbsp;</speak>", 8, "undefined entity"), ("<speak>\x01</speak>", 8, "not well-formed"),
    ("<speak><prosody rate='quick'>x</prosody></speak>", 8, "'quick'"),
    ("<speak><break time='soon'/></speak>", 8, "'soon'"), ("<speak><break time='999s'/></speak>", 8, "up to 10 s"),
    ("<speak><break strength='mighty'/></speak>", 8, "'mighty'"), ("<speak><sub>x</sub></speak>", 8, "alias"),
    ("<speak><say-as>x</say-as></speak>", 8, "interpret-as"),
    ("<speak><say-as interpret-as='song'>x</say-as></speak>", 8, "'song'"),
    ("<speak><say-as interpret-as='date' format='dmy'>31.2.2024</say-as></speak>", 58, "no date"),
])
def test_what_is_wrong_is_told_with_its_place(ssml: str, column: int, what: str) -> None:
    with pytest.raises(InvalidInput, match=what) as refused:
        parse(ssml)
    assert refused.value.field == "input"
    assert refused.value.data == {"line": 1, "column": column}


def test_no_entity_is_expanded_and_nothing_is_fetched() -> None:
    bomb = '<!DOCTYPE speak [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><speak>&b;</speak>'
    outside = '<!DOCTYPE speak SYSTEM "file:///etc/passwd"><speak>x</speak>'
    for ssml in (bomb, outside):
        with pytest.raises(InvalidInput, match="document types"):
            parse(ssml)


def test_depth_and_length_have_limits() -> None:
    with pytest.raises(InvalidInput, match="inside each other"):
        parse("<speak>" + "<p>" * 100 + "</p>" * 100 + "</speak>")
    with pytest.raises(TooLarge):
        parse("<speak>" + "<s>a</s>" * MOST_PARTS + "</speak>")
    begun = time.thread_time()
    assert len(parse(f"<speak>{'word ' * 200_000}</speak>")) == 1
    assert time.thread_time() - begun < 10
