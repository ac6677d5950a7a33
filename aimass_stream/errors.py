"""Every error this package raises on purpose.

    AimassError                     500  something of ours went wrong
    +-- InvalidInput                422  what was sent does not make sense; names the field
    |   +-- InvalidPipeline         422  a pipeline, a stage's name or one of its parameters
    |   +-- InvalidMedia            422  a frame, packet or file that can't be what it says
    |   +-- InvalidMessage          400  a control message or wire message that can't be read
    +-- NotFound                    404  no session, stage, model or job of that name
    +-- Unauthorized                401  no credentials, or wrong ones
    +-- Forbidden                   403  known caller, not allowed
    +-- Conflict                    409  the thing is in a state that rules this out
    |   +-- Stale                   412  somebody else changed it since the caller looked
    +-- TooLarge                    413  over a stated limit
    +-- Busy                        429  admission refused; carries retry_after in seconds
    +-- Unavailable                 503  draining, or a part that is needed is missing
    |   +-- ModelFailed             503  a model raised, or was taken out for raising too often
    |   +-- DeadlineMissed          503  work that came too late to be worth starting
    +-- NoSpace                     507  the disk is full; nothing was kept
    +-- SandboxError                422  work in a child process came to nothing
        +-- SandboxTimeout          422  over its wall clock or CPU time
        +-- SandboxTooBig           422  over its memory, or its answer is too long
        +-- SandboxKilled           422  died of a signal; carries `signal`
        +-- SandboxRaised           422  the work raised; carries the name of the exception

Each carries a sentence for a person, data for a program, and the HTTP status it becomes (RFC 9457
problem details, written by `problem`).
"""

from __future__ import annotations

from typing import Any, ClassVar


class AimassError(Exception):
    """Base of all errors here. `field` is a JSON path such as ``pipeline[1].ms`` where one applies."""

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str, *, field: str | None = None, **data: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field
        self.data = data

    def problem(self) -> dict[str, Any]:
        """This error as an RFC 9457 problem object."""
        body: dict[str, Any] = {"type": "about:blank", "title": self.title, "status": self.status,
                                "detail": self.detail}
        if self.field is not None:
            body["field"] = self.field
        return body | self.data


class InvalidInput(AimassError):
    status, title = 422, "Invalid input"


class InvalidPipeline(InvalidInput):
    title = "Invalid pipeline"


class InvalidMedia(InvalidInput):
    title = "Invalid media"


class InvalidMessage(InvalidInput):
    status, title = 400, "Invalid message"


class NotFound(AimassError):
    status, title = 404, "Not found"


class Unauthorized(AimassError):
    status, title = 401, "Unauthorized"


class Forbidden(AimassError):
    status, title = 403, "Forbidden"


class Conflict(AimassError):
    status, title = 409, "Conflict"


class Stale(Conflict):
    status, title = 412, "Changed meanwhile"


class TooLarge(AimassError):
    status, title = 413, "Too large"


class Busy(AimassError):
    """Admission refused. `retry_after` is in seconds."""

    status, title = 429, "Too busy"

    def __init__(self, detail: str, *, retry_after: int = 5, **data: Any) -> None:
        super().__init__(detail, retry_after=retry_after, **data)
        self.retry_after = retry_after


class Unavailable(AimassError):
    status, title = 503, "Unavailable"


class ModelFailed(Unavailable):
    title = "Model failed"


class DeadlineMissed(Unavailable):
    title = "Deadline missed"


class NoSpace(AimassError):
    status, title = 507, "No space left"


class SandboxError(AimassError):
    """Work in a child process came to nothing: the input is to blame until shown otherwise, hence 422."""

    status, title = 422, "Can't be processed"


class SandboxTimeout(SandboxError):
    pass


class SandboxTooBig(SandboxError):
    pass


class SandboxKilled(SandboxError):
    """`signal` is its number."""

    def __init__(self, detail: str, *, signal: int, **data: Any) -> None:
        super().__init__(detail, signal=signal, **data)
        self.signal = signal


class SandboxRaised(SandboxError):
    """`exception` is the name of its class; `traceback` goes to the log, not to the caller."""

    def __init__(self, detail: str, *, exception: str, traceback: str = "", **data: Any) -> None:
        super().__init__(detail, exception=exception, **data)
        self.exception = exception
        self.traceback = traceback
