"""The section on throughput: a network of Whisper-tiny's shape, alone and with many streams."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from aimass_stream.engines import faster_whisper
from aimass_stream.inference.device import CpuDevice
from aimass_stream.speech.words import HEARING_RATE, HearRequest

from ..aims import Aim
from ..servers import HERE, Subject
from . import corpus, generated, hearing
from .listeners import Ours
from .paced import Paced, step
from .section import NONE, Plot, Result, percent, seconds, table

WINDOWS = (2, 4, 6, 8, 10, 30)  # s
SESSIONS = (1, 2, 4, 8)
STEPS = (2, 30)  # s by which windows grow; 30: every window is a whole one
SECONDS = 40.0  # of one stream
LATER = 1.0  # s that words come later at the end than at the beginning, and more: the server does not keep up
LATEST = 5.0  # s behind, which 19 of 20 words of a server that keeps up are at most
REPEATS = 7


def run(quick: bool) -> Result:
    folder = HERE / "work" / "tiny-shape"
    parameters = generated.write(folder)
    device = CpuDevice()
    try:
        alone = passes(folder, device.threads, repeats=2 if quick else REPEATS)
    finally:
        device.close()
    length = 15.0 if quick else SECONDS
    result: Result = {"parameters": parameters, "rate": generated.RATE, "threads": device.threads, "windows": alone,
                      "seconds": length, "streams": {}}
    for seconds_of_step in STEPS:
        for count in SESSIONS[:: 2 if quick else 1]:
            streams = asyncio.run(corpus.spoken(count, length))
            figures = together(folder, seconds_of_step, streams)
            result["streams"].setdefault(str(seconds_of_step), {})[str(count)] = figures
            print(f"  {seconds_of_step:2} s steps, {count} sessions: {figures}", flush=True)
    return result


def passes(folder: Path, threads: int, *, repeats: int) -> list[dict[str, Any]]:
    """Of each length of a window: ms for features and encoder, for decoder and word times, and padded to 30 s."""
    device = CpuDevice(threads=threads)
    model = Paced(faster_whisper.entry("tiny-shape", folder), device)
    rows = []
    usual = faster_whisper.STEP / faster_whisper.FRAME_RATE
    try:
        for length in WINDOWS:
            request = HearRequest(_sound(length), language="en")
            row: dict[str, Any] = {"seconds": length, "tokens": round(generated.RATE * length)}
            for name, size in (("", usual), ("_padded", 30.0)):
                step(size)
                took = [_pass(model, request) for _ in range(repeats + 1)][1:]  # the first warms up
                row[f"encode{name}_ms"] = round(1000 * min(encoded for encoded, _ in took), 1)
                row[f"decode{name}_ms"] = round(1000 * min(decoded for _, decoded in took), 1)
            rows.append(row)
    finally:
        step(usual)
        model.close()
        device.close()
    return rows


def _sound(length: float) -> Any:
    return np.random.default_rng(3).normal(0, 0.05, round(length * HEARING_RATE)).astype(np.float32)


def _pass(model: Paced, request: HearRequest) -> tuple[float, float]:
    """s for features and encoder, and for decoder and word times."""
    begun = time.perf_counter()
    rows = [model._row(request)]
    encoded = model._encode(rows)
    np.asarray(encoded)  # waits until it is there
    middle = time.perf_counter()
    model._decode(rows, encoded, 0.0)
    return middle - begun, time.perf_counter() - middle


def together(folder: Path, step_seconds: float, streams: Sequence[corpus.Stream]) -> dict[str, Any]:
    """Streams at once in a server of its own, at wall-clock pace: how far behind its own time each word comes."""
    subject = Subject(f"ours-tiny-{step_seconds:g}", "AI Mass Stream", lambda port, *_: [
        sys.executable, "-m", "benchmarks.speech.paced", str(step_seconds), "serve", "--port", str(port)],
        "/v1/stream", lambda _: {})
    options = {"engine": "whisper", "model": str(folder), "language": "en"}
    contender = hearing.Contender(subject.name, subject.title, subject, Ours, options, path=subject.path)
    heard, cost = hearing.attended(contender, streams)
    return figures([(len(stream.audio) / HEARING_RATE, cast(Ours, listener)) for stream, listener in heard]) | cost


def figures(heard: Sequence[tuple[float, Ours]]) -> dict[str, Any]:
    """`heard`: s of each stream and its listener."""
    lags = sorted(lag for _, listener in heard for _, lag in listener.lags)
    early = [lag for length, listener in heard for end, lag in listener.lags if end < length / 3]
    late = [lag for length, listener in heard for end, lag in listener.lags if end >= length * 2 / 3]
    result: dict[str, Any] = {"words": len(lags), "p50": hearing.percentile(lags, 0.5),
                              "p95": hearing.percentile(lags, 0.95), "later": None, "keeps_up": False,
                              "failures": sum(len(listener.failures) for _, listener in heard)}
    if early and late:
        result["later"] = round(float(np.median(late) - np.median(early)), 3)
        result["keeps_up"] = bool(result["later"] <= LATER and result["p95"] <= LATEST and not result["failures"])
    return result


def tell(result: Result) -> str:
    rows: list[list[object]] = []
    for one in result["windows"]:
        whole, padded = one["encode_ms"] + one["decode_ms"], one["encode_padded_ms"] + one["decode_padded_ms"]
        rows.append([f"{one['seconds']:g}", one["tokens"], one["encode_ms"], one["decode_ms"],
                     percent(whole / 1000 / one["seconds"]), one["encode_padded_ms"], one["decode_padded_ms"],
                     percent(padded / 1000 / one["seconds"])])
    text = (f"A generated model of Whisper-tiny's shape, for throughput only, fixed tokens a second: random weights, "
            f"{result['parameters'] / 1e6:.1f} million parameters, int8, {result['rate']:g} tokens for every second of "
            f"sound whatever is said; its words mean nothing. One window alone on {result['threads']} thread(s), the "
            "least of several passes; encoding with the features before it, decoding with word times.\n\n"
            + table(["window, s", "tokens", "encode, ms", "decode, ms", "of real time", "encode in 30 s, ms",
                     "decode in 30 s, ms", "of real time in 30 s"], rows))
    rows = []
    for step_seconds, runs in result["streams"].items():
        for count, one in runs.items():
            later = NONE if one["later"] is None else f"{one['later']:+.2f}"
            rows.append([f"{step_seconds} s", count, "yes" if one["keeps_up"] else "**no**",
                         f"{seconds(one['p50'])} / {seconds(one['p95'])}", later, one["words"], one["cores"],
                         one["refused"]])
    return text + (
        f"\n\nThe same in our server, {result['seconds']:g} s of speech a stream at wall-clock pace; once with windows "
        "in steps of 2 s, as it comes, and once with each window padded to 30 s. How far a word is committed behind "
        f"the end that the model gives it; a server keeps up if its p95 is at most {LATEST:g} s and the words of the "
        f"last third of the streams come at most {LATER:g} s later than those of the first.\n\n"
        + table(["windows", "sessions", "keeps up", "behind p50 / p95, s", "last third against first, s", "words",
                 "cores", "refused"], rows))


def aims(result: Result) -> list[Aim]:
    """Nothing is promised for a model of this size; what was found stands in the tables."""
    return []


def plots(result: Result, folder: Path) -> list[Plot]:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(5.5, 3.4))
    for step_seconds, runs in result["streams"].items():
        many = [(int(count), one["p95"]) for count, one in runs.items() if one["p95"] is not None]
        if many:
            axes.plot(*zip(*many, strict=True), marker="o", label=f"windows in steps of {step_seconds} s")
    axes.set(xlabel="sessions", ylabel="p95, s", ylim=(0, None))
    axes.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(folder / "speech-throughput.svg", metadata={"Date": None})
    pyplot.close(figure)
    return [("speech-throughput.svg", "How far behind words are committed, with a model of Whisper-tiny's shape")]
