"""The sound of the benchmarks: a whistle that never repeats, and how to find it again in what comes back.

Every 10 ms the pitch glides towards another random one. No concealment can guess where it goes, and no two
moments are alike, so a cross-correlation tells for each 20 ms that came back *whether* it is what was sent
and *when* that was sent. All work here is on the analytic signal at 8 kHz, so a decoder that lost its phase
but plays the right sound counts as right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RATE = 48_000  # Hz
PACKET = 960  # samples, 20 ms
COARSE = 8_000  # Hz that the search works at
STEP = 160  # coarse samples of one packet
LOWEST, HIGHEST = 400, 2600  # Hz
GLIDE = 480  # samples between two pitches
RIGHT = 0.5  # correlation from which 20 ms count as the ones that were sent
BLOCK = 5  # packets that are located together
LOOK_AHEAD = 0.0065  # s that every Opus encoder here adds inside its packets (312 samples)

Coarse = NDArray[np.complex64]


def whistle(seconds: float, seed: int = 5) -> NDArray[np.int16]:
    """(n,) int16 at 48 kHz."""
    count = round(seconds * RATE)
    anchors = np.random.default_rng(seed).uniform(LOWEST, HIGHEST, count // GLIDE + 2)
    pitch = np.interp(np.arange(count), np.arange(len(anchors)) * GLIDE, anchors)
    return np.round(0.35 * 32767 * np.sin(2 * np.pi * np.cumsum(pitch) / RATE)).astype(np.int16)


def coarse(samples: NDArray[np.int16]) -> Coarse:
    """The analytic signal at 8 kHz of (n,) int16 at 48 kHz; n is a multiple of 960."""
    spectrum = np.fft.rfft(samples.astype(np.float32) / 32768)
    count = len(samples) * COARSE // RATE
    kept = np.zeros(count, np.complex64)
    kept[: count // 2] = spectrum[: count // 2]
    return np.fft.ifft(kept).astype(np.complex64)


@dataclass(frozen=True, slots=True)
class Heard:
    """What became of the sound. Arrays `delay`, `right`, `arrived` are a received packet each."""

    arrived: NDArray[np.float64]  # s, of every received packet
    delay: NDArray[np.float64]  # s from handing a packet to the sender till the packet with its sound is here
    right: NDArray[np.bool_]  # it carries what was sent
    sent: NDArray[np.float64]  # s, of every sent packet
    came_back: NDArray[np.bool_]  # of every sent packet: at least half of it was heard
    excused: NDArray[np.bool_]  # of every sent packet: it would have been in a packet lost on the way back


def _correlation(block: Coarse, within: Coarse) -> NDArray[np.float32]:
    """|normalised correlation| of `block` at every place of `within`."""
    size = 1 << (len(within) + len(block) - 1).bit_length()
    product = np.fft.fft(within, size) * np.conj(np.fft.fft(block, size))
    places = len(within) - len(block) + 1
    raw = np.abs(np.fft.ifft(product)[:places])
    energy = np.concatenate([[0.0], np.cumsum(np.abs(within) ** 2)])
    norm = np.sqrt((energy[len(block) :] - energy[:places]) * np.sum(np.abs(block) ** 2))
    return np.asarray(raw / (norm + 1e-6), np.float32)


class _Search:
    """Finds blocks of received sound in everything sent so far; follows the last place it found."""

    def __init__(self, reference: Coarse, far: int) -> None:
        self.reference = reference
        self.far = far  # coarse samples to look back
        self.offset: int | None = None  # place in the reference less place in what was received

    def locate(self, block: Coarse, place: int, latest: int) -> int | None:
        """The place of `block` in the reference; `latest` is the newest that can have come back."""
        if self.offset is not None:
            around = place + self.offset
            found = self._best(block, around - 400, around + 400 + len(block))
            if found is not None:
                self.offset = found - place
                return found
        found = self._best(block, latest - self.far, latest)
        if found is not None:
            self.offset = found - place
        return found

    def _best(self, block: Coarse, first: int, last: int) -> int | None:
        first, last = max(0, first), min(len(self.reference), last)
        if last - first < len(block):
            return None
        values = _correlation(block, self.reference[first:last])
        best = int(np.argmax(values))
        return first + best if values[best] >= 0.4 else None


def listen(reference: NDArray[np.int16], sent: NDArray[np.float64], received: NDArray[np.int16],
           arrived: NDArray[np.float64], look_back: float = 4.0) -> Heard:
    """Match what came back with what was sent.

    `reference` is what the sent packets decode to, `received` what the received ones do, both (n * 960,);
    `sent` and `arrived` are the packets' times in seconds, NaN in `arrived` for one lost on the way back.
    """
    said, heard = coarse(reference), coarse(received)
    search = _Search(said, round(look_back * COARSE))
    places = _places(search, heard, sent, arrived)
    count = len(arrived)
    delay = np.full(count, np.nan)
    right = np.zeros(count, np.bool_)
    covered = np.zeros(len(said) + 1, np.int32)
    excused = np.zeros(len(said) + 1, np.int32)
    for index in range(count):
        near = range(max(0, index // BLOCK - 1), min(len(places), index // BLOCK + 2))
        candidates = {found + (index - block * BLOCK) * STEP for block in near if (found := places[block]) is not None}
        if np.isnan(arrived[index]) or (index and np.isnan(arrived[index - 1])):
            # the packet after a loss is excused too: the decoder here has just lost its history
            _mark(excused, candidates)
            if np.isnan(arrived[index]):
                continue
        place, quality = _refine(said, heard[index * STEP : (index + 1) * STEP], candidates)
        if quality < RIGHT:
            continue
        right[index] = True
        covered[place] += 1
        covered[min(place + STEP, len(said))] -= 1
        packet = min(place // STEP, len(sent) - 1)
        spoken = sent[packet] + (place - packet * STEP) / COARSE
        delay[index] = arrived[index] - spoken - LOOK_AHEAD
    heard_share = (np.cumsum(covered)[: len(sent) * STEP].reshape(-1, STEP) > 0).mean(axis=1)
    excused_share = (np.cumsum(excused)[: len(sent) * STEP].reshape(-1, STEP) > 0).mean(axis=1)
    return Heard(arrived, delay, right, sent, heard_share >= 0.5, excused_share > 0)


def _mark(spans: NDArray[np.int32], places: set[int]) -> None:
    for place in places:
        if 0 <= place < len(spans) - STEP:
            spans[place] += 1
            spans[place + STEP] -= 1


def _places(search: _Search, heard: Coarse, sent: NDArray[np.float64],
            arrived: NDArray[np.float64]) -> list[int | None]:
    places: list[int | None] = []
    for first in range(0, len(arrived) - BLOCK + 1, BLOCK):
        times = arrived[first : first + BLOCK]
        block = heard[first * STEP : (first + BLOCK) * STEP]
        if np.all(np.isnan(times)) or float(np.abs(block).max(initial=0)) < 0.003:
            places.append(None)
            continue
        latest = int(np.searchsorted(sent, np.nanmax(times))) * STEP
        places.append(search.locate(block, first * STEP, latest))
    return places


def _refine(said: Coarse, packet: Coarse, candidates: set[int]) -> tuple[int, float]:
    best, quality = 0, 0.0
    for candidate in candidates:
        first = max(0, candidate - 16)
        within = said[first : candidate + 16 + STEP]
        if len(within) < STEP or len(packet) < STEP:
            continue
        values = _correlation(packet, within)
        here = int(np.argmax(values))
        if values[here] > quality:
            best, quality = first + here, float(values[here])
    return best, quality
