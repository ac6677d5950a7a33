"""Every option once: name, unit, default. Each can be set by environment as AIMASS_<NAME>."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from .signing import key_of, sealing_keys

LOOPBACK = ("127.0.0.1", "::1", "localhost")
EXTENSION = "chrome-extension://lhpcgkdgbjlhcdmagiaaphfllikenbdl"  # web/extension: made of its manifest's key

ORIGIN = re.compile(r"https?://([a-z0-9._-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?|chrome-extension://[a-p]{32}")
PORTS = {"http": ":80", "https": ":443"}  # which browsers leave out of origins


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="AIMASS_", extra="forbid")

    # where we listen
    host: str = Field("127.0.0.1", description="address to listen on; anything but loopback needs api_key")
    port: int = Field(8000, ge=0, le=65535, description="TCP port, 0 for any free one")
    api_key: str | None = Field(None, min_length=8, repr=False, description="secret every caller must send")
    insecure: bool = Field(False, description="allow a public address without api_key")
    tls: str | None = Field(None, description="'CERT,KEY' (PEM files) or 'self' for a certificate made here")
    origins: Annotated[list[str], NoDecode] = Field(
        default=[], description="further web origins that may open websockets and call the API, as "
        "http(s)://host[:port] or chrome-extension://ID, comma-separated; the server's own is always allowed")
    data_dir: Path = Field(Path("~/.local/share/aimass-stream").expanduser(),
                           description="database, certificates, fetched models")
    database: str = Field("", repr=False, description="URL of the database, as postgresql://USER:PASSWORD@HOST/NAME; "
                          "empty: the SQLite file aimass.db in data_dir")
    blobs: str = Field("", repr=False, description="URL of an object store for files, as s3://BUCKET/FOLDER; its "
                       "credentials are those of the environment; empty: folders in data_dir")

    # accounts
    accounts: bool = Field(False, description="everybody signs in or shows a key, also on loopback; the first start "
                           "prints a link that makes the first admin")
    sign_up: bool = Field(False, description="people may make accounts for themselves; else an admin invites them")
    sign_in_days: float = Field(14, gt=0, description="days after which one signs in again")
    audit_days: float = Field(365, ge=30, description="days that the audit log is kept")
    keep_days: float = Field(90, gt=0, description="days that revoked and expired keys and sign-ins are kept")
    limit_requests: int = Field(1200, ge=0, description="requests a minute of one user or team")
    limit_sessions: int = Field(60, ge=0, description="sessions begun a minute, likewise")
    limit_session_minutes: int = Field(2880, ge=0, description="minutes of sessions a day, likewise")
    limit_upload_bytes: int = Field(20 << 30, ge=0, description="bytes sent in requests a day, likewise")
    limit_concurrent_sessions: int = Field(8, ge=0, description="sessions at once, likewise")
    limit_per_address: int = Field(4, ge=1, description="times that what one address may use of each")
    limit_store: str = Field("memory", repr=False, description="where limits are counted: memory, or redis://HOST:PORT "
                             "for several servers")

    # admission
    max_sessions: int = Field(32, ge=1, description="sessions at once")
    max_load: float = Field(0.9, gt=0, le=1, description="share of all cores above which nobody is admitted")
    max_loop_lag: float = Field(0.1, gt=0, description="s; loop lag (p95) above which nobody is admitted")
    drain_seconds: float = Field(10, ge=0, description="s; how long SIGTERM waits for sessions")
    resume_seconds: float = Field(30, ge=0, description="s; how long a session waits for its dropped peer")

    # WebRTC
    udp_ports: Annotated[tuple[int, int] | None, NoDecode] = Field(
        None, description="first and last UDP port for media, as 40000-40100")
    advertised_address: str | None = Field(None, description="address put into candidates (containers, NAT)")
    stun: Annotated[list[str], NoDecode] = Field(default=[], description="stun: URLs, comma-separated")
    turn: Annotated[list[str], NoDecode] = Field(default=[], description="turn: URLs, comma-separated")
    turn_username: str | None = Field(None, description="for the turn: URLs")
    turn_credential: str | None = Field(None, repr=False, description="for the turn: URLs")
    turn_secret: str | None = Field(None, min_length=8, repr=False, description="shared with the TURN server (coturn's "
                                    "static-auth-secret): everybody gets credentials that end, in place of those two")
    turn_seconds: float = Field(86_400, ge=900, description="s that such credentials are good for")
    video_codecs: Annotated[list[str], NoDecode] = Field(default=["VP8", "H264"], description="in order of preference")
    min_bitrate: int = Field(150_000, ge=30_000, description="bit/s of video")
    start_bitrate: int = Field(1_000_000, ge=30_000, description="bit/s of video before the first estimate")
    max_bitrate: int = Field(3_000_000, ge=30_000, description="bit/s of video")
    audio_bitrate: int = Field(64_000, ge=6_000, le=510_000, description="bit/s of Opus")
    video_deadline: float = Field(0.15, gt=0, description="s a missing video packet is waited for")
    peer_silence: float = Field(8, gt=0, description="s without any datagram after which a peer is gone")
    max_width: int = Field(1920, ge=16, description="px of a received picture")
    max_height: int = Field(1920, ge=16, description="px of a received picture")
    max_fps: float = Field(61, gt=0, description="frames/s received; more are dropped")
    max_viewers: int = Field(64, ge=0, description="WHEP viewers at once, of all sessions")
    max_sdp_bytes: int = Field(64 * 1024, ge=1024, description="bytes of one offer")

    # models
    model_dirs: Annotated[list[Path], NoDecode] = Field(
        default=[], description="further folders of models, looked at before the built-in ones, comma-separated")

    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:[0-9]+)?)$",
                        description="where models that can use a card run: auto, cpu, cuda, cuda:1")
    builtin_models: bool = Field(True, description="offer the models that come with the server; else those of "
                                 "model_dirs and the hub alone")
    predict: str = Field("", description="the model that POST /predict asks; empty: the only one there is")
    max_infer: int = Field(64 * 1024 * 1024, ge=1024, description="bytes of one request for inference by REST")
    hub: str = Field("https://huggingface.co", description="where weights are fetched from; empty: nowhere")
    fetch: bool = Field(True, description="fetch the default weights in the background when the hub answers")

    # apps
    builtin_apps: bool = Field(True, description="publish the apps to start from, which come with the server")
    app_error_rate: float = Field(0.5, ge=0, le=1, description="share of an app's sessions within an hour that fail, "
                                  "from which it is suspended; 0: never")
    app_error_least: int = Field(10, ge=1, description="sessions within an hour before that is looked at")
    app_probe_seconds: float = Field(900, ge=0, description="s between probes of all published apps; 0: none")

    # speech
    hearing: str = Field("auto", description="recogniser: auto, whisper, emformer, pocketsphinx")
    hearing_model: str = Field("", description="its model: a name or a directory; empty: the best there is")
    warm: bool = Field(True, description="open voice and recogniser at the start: the first speaker need not wait")
    voice_engine: str = Field("auto", description="voice: auto, espeak, piper, tacotron2")
    voice: str = Field("", description="voice id; empty: the engine's default")
    max_listeners: int = Field(8, ge=0, description="sessions at once that have speech recognised; more are refused")
    max_upload: int = Field(512 * 1024 * 1024, ge=1024, description="bytes of one uploaded file")
    max_audio_seconds: float = Field(4 * 3600, gt=0, description="s of sound in one uploaded file")
    max_speech_text: int = Field(4096, ge=16, description="characters of one text to speak")

    # jobs
    max_jobs: int = Field(8, ge=0, description="jobs that run or wait at once; more are refused")
    running_jobs: int = Field(1, ge=1, description="jobs of one kind that run at once, each in a niced process")
    job_seconds: float = Field(3600, gt=0, description="s a job may take")
    job_keep_seconds: float = Field(3600, gt=0, description="s the result of a job is kept")
    job_keep_bytes: int = Field(2 << 30, ge=0, description="bytes of all results kept; the oldest go first")
    max_video_seconds: float = Field(300, gt=0, description="s of a video file that is painted")

    # models
    upload_pace: float = Field(24e6, ge=0, description="bytes/s that uploads to the hub bring together while sessions "
                               "are live, lest they make these late; 0: as fast as they come")

    # conversation
    brain: str = Field("offline", description="who answers: offline, or the base URL of an OpenAI-compatible chat API")
    brain_model: str = Field("", description="model name for the chat API")
    brain_key: str | None = Field(None, repr=False, description="API key for the chat API")
    brain_timeout: float = Field(10, gt=0, description="s until its first word; then the built-in brain answers")

    # models at rest
    model_key: str = Field("", repr=False, description="key that versions of models are encrypted with: 32 random "
                           "bytes as base64 or hex; several with commas between: the first encrypts, all decrypt")

    # webhooks
    webhook_secret: str | None = Field(None, repr=False, description="whsec_ and the base64 of 24 to 64 random bytes "
                                       "that events are signed with where they are posted; unset: none are")
    webhook_private: bool = Field(False, description="events may be posted to private addresses, and without TLS")

    # rooms of other meeting servers
    max_rooms: int = Field(4, ge=0, description="rooms of other servers that this one is in at once; 0: none")
    room_private: bool = Field(False, description="rooms may be joined at private addresses and without TLS, also by "
                               "who is no admin")

    # usage
    usage_days: float = Field(800, gt=0, description="days that usage is kept by the day; by the hour, 32 at most")

    # how versions of models do
    baseline_days: float = Field(7, gt=0, description="days from a version's first request on, with which its later "
                                 "inputs are compared")
    feedback_days: float = Field(90, gt=0, description="days that feedback on models is kept, with its samples")

    # fetching
    fetch_private: bool = Field(False, description="files named by URL may be fetched from private addresses, and "
                                "without TLS")

    # telephony and other voice protocols
    wyoming_port: int | None = Field(None, ge=0, le=65535, description="TCP port for Wyoming, 0 for any; unset: off")

    # websocket
    max_message: int = Field(1024 * 1024, ge=1024, description="bytes of one websocket message")

    @field_validator("origins", "stun", "turn", "video_codecs", "model_dirs", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return [part.strip() for part in value.split(",") if part.strip()]
        return value

    @field_validator("origins")
    @classmethod
    def _exact(cls, value: list[str]) -> list[str]:
        """As browsers write them."""
        return [_origin(each) for each in value]

    @field_validator("webhook_secret")
    @classmethod
    def _signs(cls, value: str | None) -> str | None:
        if value is not None:
            key_of(value)
        return value

    @field_validator("model_key")
    @classmethod
    def _seals(cls, value: str) -> str:
        if value:
            sealing_keys(value)
        return value

    @field_validator("udp_ports", mode="before")
    @classmethod
    def _range(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        first, dash, last = value.partition("-")
        if not (dash and first.strip().isdigit() and last.strip().isdigit()):
            raise ValueError("give the first and the last port, as 40000-40100")
        return int(first), int(last)

    @property
    def public(self) -> bool:
        """True when the server can be reached from other machines."""
        return self.host not in LOOPBACK

    def allows_origin(self, origin: str | None, host: str | None) -> bool:
        """True without an Origin (not a browser), for the server's own, our extension's, and for those in `origins`."""
        return origin is None or origin in (EXTENSION, *self.origins) or urlsplit(origin).netloc == host

    def allows_host(self, host: str | None) -> bool:
        """On loopback only our own names, or any web page could reach us by DNS rebinding."""
        return self.public or urlsplit(f"//{host or ''}").hostname in (*LOOPBACK, self.host)


def _origin(given: str) -> str:
    origin = given.lower().removesuffix("/")
    if not ORIGIN.fullmatch(origin):
        raise ValueError(f"{given[:64]!r} is no web origin; give each as http(s)://host[:port], without a path, or as "
                         "chrome-extension://ID")
    return origin.removesuffix(PORTS.get(origin.partition(":")[0], "/"))
