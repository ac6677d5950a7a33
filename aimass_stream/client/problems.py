"""What a server answers when it refuses, as the same errors it raised."""

from __future__ import annotations

from typing import Any

from .. import errors
from ..errors import AimassError

_BY_STATUS: dict[int, type[AimassError]] = {
    error.status: error
    for error in (errors.InvalidMessage, errors.Unauthorized, errors.Forbidden, errors.NotFound, errors.Conflict,
                  errors.Stale, errors.TooLarge, errors.InvalidInput, errors.Unavailable, errors.NoSpace)
}
_KNOWN = {"type", "title", "status", "detail", "field", "request_id", "retry_after"}


def error_from(status: int, problem: dict[str, Any]) -> AimassError:
    """From an RFC 9457 problem object or the data of an ``error`` event."""
    detail = str(problem.get("detail") or problem.get("title") or f"the server answered {status}")
    if status == errors.Busy.status:
        return errors.Busy(detail, retry_after=int(problem.get("retry_after") or 5))
    kind = _BY_STATUS.get(status, AimassError)
    if problem.get("title") == errors.InvalidPipeline.title:
        kind = errors.InvalidPipeline
    field = problem.get("field")
    rest = {key: value for key, value in problem.items() if key not in _KNOWN}
    if status != kind.status:  # one that no error here stands for: `problem()` is the server's all the same
        rest |= {"status": status, "title": str(problem.get("title") or kind.title)}
    return kind(detail, field=field if isinstance(field, str) else None, **rest)


def unreachable(url: str, error: BaseException) -> AimassError:
    """Nobody listens there, or the line is cut."""
    reason = str(error) or type(error).__name__
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        return errors.Unavailable(f"the certificate of {url} is not one this machine trusts; if it made its own "
                                  "(--tls self), add --no-verify", url=url)
    return errors.Unavailable(f"no server answers at {url} ({reason}); start one with: aimass serve", url=url)
