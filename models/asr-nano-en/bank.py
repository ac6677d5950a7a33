"""The bank of speech: sentences spoken by espeak-ng's voices, in shards of int16 at 16 kHz with the words' times.

espeak-ng is one global state of C, so every shard is made in a process of its own.
"""

from __future__ import annotations

import ctypes
import json
import multiprocessing
import random
import re
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray


def words(text: str) -> list[str]:
    return text.split()



RATE = 16_000  # samples a second
SHARD_SECONDS = 1200.0
LEVEL = 0.06  # root mean square of every utterance in the bank, full scale being 1
ACCENTS = ("en-us", "en-us", "en-us", "en-us", "en-us", "en", "en", "en-gb-x-rp", "en-us-nyc", "en-gb-scotland",
           "en-gb-x-gbclan", "en-gb-x-gbcwmd")
VARIANTS = words("""f1 f2 f3 f5 m1 m2 m3 m4 m5 m6 m8 Alex Andrea Andy Denis Diogo Gene Henrique Hugo Jacky Lee Marco
Mario Mike Reed
RicishayMax Storm Tweaky adam anika antonio aunty benjamin boris caleb david ed edward grandma grandpa gustave
ian iven iven2 john kaukovalta klatt2 klatt3 linda marcelo max michel miguel norbert pablo pedro quincy rob
robert sandro shelby steph steph2 travis victor zac announcer""")
HELD_ACCENTS = ("en-us", "en", "en-029")  # en-029, Caribbean, is heard in no training clip
HELD_VARIANTS = ["f4", "m7", "Annie", "Michael", "Alicia", "belinda", "paul", "Nguyen"]
Samples: TypeAlias = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Utterance:
    """One sentence in a shard."""

    start: int  # sample in the shard
    stop: int
    text: str
    voice: str
    times: list[tuple[float, float]]  # s from `start`, of every word of text.split(); empty where not known


class _Event(ctypes.Structure):  # espeak_EVENT of speak_lib.h
    _fields_ = (("type", ctypes.c_int), ("identifier", ctypes.c_uint), ("position", ctypes.c_int),
                ("length", ctypes.c_int),
                ("milliseconds", ctypes.c_int), ("sample", ctypes.c_int), ("user", ctypes.c_void_p),
                ("id", ctypes.c_longlong))


class Speaker:
    """espeak-ng in this process."""

    WORD, RATE_PARAMETER, PITCH, RANGE, WORDGAP = 1, 1, 3, 4, 7

    def __init__(self) -> None:
        import espeakng_loader

        self.library = ctypes.CDLL(espeakng_loader.get_library_path())
        self.rate = self.library.espeak_Initialize(2, 0, espeakng_loader.get_data_path().encode(), 0)
        if self.rate <= 0:
            raise OSError("espeak-ng did not start")
        self.pieces: list[bytes] = []
        self.events: list[tuple[int, float]] = []
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(_Event))
        self.callback = kind(self._heard)
        self.library.espeak_SetSynthCallback(self.callback)

    def _heard(self, samples: int | None, count: int, events: Any) -> int:
        if samples and count:
            self.pieces.append(ctypes.string_at(samples, count * 2))
        index = 0
        while events[index].type:
            if events[index].type == self.WORD:
                self.events.append((events[index].position - 1, events[index].milliseconds / 1000))
            index += 1
        return 0

    def voice(self, name: str, rng: random.Random | None) -> bool:
        """Choose a voice; rng varies its speed and pitch. False if there is no such voice."""
        if self.library.espeak_SetVoiceByName(name.encode()):
            return False
        speed, pitch, spread, gap = 175, 50, 50, 0
        if rng is not None:
            speed, pitch, spread = int(rng.gauss(168, 26)), rng.randint(25, 75), rng.randint(25, 75)
            gap = rng.choice((0, 0, 0, 1, 2, 4))
        for parameter, value in ((self.RATE_PARAMETER, min(max(speed, 110), 260)), (self.PITCH, pitch),
                                 (self.RANGE, spread),
                                 (self.WORDGAP, gap)):
            self.library.espeak_SetParameter(parameter, value, 0)
        return True

    def say(self, text: str, factor: float = 1.0) -> tuple[Samples, list[tuple[float, float]]]:
        """Samples at 16 kHz, trimmed, and the words' times; above 1 `factor` is faster and higher."""
        import soxr

        self.pieces.clear()
        self.events.clear()
        said = text.encode()
        if self.library.espeak_Synth(said, len(said) + 1, 0, 0, 0, 1, None, None):
            raise OSError("espeak-ng did not speak")
        sound = np.frombuffer(b"".join(self.pieces), np.int16).astype(np.float32) / 32768
        sound = soxr.resample(sound, self.rate * factor, RATE, quality="MQ")
        return _trimmed(sound, word_starts(text, self.events), factor)


def word_starts(text: str, events: list[tuple[int, float]]) -> list[float | None]:
    """The time of each word's first event; None for a word that espeak spoke together with the one before."""
    spans = [found.span() for found in re.finditer(r"\S+", text)]
    starts: list[float | None] = [None] * len(spans)
    for position, seconds in events:
        for index, (first, last) in enumerate(spans):
            if first <= position < last and starts[index] is None:
                starts[index] = seconds
    return starts


def loudness(sound: NDArray[np.float32], hop: int = 160) -> NDArray[np.float32]:
    """Root mean square of every 10 ms."""
    whole = sound[: len(sound) // hop * hop].reshape(-1, hop)
    return np.asarray(np.sqrt((whole**2).mean(1)), np.float32)


def _trimmed(sound: NDArray[np.float32], starts: list[float | None], factor: float) -> tuple[Samples,
                                                                                             list[tuple[float, float]]]:
    heard = loudness(sound)
    if not len(heard) or heard.max() <= 0:
        return np.zeros(0, np.int16), []
    voiced = np.flatnonzero(heard > 0.02 * heard.max())
    first, last = max(int(voiced[0]) - 2, 0), min(int(voiced[-1]) + 3, len(heard))
    known = [index for index, start in enumerate(starts) if start is not None]
    if not known:
        return np.zeros(0, np.int16), []
    filled = [float(at) for at in np.interp(range(len(starts)), known, [float(starts[index] or 0) / factor
                                                                        for index in known])]
    bounds = [*filled, last / 100]
    times = []
    for start, following in pairwise(bounds):
        inside = voiced[(voiced >= start * 100 - 1) & (voiced < following * 100)]
        end = (int(inside[-1]) + 1) / 100 if len(inside) else following
        times.append((round(max(start - first / 100, 0), 3), round(max(end, start + 0.01) - first / 100, 3)))
    return _level(sound[first * 160 : last * 160]), times


def make_shard(folder: Path, name: str, seed: int, seconds: float, held: bool) -> None:
    """Write NAME.npy and NAME.json; `held` uses the voices that are not trained on."""
    import sentences

    rng = random.Random(seed)
    speaker, trigrams = Speaker(), sentences.Trigrams()
    makers, weights = sentences.makers(trigrams)
    pieces: list[Samples] = []
    utterances: list[Utterance] = []
    done = 0
    while done < seconds * RATE:
        voice = choose_voice(rng, held)
        if not speaker.voice(voice, None if rng.random() < 0.12 else rng):
            raise OSError(f"espeak-ng has no voice {voice}")
        factor = rng.uniform(0.92, 1.08) if rng.random() < 0.5 else 1.0
        for _ in range(2 if held else 4):
            text = rng.choices(makers, weights)[0](rng)
            samples, times = speaker.say(text, factor)
            if len(times) != len(text.split()) or len(samples) > 12 * RATE or len(samples) < 0.15 * RATE:
                continue
            utterances.append(Utterance(done, done + len(samples), text, voice, times))
            pieces.append(samples)
            done += len(samples)
    _write_shard(folder, name, pieces, utterances)


def choose_voice(rng: random.Random, held: bool) -> str:
    if held:
        return f"{rng.choice(HELD_ACCENTS)}+{rng.choice(HELD_VARIANTS)}"
    accent = rng.choice(ACCENTS)
    return accent if rng.random() < 0.2 else f"{accent}+{rng.choice(VARIANTS)}"


def read_shard(folder: Path, name: str) -> tuple[Samples, list[Utterance]]:
    """The samples, mapped and not read, and what is said in them."""
    table = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return np.load(folder / f"{name}.npy", mmap_mode="r"), [Utterance(**row) for row in table]


def build(folder: Path, hours: float, workers: int = 2) -> None:
    """Make what is missing of the bank: first the two sets to develop on, then shards for training. Takes its time."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [("dev-seen", 9_000_001, 400.0, False), ("dev-held", 9_000_002, 400.0, True)]
    wanted += [(f"train-{index:03}", index, SHARD_SECONDS, False)
               for index in range(round(hours * 3600 / SHARD_SECONDS))]
    missing = [job for job in wanted if not (folder / f"{job[0]}.json").exists()]
    if missing:
        with multiprocessing.get_context("spawn").Pool(workers, maxtasksperchild=1) as pool:
            pool.starmap(make_shard, [(folder, *job) for job in missing], chunksize=1)


def kathleen(source: Path, folder: Path, held: bool) -> tuple[Samples, list[Utterance]]:
    """The CC0 clips of ../shared/data/speech/kathleen as one shard, kept in `folder`; every eleventh is held out."""
    name = f"kathleen-{'held' if held else 'train'}"
    if not (folder / f"{name}.json").exists():
        _make_kathleen(source, folder, name, held)
    return read_shard(folder, name)


def _make_kathleen(source: Path, folder: Path, name: str, held: bool) -> None:
    pieces: list[Samples] = []
    utterances: list[Utterance] = []
    done = 0
    for index, line in enumerate((source / "metadata.csv").read_text(encoding="utf-8").splitlines()):
        if (index % 11 == 0) is not held:
            continue
        clip, _, text = line.split("|")
        samples = _level(_resampled(*read_clip(source / f"{clip}.flac")))
        text = re.sub(r"\s+", " ", text.replace(";", ",").replace("--", ",").replace(":", ",").strip())
        utterances.append(Utterance(done, done + len(samples), text, "kathleen", []))
        pieces.append(samples)
        done += len(samples)
    _write_shard(folder, name, pieces, utterances)


def read_clip(path: Path) -> tuple[NDArray[np.float32], int]:
    """The samples of a mono file, and their rate."""
    import av

    with av.open(str(path)) as file:
        sound = np.concatenate([frame.to_ndarray().reshape(-1) for frame in file.decode(audio=0)])
        rate = file.streams.audio[0].rate
    return np.asarray(sound / np.iinfo(sound.dtype).max, np.float32), rate


def _resampled(sound: NDArray[np.float32], rate: float) -> NDArray[np.float32]:
    """To 16 kHz, without the silence around."""
    import soxr

    sound = soxr.resample(sound, rate, RATE, quality="MQ")
    voiced = np.flatnonzero(loudness(sound) > 0.04 * loudness(sound).max())
    return sound[max(int(voiced[0]) - 4, 0) * 160 : (int(voiced[-1]) + 5) * 160]


def _level(sound: NDArray[np.float32]) -> Samples:
    sound = sound * (LEVEL / max(float(np.sqrt((sound**2).mean())), 1e-6))
    return np.asarray(np.clip(sound, -1, 1) * 32767, np.int16)


def _write_shard(folder: Path, name: str, pieces: list[Samples], utterances: list[Utterance]) -> None:
    np.save(folder / f"{name}.npy", np.concatenate(pieces))
    (folder / f"{name}.part").write_text(json.dumps([asdict(utterance) for utterance in utterances]), encoding="utf-8")
    (folder / f"{name}.part").rename(folder / f"{name}.json")
