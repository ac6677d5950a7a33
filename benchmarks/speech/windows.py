"""What it costs in WER to hear windows in steps of 2 s instead of padded to 30 s, as Whisper was trained."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import jiwer
import numpy as np

from aimass_stream.engines import faster_whisper
from aimass_stream.inference.device import CpuDevice
from aimass_stream.speech.normal import normalise
from aimass_stream.speech.words import HearRequest

from . import corpus
from .corpus import KNOWN_VOICES, SENTENCES, VOICES, Clip
from .paced import step
from .section import percent, table

SOME = 6  # sentences, and clips of each set, of a quick run
WHOLE = 30.0  # s


def sets(quick: bool) -> dict[str, Sequence[Clip]]:
    sentences = SENTENCES[:SOME] if quick else SENTENCES
    seen = asyncio.run(corpus.read_alone(VOICES[:KNOWN_VOICES], sentences))
    found: dict[str, Sequence[Clip]] = {
        "espeak's voices heard in training, new sentences": seen,
        "espeak's voices never heard": asyncio.run(corpus.read_alone(VOICES[KNOWN_VOICES:], sentences)),
        "the first with white noise at 10 dB": corpus.noisy(seen),
        "the CC0 speaker, clips held out": corpus.kathleen()[: SOME if quick else None],
        "LibriVox, one reader, never heard": corpus.librivox_clips()}
    return {name: clips for name, clips in found.items() if clips}


def compared(folder: Path, quick: bool) -> list[dict[str, Any]]:
    """Of each set of clips the WER in steps, padded, and how many words that is of."""
    device = CpuDevice()
    model = faster_whisper.FasterWhisper(faster_whisper.entry("compared", folder), device)
    usual = faster_whisper.STEP / faster_whisper.FRAME_RATE
    rows = []
    try:
        for name, clips in sets(quick).items():
            wer = {}
            for size in (usual, WHOLE):
                step(size)
                wer[size] = error_rate(clips, [heard(model, clip) for clip in clips])
            words = sum(len(normalise(clip.text).split()) for clip in clips)
            rows.append({"clips": name, "words": words, "steps": round(wer[usual], 4), "whole": round(wer[WHOLE], 4)})
            print(f"  {name}: WER {wer[usual]:.1%}, in 30 s windows {wer[WHOLE]:.1%}", flush=True)
    finally:
        step(usual)
        model.close()
        device.close()
    return rows


def heard(model: faster_whisper.FasterWhisper, clip: Clip) -> str:
    row: Any = np.array([HearRequest(clip.audio, language="en")], object)
    return " ".join(word.text for word in model.run({"request": row})["hypothesis"][0].words)


def error_rate(clips: Iterable[Clip], texts: Iterable[str]) -> float:
    return float(jiwer.wer([normalise(clip.text) for clip in clips], [normalise(text) for text in texts]))


def tell(rows: Sequence[dict[str, Any]]) -> str:
    return ("What hearing only the sound there is costs: the same clips, one pass each, in windows as long as the "
            "sound in steps of 2 s, and padded to 30 s.\n\n"
            + table(["nano model", "words", "WER, steps of 2 s", "WER, 30 s", "difference, points"],
                    [[row["clips"], row["words"], percent(row["steps"]), percent(row["whole"]),
                      f"{100 * (row['steps'] - row['whole']):+.1f}"] for row in rows]))
