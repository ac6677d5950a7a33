"""What somebody wants of a room."""

from __future__ import annotations

from dataclasses import dataclass

from ..spec import PipelineSpec, StageSpec
from .ports import Kind, Participant

LONGEST_SPEAKER = 64  # characters that the stage `asr` takes


@dataclass(frozen=True, slots=True)
class Wish:
    pipeline: PipelineSpec
    kinds: frozenset[Kind]  # that the pipeline or the room gets: of others nothing is taken
    most: int  # participants served at once
    only: frozenset[str] = frozenset()  # ids or names of participants; empty: all
    publish: tuple[Kind, ...] = ()
    captions: bool = True

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
