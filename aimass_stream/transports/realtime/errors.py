"""The family ``error``: what a client event can be refused for, with the codes that clients know."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from pydantic import ValidationError

from ...errors import AimassError

Sort: TypeAlias = Literal["invalid_request_error", "server_error"]

MAX_ECHO = 64  # characters of what a client sent that are shown back to it


class Refused(Exception):
    """A client event that is answered with an ``error`` event; the connection goes on."""

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None,
                 sort: Sort = "invalid_request_error") -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.param = param
        self.sort: Sort = sort

    def json(self, event_id: str | None) -> dict[str, Any]:
        """The `error` object; `event_id` is the refused event's, as its client named it."""
        return {"type": self.sort, "code": self.code, "message": self.message, "param": self.param,
                "event_id": event_id}


_CODES = {"missing": "missing_required_parameter", "literal_error": "invalid_value", "enum": "invalid_value",
          "union_tag_invalid": "invalid_value", "union_tag_not_found": "missing_required_parameter"}


def invalid(error: ValidationError, prefix: str = "") -> Refused:
    """The first thing that is wrong with an event, by its JSON path such as ``session.tools[0].name``."""
    first = error.errors()[0]
    path = prefix
    for part in first["loc"]:
        if isinstance(part, int):
            path += f"[{part}]"
        elif not part.startswith("function-") and part not in _TAGS:  # names of union members aren't in the JSON
            path += f".{part}" if path else part
    code = _CODES.get(first["type"], "invalid_type" if first["type"].endswith("_type") else "invalid_value")
    said = first["msg"].removeprefix("Value error, ")
    return Refused(f"Invalid {path or 'event'!r}: {said}.", code=code, param=path or None)


_TAGS = frozenset({"audio/pcm", "audio/pcmu", "audio/pcma", "server_vad", "semantic_vad", "message", "user", "system",
                   "assistant", "function_call", "function_call_output", "input_text", "input_audio", "output_text",
                   "output_audio", "realtime", "transcription", "item_reference"})


def ours(error: AimassError) -> Refused:
    """An error of ours, in the protocol's words."""
    return Refused(error.detail, code="invalid_value" if error.status < 500 else "server_error", param=error.field,
                   sort="invalid_request_error" if error.status < 500 else "server_error")


def shown(value: object) -> str:
    """Something a client sent, short enough to be shown back."""
    text = repr(value)
    return text if len(text) <= MAX_ECHO else text[:MAX_ECHO] + "..."
