"""The section on rows of several callers that are put together, against the same model with batches switched off."""

from __future__ import annotations

from typing import Any

from ..aims import Aim
from ..speech.section import NONE, Result, table
from . import asked
from .callers import Load, brief, exact, figures, fine, ratio, times
from .networks import CONVOLUTIONAL, MLP, TEXT, Network
from .own import FAILURES, Hub, ours
from .rest import row

CALLERS = 16
SECONDS, QUICK, ROUNDS = 6.0, 1.5, 2
GAIN, SLOWER = 2.0, 0.97  # times the requests/s; "never slower" within what two runs of the same differ by
NETWORKS = (MLP, TEXT, CONVOLUTIONAL)
ON, OFF = "batches", "switched off"


def run(quick: bool) -> Result:
    result: Result = {"networks": {}}
    with ours("batching") as server, Load() as load, Hub(server.base) as hub:
        for network in NETWORKS:
            try:
                result["networks"][network.name] = _measured(server, load, hub, network, quick)
            except FAILURES as error:
                result["networks"][network.name] = {"error": f"{type(error).__name__}: {error}"[:300]}
            print(f"  {network.title}: {_brief(result['networks'][network.name])}", flush=True)
    return result


def _measured(server: Any, load: Load, hub: Hub, network: Network, quick: bool) -> Result:
    content = network.build()
    names = {ON: network.name, OFF: f"{network.name}-single"}
    hub.put(names[ON], content)
    hub.put(names[OFF], content, capabilities={"batchable": False})
    parts: dict[str, list[Result]] = {ON: [], OFF: []}
    for _ in range(1 if quick else ROUNDS):
        for way, name in names.items():
            parts[way].append(load.measure(server, asked.binary(name, network), CALLERS, QUICK if quick else SECONDS,
                                           warm=1.0))
    return {way: figures(each) for way, each in parts.items()}


def _brief(one: Result) -> str:
    return str(one["error"]) if "error" in one else "; ".join(f"{way} {brief(one[way])}" for way in (ON, OFF))


def aims(result: Result) -> list[Aim]:
    return [aim for network in NETWORKS for aim in _aims(network, result["networks"].get(network.name, {}))]


def _aims(network: Network, one: Result) -> list[Aim]:
    on, off = one.get(ON), one.get(OFF)
    known = fine(on) and fine(off)
    gain = ratio(on["per_s"], off["per_s"]) if known and on and off else None
    if network is CONVOLUTIONAL:
        return [Aim(f"{network.title}, {CALLERS} callers: batches never slower", _told(gain, on, off),
                    None if gain is None else gain >= SLOWER)]
    return [Aim(f"{network.title}, {CALLERS} callers: >= {GAIN:g}x the requests/s of batches switched off",
                _told(gain, on, off), None if gain is None else gain >= GAIN),
            Aim(f"{network.title}, {CALLERS} callers: p95 lower",
                f"{exact(on['p95'])} against {exact(off['p95'])} ms" if known and on and off else NONE,
                on["p95"] < off["p95"] if known and on and off else None)]


def _told(gain: float | None, on: Result | None, off: Result | None) -> str:
    if gain is None or on is None or off is None:
        return NONE
    return f"{times(gain)}, {on['per_s']:.0f} against {off['per_s']:.0f}/s"


def tell(result: Result) -> str:
    rows: list[list[Any]] = []
    for network in NETWORKS:
        one = result["networks"].get(network.name, {})
        for way in (ON, OFF):
            rows.append([network.title, way, *row(one.get(way, one))])
    return (f"{CALLERS} callers ask one model by /v2 with binary tensors, one row a request, each again as soon as it "
            "is answered. The same file is in the hub twice: as it is, where the hub finds out that rows may be put "
            "together and the engine measures how many pay, and with `capabilities.batchable = false` in its manifest. "
            "MLP: 64-6144-4096-10, 102 MB. Text: an encoder of six layers of 384 with queries of four words, 42 MB. "
            "Convolutional: five layers of 3x3 on 96x96 px. Server and callers share two cores; the two ways are "
            f"measured in turns. Never slower: at least {SLOWER:g} of the other's requests/s, as two runs of the same "
            "differ by so much.\n\n"
            + table(["network", "batches", "requests/s", "p50, ms", "p95, ms", "p99, ms", "errors"], rows))
