"""Models, the devices they run on, and the engine that shares one device between all sessions.

Only numpy, the standard library and (lazily, where a device needs it) torch are imported here, so that this
package runs on a bare GPU machine.
"""

from __future__ import annotations

from .contract import Batch, Capabilities, Launcher, Model, TensorSpec
from .device import CpuDevice, Device
from .engine import Engine
from .loader import Entry, FolderStore, ModelStore, installed
from .slots import Slots
from .statistics import ModelStatistics
from .wanted import ModelOf, model_fields

__all__ = ["Batch", "Capabilities", "CpuDevice", "Device", "Engine", "Entry", "FolderStore", "Launcher", "Model",
           "ModelOf", "ModelStatistics", "ModelStore", "Slots", "TensorSpec", "installed", "model_fields"]
