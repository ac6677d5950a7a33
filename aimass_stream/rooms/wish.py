"""What somebody wants of a room."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from pydantic import Field, field_validator

from ..conversation.addressing import Name
from ..errors import InvalidPipeline
from ..ports import AppCall
from ..spec import PipelineSpec, StageSpec
from ..stages.assistant import SpokenParams
from .ports import Kind, Participant

LONGEST_SPEAKER = 64  # characters that the stage `asr` takes
PAUSE = 0.2  # s of silence that end a speech, for who may be interrupting
NOTICES = StageSpec("vad", {"silence": 1000 * PAUSE})  # that somebody speaks


class AssistantWish(SpokenParams):
    """One assistant in the room, which answers who calls it by its name."""

    name: str = Field(min_length=2, max_length=32, description="what it is called, and how it is called",
                      examples=["Computer"])
    follow_up: float = Field(0, ge=0, le=60, description="for so long after a reply whoever was answered may ask on "
                             "without the name; 0: never", json_schema_extra={"unit": "s"})

    @field_validator("name")
    @classmethod
    def _callable(cls, name: str) -> str:
        if not name.isprintable():
            raise ValueError("a name is one line of text")
        return Name(" ".join(name.split())).text


def attentive(pipeline: PipelineSpec, name: str) -> PipelineSpec:
    """The pipeline, telling also when somebody speaks, and expecting this name. Raises `InvalidPipeline`."""
    ears = [stage for stage in pipeline.stages if stage.name == "asr"]
    if not ears:
        raise InvalidPipeline("an assistant hears by the stage 'asr': put it into the pipeline", field="pipeline")
    stages = [StageSpec(stage.name, {"hotwords": name, **stage.params}, stage.id, stage.track)
              if stage in ears else stage for stage in pipeline.stages]
    begin = pipeline.stages.index(ears[0])
    notices = replace(NOTICES, track=ears[0].track)
    return PipelineSpec((*stages[:begin], notices, *stages[begin:]))


@dataclass(frozen=True, slots=True)
class Place:
    """A room, and what we are called in it: two stays in the same place could not be told apart there."""

    kind: str
    url: str
    room: str  # as the other server has it
    name: str = field(repr=False)  # or the token that has it

    @classmethod
    def of(cls, kind: str, url: str, room: str, name: str) -> Place:
        return cls(kind, url.lower().rstrip("/"), room, name)


@dataclass(frozen=True, slots=True)
class Wish:
    pipeline: PipelineSpec
    kinds: frozenset[Kind]  # that the pipeline or the room gets: of others nothing is taken
    most: int  # participants served at once
    only: frozenset[str] = frozenset()  # ids or names of participants; empty: all
    publish: tuple[Kind, ...] = ()
    captions: bool = True
    app: AppCall | None = None  # that the pipeline is of: each session is begun by it
    assistant: AssistantWish | None = None
    leave_after: float | None = None  # s for which nobody follows the room; None: it is stayed in

    def takes(self, participant: Participant) -> Participant | None:
        """With what is wanted of them, None where that is nothing."""
        if self.only and participant.id not in self.only and participant.name not in self.only:
            return None
        tracks = tuple((track, kind) for track, kind in participant.tracks if kind in self.kinds)
        return Participant(participant.id, participant.name, tracks) if tracks else None

    def pipeline_for(self, name: str) -> PipelineSpec:
        """The pipeline, in which the recogniser knows whose words it hears."""
        return PipelineSpec(tuple(
            StageSpec(stage.name, {**stage.params, "speaker": name[:LONGEST_SPEAKER]}, stage.id, stage.track)
            if at in self.ears() else stage for at, stage in enumerate(self.pipeline.stages)))

    def ears(self) -> list[int]:
        """Places of the recognisers that were not told whose words they hear."""
        return [at for at, stage in enumerate(self.pipeline.stages)
                if stage.name == "asr" and not stage.params.get("speaker")]
