"""Whisper on CTranslate2: requests with a piece of sound in, hypotheses with word times out.

Radford et al., *Robust Speech Recognition via Large-Scale Weak Supervision* (arXiv:2212.04356). The network is
CTranslate2's, mel filters and tokens are faster-whisper's. Only the sound there is gets encoded, in windows that
grow by `STEP` seconds, instead of always 30: ten seconds cost a seventh of thirty. Words are timed by the
cross-attention of the model's alignment heads (CTranslate2's `align`).
"""

from __future__ import annotations

import json
import logging
import zlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import ctranslate2
import numpy as np
import tokenizers
from faster_whisper.feature_extractor import FeatureExtractor
from faster_whisper.tokenizer import _LANGUAGE_CODES, Tokenizer
from faster_whisper.utils import _MODELS
from huggingface_hub import try_to_load_from_cache
from numpy.typing import NDArray

from ..errors import InvalidInput
from ..inference.contract import Batch, Capabilities, TensorSpec
from ..inference.device import Device
from ..inference.loader import Entry
from ..speech.log_mel import WINDOW, log_mel
from ..speech.timing import tightened
from ..speech.transcript import UNSPACED
from ..speech.words import HEARING_RATE, HearRequest, Hypothesis, Waveform, Word

log = logging.getLogger(__name__)

Mel: TypeAlias = NDArray[np.float32]  # (bands, frames)
Key: TypeAlias = tuple[Any, ...]

FILES = ("model.bin", "config.json", "tokenizer.json")
STEP = 200  # frames (2 s): windows are a multiple of it
FRAMES = 3000  # 30 s: the longest window, which is what Whisper's positions reach
FRAME_RATE = 100  # mel frames a second
TOKEN_RATE = 50  # encoder frames a second, and time tokens
MAX_TOKENS = 448  # of prompt and answer together
MAX_PROMPT = 96  # tokens of what was said before: more slows every pass and adds little
TOKENS_A_SECOND = 12  # no voice speaks faster than this; what goes on longer is a loop
WARMER = (0.3, 0.6, 0.9)  # temperatures tried in turn after a poor answer
POOR_COMPRESSION = 2.4  # text that zlib shrinks this far goes in circles (Radford et al., section 4.5)
POOR_LOG_PROBABILITY = -1.0
MAX_BATCH = 8
EXAMPLE = HearRequest(np.random.default_rng(1).normal(0, 0.05, 4 * HEARING_RATE).astype(np.float32), language="en")
ENGLISH = ("en",)
EMPTY = ""  # the token that vocabularies for several languages have and English ones don't, as CTranslate2 takes it


@dataclass(slots=True)
class _Row:
    """A request on its way through the model."""

    request: HearRequest
    mel: Mel
    language: str
    sure: float  # probability of the language
    before: list[int]  # tokens up to the start of the transcript
    start: list[int]  # start of the transcript, language, task, and whether time tokens follow
    prefix: list[int]  # tokens that the answer continues; CTranslate2 gives them back with it

    @property
    def prompt(self) -> list[int]:
        return [*self.before, *self.start, *self.prefix]


class FasterWhisper:
    """A directory as faster-whisper's converter makes it. Rows go in together if warm-up finds that it pays."""

    inputs: tuple[TensorSpec, ...] = (TensorSpec("request", (None,), "object", "HearRequest"),)
    outputs: tuple[TensorSpec, ...] = (TensorSpec("hypothesis", (None,), "object", "Hypothesis"),)
    capabilities = Capabilities(batchable=True, max_batch=MAX_BATCH, longest=900)  # minutes of a large model

    def __init__(self, entry: Entry, device: Device) -> None:
        """Raises `InvalidInput` when a file is missing or is none of Whisper's."""
        self.name, self.version = entry.name, entry.version
        check(entry.folder)
        self._model = _open(entry.folder, device)
        self._tokens = _tokens(entry.folder)
        self._filters = FeatureExtractor.get_mel_filters(HEARING_RATE, WINDOW, n_mels=self._model.n_mels)
        self._filters = self._filters.astype(np.float32)
        self.multilingual = bool(self._model.is_multilingual)
        self.languages = _spoken(self._tokens.token_to_id) if self.multilingual else ENGLISH
        self._tokenizers: dict[tuple[str, str], Tokenizer] = {}
        tokenizer = self._tokenizer("en", "transcribe")
        # captions of noises and stray signs are no words; neither are the special tokens
        self._silent = sorted({*tokenizer.non_speech_tokens, *(
            token for token in (tokenizer.transcribe, tokenizer.translate, tokenizer.sot, tokenizer.sot_prev,
                                tokenizer.sot_lm, tokenizer.no_speech) if token is not None)})

    def warm_up(self) -> None:
        self.run({"request": np.array([EXAMPLE], object)})

    def run(self, batch: Batch) -> Batch:
        """Raises `InvalidInput` for sound over 30 s and for languages and tasks that the model does not know."""
        requests = [_request(row) for row in batch["request"]]
        hypotheses: list[Hypothesis] = [Hypothesis((), "")] * len(requests)
        groups: dict[Key, list[int]] = defaultdict(list)
        rows = [self._row(request) for request in requests]
        for index, row in enumerate(rows):
            groups[_key(row)].append(index)
        for indices in groups.values():
            for index, hypothesis in zip(indices, self._hear([rows[index] for index in indices]), strict=True):
                hypotheses[index] = hypothesis
        answer = np.empty(len(hypotheses), object)
        answer[:] = hypotheses
        return {"hypothesis": answer}

    def reset(self, slot: int) -> None:
        """There is no state to forget."""

    def close(self) -> None:
        self._model.unload_model()

    # one request -----------------------------------------------------------------------------------

    def _row(self, request: HearRequest) -> _Row:
        language = request.language or ("" if self.multilingual else "en")
        if language and language not in self.languages:
            raise InvalidInput(f"{self.name} does not know the language {language[:16]!r}; it hears "
                               f"{', '.join(self.languages)}", field="language")
        if request.task == "translate" and not self.multilingual:
            raise InvalidInput(f"{self.name} hears English only and so translates nothing", field="task")
        row = _Row(request, self._mel(request.audio), language, 1.0, [], [], [])
        if language:
            self._prompt(row)
        return row

    def _prompt(self, row: _Row) -> None:
        """Write the tokens that come before the answer, once the language is known."""
        request, tokenizer = row.request, self._tokenizer(row.language, row.request.task)
        known = " ".join(part for part in (request.hotwords.strip(), request.prompt.strip()) if part)
        if known:
            row.before = [tokenizer.sot_prev, *tokenizer.encode(" " + known)[-MAX_PROMPT:]]
        row.start = [*tokenizer.sot_sequence, *([tokenizer.no_timestamps] if request.word_times else [])]
        if request.prefix.strip():
            first = [] if request.word_times else [tokenizer.timestamp_begin]
            row.prefix = [*first, *tokenizer.encode(_led(request.prefix, row.language))]

    def _mel(self, audio: Waveform) -> Mel:
        """(bands, frames) of the sound alone."""
        if len(audio) > FRAMES * HEARING_RATE // FRAME_RATE:
            raise InvalidInput(f"{len(audio) / HEARING_RATE:.1f} s of sound are more than the 30 s that a window holds",
                               field="request")
        if len(audio) < HEARING_RATE // 10:  # too short for the window of the spectrum
            audio = np.pad(audio, (0, HEARING_RATE // 10 - len(audio)))
        return log_mel(np.clip(np.nan_to_num(audio), -1, 1), self._filters)

    def _tokenizer(self, language: str, task: str) -> Tokenizer:
        key = (language, task)
        if key not in self._tokenizers:
            self._tokenizers[key] = Tokenizer(self._tokens, self.multilingual, task, language)
        return self._tokenizers[key]

    # a group of rows that can go in together ---------------------------------------------------------

    def _hear(self, rows: list[_Row]) -> list[Hypothesis]:
        encoded = self._encode(rows)
        if not rows[0].language:
            for row, found in zip(rows, self._model.detect_language(encoded), strict=True):
                row.language, row.sure = found[0][0][2:-2], float(found[0][1])
                self._prompt(row)
            if len({_key(row) for row in rows}) > 1:  # their prompts differ now, so they can't be decoded together
                return [hypothesis for row in rows for hypothesis in self._hear([row])]
        hypotheses = self._decode(rows, encoded, rows[0].request.temperature)
        for index, row in enumerate(rows):
            for temperature in WARMER[: row.request.retries]:
                if not _poor(hypotheses[index]):
                    break
                again = self._decode([row], self._encode([row]), temperature)[0]
                hypotheses[index] = max(again, hypotheses[index], key=_worth)
        return hypotheses

    def _encode(self, rows: list[_Row]) -> Any:
        """Of all rows, padded with empty features to the longest and to whole steps: (n, frames / 2, width)."""
        longest = max(row.mel.shape[1] for row in rows)
        window = np.zeros((len(rows), rows[0].mel.shape[0], min(-(-longest // STEP) * STEP, FRAMES)), np.float32)
        for index, row in enumerate(rows):
            window[index, :, : row.mel.shape[1]] = row.mel[:, : window.shape[2]]
        return self._model.encode(ctranslate2.StorageView.from_array(window))

    def _decode(self, rows: list[_Row], encoded: Any, temperature: float) -> list[Hypothesis]:
        request = rows[0].request
        prefix = len(rows[0].prefix)
        limit = min(MAX_TOKENS // 2 - 1, self._longest(prefix, max(row.mel.shape[1] for row in rows) / FRAME_RATE))
        results = self._model.generate(
            encoded, [row.prompt for row in rows], beam_size=1 if temperature else request.beam,
            # half of it is for prefix and answer, and no more than the tokens before them leave
            max_length=max(2 * limit, len(rows[0].before) + len(rows[0].start) + limit),
            return_scores=True, return_no_speech_prob=True, suppress_tokens=self._silent,
            suppress_blank=not prefix,  # else something would have to follow a prefix that says it all
            sampling_temperature=temperature or 1.0, sampling_topk=0 if temperature else 1)
        said = [list(result.sequences_ids[0])[prefix:] for result in results]
        words = self._timed(rows, encoded, said) if request.word_times else [()] * len(rows)
        return [self._hypothesis(row, result, tokens, timed)
                for row, result, tokens, timed in zip(rows, results, said, words, strict=True)]

    def _longest(self, prefix: int, seconds: float) -> int:
        """Tokens of prefix and answer after which decoding is broken off."""
        return 16 + prefix + round(TOKENS_A_SECOND * seconds)

    def _hypothesis(self, row: _Row, result: Any, said: list[int], words: tuple[Word, ...]) -> Hypothesis:
        tokenizer = self._tokenizer(row.language, row.request.task)
        seconds = len(row.request.audio) / HEARING_RATE
        segments = () if row.request.word_times else _segments(tokenizer, said, seconds)
        # the score is a mean over prefix and answer; the prefix adds nothing to the sum, the end token does
        mean = result.scores[0] * len(result.sequences_ids[0]) / (len(said) + 1)
        return Hypothesis(words, tokenizer.decode(said).strip(), row.language, row.sure, float(result.no_speech_prob),
                          float(mean), segments)

    def _timed(self, rows: list[_Row], encoded: Any, said: list[list[int]]) -> list[tuple[Word, ...]]:
        """The words of each answer, without its prefix, timed by where the alignment heads looked."""
        tokenizer = self._tokenizer(rows[0].language, rows[0].request.task)
        texts = [[token for token in (*row.prefix, *tokens) if token < tokenizer.eot]
                 for row, tokens in zip(rows, said, strict=True)]
        if not any(texts):
            return [() for _ in rows]
        frames = [max(2, row.mel.shape[1]) for row in rows]
        aligned = self._model.align(encoded, tokenizer.sot_sequence, texts, frames)
        words = [_words(tokenizer, text, len(text) - sum(token < tokenizer.eot for token in tokens), result)
                 for text, tokens, result in zip(texts, said, aligned, strict=True)]
        return [tightened(timed, row.request.audio) for timed, row in zip(words, rows, strict=True)]


def _request(row: object) -> HearRequest:
    if isinstance(row, HearRequest):
        return row
    if isinstance(row, int):  # the engine measures with rows that say nothing
        return EXAMPLE
    raise InvalidInput(f"a row of 'request' is a HearRequest, not {type(row).__name__}", field="request")


def _key(row: _Row) -> Key:
    """Equal for rows that can go through the network together."""
    request = row.request
    return (row.language, request.task, request.word_times, request.beam, request.temperature, len(row.before),
            len(row.prefix))


def _led(text: str, language: str) -> str:
    """As it stands inside a line: with the blank before it that makes it a word of its own."""
    text = text.strip()
    return text if not text or language in UNSPACED else " " + text


def _words(tokenizer: Tokenizer, text: list[int], skip: int, aligned: Any) -> tuple[Word, ...]:
    """Words of the tokens after the first `skip`. What goes on a skipped word is no word of its own and left out."""
    jumps: dict[int, int] = {}  # token -> encoder frame where attention comes to it
    last = 0
    for token, frame in aligned.alignments:
        jumps.setdefault(token, frame)
        last = frame
    words = []
    for first, end in _split(tokenizer, text):
        if first < skip:
            continue
        begin = jumps.get(first, last) / TOKEN_RATE
        until = jumps.get(end, last + 1) / TOKEN_RATE
        probabilities = aligned.text_token_probs[first:end]
        confidence = float(np.mean(probabilities)) if len(probabilities) else None
        written = tokenizer.decode(text[first:end]).strip()
        if written:
            words.append(Word(written, begin, max(begin, until), confidence))
    return tuple(words)


def _split(tokenizer: Tokenizer, text: list[int]) -> list[tuple[int, int]]:
    """First and behind-last token of every word: from blank to blank, or every character where none are written."""
    pieces, tokens = tokenizer.split_tokens_on_unicode(text)
    spans: list[tuple[int, int]] = []
    at = 0
    for piece, part in zip(pieces, tokens, strict=True):
        new = not spans or tokenizer.language_code in UNSPACED or piece.startswith(" ")
        if new:
            spans.append((at, at + len(part)))
        else:
            spans[-1] = (spans[-1][0], at + len(part))
        at += len(part)
    return spans


def _segments(tokenizer: Tokenizer, said: Sequence[int], seconds: float) -> tuple[tuple[float, float, str], ...]:
    """What stands between time tokens; the last may lack its end."""
    segments: list[tuple[float, float, str]] = []
    begin, text = 0.0, list[int]()
    for token in said:
        if token < tokenizer.eot:
            text.append(token)
        elif token >= tokenizer.timestamp_begin:
            moment = min((token - tokenizer.timestamp_begin) / TOKEN_RATE, seconds)
            if text:
                segments.append((begin, max(begin, moment), tokenizer.decode(text).strip()))
                text = []
            begin = moment
    if text:
        segments.append((begin, max(begin, seconds), tokenizer.decode(text).strip()))
    return tuple(segments)


def compression(text: str) -> float:
    """How many times smaller zlib makes it."""
    data = text.encode()
    return len(data) / len(zlib.compress(data)) if data else 1.0


def _poor(heard: Hypothesis) -> bool:
    if heard.no_speech > 0.6 and heard.mean_log_probability < POOR_LOG_PROBABILITY:
        return False  # nobody speaks: nothing better comes of trying again
    return compression(heard.text) > POOR_COMPRESSION or heard.mean_log_probability < POOR_LOG_PROBABILITY


def _worth(heard: Hypothesis) -> tuple[bool, float]:
    return compression(heard.text) <= POOR_COMPRESSION, heard.mean_log_probability


# directories -----------------------------------------------------------------------------------------------


def check(folder: Path) -> None:
    """Raises `InvalidInput` saying what the directory lacks."""
    if not folder.is_dir():
        raise InvalidInput(f"there is no directory {folder}", field="model")
    missing = [name for name in FILES if not (folder / name).is_file()]
    if not any(folder.glob("vocabulary.*")):
        missing.append("vocabulary.json")
    if missing:
        raise InvalidInput(f"{folder} is no Whisper model for CTranslate2: it lacks {', '.join(missing)}",
                           field="model")


def entry(name: str, folder: Path) -> Entry:
    """A directory without a manifest as a catalogue entry, to make a `FasterWhisper` of."""
    return Entry(folder=folder, name=name, version="local", title=folder.name, task="speech-recognition", licence="",
                 sources=(), engine=f"{__name__}:{FasterWhisper.__name__}", files=(), inputs=(), outputs=())


def languages(folder: Path) -> tuple[str, ...]:
    """What the model in a directory hears, by its vocabulary. Raises `InvalidInput`."""
    check(folder)
    path = next(iter(sorted(folder.glob("vocabulary.*"))))
    try:
        text = path.read_text(encoding="utf-8")
        tokens = set(json.loads(text) if path.suffix == ".json" else text.split("\n"))
    except (OSError, ValueError, TypeError) as error:
        raise InvalidInput(f"{path} can't be read: {error}", field="model") from None
    return _spoken(lambda token: token if token in tokens else None) if EMPTY in tokens else ENGLISH


def _spoken(known: Callable[[str], object | None]) -> tuple[str, ...]:
    return tuple(code for code in _LANGUAGE_CODES if known(f"<|{code}|>") is not None)


def cached() -> dict[str, Path]:
    """faster-whisper's models that lie in the hub's cache on this machine, by their short names. Asks no network."""
    found = {}
    for name, repository in _MODELS.items():
        path = try_to_load_from_cache(repository, "model.bin")
        if isinstance(path, str):
            folder = Path(path).parent
            try:
                check(folder)
            except InvalidInput as error:  # a download that was cut off
                log.info("%s is left out: %s", name, error.detail)
                continue
            found[name] = folder
    return found


def accelerated() -> bool:
    """Whether CTranslate2 sees a CUDA device."""
    return bool(ctranslate2.get_cuda_device_count())


def _open(folder: Path, device: Device) -> Any:
    """On a CUDA device that CTranslate2 can use, else on the processor."""
    if accelerated():
        kinds = ctranslate2.get_supported_compute_types("cuda")
        kind = next((kind for kind in ("float16", "int8_float16", "int8") if kind in kinds), "default")
        try:
            model = ctranslate2.models.Whisper(str(folder), device="cuda", compute_type=kind)
            silence = np.zeros((1, model.n_mels, STEP), np.float32)
            model.encode(ctranslate2.StorageView.from_array(silence))  # loads cuBLAS, which may be missing
            return model
        except (RuntimeError, ValueError) as error:
            log.warning("Whisper runs on the processor: CUDA can't be used (%s)", error)
    try:
        return ctranslate2.models.Whisper(str(folder), device="cpu", compute_type="int8", intra_threads=device.threads,
                                          inter_threads=1)
    except (RuntimeError, ValueError) as error:
        raise InvalidInput(f"CTranslate2 can't load {folder}: {error}", field="model") from error


def _tokens(folder: Path) -> tokenizers.Tokenizer:
    """Raises `InvalidInput` for a file that holds none of Whisper's tokens."""
    path = folder / "tokenizer.json"
    try:
        tokens = tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # the library has no class of its own for this
        raise InvalidInput(f"{path} can't be read: {error}", field="model") from error
    missing = [name for name in ("<|endoftext|>", "<|startoftranscript|>", "<|notimestamps|>")
               if tokens.token_to_id(name) is None]
    if missing:
        raise InvalidInput(f"{path} is no tokenizer of Whisper's: it lacks {', '.join(missing)}", field="model")
    return tokens
