"""A spoken clip by the bundled espeak-ng voice. espeak is one global state of C: it speaks in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import wave
from pathlib import Path

import numpy as np

from aimass_stream.frames import AUDIO_RATE, Samples

SENTENCE = "Nine boats left the harbour at dawn, and the bell rang twice."

_SPEAK = """
import ctypes, sys, espeakng_loader
lib = ctypes.CDLL(espeakng_loader.get_library_path())
SYNCHRONOUS, UTF8 = 2, 1
rate = lib.espeak_Initialize(SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), 0)
assert rate > 0, "espeak did not start"
pieces = []
Heard = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
def heard(samples, count, events):
    if samples and count:
        pieces.append(ctypes.string_at(samples, count * 2))
    return 0
callback = Heard(heard)
lib.espeak_SetSynthCallback(callback)
lib.espeak_SetVoiceByName(b"en-us")
text = sys.argv[1].encode()
assert lib.espeak_Synth(text, len(text) + 1, 0, 0, 0, UTF8, None, None) == 0
lib.espeak_Synchronize()
sys.stdout.buffer.write(rate.to_bytes(4, "little") + b"".join(pieces))
"""


def speak(text: str = SENTENCE) -> Samples:
    """The text as sound at 48 kHz, (n, 1) int16."""
    done = subprocess.run([sys.executable, "-c", _SPEAK, text], capture_output=True, check=True, timeout=60)
    rate, said = int.from_bytes(done.stdout[:4], "little"), np.frombuffer(done.stdout[4:], "<i2")
    # a voice ends well below half of espeak's 22 kHz, so straight lines between its samples do
    moments = np.arange(int(len(said) * AUDIO_RATE / rate)) * rate / AUDIO_RATE
    samples: Samples = np.interp(moments, np.arange(len(said)), said).astype(np.int16)[:, None]
    return samples


def write_wav(path: Path, samples: Samples) -> None:
    """16-bit PCM at 48 kHz."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(AUDIO_RATE)
        file.writeframes(samples.tobytes())
