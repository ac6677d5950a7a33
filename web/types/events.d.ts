// Made by tools/make_types.py from aimass_stream/events.py: do not edit.

/** Latency of one hop in ms over the last seconds. */
export interface HopStats {
  p50: number;
  p95: number;
  count: number;
}

/** Loudness of the last piece of sound. */
export interface AudioLevel {
  rms: number; // dBFS, at most 0
  peak: number; // dBFS, at most 0
}

export interface BitrateChanged {
  bits_per_second: number;
  reason: string;
}

/** A control message was refused; nothing of it was applied. */
export interface ErrorEvent {
  status: number;
  title: string;
  detail: string;
  field: string | null;
  request_id: string | null;
}

/** What stages found out about the frame with this pts, by stage name. */
export interface FrameResult {
  notes: Record<string, unknown>;
}

/** The way to the client is too slow and media was dropped up to the next key frame. */
export interface MediaDropped {
  frames: number;
  reason: string;
}

/** Something the client sent can't be used; the session goes on without it. */
export interface MediaRefused {
  reason: string;
  detail: string;
}

/** The server is going down: the session ends in `seconds` at the latest. */
export interface SessionClosing {
  reason: string;
  seconds: number; // seconds left
}

/** The first event of a session. `resume_token` brings its holder back after a cut connection. */
export interface SessionCreated {
  session_id: string;
  resume_token: string;
  pipeline: Array<Record<string, unknown>>;
  sync: "lowest" | "lips";
}

export interface SessionEnded {
  reason: string;
}

/** Sent once a second: latency per hop (ms), drops by reason, bitrates (bit/s). */
export interface SessionStats {
  hops: Record<string, Record<string, HopStats>>; // track, then hop in the order of the journey
  drops: Record<string, number>; // '<track>/<reason>', counted since the session began
  transport: Record<string, unknown>; // what the transport measures: bitrate, jitter, loss, rtt
}

/** The pipeline or the way of syncing changed. */
export interface SessionUpdated {
  pipeline: Array<Record<string, unknown>>;
  sync: "lowest" | "lips";
  request_id: string | null; // the id of the control message that asked for it
}

/** A stage failed too often in a row and is passed by until its parameters or the pipeline change. */
export interface StageBypassed {
  index: number;
  stage: string;
  detail: string;
}

/** A stage raised; the frame went on untouched. */
export interface StageFailed {
  index: number; // place in the pipeline, from 0
  stage: string;
  detail: string;
  failures: number; // in a row
}

/** The file of a stage under development changed and was loaded again, or could not be. */
export interface StageReloaded {
  stage: string;
  ok: boolean;
  detail: string;
}

/** What each event carries as `data`, by its type. */
export interface EventMap {
  "audio.level": AudioLevel;
  "bitrate.changed": BitrateChanged;
  "error": ErrorEvent;
  "frame.result": FrameResult;
  "media.dropped": MediaDropped;
  "media.refused": MediaRefused;
  "session.closing": SessionClosing;
  "session.created": SessionCreated;
  "session.ended": SessionEnded;
  "session.stats": SessionStats;
  "session.updated": SessionUpdated;
  "stage.bypassed": StageBypassed;
  "stage.failed": StageFailed;
  "stage.reloaded": StageReloaded;
}

/** One event as it comes over the data channel or the websocket. */
export type ServerEvent = {
  [T in keyof EventMap]: {
    type: T;
    seq: number; // from 1, no gaps in a session
    pts: number | null; // s, media time
    track: string | null;
    data: EventMap[T];
  };
}[keyof EventMap];
