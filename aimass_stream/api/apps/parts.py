"""What the app centre's routes share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from fastapi import Depends, Path
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import HTTPConnection

from ...errors import Unavailable

if TYPE_CHECKING:
    from ...apps.apps import Apps

Ref = Annotated[str, Path(max_length=64, description="an app's id or slug")]
Number = Annotated[int, Path(ge=1, le=999_999_999, description="of a version")]
State = Literal["draft", "submitted", "approved", "rejected", "published", "retired", "suspended"]


class AppView(BaseModel):
    id: str
    slug: str
    name: str
    summary: str
    tags: list[str]
    permissions: list[str] = Field(description="what the app's page asks its user for")
    owner: str = Field(description="the id of a user or a team; empty: the server's own")
    mine: bool = Field(description="whether the caller may change it")
    state: State = Field(description="suspended, published, or that of the newest version")
    version: int = Field(description="the one shown")
    live: int | None = Field(description="the one that is published")
    featured: bool
    used: int = Field(description="sessions and runs, ever")
    created: float = Field(description="s since the epoch")
    updated: float
    published: float | None


class AppDetail(AppView):
    description: str = Field(description="Markdown")
    pipeline: list[dict[str, Any]]
    parameters: dict[str, Any] = Field(description="name → path, title and bounds, as they were given")
    schema_: dict[str, Any] = Field(alias="schema", description="JSON Schema of what can be set, with defaults")
    example: dict[str, Any] | None
    embed: list[str] = Field(description="web origins whose pages may show the app in a frame")
    latency_ms: int = Field(description="ms promised to its sessions; 0: nothing is")
    revision: int
    reason: str = Field(description="of the rejection or the suspension; empty to the public")


class VersionView(BaseModel):
    app_id: str
    version: int
    state: State
    manifest: dict[str, Any]
    revision: int = Field(description="changes so far; the ETag")
    author: str
    submitter: str
    reviewer: str
    reason: str
    created: float
    submitted: float | None
    decided: float | None
    published: float | None


class VersionList(BaseModel):
    versions: list[VersionView]


class AppPage(BaseModel):
    apps: list[AppView]
    next: str | None = Field(description="`cursor` of the next page")


class Reason(BaseModel):
    model_config = ConfigDict(extra="forbid")
    reason: str = Field("", max_length=2000, description="for people to read")


def apps_of(connection: HTTPConnection) -> Any:
    """Raises `Unavailable` while the server starts or stops."""
    apps = getattr(connection.app.state, "apps", None)
    if apps is None:
        raise Unavailable("the app centre is not open", retry_after=2)
    return cast("Apps", apps)


AppsDep = Annotated[Any, Depends(apps_of)]  # an Apps, whose module imports the database


def shown(version: Any) -> VersionView:
    return VersionView(app_id=version.app, version=version.number, state=version.state, manifest=version.manifest,
                       revision=version.revision, author=version.author, submitter=version.submitter,
                       reviewer=version.reviewer, reason=version.reason, created=version.created,
                       submitted=version.submitted, decided=version.decided, published=version.published)
