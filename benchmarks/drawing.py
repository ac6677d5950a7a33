"""The plots of a run, as SVG."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

COLOURS = {"ours": "#d1495b", "aiortc": "#30638e", "fastrtc": "#edae49", "pipecat": "#00798c",
           "streamlit": "#8d6a9f", "fastrtc-video": "#c9b27c"}


def draw(results: dict[str, Any], folder: Path) -> list[tuple[str, str]]:
    """Write every plot there are figures for; answers (file name, caption)."""
    import matplotlib  # not needed to measure, only here

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "benchmarks", "font.size": 9, "axes.spines.top": False,
                                "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.25})
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    plots: list[tuple[str, str, Callable[[Any, dict[str, Any]], bool]]] = [
        ("echo.svg", "Echo of 640x480 at 30/s: share of pictures back within so many ms", _echo),
        ("handler.svg", "Age of the pictures that come back from a handler that takes 200 ms (logarithmic)", _handler),
        ("loss.svg", "Share of the time frozen, and share of the sound that never came back right, by loss", _loss),
        ("jitter.svg", "Delay of pictures before, during and after 100±30 ms each way (shaded)", _jitter),
        ("ramp.svg", "Worst session's p95 by number of sessions on one core", _ramp),
    ]
    drawn = []
    for name, caption, plot in plots:
        figure = pyplot.figure(figsize=(8, 3.6))
        if plot(figure, results):
            for axes in figure.axes[:1]:
                axes.legend(fontsize=7)
            figure.tight_layout()
            figure.savefig(folder / name, metadata={"Date": None})
            drawn.append((name, caption))
        pyplot.close(figure)
    return drawn


def _each(results: dict[str, Any], group: str, label: str) -> list[tuple[str, str, dict[str, Any]]]:
    found = []
    for subject, groups in results["subjects"].items():
        result = groups.get(group, {}).get(label)
        if result and "error" not in result:
            found.append((subject, results["titles"][subject], result))
    return found


def _echo(figure: Any, results: dict[str, Any]) -> bool:
    axes = figure.add_subplot()
    each = _each(results, "echo", "480p")
    for subject, title, result in each:
        delays = sorted(ms for _, ms in result["video_series"])
        shares = [(place + 1) / len(delays) * 100 for place in range(len(delays))]
        axes.step(delays, shares, label=title, color=COLOURS[subject], where="post")
    axes.set(xlabel="ms from sender to decoded picture", ylabel="% of pictures", xlim=(0, None), ylim=(0, 100))
    return bool(each)


def _handler(figure: Any, results: dict[str, Any]) -> bool:
    axes = figure.add_subplot()
    each = _each(results, "handler", "200")
    for subject, title, result in each:
        axes.plot([t for t, _ in result["series"]], [ms for _, ms in result["series"]], ".-", ms=3, lw=1, label=title,
                  color=COLOURS[subject])
    axes.set(xlabel="s", ylabel="ms", yscale="log")
    axes.set_yticks(ticks := [200, 500, 1000, 2000, 5000, 10_000], [f"{tick}" for tick in ticks])
    axes.minorticks_off()
    return bool(each)


def _loss(figure: Any, results: dict[str, Any]) -> bool:
    labels = [label for label in ("1%", "5%", "10%", "30%") if _each(results, "loss", label)]
    if not labels:
        return False
    subjects = list(dict.fromkeys(subject for label in labels for subject, *_ in _each(results, "loss", label)))
    for place, (key, title) in enumerate((("frozen", "picture frozen"), ("audio_missed", "sound missing or wrong"))):
        axes = figure.add_subplot(1, 2, place + 1)
        for offset, subject in enumerate(subjects):
            found = {label: result for label in labels for name, _, result in _each(results, "loss", label)
                     if name == subject}
            heights = [100 * (found.get(label, {}).get(key) or 0) for label in labels]
            positions = [x + (offset - len(subjects) / 2 + 0.5) * 0.8 / len(subjects) for x in range(len(labels))]
            axes.bar(positions, heights, 0.8 / len(subjects), color=COLOURS[subject],
                     label=results["titles"][subject])
        axes.set(title=title, ylabel="%", xlabel="loss each way")
        axes.set_xticks(range(len(labels)), labels)
    return True


def _jitter(figure: Any, results: dict[str, Any]) -> bool:
    each = _each(results, "jitter", "100±30 ms")
    for place, (key, title) in enumerate((("series", "pictures"), ("audio_series", "sound"))):
        axes = figure.add_subplot(1, 2, place + 1)
        for subject, name, result in each:
            axes.plot([t for t, _ in result[key]], [ms for _, ms in result[key]], lw=1, label=name,
                      color=COLOURS[subject])
        for _, _, result in each[:1]:
            axes.axvspan(0, result["seconds"], alpha=0.08, color="black", lw=0)
        axes.set(title=title, xlabel="s", ylabel="ms", ylim=(0, None))
    return bool(each)


def _ramp(figure: Any, results: dict[str, Any]) -> bool:
    axes = figure.add_subplot()
    each = _each(results, "ramp", "sessions")
    for subject, title, result in each:
        steps = [step for step in result["steps"] if step["worst_p95_ms"] is not None]
        axes.plot([step["sessions"] for step in steps], [step["worst_p95_ms"] for step in steps], "o-", ms=4,
                  label=title, color=COLOURS[subject])
    axes.axhline(150, color="black", lw=0.8, ls="--")
    axes.set(xlabel="sessions", ylabel="worst p95, ms", yscale="log")
    return bool(each)
