"""What a session sees of a transport, and what a transport sees of who may do what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

from .errors import Forbidden, InvalidInput
from .events import Event
from .frames import Frame
from .spec import PipelineSpec


class Source(Protocol):
    """Where frames come from. `run` returns when the peer is gone; cancelling it closes the peer."""

    async def run(self, push: Callable[[Frame], None]) -> None: ...
    def stats(self) -> dict[str, Any]: ...


class Sink(Protocol):
    """Where results go. Calls are made on the loop and return at once; the sink bounds its own queues."""

    def frame(self, frame: Frame) -> None: ...
    def event(self, event: Event) -> None: ...
    def flush(self, track: str | None = None) -> None:
        """Throw away what has not been sent yet (barge-in)."""
        ...

    async def close(self, reason: str) -> None: ...


class Application(Protocol):
    """What a session is of that was begun by an app's id: a pipeline of which only some parameters can be set."""

    @property
    def id(self) -> str: ...
    @property
    def version(self) -> int: ...
    def set(self, spec: PipelineSpec, parameters: object) -> PipelineSpec:
        """`spec` with these parameters by name. Raises `InvalidInput` for what can't be set, or not so."""
        ...


@dataclass(frozen=True, slots=True)
class AppCall:
    """What a client says that begins a session by an app: its id or slug, and exposed parameters by name."""

    id: str
    parameters: object = None

    @classmethod
    def of(cls, app_id: object, parameters: object, pipeline: object = None) -> AppCall | None:
        """None where there is no app. Raises `InvalidInput` where the pipeline would be another than the app's."""
        if app_id is None:
            if parameters is not None:
                raise InvalidInput("'parameters' are those of an app: say its 'app_id'", field="parameters")
            return None
        if not isinstance(app_id, str) or not 0 < len(app_id) <= 64:
            raise InvalidInput("'app_id' is the id or the slug of an app", field="app_id")
        if pipeline is not None:
            raise InvalidInput("an app brings its own pipeline: leave 'pipeline' out", field="pipeline")
        return cls(app_id, parameters)


Role: TypeAlias = Literal["user", "developer", "reviewer", "admin"]

_USER = frozenset({"media", "models:read", "apps:read", "jobs", "usage:read", "keys"})
_DEVELOPER = _USER | {"models:write", "models:deploy", "apps:write"}
_REVIEWER = _DEVELOPER | {"apps:review"}
# what each role may do; a key may do less
ROLES: dict[Role, frozenset[str]] = {
    "user": _USER, "developer": _DEVELOPER, "reviewer": _REVIEWER, "admin": _REVIEWER | {"admin"}}
SCOPES = ROLES["admin"]  # all there are


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking, and what they may do."""

    name: str  # for people and logs
    address: str = ""
    id: str = ""  # of the key or cookie session that was shown
    user: str = ""  # their account's id
    team: str = ""  # the team's id that a key was made for
    role: Role = "user"
    scopes: frozenset[str] = ROLES["user"]
    teams: frozenset[str] = frozenset()  # ids of those that they belong to

    @property
    def owner(self) -> str:
        """Whose is what they make: a team's or a user's id, "" for the server's own."""
        return self.team or self.user

    def owns(self, owner: str) -> bool:
        """Whether this is theirs, or they run the server. What one of a team makes is everybody's in it."""
        if "admin" in self.scopes:
            return True
        if self.team:  # a team's key sees what is the team's, and not what else is its maker's
            return owner == self.team
        return owner != "" and (owner == self.user or owner in self.teams)

    def need(self, scope: str) -> None:
        """Raises `Forbidden` unless the caller may do what `scope` names."""
        if scope not in self.scopes:
            lacks = (", which this key does not have" if self.id and scope in ROLES[self.role] else
                     f", which {self.name} does not have")
            raise Forbidden(f"this needs the scope {scope!r}{lacks}", scope=scope)


class Authorizer(Protocol):
    """Says who may come in. Raises `Unauthorized`, `Forbidden` or `Busy`."""

    def authorize(self, authorization: str | None, *, address: str = "", token: str | None = None,
                  cookie: str | None = None, csrf: str | None = None, reads: bool = False) -> Caller:
        """`authorization` is the header's value; `token` the same secret where no header can be set.

        `cookie` is that header's value. A browser sends it with whatever any page makes it send: so it counts where
        `csrf` is the token that belongs to it, or where the request only `reads`, or is a websocket whose Origin was
        looked at.
        """
        ...

    def confirm(self, caller: Caller) -> Caller:
        """Who was let in before, as they are now. Raises `Unauthorized` where their key is no longer good."""
        ...


class Auditor(Protocol):
    """Keeps who did what, and when."""

    async def write(self, caller: Caller, what: str, object: str = "", **details: Any) -> None:
        """`what` as ``model.deployed``, `object` an id. Never a secret, and of a person nothing but the id."""
        ...


class Personal(Protocol):
    """Something that keeps what is a person's own."""

    async def export(self, user: str) -> Any:
        """All of it, as JSON."""
        ...

    async def erase(self, user: str) -> None: ...
