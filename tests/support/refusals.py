"""What came of handing something questionable to a decoder or parser."""

from __future__ import annotations

from collections.abc import Callable

from aimass_stream.errors import InvalidMedia


def outcome(call: Callable[[], object]) -> str:
    """"fine", or the reason of its refusal."""
    try:
        call()
    except InvalidMedia as error:
        return str(error.data["reason"])
    return "fine"
