"""The model contract on a library each. A model's manifest names its engine as the right-hand side says.

An installed package adds its own with an entry point in the group ``aimass_stream.engines``.
"""

from __future__ import annotations

ENGINES = {
    "onnx": "aimass_stream.engines.onnx:OnnxModel",
    "dnn": "aimass_stream.engines.dnn:DnnModel",
    "litert": "aimass_stream.engines.litert:LiteRtModel",
    "opencv": "aimass_stream.engines.opencv:OpenCvFinder",
    "rapidocr": "aimass_stream.engines.rapidocr:LineFinder",  # or LineReader
    "torch": "aimass_stream.engines.torch_network:TorchNetwork",
    "style": "aimass_stream.engines.style:Style",
    "sklearn": "aimass_stream.engines.sklearn:SklearnModel",
    "code": "aimass_stream.engines.code:CodeModel",
}
