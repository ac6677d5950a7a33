"""What `aimass doctor` looks at. Each check answers in one line, and what to do where something is missing."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from ..inference.rates import Rates
from ..settings import Settings


@dataclass(frozen=True, slots=True)
class Finding:
    state: Literal["ok", "warn", "fail"]  # warn: something optional is missing
    detail: str
    advice: str = ""


Check: TypeAlias = Callable[[Settings], Finding]

OPENCVS = ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless")
PROVIDERS = ("CUDA", "CPU")  # of those that onnxruntime may have, what models are run on
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def python(_: Settings) -> Finding:
    text = f"Python {sys.version.split()[0]} at {sys.executable}"
    return Finding("ok", text) if sys.version_info >= (3, 11) else Finding("fail", text, "3.11 or later is needed")


def machine(_: Settings) -> Finding:
    import psutil

    memory = psutil.virtual_memory()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    text = f"{cores} cores, {memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB memory free"
    if memory.available < 2**29:
        return Finding("warn", text, "below 0.5 GiB sessions may fail")
    return Finding("ok", text)


def descriptors(_: Settings) -> Finding:
    try:
        import resource
    except ImportError:
        return Finding("ok", "no limit on open files to look at here")
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    text = f"{soft} open files allowed"
    return Finding("ok", text) if soft >= 1024 else Finding("warn", text, "a session needs about ten: ulimit -n 4096")


def packages(_: Settings) -> Finding:
    versions = {name: importlib.metadata.version(name) for name in ("aiortc", "av", "numpy", "uvicorn")}
    text = ", ".join(f"{name} {version}" for name, version in versions.items())
    if not versions["aiortc"].startswith("1.16."):
        return Finding("fail", text, "aiortc 1.16 is needed: parts of it that are touched move between versions")
    return Finding("ok", text)


def opencv(_: Settings) -> Finding:
    found = [name for name in OPENCVS if _installed(name)]
    try:
        import cv2
    except ImportError as error:
        return Finding("fail", f"OpenCV does not load: {error}", "on Debian: apt install libgl1 libglib2.0-0")
    text = f"OpenCV {cv2.__version__} from {', '.join(found) or 'nowhere known'}"
    if len(found) > 1:
        return Finding("fail", text, "these overwrite each other: uninstall all, then install opencv-python")
    if int(cv2.__version__.split(".")[0]) >= 5:
        return Finding("fail", text, "OpenCV 5 has no cascades and no HOG: install opencv-python<5")
    return Finding("ok", text)


def _installed(name: str) -> bool:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return bool(importlib.metadata.version(name))
    return False


def libvpx(_: Settings) -> Finding:
    from ..codecs import vpx

    problem = vpx.check()
    if problem:
        return Finding("warn", problem, "VP8 goes through PyAV: a new bit rate then costs a key frame")
    return Finding("ok", "libvpx inside PyAV can change its bit rate without a key frame")


def libopus(_: Settings) -> Finding:
    from ..codecs import opus

    problem = opus.check()
    if problem:
        return Finding("fail", problem, "install av from its wheel: pip install --force-reinstall --only-binary av av")
    return Finding("ok", "libopus inside PyAV: error correction and concealment")


def x264(_: Settings) -> Finding:
    import av

    try:
        av.Codec("libx264", "w")
        av.Codec("h264", "r")
    except (av.FFmpegError, ValueError) as error:
        return Finding("warn", f"no H264: {error}", "only VP8 will be offered; PyAV's wheel has x264")
    return Finding("ok", "x264 and an H264 decoder inside PyAV")


def encoding(_: Settings) -> Finding:
    """Encodes a second of our own clip."""
    from .. import clips
    from ..codecs import video_encoder
    from ..frames import VIDEO_TIME_BASE, Picture, VideoFrame

    figures = []
    for codec in ("VP8", "H264"):
        encoder, times = video_encoder(codec, 1_000_000), []
        for number in range(30):
            frame = VideoFrame(pts=number * 3000, time_base=VIDEO_TIME_BASE, track="video-0",
                               picture=Picture.from_bgr(clips.draw(number)))
            assert len(frame.picture.i420)  # converted before the clock runs
            begun = time.perf_counter()
            encoder.encode(frame)
            times.append(time.perf_counter() - begun)
        encoder.close()
        figures.append((codec, statistics.median(times[3:]) * 1000))
    text = ", ".join(f"{codec} {ms:.1f} ms" for codec, ms in figures) + " a picture of 640x480"
    if figures[0][1] > 15:
        return Finding("warn", text, "that is slow: 30 pictures a second leave little for anything else")
    return Finding("ok", text)


def hearing(settings: Settings) -> Finding:
    """Every recogniser that could hear now, and the one that `auto` takes."""
    from ..errors import AimassError
    from ..hearing import recognizers
    from ..inference import installed
    from ..weights import folder_of

    installed().add(*settings.model_dirs, folder_of(settings))
    told = recognizers.describe(settings)
    there = "; ".join(f"{one['engine']}: {', '.join(model['name'] for model in one['models'])}"
                      for one in told if one["available"])
    missing = "; ".join(f"{one['engine']}: {one['reason']}" for one in told if not one["available"])
    try:
        choice = recognizers.chosen(settings)
    except AimassError as error:
        return Finding("fail", f"nothing hears: {error.detail}", missing)
    text = f"{there}. Taken: {recognizers.named(choice.engine, choice.model)}, {choice.reason}"
    if any(model["general"] and one["engine"] != "pocketsphinx" for one in told for model in one["models"]):
        return Finding("ok", text)
    return Finding("warn", text, "for good transcripts fetch weights: aimass models pull whisper-base.en")


def voice(settings: Settings) -> Finding:
    """Lets the default voice speak, in its own process as it does in the server."""
    import asyncio

    from ..inference import Engine, installed
    from ..speaking.voices import open_synthesizer
    from ..speech.contract import Manner

    async def speak() -> tuple[str, float, int]:
        engine = Engine(installed())
        try:
            synthesizer = await open_synthesizer(engine, settings)
            begun = time.perf_counter()
            async for _ in synthesizer.speak("Can you hear me?", Manner()):
                return synthesizer.name, (time.perf_counter() - begun) * 1000, len(synthesizer.voices())
            return synthesizer.name, float("inf"), 0
        finally:
            await engine.close()

    try:
        name, ms, count = asyncio.run(speak())
    except Exception as error:  # whatever a library's start may raise: it is told, and the other checks go on
        return Finding("fail", f"nothing speaks: {error}", "the default voice: pip install espeakng-loader")
    return Finding("ok", f"{name} speaks, first sound after {ms:.1f} ms, {count} voices")


def onnx(_: Settings) -> Finding:
    if importlib.util.find_spec("onnxruntime") is None:
        return Finding("fail", "onnxruntime is not installed", "pip install onnxruntime")
    import onnxruntime

    there = {name.removesuffix("ExecutionProvider") for name in onnxruntime.get_available_providers()}
    used = [name for name in PROVIDERS if name in there]
    return Finding("ok", f"onnxruntime {onnxruntime.__version__} on {', '.join(used)}")


def arithmetic(_: Settings) -> Finding:
    from ..inference import CpuDevice, rates

    device = CpuDevice()
    told = device.describe()
    device.close()
    text = f"{rates.processor().told()}; a model gets {told['threads']} of {told['cores']} cores"
    return Finding("ok", text)


def gpu(_: Settings) -> Finding:
    """torch is asked in a process of its own: it takes seconds and hundreds of megabytes to load."""
    cards = _cards()
    if importlib.util.find_spec("torch") is None:
        text = f"no torch; {cards or 'no GPU'}"
        return Finding("warn" if cards else "ok", text, "pip install 'aimass-stream[torch]'" if cards else "")
    try:
        asked = subprocess.run([sys.executable, "-m", "aimass_stream.inference.rates"], capture_output=True, text=True,
                               timeout=90, check=True)
        told = json.loads(asked.stdout)
        measured = [Rates(**each) for each in told["cards"]]
    except (subprocess.SubprocessError, OSError, ValueError, KeyError, TypeError) as error:
        return Finding("warn", f"torch does not load, or can't measure the GPU: {str(error).splitlines()[0]}")
    missing = "; libcublas.so.12 is missing" if measured and not _cublas() else ""
    advice = "CTranslate2 needs CUDA 12's cuBLAS: pip install nvidia-cublas-cu12" if missing else ""
    found = "; ".join(each.told() for each in measured) or cards or "no GPU"
    text = f"torch {told['torch']}, {len(measured)} CUDA devices; {found}{missing}"
    return Finding("warn" if missing else "ok", text, advice)


def _cards() -> str:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ""
    asked = subprocess.run([tool, "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True,
                           timeout=20, check=False)
    return ", ".join(asked.stdout.split("\n")).strip(", ")


def _cublas() -> bool:
    import ctypes.util

    folders = [Path(path) / "nvidia" / "cublas" / "lib" / "libcublas.so.12" for path in sys.path]
    return ctypes.util.find_library("cublas") is not None or any(path.exists() for path in folders)


def browser(_: Settings) -> Finding:
    for name in BROWSERS:
        path = shutil.which(name)
        if path is not None:
            asked = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20, check=False)
            return Finding("ok", f"{asked.stdout.strip() or name} at {path}")
    return Finding("warn", "no Chromium", "only the browser tests need it: apt install chromium")


def port(settings: Settings) -> Finding:
    """TCP where the server will listen, and UDP for media."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        with socket.socket(family) as tcp, socket.socket(family, socket.SOCK_DGRAM) as udp:
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tcp.bind((settings.host, settings.port))
            udp.bind((settings.host, settings.udp_ports[0] if settings.udp_ports else 0))
    except OSError as error:
        return Finding("warn", f"{settings.host}:{settings.port} can't be used: {error.strerror}",
                       "a server may be running there already; else choose another with --port")
    media = f"{settings.udp_ports[0]} to {settings.udp_ports[1]}" if settings.udp_ports else "any"
    return Finding("ok", f"TCP {settings.host}:{settings.port} is free; UDP for media: {media}")


def encryption(settings: Settings) -> Finding:
    from .. import tls
    from ..errors import AimassError

    if settings.tls is None:
        return Finding("ok", "plain http: browsers give a camera to localhost only; for others start with --tls self")
    try:
        files = tls.certificate(settings)
    except (AimassError, OSError) as error:
        return Finding("fail", f"TLS: {error}", "give 'CERT,KEY' as PEM files, or 'self'")
    return Finding("ok", f"TLS with {files[0] if files else settings.tls}")


def exposure(settings: Settings) -> Finding:
    if settings.public and settings.api_key is None:
        return Finding("warn" if settings.insecure else "fail", f"{settings.host} is open to everybody",
                       "set AIMASS_API_KEY")
    return Finding("ok", "an API key is set" if settings.api_key else "only this machine can reach it, without a key")


def data(settings: Settings) -> Finding:
    folder = settings.data_dir
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".doctor-{os.getpid()}"
        probe.write_bytes(b"x")
        probe.unlink()
    except OSError as error:
        return Finding("fail", f"{folder} can't be written: {error.strerror}", "choose another with AIMASS_DATA_DIR")
    free = shutil.disk_usage(folder).free / 2**30
    return Finding("ok" if free > 1 else "warn", f"{folder}, {free:.1f} GiB free")


CHECKS: dict[str, Check] = {
    "Python": python, "machine": machine, "open files": descriptors, "packages": packages, "OpenCV": opencv,
    "VP8": libvpx, "Opus": libopus, "H264": x264, "encoding": encoding, "hearing": hearing, "voice": voice,
    "models": onnx, "processor": arithmetic, "GPU": gpu, "browser": browser, "network": port, "TLS": encryption,
    "access": exposure, "data": data,
}
