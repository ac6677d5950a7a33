"""ETags (RFC 9110, sections 8.8.3 and 13.1): what was seen already is not sent again, and what somebody else changed
meanwhile is not overwritten.

A tag is ``"REVISION-DIGEST"``. The revision stands for what can be changed, and is compared by the domain, in the
transaction that changes it; the digest is of all that is shown, so that a count of downloads makes another tag and
spoils nobody's change. A revision alone will do in `If-Match`.
"""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Any, TypeVar

from fastapi import Header, Request, Response
from pydantic import BaseModel

from ..errors import InvalidInput, Stale

View = TypeVar("View", bound=BaseModel)

FIELD = "If-Match"
CHANGED = "somebody else changed this meanwhile: look at it again"
TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
REVISION = re.compile(r'"(\d{1,18})(?:-[0-9a-f]*)?"')

IfMatch = Annotated[str | None, Header(max_length=200, description="the ETag that was seen: 412 where it is another")]


def revision(if_match: str | None) -> int | None:
    """What the client has seen; None: it does not say. Raises `Stale` for what was never a tag of ours, and
    `InvalidInput` for what is no tag."""
    said = (if_match or "").strip()
    if if_match is None or said == "*":
        return None
    if not TAG.fullmatch(said):
        raise InvalidInput(f"{FIELD} has the one ETag that was seen, in quotation marks, or *", field=FIELD)
    found = REVISION.fullmatch(said)
    if found is None:
        raise Stale(CHANGED, field=FIELD)
    return int(found[1])


def tag(number: int, shown: BaseModel) -> str:
    return f"{number}-{hashlib.sha256(shown.model_dump_json().encode()).hexdigest()[:16]}"


def tagged(response: Response, number: int, shown: View) -> View:
    """The same, with its ETag in the answer."""
    response.headers["ETag"] = f'"{tag(number, shown)}"'
    return shown


def seen(request: Request, response: Response, number: int, shown: BaseModel) -> Any:
    """The same, or an empty 304 where the caller has it already."""
    return unchanged(request, response, tag(number, shown)) or shown


def unchanged(request: Request, response: Response, known: str) -> Response | None:
    """Sets the ETag; an empty 304 where the caller has this already."""
    response.headers["ETag"] = f'"{known}"'
    asked = request.headers.get("if-none-match", "")
    if asked.strip() == "*" or f'"{known}"' in asked:
        return Response(status_code=304, headers={"ETag": f'"{known}"'})
    return None
