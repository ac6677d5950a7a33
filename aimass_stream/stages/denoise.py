"""Take noise out of speech."""

from __future__ import annotations

import importlib
import math
from collections.abc import Awaitable
from importlib.util import find_spec
from typing import Annotated, ClassVar, Literal, Protocol

import numpy as np
from pydantic import Field

from ..errors import InvalidPipeline
from ..frames import AudioFrame
from ..inference import Engine, Entry, ModelOf
from ..inference.loader import named
from ..speech.audio import FULL, NOTHING
from ..speech.hops import Hops
from ..speech.polyphase import Polyphase
from ..speech.spectral_gate import SpectralGate
from ..speech.words import HEARING_RATE, Waveform
from ..stage import Context, Result
from ..stage_base import AUDIO, BaseStage, Params

TASK = "noise-suppression"
LOCAL = "aimass_stream.engines.rnnoise:RnNoise"
INLINE = 0.035  # s of sound: its work takes under 2 ms with every local engine, longer pieces go to a thread
SLACK = 0.004  # s that two resamplers hold back at most
MOST_HOPS = 64  # of the model at once


def _unfit(entry: Entry) -> str:
    hops = [len(spec.shape) == 2 and spec.shape[1] is not None and spec.dtype == "float32"
            for spec in (*entry.inputs, *entry.outputs)]
    if len(entry.inputs) != 1 or len(entry.outputs) != 1 or not all(hops) or (
            entry.inputs[0].shape[1] != entry.outputs[0].shape[1]):
        return "it takes no hops of sound as (n, samples) for as many of them cleaned"
    return ""


class DenoiseParams(Params):
    engine: Literal["auto", "rnnoise", "model", "gate"] = Field(
        "auto", description="rnnoise: RNNoise, if pyrnnoise is installed. model: a streaming network of the catalogue. "
        "gate: steady noise only, needs nothing. auto: the first of these that is there")
    model: Annotated[str, ModelOf(TASK, unfit=_unfit)] = Field(
        "", max_length=64, description="the network's name; empty: the first there is")
    strength: float = Field(1, ge=0, le=1, description="share of the cleaned sound in the result",
                            json_schema_extra={"unit": "share", "step": 0.05})


class Cleaner(Protocol):
    """One channel of sound at `rate` Hz in hops of one length; what comes out is `delay` samples late."""

    rate: int
    hop: int
    delay: int

    def clean(self, hops: Waveform) -> Waveform: ...
    def close(self) -> None: ...


class Denoise(BaseStage[DenoiseParams]):
    """Suppresses noise behind a voice. Sound comes 10 ms later with gate, 20 with rnnoise, 36 with a model.

    Channels are cleaned each on its own. A model works at 16 kHz: what lies above 8 kHz is lost with it.
    """

    accepts = AUDIO
    Params = DenoiseParams
    title: ClassVar[str] = "Noise suppression"

    def __init__(self, params: DenoiseParams) -> None:
        super().__init__(params)
        self._channels: list[_Channel] = []
        self._shape = (0, 0)  # rate and channels
        self._engine = ""
        self._model = ""

    async def start(self, context: Context) -> None:
        """Raises `InvalidPipeline` when the engine that is asked for is not there."""
        await super().start(context)
        await self._choose()

    async def process(self, frame: AudioFrame) -> Result:
        if not frame.samples.size:
            return frame
        shape = (frame.rate, frame.samples.shape[1])
        if shape != self._shape:
            self._open(*shape)
        wave = frame.samples.astype(np.float32) / np.float32(FULL)
        columns = [await channel.clean(np.ascontiguousarray(wave[:, number]), self.params.strength)
                   for number, channel in enumerate(self._channels)]
        samples = np.clip(np.rint(np.stack(columns, axis=1) * FULL), -32768, 32767).astype(np.int16)
        return frame.replace(samples=samples)

    def update(self, params: DenoiseParams) -> None:
        """Another engine begins afresh. Raises `InvalidPipeline` when it is not there."""
        before, self.params = self.params, params
        if (params.engine, params.model) != (before.engine, before.model):
            self._engine, self._model = _chosen(params, self.context.engine)
            self._shape = (0, 0)

    async def close(self) -> None:
        for channel in self._channels:
            channel.close()
        self._channels = []

    async def _choose(self) -> None:
        self._engine, self._model = _chosen(self.params, self.context.engine)
        if self._model:
            await self.context.engine.load(self._model)

    def _open(self, rate: int, channels: int) -> None:
        for channel in self._channels:
            channel.close()
        self._channels = [_Channel(self._worker(rate, number), rate) for number in range(channels)]
        self._shape = (rate, channels)

    def _worker(self, rate: int, number: int) -> _Local | _Shared:
        if self._engine == "model":
            return _Shared(self.context, self._model, number)
        if self._engine == "rnnoise":
            module, _, name = LOCAL.partition(":")
            return _Local(self.context, getattr(importlib.import_module(module), name)())
        return _Local(self.context, SpectralGate(rate))


class _Local:
    """A cleaner of this session's own."""

    def __init__(self, context: Context, cleaner: Cleaner) -> None:
        self._context = context
        self._cleaner = cleaner
        self.rate, self.hop, self.delay = cleaner.rate, cleaner.hop, cleaner.delay

    async def clean(self, hops: Waveform) -> Waveform:
        if hops.size <= INLINE * self.rate:
            return self._cleaner.clean(hops)
        made: Awaitable[Waveform] = self._context.run(self._cleaner.clean, hops)
        return await made

    def close(self) -> None:
        self._cleaner.close()


class _Shared:
    """A stream of its own in a model of all sessions."""

    rate = HEARING_RATE

    def __init__(self, context: Context, model: str, number: int) -> None:
        self._engine: Engine = context.engine
        self._session = context.session
        self._model = model
        self._state = f"{context.session}/{context.track}/denoise/{id(self)}/{number}"
        entry = self._engine.store.get(model)
        self.hop = self.delay = int(entry.inputs[0].shape[1] or 0)
        self._input, self._output = entry.inputs[0].name, entry.outputs[0].name

    async def clean(self, hops: Waveform) -> Waveform:
        await self._engine.load(self._model)  # nothing, once it is there
        made = [(await self._engine.submit(self._model, {self._input: hops[begin : begin + MOST_HOPS]},
                                           session=self._session, state=self._state))[self._output]
                for begin in range(0, len(hops), MOST_HOPS)]
        return np.concatenate(made)

    def close(self) -> None:
        self._engine.forget(self._model, self._state)


class _Channel:
    """One channel at the frames' rate, through a cleaner at its own rate."""

    def __init__(self, worker: _Local | _Shared, rate: int) -> None:
        self._worker = worker
        foreign = worker.rate != rate
        self._hops = Hops(worker.hop, math.ceil((worker.hop / worker.rate + SLACK) * rate) if foreign else 0)
        self._dry = np.zeros(worker.delay, np.float32)  # the sound as it came, as late as the cleaned one
        self._down = self._up = None
        if foreign:
            self._down, self._up = Polyphase(rate, worker.rate), Polyphase(worker.rate, rate)

    async def clean(self, wave: Waveform, strength: float) -> Waveform:
        count = len(wave)
        if self._down is not None:
            wave = self._down(wave)
        hops = self._hops.put(wave)
        made = NOTHING
        if len(hops):
            made = await self._mixed(hops, strength)
            if self._up is not None:
                made = self._up(made)
        return self._hops.take(made, count)

    async def _mixed(self, hops: Waveform, strength: float) -> Waveform:
        flat = (await self._worker.clean(hops)).reshape(-1)
        dry = np.concatenate([self._dry, hops.reshape(-1)])
        self._dry = dry[len(flat) :]
        return flat if strength == 1 else np.asarray(strength * flat + (1 - strength) * dry[: len(flat)], np.float32)

    def close(self) -> None:
        self._worker.close()


def networks(engine: Engine, model: str = "") -> list[Entry]:
    """The models that this stage can run; also that one, if it is a version of the hub."""
    return [entry for entry in named(engine.store, model) if entry.task == TASK]


def _chosen(params: DenoiseParams, engine: Engine | None) -> tuple[str, str]:
    """Which engine, and which model of the catalogue if it is one. Raises `InvalidPipeline`."""
    installed = find_spec("pyrnnoise") is not None
    names = [entry.name for entry in networks(engine, params.model)] if engine is not None else []
    if params.engine == "rnnoise" and not installed:
        raise InvalidPipeline("RNNoise is not installed: pip install 'aimass-stream[denoise]'", field="engine")
    if params.engine == "model" or params.model:
        if params.model not in (names if params.model else ["", *names]) or not names:
            raise InvalidPipeline(f"there is no such noise suppression model; there are: {', '.join(names) or 'none'}",
                                  field="model")
        return "model", params.model or names[0]
    if params.engine == "gate":
        return "gate", ""
    if installed:
        return "rnnoise", ""
    return ("model", names[0]) if names else ("gate", "")
