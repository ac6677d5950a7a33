"""The sizes of the network for any style, and its weights by name; numpy only, for engines without torch."""

from __future__ import annotations

from dataclasses import dataclass

from .style_shape import CELL

LEAST_DEVIATION = 1e-2  # of a channel: what divides is not less


@dataclass(frozen=True, slots=True)
class AnySizes:
    fine: int = 32  # channels of the cells of 4x4 px
    code: int = 96  # of those of 8x8 px
    seeing: int = 2  # blocks of the encoder
    painting: int = 4  # of the decoder

    @property
    def exchanges(self) -> tuple[int, ...]:
        """Channels where statistics are exchanged, in the order of a pass."""
        return (self.fine, self.code, *(self.painting * (self.code,)), self.code, self.fine, self.fine)

    @property
    def channels(self) -> int:
        """Of all of them together: the last axis of the statistics."""
        return sum(self.exchanges)


def shapes(sizes: AnySizes) -> dict[str, tuple[int, ...]]:
    """Of all weights, by name; `usual` are deviations that styles have on the average."""
    fine, code, pixels = sizes.fine, sizes.code, CELL * CELL
    convolutions = {"stem": (fine, 3, 2 * CELL), "down": (code, fine, 4), "up": (fine, code, 1),
                    "merge": (fine, fine, 3), "paint": (3 * pixels, fine, 3), "guide": (pixels, 3, CELL),
                    "gate": (pixels, fine, 1), "detail": (3 * pixels, pixels, 1)}
    blocks = {f"seeing.{number}": code for number in range(sizes.seeing)}
    blocks |= {f"painting.{number}": code for number in range(sizes.painting)} | {"finish": fine}
    for block, width in blocks.items():
        for half in (1, 2):
            convolutions |= {f"{block}.spread{half}": (width, 1, 3), f"{block}.mix{half}": (width, width, 1)}
    found: dict[str, tuple[int, ...]] = {"usual": (sizes.channels,)}
    for name, (outputs, inputs, kernel) in convolutions.items():
        found |= {f"{name}.weight": (outputs, inputs, kernel, kernel), f"{name}.bias": (outputs,)}
    return found
