"""The section on detectors with weights: as exact as a plain loop on the same file, and as quick with four streams."""

from __future__ import annotations

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import qrcode
import uvloop

from aimass_stream import clips
from aimass_stream.frames import Pixels, VideoFrame
from aimass_stream.inference import FolderStore, installed
from aimass_stream.weights import npm
from aimass_stream.workers import Workers

from ..aims import Aim
from ..figures import percentiles
from ..speech.section import NONE, Plot, Result, ms, percent, table
from . import precision, scenes, shelf
from .labelled import MISSING, PERSON, Labelled, labelled
from .offline import Around, engine, frame, staged
from .precision import Guess
from .steady import QUALITY

THRESHOLD, OVERLAP = 0.05, 0.45  # for both: candidates from so sure on, merged where they share more than that
NEAR = 0.005  # of AP50
STREAMS = 4
BUSY = 0.6  # of what the loop can do, at which delays are compared
TURNS = 4  # ours and the loop take turns: what else happens on the machine happens to both
SOME, KEPT = 12, 16  # pictures of a quick run; of a stream

Guesses = Mapping[str, Sequence[Guess]]  # by label


def run(quick: bool) -> Result:
    result: Result = {"models": {}, "absent": {}, "pictures": 0}
    data = labelled()
    if data is None:
        result["absent"]["labelled pictures"] = MISSING
        return result
    data = data.first(SOME) if quick else data
    result["pictures"] = len(data.pictures)
    store = shelf.shelved()
    for public in shelf.PUBLIC:
        if reason := shelf.missing(public):
            result["absent"][public.title] = reason
            continue
        one = uvloop.run(_measured(store, public, data, 1.5 if quick else 6.0))  # the server's own loop
        result["models"][public.name] = one
        print(f"  {public.title}: {one}", flush=True)
    return result


async def _measured(store: FolderStore, public: shelf.Public, data: Labelled, seconds: float) -> Result:
    plain = public.loop(OVERLAP)
    streamed = [data.read(name) for name in list(data.pictures)[:KEPT]]
    with Workers(STREAMS, "streams") as threads:  # such as sessions have
        async with engine(store) as made, AsyncExitStack() as stack:
            stages = [await stack.enter_async_context(staged(
                "detect", Around(made, f"stream {number}", threads), engine="onnx", model=public.name, overlap=OVERLAP,
                threshold=THRESHOLD, follow=False, overlay=False, deadline=5000)) for number in range(STREAMS)]
            ours = precise(public, await _ours(stages[0], data), data)
            loop = precise(public, await asyncio.to_thread(_theirs, plain, public, data), data)
            rates: list[tuple[float, float]] = []
            delays: list[float] = []
            loop_delays: list[float] = []
            for _ in range(TURNS):
                rates.append((await _throughput(stages, streamed, seconds / TURNS),
                              await asyncio.to_thread(_loop_throughput, plain, streamed, seconds / TURNS)))
            per_s, loop_per_s = (round(float(each), 1) for each in np.mean(rates, axis=0))
            rate = BUSY * loop_per_s / STREAMS
            for _ in range(TURNS):
                delays += await _paced(stages, streamed, rate, seconds / TURNS)
                loop_delays += await asyncio.to_thread(_loop_paced, plain, streamed, rate, seconds / TURNS)
    return {"title": public.title, "faces": public.faces, "ap": ours, "loop_ap": loop, "per_s": per_s,
            "loop_per_s": loop_per_s, "rate": round(rate, 1), "ms": percentiles(np.array(delays)),
            "loop_ms": percentiles(np.array(loop_delays))}


# how exact --------------------------------------------------------------------------------------------


async def _ours(stage: Any, data: Labelled) -> Guesses:
    found: dict[str, list[Guess]] = defaultdict(list)
    for name in data.pictures:
        for one in await detections(stage, data.read(name)):
            x, y, width, height = one["box"]
            found[one["label"]].append(Guess(name, one["score"], (x, y, x + width, y + height)))
    return found


async def detections(stage: Any, picture: Pixels) -> list[dict[str, Any]]:
    """What the stage `detect` notes of (h, w, 3) BGR."""
    answer: VideoFrame = await stage.process(frame(picture))
    told: list[dict[str, Any]] = answer.notes["detect"]["detections"]
    return told


def _theirs(loop: Any, public: shelf.Public, data: Labelled) -> Guesses:
    found: dict[str, list[Guess]] = defaultdict(list)
    for name in data.pictures:
        for number, score, box in loop(data.read(name), THRESHOLD):
            found[public.labels[number]].append(Guess(name, score, box))
    return found


def precise(public: shelf.Public, found: Guesses, data: Labelled) -> float:
    """AP50, the mean over the classes in the pictures; of faces, which nobody labelled, AP by people's boxes."""
    if public.faces:
        people = data.truths[PERSON]
        verdicts = precision.judged(found.get("face", ()), people, precision.inside)
        return round(precision.average_precision(verdicts, precision.wanted(people)), 4)
    return round(float(np.mean(list(precision.ap50(found, data.truths).values()))), 4)


# how quick --------------------------------------------------------------------------------------------


async def _throughput(stages: Sequence[Any], pictures: Sequence[Pixels], seconds: float) -> float:
    """Pictures/s of all streams, each of which gives the next as soon as it has an answer."""
    until = time.monotonic() + seconds

    async def stream(stage: Any) -> int:
        count = 0
        while time.monotonic() < until:
            await stage.process(frame(pictures[count % len(pictures)]))
            count += 1
        return count

    begun = time.monotonic()
    counts = await asyncio.gather(*(stream(stage) for stage in stages))
    return round(sum(counts) / (time.monotonic() - begun), 1)


def _loop_throughput(loop: Any, pictures: Sequence[Pixels], seconds: float) -> float:
    loop(pictures[0], THRESHOLD)  # the first one warms up
    begun, count = time.monotonic(), 0
    while time.monotonic() - begun < seconds:
        loop(pictures[count % len(pictures)], THRESHOLD)
        count += 1
    return round(count / (time.monotonic() - begun), 1)


async def _paced(stages: Sequence[Any], pictures: Sequence[Pixels], rate: float, seconds: float) -> list[float]:
    """s from a picture's arrival to its answer; the cameras of all streams are in step, and only the newest counts."""
    begun = time.monotonic() + 0.1
    delays: list[float] = []

    async def stream(stage: Any) -> None:
        number = 0
        while (arrival := begun + number / rate) < begun + seconds:
            await asyncio.sleep(arrival - time.monotonic())
            await stage.process(frame(pictures[number % len(pictures)]))
            delays.append(time.monotonic() - arrival)
            number = _next(number, begun, rate)

    await asyncio.gather(*(stream(stage) for stage in stages))
    return delays


def _loop_paced(loop: Any, pictures: Sequence[Pixels], rate: float, seconds: float) -> list[float]:
    """The same for one loop, which takes what has waited longest."""
    begun = time.monotonic() + 0.1
    delays: list[float] = []
    numbers = [0] * STREAMS
    while (number := min(numbers)) / rate < seconds:
        stream = numbers.index(number)
        arrival = begun + number / rate
        time.sleep(max(0.0, arrival - time.monotonic()))
        loop(pictures[number % len(pictures)], THRESHOLD)
        delays.append(time.monotonic() - arrival)
        numbers[stream] = _next(number, begun, rate)
    return delays


def _next(number: int, begun: float, rate: float) -> int:
    """The picture after this one, or the newest that is there by now."""
    return max(number + 1, math.floor((time.monotonic() - begun) * rate))


# what is told -----------------------------------------------------------------------------------------


def aims(result: Result) -> list[Aim]:
    found = [Aim("detection as exact as the plain loop, throughput at least its, p95 lower", f"{what}: {reason}", None)
             for what, reason in result["absent"].items()]
    for one in result["models"].values():
        title, kind = one["title"], "AP by people's boxes" if one["faces"] else "AP50"
        found += [Aim(f"{title}: {kind} equal to the plain loop's within 0.5 points",
                      f"{percent(one['ap'])} against {percent(one['loop_ap'])}",
                      abs(one["ap"] - one["loop_ap"]) <= NEAR),
                  Aim(f"{title}, {STREAMS} streams: throughput at least the loop's",
                      f"{one['per_s']:g}/s against {one['loop_per_s']:g}/s", one["per_s"] >= one["loop_per_s"]),
                  Aim(f"{title}, {STREAMS} streams: p95 lower than the loop's",
                      f"{ms(one['ms']['p95'])} against {ms(one['loop_ms']['p95'])} ms",
                      one["ms"]["p95"] < one["loop_ms"]["p95"])]
    return found


def tell(result: Result) -> str:
    rows = [[one["title"], percent(one["ap"]), percent(one["loop_ap"]), one["per_s"], one["loop_per_s"],
             f"{STREAMS} x {one['rate']}", f"{ms(one['ms']['p50'])} / {ms(one['ms']['p95'])}",
             f"{ms(one['loop_ms']['p50'])} / {ms(one['loop_ms']['p95'])}"] for one in result["models"].values()]
    text = ("The stage `detect` with public weights, beside a plain loop of OpenCV, NumPy and onnxruntime (all cores, "
            f"no spinning threads) on the same files; both take what is surer than {THRESHOLD:g} and merge from an "
            f"overlap of {OVERLAP:g} on. {result['pictures']} photographs of PASCAL VOC. AP50: area under all points "
            "of the curve as in VOC from 2010 on, mean over the classes there are, difficult boxes left out. Nobody "
            "labelled faces: for those finders a face is right if its middle lies in the box of somebody without one, "
            "so that people seen from behind are missed by everyone. Throughput: each of "
            f"{STREAMS} streams gives the next picture as soon as it has an answer. Delay: cameras in step, together "
            f"{BUSY:.0%} of what the loop can do; a picture counts from its arrival.\n\n"
            + table(["detector", "AP", "AP, loop", "pictures/s", "pictures/s, loop", "cameras, pictures/s",
                     "p50 / p95, ms", "p50 / p95, loop, ms"], rows or [[NONE] * 8]))
    for what, reason in result["absent"].items():
        text += f"\n\nNot measured: {what} ({reason})."
    return text


def plots(result: Result, folder: Path) -> list[Plot]:
    """A drawn scene as the stage shows it, with what needs no weights."""
    picture = asyncio.run(_scene())
    if not cv2.imwrite(str(folder / "vision-detections.jpg"), picture, QUALITY):
        return []
    return [("vision-detections.jpg", "Drawn people and a code, as the stage detect shows them without any weights")]


async def _scene() -> Pixels:
    picture = scenes.person(scenes.person(clips.draw(40, 640, 480), 190, 220, 70), 430, 260, 42)
    sign = _code("exit 7")
    picture[40 : 40 + sign.shape[0], 500 : 500 + sign.shape[1]] = sign
    seen = frame(picture)
    async with engine() as made:
        for model in (faces_model(), "opencv-codes"):
            async with staged("detect", Around(made), model=model, deadline=5000) as stage:
                seen = await stage.process(seen)
    return seen.bgr


def faces_model() -> str:
    """MediaPipe's full-range faces, or without npm the cascade."""
    wanted = installed().get("mediapipe-faces").npm
    return "mediapipe-faces" if wanted is not None and npm.installed(wanted.package) else "opencv-faces"


def _code(text: str, module: int = 4) -> Pixels:
    """(h, w, 3)"""
    made = qrcode.QRCode(box_size=module)
    made.add_data(text)
    made.make()
    grey = np.kron(~np.array(made.get_matrix()), np.ones((module, module), bool)).astype(np.uint8) * 255
    return np.repeat(grey[..., None], 3, axis=2)
