"""What is answered for a recognised file, in the shapes of OpenAI's `response_format`."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import JSONResponse, PlainTextResponse, Response

from ..events import SpokenWord, TranscriptCommitted
from ..hearing.files import Segment
from ..speech.languages import name_of
from ..speech.transcript import UNSPACED, Transcript

FORMATS = ("json", "text", "srt", "verbose_json", "vtt")
GRANULARITIES = ("segment", "word")
MEDIA_TYPES = {"srt": "application/x-subrip", "vtt": "text/vtt", "text": "text/plain"}


def text_of(segments: Sequence[Segment]) -> str:
    language = segments[0].language if segments else ""
    return ("" if language in UNSPACED else " ").join(segment.text.strip() for segment in segments).strip()


def usage(seconds: float) -> dict[str, Any]:
    return {"type": "duration", "seconds": math.ceil(seconds)}


def body(form: str, segments: Sequence[Segment], *, seconds: float, task: str, temperature: float,
         granularities: Sequence[str], heard_by: Mapping[str, str]) -> dict[str, Any]:
    """"json" or "verbose_json"; which engine heard it is said in both, beside what OpenAI has."""
    brief: dict[str, Any] = {"text": text_of(segments), "usage": usage(seconds), **heard_by}
    if form == "json":
        return brief
    language = "en" if task == "translate" else segments[0].language if segments else ""
    verbose = brief | {"task": task, "language": name_of(language), "duration": round(seconds, 3)}
    if "segment" in granularities:
        verbose["segments"] = [_segment(number, each, temperature) for number, each in enumerate(segments)]
    if "word" in granularities:
        verbose["words"] = [{"word": word.text, "start": round(word.start, 3), "end": round(word.end, 3)}
                            | ({} if word.confidence is None else {"confidence": round(word.confidence, 3)})
                            for segment in segments for word in segment.words]
    return verbose


def subtitles(form: str, segments: Sequence[Segment]) -> str:
    """"srt", "vtt" or "text"."""
    if form == "text":
        return text_of(segments) + "\n"
    transcript = Transcript()
    for number, segment in enumerate(segments):
        words = [SpokenWord(text=word.text, start=word.start, end=word.end, confidence=word.confidence)
                 for word in segment.words] or [SpokenWord(text=segment.text, start=segment.start, end=segment.end)]
        transcript.add(TranscriptCommitted(utterance=str(number), text=segment.text, words=words, speaker="",
                                           engine=segment.engine, model=segment.model, language=segment.language,
                                           final=True))
    return transcript.srt() if form == "srt" else transcript.vtt()


def response(form: str, segments: Sequence[Segment], **around: Any) -> Response:
    if form in MEDIA_TYPES:
        return PlainTextResponse(subtitles(form, segments), media_type=MEDIA_TYPES[form])
    return JSONResponse(body(form, segments, **around))


def event(data: dict[str, Any]) -> str:
    """One server-sent event."""
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"


def _segment(number: int, segment: Segment, temperature: float) -> dict[str, Any]:
    """With every field that OpenAI's clients expect; null is what the engine doesn't tell."""
    text = segment.text.encode()
    return {"id": number, "seek": round(segment.start * 100), "start": round(segment.start, 3),
            "end": round(segment.end, 3), "text": segment.text, "tokens": [], "temperature": temperature,
            "avg_logprob": _rounded(segment.mean_log_probability), "no_speech_prob": _rounded(segment.no_speech),
            "compression_ratio": round(len(text) / len(zlib.compress(text)), 4)}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
