"""Recognition at a client: delays, errors and corrections of every server, engine and policy, by sessions."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import math
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aimass_stream.speech.words import HEARING_RATE

from ..servers import BIN, HERE, OURS, Server, Subject, install
from .corpus import Stream
from .delays import Scores, Update, score
from .listeners import Listener, Ours, WhisperLive, WhisperLiveKit

# nobody is turned away before the figures show why, and nothing is looked for on a network
ENVIRONMENT = {"AIMASS_MAX_LISTENERS": "64", "AIMASS_MAX_LOAD": "1", "AIMASS_MAX_LOOP_LAG": "10",
               "AIMASS_FETCH": "false", "HF_HUB_OFFLINE": "1"}
MODEL = HERE.parent / "models" / "asr-nano-en"


@dataclasses.dataclass(frozen=True)
class Contender:
    """A server with one way of hearing."""

    name: str
    title: str
    subject: Subject
    listener: type[Listener]
    options: dict[str, Any]
    scheme: str = "ws"
    path: str = ""
    warm: bool = True  # one stream first, which is not counted


def contenders() -> list[Contender]:
    def ours(name: str, title: str, **options: Any) -> Contender:
        subject = Subject(OURS, "AI Mass Stream",
                          lambda port, *_: [sys.executable, "-m", "aimass_stream", "serve", "--port", str(port)],
                          "/v1/stream", lambda _: {})
        return Contender(name, title, subject, Ours, options, path="/v1/stream")

    nano = {"engine": "whisper", "model": "asr-nano-en", "language": "en"}
    kit = {policy: _peer("whisperlivekit", f"wlk-{policy}", lambda python, port, policy=policy: [
        str(python.parent / "whisperlivekit-server"), "--host", "127.0.0.1", "--port", str(port), "--pcm-input",
        "--model", str(MODEL), "--backend", "faster-whisper", "--backend-policy", policy, "--lan", "en",
        "--log-level", "WARNING"]) for policy in ("localagreement",)}
    live = _peer("whisperlive", "whisperlive", lambda python, port: [
        str(python), str(HERE / "peers" / "whisperlive" / "server.py"), "--port", str(port), "--model", str(MODEL)])
    return [
        ours("ours-alignment", "AI Mass Stream, whisper, alignment", **nano, policy="alignment"),
        ours("ours-agreement", "AI Mass Stream, whisper, local agreement", **nano, policy="local_agreement"),
        ours("ours-pocketsphinx", "AI Mass Stream, pocketsphinx", engine="pocketsphinx"),
        Contender("whisperlivekit", "WhisperLiveKit, local agreement", kit["localagreement"], WhisperLiveKit, {}),
        Contender("whisperlive", "WhisperLive", live, WhisperLive, {}),
    ]


def _peer(folder: str, name: str, command: Any) -> Subject:
    python = HERE / ".venvs" / folder / "bin" / "python"
    return Subject(name, name, lambda port, *_: command(python, port), "", lambda _: {})


def run(contender: Contender, streams: Sequence[Stream], *, seed: int = 1) -> dict[str, Any]:
    """One run of a server of its own; sessions start within two seconds of each other."""
    heard, cost = attended(contender, streams, seed=seed)
    return summary([stream for stream, _ in heard], [listener.updates for _, listener in heard]) | cost


def attended(contender: Contender, streams: Sequence[Stream], *,
             seed: int = 1) -> tuple[list[tuple[Stream, Listener]], dict[str, Any]]:
    """The streams that were taken with what their clients were shown, and what that cost the server."""
    server = Server(contender.subject, environment=ENVIRONMENT, core=None, watch=True)
    try:
        url = f"{contender.scheme}://127.0.0.1:{server.port}{contender.path}"
        if contender.warm:
            asyncio.run(_warm(contender, url, streams[0]))
        before = server.usage()
        heard = asyncio.run(_all(contender, url, streams, seed))
        after = server.usage()
    finally:
        server.stop()
    return heard, {"cores": round((after.cpu - before.cpu) / (after.at - before.at), 3),
                   "memory_mib": round(after.pss / 2**20), "refused": len(streams) - len(heard)}


async def _warm(contender: Contender, url: str, stream: Stream) -> None:
    await contender.listener(url, contender.options).listen(stream.audio[: 5 * HEARING_RATE])


async def _all(contender: Contender, url: str, streams: Sequence[Stream],
               seed: int) -> list[tuple[Stream, Listener]]:
    rng = random.Random(seed)

    async def one(stream: Stream, wait: float) -> tuple[Stream, Listener]:
        await asyncio.sleep(wait)
        listener = contender.listener(url, contender.options)
        await listener.listen(stream.audio)
        return stream, listener

    waits = [rng.uniform(0, 2) for _ in streams]
    answers = await asyncio.gather(*(one(*pair) for pair in zip(streams, waits, strict=True)), return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            print(f"    a stream was not taken: {answer!r}")
    return [answer for answer in answers if not isinstance(answer, BaseException)]


def summary(streams: Sequence[Stream], shown: Sequence[Sequence[Update]]) -> dict[str, Any]:
    total = Scores()
    for stream, updates in zip(streams, shown, strict=True):
        total.add(score(stream.words, updates, stream.ends))
    result: dict[str, Any] = {
        "sessions": len(streams), "words": total.words, "wer": round(total.wer, 4),
        "corrections": round(total.corrections, 3), "delays": [round(delay, 3) for delay in sorted(total.delays)],
        "final_p50": percentile(total.finals, 0.5), "final_p95": percentile(total.finals, 0.95),
        "longform": longform(streams, shown),
    }
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99)):
        result[name] = percentile(total.delays, share)
    return result


def percentile(values: Sequence[float], share: float) -> float | None:
    if not values:
        return None
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 3)


def longform(streams: Sequence[Stream], shown: Sequence[Sequence[Update]]) -> int | None:
    """OmniSTEval's LongYAAL in ms, computation-aware; None where the tool is not installed or nothing was heard."""
    program = HERE / ".venvs" / "omnisteval" / "bin" / "omnisteval"
    if not program.exists():
        return None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines, segments, sentences = [], [], []
        for number, (stream, updates) in enumerate(zip(streams, shown, strict=True)):
            words, moments = _emissions(updates)
            if not words:
                continue
            length = len(stream.audio) / 16
            lines.append(json.dumps({
                "index": number, "source": [f"{number}.wav"], "source_length": length, "prediction": " ".join(words),
                "delays": [min(moment * 1000, length) for moment in moments],
                "elapsed": [moment * 1000 for moment in moments]}))
            begin = 0.0
            for end, sentence in zip(stream.ends, stream.sentences, strict=True):
                segments.append({"wav": f"{number}.wav", "offset": round(begin, 3), "duration": round(end - begin, 3)})
                sentences.append(sentence)
                begin = end
        if not lines:
            return None
        (folder / "hypothesis.jsonl").write_text("\n".join(lines) + "\n")
        (folder / "segments.json").write_text(json.dumps(segments))
        (folder / "sentences.txt").write_text("\n".join(sentences) + "\n")
        done = subprocess.run(
            [program, "longform", "--speech_segmentation", folder / "segments.json", "--ref_sentences_file",
             folder / "sentences.txt", "--hypothesis_file", folder / "hypothesis.jsonl", "--lang", "en",
             "--word_level", "--no_quality", "--output_folder", folder / "out"],
            capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"    omnisteval: {done.stderr.strip().splitlines()[-1:]}")
            return None
        scores = dict(line.split("\t") for line in (folder / "out" / "scores.tsv").read_text().splitlines())
        return whole(scores["LongYAAL (CA)"])


def whole(score: str) -> int | None:
    """The tool's figure; it says "nan" where no word could be given to any sentence."""
    value = float(score)
    return round(value) if math.isfinite(value) else None


def _emissions(updates: Sequence[Update]) -> tuple[list[str], list[float]]:
    """Committed words in the order and at the times they came; a server that takes some back keeps their times."""
    words: list[str] = []
    moments: list[float] = []
    for update in updates:
        now = update.committed.split()
        moments = moments[: len(now)] + [update.at] * (len(now) - len(moments))
        words = now
    return words, moments


def prepare() -> None:
    """Make the environments of the peers and of the latency tool."""
    for name in ("whisperlivekit", "whisperlive", "omnisteval"):
        install(name)
    peer = HERE / "peers" / "whisperlive" / "alone.txt"  # its own server without its client's dependencies
    subprocess.run([str(BIN / "uv"), "pip", "install", "--quiet", "--no-deps", "--requirement", str(peer),
                    "--python", str(HERE / ".venvs" / "whisperlive" / "bin" / "python")], check=True)
