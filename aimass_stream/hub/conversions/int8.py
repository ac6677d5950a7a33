"""Dynamic quantisation of ONNX by onnxruntime: weights become int8 once, what meets them at each run."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from ...errors import InvalidInput
from .files import only

MATRICES = ["MatMul", "Gemm", "Attention", "LSTM", "Gather", "EmbedLayerNormalization"]
CONVOLUTIONS = ["Conv"]
QUANTISED = {"MatMulInteger", "ConvInteger", "DynamicQuantizeLSTM", "QAttention", "QEmbedLayerNormalization",
             "DequantizeLinear"}


def int8(source: Path, target: Path, options: dict[str, Any]) -> dict[str, Any]:
    """Raises `InvalidInput` where there is nothing to be made so, or onnxruntime can't."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    kinds = MATRICES + (CONVOLUTIONS if options["convolutions"] else [])
    made = target / "model.onnx"
    place = Path.cwd() / "quantised"  # onnxruntime writes beside what it reads, and the source is not ours
    shutil.copytree(source, place, copy_function=_linked)
    large = sum(path.stat().st_size for path in source.rglob("*") if path.is_file()) > 1 << 30
    try:
        quantize_dynamic(only(place, ".onnx"), made, op_types_to_quantize=kinds, per_channel=options["per_channel"],
                         reduce_range=options["reduce_range"], weight_type=QuantType.QInt8,
                         use_external_data_format=large)
    except Exception as error:  # of whatever kind its parts raise
        raise InvalidInput(f"onnxruntime can't quantise this graph: {str(error).strip()[:300]}", field="kind") from None
    count = sum(node.op_type in QUANTISED for node in onnx.load(str(made), load_external_data=False).graph.node)
    if not count:
        more = "" if options["convolutions"] else "; convolutions are left alone unless the option convolutions is true"
        raise InvalidInput(f"there is nothing in this graph that int8 would change{more}", field="kind")
    return {"operators": count}


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk
        shutil.copyfile(source, target)
