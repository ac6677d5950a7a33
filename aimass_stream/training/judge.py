"""Where the weights lie of the network that judges paintings; they are no part of this package and may be missing."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import InvalidInput, NotFound, Unavailable

WEIGHTS = "squeezenet-1.0"  # in the catalogue
FILE = "squeezenet1_0.pth"  # there, as torchvision publishes it
CHECKOUT = Path(__file__).resolve().parents[3] / "shared" / "data" / "weights" / "squeezenet1_0.safetensors"


def find(given: Path | None, models: Path) -> Path:
    """The file that was given, else the one that was pulled into the folder of models, else the one beside a source
    tree. Raises `NotFound`, or `Unavailable` with what to do."""
    if given is not None:
        if not given.is_file():
            raise NotFound(f"there is no file {given}", field="loss_weights")
        return given
    for path in (models / WEIGHTS / FILE, CHECKOUT):
        if path.is_file():
            return path
    raise Unavailable(f"paintings are judged by SqueezeNet, whose weights are not here: `aimass models pull {WEIGHTS}` "
                      "fetches them (5 MB)", weights=WEIGHTS)


def read(path: Path) -> Mapping[str, Any]:
    """Tensors by name, of a .safetensors file or of torch's own kind, of which nothing but tensors is read.

    Raises `InvalidInput`. Imports torch.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        found = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InvalidInput(f"{path.name} can't be read: {error.strerror or error}", field="loss_weights") from None
    except (SafetensorError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError):
        # what torch says quotes its own code, and advises to let the file run code
        raise InvalidInput(f"{path.name} is no file of weights: what is read is SqueezeNet 1.0 as .safetensors, or the "
                           "tensors alone that torch saved (.pth)", field="loss_weights") from None
    if not isinstance(found, Mapping) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise InvalidInput(f"{path.name} has no weights", field="loss_weights")
    return found
