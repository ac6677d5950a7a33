"""How models that are code are closed off on this machine."""

from __future__ import annotations

import importlib.util
import sys

from ..settings import Settings
from .checks import Finding

REFUSED = "models that are code (TorchScript, pickles) will be refused"


def cells(_: Settings) -> Finding:
    """Starts a cell, looks at what it has, and imports in there what models need."""
    from ..errors import Unavailable
    from ..sandbox.cells import look

    torch = importlib.util.find_spec("torch") is not None
    try:
        ways, imported = look(["numpy", "torch"] if torch else ["numpy"])
    except Unavailable as error:
        return Finding("warn", error.detail, REFUSED)
    broken = {name: why[0] for name, (version, *why) in imported.items() if not version}
    if broken:
        said = "; ".join(f"{name} can't be imported ({why})" for name, why in broken.items())
        lost = REFUSED if "numpy" in broken else "models of torch that are code will be refused"
        return Finding("warn", f"within a cell {said}", f"{lost}; a cell sees Python ({sys.base_prefix}) and the "
                       "folders of its packages: let them lie there, and not be links to elsewhere")
    text = f"models that are code run alone: {', '.join(ways)}"
    text += "" if "mounts" in ways else "; without a scratch folder"
    there = " and ".join(f"{name} {version}" for name, (version, *_) in imported.items())
    return Finding("ok", f"{text}; {there} in there{'' if torch else ', no torch'}")
