"""torchaudio's Emformer RNN-T (Shi et al. 2021, arXiv:2010.10759), stepped for streams that are at different places.

torchaudio's own streaming pass takes the length of the past from the first row of a batch, for all rows. Here each
row has its own, so that streams may begin at any time. Weights and results are the same. The left context is a ring:
attention has no positions, so its order does not matter, and a step writes only what is new.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchaudio.models import emformer_rnnt_model

# torchaudio's `emformer_rnnt_base` but for its number of symbols: 77 million parameters
BASE: dict[str, Any] = {
    "input_dim": 80, "encoding_dim": 1024, "segment_length": 16, "right_context_length": 4,
    "time_reduction_input_dim": 128, "time_reduction_stride": 4, "transformer_num_heads": 8,
    "transformer_ffn_dim": 2048, "transformer_num_layers": 20, "transformer_dropout": 0.1,
    "transformer_activation": "gelu", "transformer_left_context_length": 30, "transformer_max_memory_size": 0,
    "transformer_weight_init_scale_strategy": "depthwise", "transformer_tanh_on_mem": True,
    "symbol_embedding_dim": 512, "num_lstm_layers": 3, "lstm_layer_norm": True, "lstm_layer_norm_epsilon": 1e-3,
    "lstm_dropout": 0.3}


def build(symbols: int, **changes: Any) -> nn.Module:
    """`BASE` with changes, untrained. The last symbol is the blank. Raises `ValueError` for memory banks."""
    shape = BASE | changes
    if shape["transformer_max_memory_size"]:
        raise ValueError("Emformers with a memory bank are not supported")
    return emformer_rnnt_model(num_symbols=symbols, **shape).eval()


@dataclass(slots=True)
class Steps:
    """What every slot remembers. L layers, N slots, C left context, E width, P layers of the predictor, H its width."""

    keys: Tensor  # (L, N, C, E)
    values: Tensor  # (L, N, C, E)
    past: Tensor  # (N,) encoded frames so far
    hidden: Tensor  # (P, N, H)
    cell: Tensor  # (P, N, H)
    predicted: Tensor  # (N, D): the predictor's answer to the last token


class Stepper:
    """One segment of each row, and the tokens that it brings. Everything is called in `torch.inference_mode`."""

    def __init__(self, network: nn.Module, shape: dict[str, Any], *, blank: int, slots: int, most_symbols: int) -> None:
        """`most_symbols`: tokens of one encoded frame, at most."""
        self.network: Any = network
        self.blank = blank
        self.most_symbols = most_symbols
        self.heads: int = shape["transformer_num_heads"]
        self.context: int = shape["transformer_left_context_length"]
        stride: int = shape["time_reduction_stride"]
        self.right = shape["right_context_length"] // stride
        self.segment = shape["segment_length"] // stride
        self.layers: Any = self.network.transcriber.transformer.emformer_layers
        width = shape["time_reduction_input_dim"] * stride
        weight = next(network.parameters())
        self._first = self._predict(torch.tensor([blank], device=weight.device), None)
        predicted, (hidden, cell) = self._first
        self.state = Steps(
            keys=weight.new_zeros(len(self.layers), slots, self.context, width),
            values=weight.new_zeros(len(self.layers), slots, self.context, width),
            past=torch.zeros(slots, dtype=torch.long, device=weight.device),
            hidden=hidden.repeat(1, slots, 1), cell=cell.repeat(1, slots, 1), predicted=predicted.repeat(slots, 1))

    def reset(self, slot: int) -> None:
        predicted, (hidden, cell) = self._first
        self.state.past[slot] = 0
        self.state.hidden[:, slot], self.state.cell[:, slot] = hidden[:, 0], cell[:, 0]
        self.state.predicted[slot] = predicted[0]

    def encode(self, frames: Tensor, slots: Tensor) -> Tensor:
        """(B, segment + right context, input_dim) and slots (B,), each at most once -> (B, frames, D)."""
        encoder = self.network.transcriber
        lengths = torch.full((len(frames),), frames.shape[1])
        reduced, _ = encoder.time_reduction(encoder.input_linear(frames), lengths)  # (B, S + R, E)
        x = torch.cat([reduced[:, self.segment :], reduced[:, : self.segment]], 1)  # right context first
        past = self.state.past[slots]
        held = torch.arange(self.context, device=x.device) < past[:, None]  # (B, C)
        seen = functional.pad(held, (0, x.shape[1]), value=True)[:, None, None]  # (B, 1, 1, C + R + S)
        places = (past[:, None] + torch.arange(self.segment, device=x.device)) % self.context  # (B, S)
        for number, layer in enumerate(self.layers):
            x = self._layer(layer, number, x, slots, places, seen)
        self.state.past[slots] = past + self.segment
        encoded: Tensor = encoder.layer_norm(encoder.output_linear(x[:, self.right :]))
        return encoded

    def _layer(self, layer: Any, number: int, x: Tensor, slots: Tensor, places: Tensor, seen: Tensor) -> Tensor:
        attention = layer.attention
        normed = layer.layer_norm_input(x)  # (B, R + S, E)
        query = attention.emb_to_query(normed)
        key, value = attention.emb_to_key_value(normed).chunk(2, 2)
        keys, values = self.state.keys[number], self.state.values[number]
        attended = functional.scaled_dot_product_attention(
            self._by_head(query), self._by_head(torch.cat([keys[slots], key], 1)),
            self._by_head(torch.cat([values[slots], value], 1)), attn_mask=seen)  # (B, heads, R + S, E / heads)
        x = attention.out_proj(attended.transpose(1, 2).flatten(2)) + x
        kept = min(self.segment, self.context)
        keys[slots[:, None], places[:, -kept:]] = key[:, -kept:]
        values[slots[:, None], places[:, -kept:]] = value[:, -kept:]
        result: Tensor = layer.layer_norm_output(layer.pos_ff(x) + x)
        return result

    def _by_head(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)

    def tokens(self, encoded: Tensor, slots: Tensor) -> tuple[Tensor, Tensor]:
        """Greedy search over (B, T, D): tokens (B, T, most_symbols), -1 for none, and how likely they are."""
        rows, frames, _ = encoded.shape
        found = torch.full((rows, frames, self.most_symbols), -1)
        sure = torch.zeros(rows, frames, self.most_symbols)
        state = self.state
        for frame in range(frames):
            open_rows = torch.arange(rows, device=encoded.device)
            for symbol in range(self.most_symbols):
                logits = self._join(encoded[open_rows, frame], state.predicted[slots[open_rows]])
                best, token = logits.softmax(1).max(1)
                spoken = token != self.blank
                open_rows, token, best = open_rows[spoken], token[spoken], best[spoken]
                if not len(open_rows):
                    break
                found[open_rows.cpu(), frame, symbol] = token.cpu()
                sure[open_rows.cpu(), frame, symbol] = best.float().cpu()
                these = slots[open_rows]
                predicted, (hidden, cell) = self._predict(token, (state.hidden[:, these], state.cell[:, these]))
                state.hidden[:, these], state.cell[:, these], state.predicted[these] = hidden, cell, predicted
        return found, sure

    def _join(self, encoded: Tensor, predicted: Tensor) -> Tensor:
        joiner = self.network.joiner
        logits: Tensor = joiner.linear(joiner.activation(encoded + predicted))
        return logits

    def _predict(self, tokens: Tensor, state: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """One token of each row: (B, D), and the LSTM's (P, B, H) twice."""
        before = None if state is None else [[hidden, cell] for hidden, cell in zip(*state, strict=True)]
        answer, _, after = self.network.predictor(tokens[:, None], torch.ones_like(tokens), before)
        return answer[:, 0], (torch.stack([layer[0] for layer in after]), torch.stack([layer[1] for layer in after]))
