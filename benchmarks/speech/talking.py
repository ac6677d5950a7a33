"""The sections on voices, spoken commands and conversation."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from .. import speech_commands, speech_turns_live, speech_voices
from ..aims import Aim
from ..servers import Server
from . import hearing
from .section import NONE, Result, ms, percent, table

QUESTIONS, EACH = 16, 20  # of a full run: questions; cases of a kind of interruption
AT_ONCE = (1, 4)  # conversations
ENGINES = ("whisper", "pocketsphinx")


def voices(quick: bool) -> Result:
    return speech_voices.measure(sessions=(1, 4) if quick else (1, 4, 16), rounds=3 if quick else speech_voices.ROUNDS,
                                 seconds=5 if quick else speech_voices.SECONDS)


def voices_aims(result: Result) -> list[Aim]:
    sixteen = next((row for row in result["first_audio"] if row["sessions"] == 16), None)
    underruns = sum(row["underruns"] for row in result["steadiness"])
    return [Aim("espeak, time to first audio p95 <= 30 ms with 16 starts at once",
                f"{ms(sixteen['p95_ms'])} ms" if sixteen else NONE, sixteen["p95_ms"] <= 30 if sixteen else None),
            Aim("underruns 0", f"{underruns} in {sum(row['seconds'] for row in result['steadiness']):.0f} s of speech",
                underruns == 0)]


def voices_tell(result: Result) -> str:
    first = table(["sessions that start at once", "time to first audio p50 / p95 / worst, ms"],
                  [[row["sessions"], f"{row['p50_ms']} / {row['p95_ms']} / {row['worst_ms']}"]
                   for row in result["first_audio"]])
    steady = table(["sessions that speak", "speech, s", "underruns", "frames over 40 ms late"],
                   [[row["sessions"], row["seconds"], row["underruns"], row["late"]] for row in result["steadiness"]])
    clear = table(["voice", "recognised by", "words", "WER"],
                  [[row["voice"], f"{row['recogniser']} {row['model']}", row["words"], percent(row["wer"])]
                   for row in result["clearness"]])
    return (f"{result['engine']}, {result['times_real_time']} times real time; the process is up after "
            f"{result['open_ms']} ms, once.\n\n{first}\n\n{steady}\n\nWhat was spoken, recognised again:\n\n{clear}")


def commands(quick: bool) -> Result:
    return speech_commands.measure(every=6 if quick else 1)


def commands_aims(result: Result) -> list[Aim]:
    return [Aim("command mode: >= 90 % of commands right on held-out voices", percent(result["named"]),
                result["named"] >= 0.9),
            Aim("command mode: <= 1 false trigger in 10 minutes of other talk",
                f"{result['false_per_10_minutes']} ({result['false_triggers']} in {result['other_minutes']} minutes)",
                result["false_per_10_minutes"] <= 1)]


def commands_tell(result: Result) -> str:
    by_voice = ", ".join(f"{voice} {percent(share)}" for voice, share in result["voices"].items())
    return (f"{result['commands']} commands by held-out voices: {percent(result['named'])} the right command "
            f"({by_voice}), {percent(result['right'])} with every slot right. "
            f"{result['other_utterances']} utterances of other talk. Decided {result['decision_ms_p50']} ms (p50) "
            f"and {result['decision_ms_p95']} ms (p95) after 0.2 s of silence, for {ms(result['decision_cpu_ms_p50'])} "
            f"ms (p95 {ms(result['decision_cpu_ms_p95'])}) of the decoders' CPU after the end of the speech: they "
            "decode while it is spoken.")


def conversation(quick: bool) -> Result:
    result: Result = {"voice": {}, "interruptions": {}}
    for engine in ENGINES:
        with _served() as url:
            result["voice"][engine] = {str(at_once): asyncio.run(speech_turns_live.voice_to_voice(
                url, 4 if quick else QUESTIONS, engine=engine, at_once=at_once)) for at_once in AT_ONCE}
    with _served() as url:
        result["interruptions"]["whisper"] = asyncio.run(speech_turns_live.interruptions(
            url, 2 if quick else EACH, engine="whisper"))
    return result


@contextmanager
def _served() -> Iterator[str]:
    server = Server(hearing.contenders()[0].subject, environment=hearing.ENVIRONMENT, core=None)
    try:
        yield server.base
    finally:
        server.stop()


def conversation_aims(result: Result) -> list[Aim]:
    aims = []
    for engine, runs in result["voice"].items():
        one = runs["1"]
        limit = one["silence_ms"] + 250
        aims.append(Aim(f"voice to voice, built-in brain, {engine}: p50 <= endpoint silence + 250 ms",
                        f"{ms(one['ms']['p50'])} ms (p95 {ms(one['ms']['p95'])}), silence {one['silence_ms']} ms, "
                        f"{one['answered']} of {one['asked']} answered",
                        one["ms"]["p50"] is not None and one["ms"]["p50"] <= limit))
    for one in result["interruptions"].values():
        aims += [Aim("interruption: first voiced sample to silence at the client, p95 <= 250 ms",
                     f"{ms(one['ms']['p95'])} ms", one["ms"]["p95"] is not None and one["ms"]["p95"] <= 250),
                 Aim("<= 5 % missed interruptions", f"{one['missed']} of {one['real']}",
                     one["missed"] <= 0.05 * one["real"]),
                 Aim("<= 5 % false interruptions (coughs, \"mhm\", own echo)", f"{one['false']} of {one['others']}",
                     one["false"] <= 0.05 * one["others"])]
    return aims


def conversation_tell(result: Result) -> str:
    names = ("endpoint", "recognition", "brain", "voice", "wire", "total")
    rows = [[engine, at_once, ms(one["ms"]["p50"]), ms(one["ms"]["p95"]),
             *(ms(one["parts"][name]["p50"]) for name in names)]
            for engine, runs in result["voice"].items() for at_once, one in runs.items()]
    text = ("From the end of the user's speech to the first audible sample at the client, over a websocket; the parts "
            "are the server's own (p50). Four at once are four people who ask within the same second. Beside each "
            "recogniser the two decoders of command mode are at work.\n\n"
            + table(["hearing", "at once", "p50, ms", "p95, ms", *names], rows))
    for engine, one in result["interruptions"].items():
        by_kind = {kind: [row for row in one["rows"] if row["kind"] == kind]
                   for kind in sorted({row["kind"] for row in one["rows"]})}
        rows = [[kind, len(found), sum(row["interrupted"] for row in found), sum(bool(row["resumed"]) for row in found),
                 ms(speech_turns_live.spread([pause for row in found for pause in row["pauses_ms"]])["p50"])]
                for kind, found in by_kind.items()]
        text += (f"\n\nSpeaking into a reply, heard by {engine}. A reply is held as soon as speech is noticed, and "
                 "goes on when it was none.\n\n"
                 + table(["what was heard", "cases", "interrupted", "held and resumed", "silent for, ms (p50)"], rows))
    return text
