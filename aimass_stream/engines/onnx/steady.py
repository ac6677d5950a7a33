"""Graphs whose runs take as long as the shapes of their inputs say, whatever the numbers in them are.

A loop that goes on for as long as its input says is no such graph, nor is one that makes a tensor of the length that it
is given. So what may be in it is listed, and shapes inside it must be constants.
"""

from __future__ import annotations

from . import graph as protobuf
from .graph import BYTES, GRAPH, INITIALIZER, NODE, NODE_INPUT, NODE_OUTPUT, NODE_TYPE, View, all_of, fields, text_of
from .graph import TENSOR_NAME as NAME

NODE_DOMAIN = 7
FUNCTIONS = 25  # of a model: operators of its own, which may be called as others are
OURS = ("", "ai.onnx")
PLAIN = """
    Abs Add And ArgMax ArgMin AveragePool BatchNormalization Cast Ceil Clip Concat Constant Conv ConvInteger Cos
    DequantizeLinear Div DynamicQuantizeLinear Elu Equal Erf Exp Flatten Floor Gather Gelu Gemm GlobalAveragePool
    GlobalMaxPool Greater GreaterOrEqual HardSigmoid HardSwish Identity InstanceNormalization LayerNormalization
    LeakyRelu Less LessOrEqual Log LogSoftmax MatMul MatMulInteger Max MaxPool Mean Min Mul Neg Not Or PRelu Pow
    QLinearConv QLinearMatMul QuantizeLinear Reciprocal Relu Round Selu Sigmoid Sign Sin Softmax Softplus Softsign Sqrt
    Sub Sum Tanh Transpose Where Xor
"""
# what comes after their first input says what shape they make
SHAPED = "ReduceMax ReduceMean ReduceMin ReduceSum Reshape Slice Split Squeeze Unsqueeze"
SHAPING = frozenset(SHAPED.split())
ALLOWED = SHAPING | frozenset(PLAIN.split())


def steady(data: bytes) -> bool:
    """Whether this ONNX file is one."""
    with protobuf.bounded():
        if any(field.number == FUNCTIONS for field in fields(memoryview(data))):
            return False
        return all(map(_steady, all_of(memoryview(data), GRAPH)))


def _steady(graph: View) -> bool:
    nodes = list(all_of(graph, NODE))
    constants = {text_of(tensor, NAME) for tensor in all_of(graph, INITIALIZER)}
    constants |= {text_of(node, NODE_OUTPUT) for node in nodes if text_of(node, NODE_TYPE) == "Constant"}
    for node in nodes:
        kind = text_of(node, NODE_TYPE)
        if text_of(node, NODE_DOMAIN) not in OURS or kind not in ALLOWED:
            return False
        if kind in SHAPING:
            given = [bytes(field.value).decode("utf-8", "replace") for field in fields(node)
                     if field.number == NODE_INPUT and field.wire == BYTES]
            if not all(name in constants for name in given[1:] if name):
                return False
    return True
