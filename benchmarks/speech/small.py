"""The small sections: the streaming transducer's throughput, and the end-of-turn hook."""

from __future__ import annotations

import importlib.util
from dataclasses import asdict

from .. import speech_turns
from ..aims import Aim
from .section import Result, percent, table

REAL_TIME = 8  # sessions that one core has to keep up with


def emformer(quick: bool) -> Result:
    if importlib.util.find_spec("torchaudio") is None:
        return {}
    from .. import speech_emformer  # needs torch

    return speech_emformer.measure(steps=10 if quick else speech_emformer.STEPS)


def emformer_aims(result: Result) -> list[Aim]:
    row = next((row for row in result.get("rows", []) if row["sessions"] == REAL_TIME), None)
    measured = f"{row['delay_p95_ms']} ms p95, {result['parameters'] / 1e6:.1f}M parameters" if row else "no torchaudio"
    return [Aim("emformer keeps 8 sessions in real time on one core at 18M parameters", measured,
                row["keeps_up"] if row else None)]


def emformer_tell(result: Result) -> str:
    if not result:
        return "torchaudio is not installed: not measured."
    rows = [[row["sessions"], row["step_ms"], row["of_real_time"], f"{row['delay_p50_ms']} / {row['delay_p95_ms']}",
             "yes" if row["keeps_up"] else "no"] for row in result["rows"]]
    return (f"Emformer RNN-T with generated weights, {result['parameters'] / 1e6:.1f} million parameters, one thread, "
            f"160 ms of sound a step. Its streaming equals its offline pass (tested); WER: *not measured*, there are "
            "no trained weights here.\n\n"
            + table(["sessions", "step, ms", "of real time", "delay p50 / p95, ms", "keeps up"], rows))


def turns(quick: bool) -> Result:
    result: Result = {}
    for name, lines in (("generated", speech_turns.generated(1000)), ("from books", speech_turns.prompts())):
        sentences = speech_turns.paused(lines) if lines else []
        for style, write in speech_turns.STYLES.items() if sentences else ():
            result[f"{name}, {style}"] = asdict(speech_turns.compared(sentences, write))
    return result


def turns_aims(result: Result) -> list[Aim]:
    return [Aim(f"end-of-turn hook: half the false cut-offs of plain silence at equal delay ({name})",
                f"{one['hook']} against {one['plain']} ({percent(one['hook'] / one['plain'])})",
                one["hook"] <= 0.5 * one["plain"]) for name, one in result.items()]


def turns_tell(result: Result) -> str:
    rows = [[name, one["pauses"], one["sentences"], f"{one['delay']:.2f}", one["hook"], one["plain"],
             percent(one["early"])] for name, one in result.items()]
    return ("Sentences with one or two pauses at random places. A pause as long as the silence that is waited for cuts "
            "the speaker off. Plain silence is given the mean delay of the hook. Texts, so that no recogniser's errors "
            "are in it; *written* has capitals and punctuation as Whisper writes, *bare* has neither.\n\n"
            + table(["sentences", "pauses", "of sentences", "delay, s", "cut-offs, hook", "cut-offs, plain",
                     "sentences ended early"], rows))
