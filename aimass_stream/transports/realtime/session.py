"""The family ``session``: its configuration, as clients send it (in parts) and as they get it back (whole).

Fields and defaults are those of the OpenAI Realtime API (GA). A part that is left out keeps its value; an object
such as `turn_detection` is replaced as a whole, with its own defaults; null turns `transcription`,
`noise_reduction` and `turn_detection` off and means "not given" elsewhere.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from .errors import Refused, invalid, shown

MAX_TOOLS = 128
MAX_TEXT = 64 * 1024  # characters of instructions, or of one piece of text
PCM_RATE = 24_000  # Hz, the only one there is

Modality: TypeAlias = Literal["text", "audio"]


class Part(BaseModel):
    """Fields nobody here knows are left alone: the protocol grows."""

    model_config = ConfigDict(extra="ignore")


class Pcm(Part):
    type: Literal["audio/pcm"] = "audio/pcm"
    rate: Literal[24000] = 24000


class Pcmu(Part):
    type: Literal["audio/pcmu"]


class Pcma(Part):
    type: Literal["audio/pcma"]


AudioFormat: TypeAlias = Annotated[Pcm | Pcmu | Pcma, Field(discriminator="type")]


class Transcription(Part):
    """Whether transcripts of the user's speech are sent. A `model` of the hub hears; any other name is "the best"."""

    model: str | None = Field(None, max_length=256)
    language: str | None = Field(None, max_length=16)
    prompt: str | None = Field(None, max_length=MAX_TEXT)
    keywords: list[Annotated[str, Field(max_length=128)]] | None = Field(None, max_length=256)


class NoiseReduction(Part):
    type: Literal["near_field", "far_field"] | None = "near_field"
    strength: float | None = Field(None, ge=0, le=1)


class ServerVad(Part):
    type: Literal["server_vad"] = "server_vad"
    threshold: float = Field(0.5, ge=0, le=1)
    prefix_padding_ms: int = Field(300, ge=0, le=5000)
    silence_duration_ms: int = Field(500, ge=50, le=10_000)
    idle_timeout_ms: int | None = Field(None, ge=1000, le=300_000)
    create_response: bool = True
    interrupt_response: bool = True


class SemanticVad(Part):
    type: Literal["semantic_vad"]
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    create_response: bool = True
    interrupt_response: bool = True


TurnDetection: TypeAlias = Annotated[ServerVad | SemanticVad, Field(discriminator="type")]


def _without_nulls(value: Any) -> Any:
    """Clients send null for what they leave to us."""
    return {key: part for key, part in value.items() if part is not None} if isinstance(value, dict) else value


class AudioInput(Part):
    format: AudioFormat = Pcm()
    transcription: Transcription | None = None
    noise_reduction: NoiseReduction | None = None
    turn_detection: TurnDetection | None = ServerVad()

    @field_validator("turn_detection", mode="before")
    @classmethod
    def _nulls(cls, value: Any) -> Any:
        return _without_nulls(value)


class AudioOutput(Part):
    format: AudioFormat = Pcm()
    voice: str = Field("", max_length=128)
    speed: float = Field(1.0, ge=0.25, le=1.5)

    @field_validator("voice", mode="before")
    @classmethod
    def _by_id(cls, value: Any) -> Any:
        return value.get("id") if isinstance(value, dict) else value


class Audio(Part):
    input: AudioInput = AudioInput()
    output: AudioOutput = AudioOutput()


class FunctionTool(Part):
    type: Literal["function"]
    name: str = Field(min_length=1, max_length=64)
    description: str | None = Field("", max_length=MAX_TEXT)
    parameters: dict[str, Any] | None = None


class NamedTool(Part):
    type: Literal["function"]
    name: str = Field(min_length=1, max_length=64)


ToolChoice: TypeAlias = Literal["auto", "none", "required"] | NamedTool
MaxTokens: TypeAlias = Annotated[int, Field(ge=1, le=4096)] | Literal["inf"]
Modalities: TypeAlias = Annotated[list[Modality], Field(min_length=1, max_length=1)]


class Extensions(Part):
    """What only this server has; off until a client asks, since some clients end at an event they don't know.

    `events`: our own events of the session come along as ``aimass.event``. `skills`: the server's own skills (time,
    timers, arithmetic, steering the pipeline) are used beside the client's tools; where nothing is said, only the
    built-in brain has them, which has nothing else. `pipeline`: stages for the microphone's sound, before anybody
    listens to it.
    """

    events: bool = False
    skills: bool | None = None
    pipeline: list[Any] = Field(default=[], max_length=32)


class Configuration(Part):
    """A session's configuration, whole. `type` "transcription" only listens: no responses, no voice."""

    type: Literal["realtime", "transcription"] = "realtime"
    model: str = Field("", max_length=256)
    output_modalities: Modalities = ["audio"]
    instructions: str = Field("", max_length=MAX_TEXT)
    tools: list[FunctionTool] = Field(default=[], max_length=MAX_TOOLS)
    tool_choice: ToolChoice = "auto"
    max_output_tokens: MaxTokens = "inf"
    audio: Audio = Audio()
    include: list[str] | None = None
    tracing: Literal["auto"] | dict[str, Any] | None = None
    truncation: Literal["auto", "disabled"] | dict[str, Any] = "auto"
    prompt: dict[str, Any] | None = None
    aimass: Extensions | None = None

    def merged(self, part: object, prefix: str = "session") -> Configuration:
        """This configuration with a part of it changed. Raises `Refused`, and then nothing has changed."""
        if not isinstance(part, dict):
            raise Refused(f"Invalid {prefix!r}: an object is needed.", code="invalid_type", param=prefix)
        whole = _merge(self.model_dump(mode="json"), part, _LEVELS)
        try:
            return Configuration.model_validate(whole)
        except ValidationError as error:
            raise invalid(error, prefix) from None

    def shown(self, session_id: str, expires_at: int) -> dict[str, Any]:
        """What ``session.created`` and ``session.updated`` show."""
        whole = self.model_dump(mode="json", exclude={"aimass"})
        whole |= {"id": session_id, "expires_at": expires_at}
        heard = whole["audio"]["input"]["transcription"]
        if heard is not None and heard["keywords"] is None:
            del heard["keywords"]  # Pipecat's reader fails at it
        if self.aimass is not None:
            whole["aimass"] = self.aimass.model_dump(mode="json")
        if self.type == "realtime":
            return {"object": "realtime.session", **whole}
        fields = ("type", "id", "include", "expires_at", "aimass")
        kept: dict[str, Any] = {key: whole[key] for key in fields if key in whole}
        return {"object": "realtime.transcription_session", **kept, "audio": {"input": whole["audio"]["input"]}}

    @property
    def choice(self) -> str:
        """`tool_choice` as a word or the tool's name."""
        return self.tool_choice if isinstance(self.tool_choice, str) else self.tool_choice.name


# objects whose parts are merged one by one, and the fields in which null says something
_LEVELS: dict[str, Any] = {"audio": {"input": {}, "output": {}}}
_NULLABLE = frozenset({"transcription", "noise_reduction", "turn_detection", "include", "tracing", "prompt", "aimass"})


def _merge(old: dict[str, Any], new: dict[str, Any], levels: dict[str, Any]) -> dict[str, Any]:
    merged = dict(old)
    for key, value in new.items():
        if value is None and key not in _NULLABLE:
            continue
        inside = levels.get(key)
        if inside is not None and isinstance(value, dict):
            merged[key] = _merge(old[key], value, inside)
        else:
            merged[key] = value
    return merged


def merged_for_response(session: Configuration, given: dict[str, Any]) -> Configuration:
    """The session's configuration as one `response.create` changes it for itself. Raises `Refused`."""
    audio = given.get("audio")
    fields: dict[str, Any] = {key: given[key] for key in ("instructions", "tools", "tool_choice", "output_modalities",
                                                          "max_output_tokens") if key in given}
    if isinstance(audio, dict) and isinstance(audio.get("output"), dict):
        fields["audio"] = {"output": audio["output"]}
    elif audio is not None and not isinstance(audio, dict):
        raise Refused(f"Invalid 'response.audio': an object is needed, not {shown(audio)}.", code="invalid_type",
                      param="response.audio")
    return session.merged(fields, "response")
