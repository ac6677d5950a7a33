"""The section on recognition: every server, engine and policy, by sessions, and real speech."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..aims import Aim
from . import corpus, hearing, windows
from .section import NONE, Plot, Result, percent, seconds, table

SESSIONS = {"ours-alignment": (1, 2, 4, 8), "ours-agreement": (1, 2, 4, 8), "ours-pocketsphinx": (1, 2, 4),
            "whisperlivekit": (1, 2, 4), "whisperlive": (1, 2, 4)}
SECONDS = 40.0  # of one stream
SILENCE = 0.5  # s: the endpoint silence of our server as it comes
COLOURS = {"ours-alignment": "#d1495b", "ours-agreement": "#e88a96", "ours-pocketsphinx": "#8d6a9f",
           "whisperlivekit": "#30638e", "whisperlive": "#edae49"}


def run(quick: bool) -> Result:
    hearing.prepare()
    length = 15.0 if quick else SECONDS
    result: Result = {"seconds": length, "silence": SILENCE, "titles": {}, "runs": {}, "real": {}}
    contenders = {contender.name: contender for contender in hearing.contenders()}
    for name, contender in contenders.items():
        result["titles"][name] = contender.title
        for sessions in SESSIONS[name][:: 2 if quick else 1]:
            streams = asyncio.run(corpus.spoken(sessions, length))
            _note(result["runs"], name, str(sessions), contender, streams)
    for label, stream in (("LibriVox", corpus.librivox()), ("LJ Speech", corpus.ljspeech())):
        if stream is not None:
            for name in ("ours-alignment", "ours-pocketsphinx"):
                _note(result["real"], name, label, contenders[name], [stream])
    result["windows"] = windows.compared(hearing.MODEL, quick)
    return result


def _note(kept: dict[str, Any], name: str, label: str, contender: hearing.Contender,
          streams: Sequence[corpus.Stream]) -> None:
    try:
        figures = hearing.run(contender, streams)
    except (OSError, TimeoutError, ValueError) as error:
        figures = {"error": str(error)[-300:]}
    kept.setdefault(name, {})[label] = figures
    told = figures.get("error") or (f"p50 {figures['p50']} p95 {figures['p95']} s, WER {figures['wer']:.1%}, "
                                    f"{figures['cores']} cores")
    print(f"  {name:18} {label:9} {told}", flush=True)


def tell(result: Result) -> str:
    head = ["server, engine, policy", "sessions", "delay p50 / p90 / p99, s", "LongYAAL (CA), s", "WER",
            "changes a word", "end of speech to final p50 / p95, s", "cores", "refused"]
    rows: list[list[object]] = []
    for name, runs in result["runs"].items():
        for sessions, one in runs.items():
            rows.append([result["titles"][name], sessions, *_cells(one)])
    text = ("Word emission delay: from a word's end in the sound to its committed arrival at the client. The sound "
            f"is sent at wall-clock pace, {result['seconds']:g} s a stream, streams start at random within 2 s. "
            "Voices are the bundled ones, half of which the model never heard in training. LongYAAL is "
            "OmniSTEval's long-form latency, computation-aware.\n\n" + table(head, rows))
    if result["real"]:
        rows = [[result["titles"][name], label, *_cells(one)]
                for name, runs in result["real"].items() for label, one in runs.items()]
        head[1] = "speech"
        text += ("\n\nReal speech, one session. The nano model was trained on synthetic voices and one reader only: "
                 "it is for tests and demonstrations. In LJ Speech the words' times are not known, so that only its "
                 "WER counts.\n\n" + table(head, rows))
    return text + "\n\n" + windows.tell(result["windows"]) if "windows" in result else text


def _cells(one: dict[str, Any]) -> list[object]:
    if "error" in one:
        return [f"failed: {one['error'][-80:]}", *[NONE] * 6]
    delays = " / ".join(seconds(one[key]) for key in ("p50", "p90", "p99"))
    finals = f"{seconds(one['final_p50'])} / {seconds(one['final_p95'])}"
    yaal = NONE if one["longform"] is None else f"{one['longform'] / 1000:.2f}"
    return [delays, yaal, percent(one["wer"]), f"{one['corrections']:.2f}", finals, one["cores"], one["refused"]]


def aims(result: Result) -> list[Aim]:
    nano, sphinx = _best(result, "1"), _of(result, "ours-pocketsphinx", "1")
    kept = [Aim("word delay p50 <= 1.0 s, whisper (nano), 1 session", _p50(nano), _within(nano, "p50", 1.0)),
            Aim("word delay p50 <= 0.5 s, pocketsphinx, 1 session", _p50(sphinx), _within(sphinx, "p50", 0.5)),
            Aim("end of speech to final <= endpoint silence + 200 ms (p95)",
                f"{seconds(nano['final_p95']) if nano else NONE} s, silence {result['silence']} s",
                _within(nano, "final_p95", result["silence"] + 0.2))]
    eight = _best(result, "8")
    if eight and nano:
        kept.append(Aim("no collapse at 8 sessions: p50 <= 3x that of one, none refused",
                        f"{seconds(eight['p50'])} s against {seconds(nano['p50'])} s",
                        eight["p50"] <= 3 * nano["p50"] and not eight["refused"]))
    for peer in ("whisperlivekit", "whisperlive"):
        theirs, four, their_four = _of(result, peer, "1"), _best(result, "4"), _of(result, peer, "4")
        if nano and theirs:
            fair = nano["wer"] <= theirs["wer"] + 0.02
            kept.append(Aim(f"lower p50 delay than {result['titles'][peer]} at equal WER",
                            f"{seconds(nano['p50'])} against {seconds(theirs['p50'])} s, WER {percent(nano['wer'])} "
                            f"against {percent(theirs['wer'])}", fair and _under(nano["p50"], theirs["p50"])))
        if four and their_four:
            kept.append(Aim(f"at 4 sessions at least 2x better p95 than {result['titles'][peer]}",
                            f"{seconds(four['p95'])} against {seconds(their_four['p95'])} s",
                            _under(2 * four["p95"], their_four["p95"])))
    return kept


def _within(one: dict[str, Any] | None, key: str, limit: float) -> bool | None:
    return None if one is None or one[key] is None else bool(one[key] <= limit)


def _under(ours: float | None, theirs: float | None) -> bool:
    return ours is not None and (theirs is None or ours <= theirs)


def _of(result: Result, name: str, label: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = result["runs"].get(name, {}).get(label)
    return None if found is None or "error" in found or found["p50"] is None else found


def _best(result: Result, label: str) -> dict[str, Any] | None:
    """Our policy as it comes."""
    return _of(result, "ours-alignment", label)


def _p50(one: dict[str, Any] | None) -> str:
    return f"{seconds(one['p50'])} s, WER {percent(one['wer'])}" if one else NONE


def plots(result: Result, folder: Path) -> list[Plot]:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.6))
    for name, runs in result["runs"].items():
        one = _of(result, name, "1")
        if one:
            shares = [(place + 1) / len(one["delays"]) * 100 for place in range(len(one["delays"]))]
            axes[0].step(one["delays"], shares, where="post", label=result["titles"][name], color=COLOURS.get(name))
        many = [(int(label), run["p95"]) for label, run in runs.items() if _of(result, name, label)]
        if many:
            axes[1].plot(*zip(*many, strict=True), marker="o", label=result["titles"][name], color=COLOURS.get(name))
    axes[0].set(xlabel="s from a word's end to its committed arrival", ylabel="% of words", ylim=(0, 100))
    axes[1].set(xlabel="sessions", ylabel="p95, s", ylim=(0, None))
    axes[0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(folder / "speech-delay.svg", metadata={"Date": None})
    pyplot.close(figure)
    return [("speech-delay.svg", "Word emission delay with one session, and its 95th percentile by sessions")]
