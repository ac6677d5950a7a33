"""Trained weights from a hub: which there are, fetching them, and making sure that they are the ones that were meant.

A pulled model is a folder under ``models`` in the data directory with a ``model.toml`` (card and manifest in one,
as `inference.loader` reads it), so that engines find it like those that come with the package. Downloads go into a
hidden folder beside it and can be broken off at any moment; the next pull goes on there. The folder gets its name
when every file is whole and its SHA-256 is right. Where nobody published a SHA-256, what arrived first is trusted,
written down, and checked at every load from then on.
"""

from .catalogue import WeightFile, Weights, catalogue, checked, folder_of, get
from .hub import Hub
from .pulling import State, pull, remove, state

__all__ = ["Hub", "State", "WeightFile", "Weights", "catalogue", "checked", "folder_of", "get", "pull", "remove",
           "state"]
