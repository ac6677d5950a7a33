"""Making new networks: what is shown to them, what they are held to, the steps, and what is written when they are done.

Modules here that need torch import it at their top, so they are imported when a training begins and not before:
`check` says what is missing. What is asked for and what is told on the way (`wishes`) needs no torch.

    wishes    what is to be made, and news on the way           picture   the picture whose style is learned
    contents  what is painted meanwhile                         losses    what the paintings are held to
    judge     where SqueezeNet's weights for them lie           trainer   the steps of a style network
    styles    a style from any picture, as a job                figures   how good it became
    folder    the style's folder: weights, card, sample         gatys     one picture, without any network of its own
"""

from __future__ import annotations

import importlib.util

from ..errors import Unavailable

NEEDED = ("torch", "safetensors")


def check() -> None:
    """Raises `Unavailable` with the command that installs what is missing."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise Unavailable(f"training needs {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not "
                          "installed: pip install 'aimass-stream[torch]'", package=missing[0])
