// Made by tools/make_types.py from aimass_stream/events: do not edit.

/** Latency of one hop in ms over the last seconds. */
export interface HopStats {
  p50: number;
  p95: number;
  count: number;
}

export interface InstalledModel {
  name: string;
  title: string;
  task: string; // what it is for, such as style-transfer
}

/** How a promised latency is kept: for 95 of 100 frames of each track, from their arrival until they leave. */
export interface LatencyStats {
  latency_ms: number;
  p95_ms: number | null; // of the slowest track in the last seconds; null before that is known
  kept: boolean | null; // null where nothing can be said of a track: too little came out of it lately
  stages: Array<RungStats>;
}

/** A stage that works with less than it could, so that a promised latency is kept. */
export interface RungStats {
  index: number | null; // place in the pipeline, from 0; null: the track's frame rate
  stage: string;
  track: string;
  rung: number; // of the stage's ladder, from 0, which is all of it
  name: string;
  says: string; // what that means, in a few words
}

export interface SpokenWord {
  text: string;
  start: number; // s of media time
  end: number; // s of media time
  confidence: number | null; // 0 to 1, null if the engine does not say
}

/** A skill or a tool was used. */
export interface AssistantAction {
  name: string;
  arguments: Record<string, unknown>;
  result: string;
  ok: boolean;
}

/** The user spoke: the reply stopped. `heard` is what of it reached the user; only that is remembered. */
export interface AssistantInterrupted {
  turn: string;
  heard: string;
}

/** A piece of the reply's text, as the brain gives it. */
export interface AssistantReply {
  turn: string;
  delta: string;
  final: boolean;
}

/** That was a cough or an "mhm": the reply goes on. */
export interface AssistantResumed {
  turn: string;
}

export interface AssistantState {
  state: "listening" | "thinking" | "speaking";
}

/** An utterance is taken for a command, which it was heard as by its grammar; its transcript stays as it is. */
export interface AssistantUnderstood {
  utterance: string;
  text: string; // the command as its phrase is said
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

/** Which detector a stage `detect` looks with from now on, and why that one. */
export interface DetectorReady {
  model: string;
  title: string;
  tier: string; // no-weights: it works without fetched weights, and gives way to one that has some
  ap50: number | null; // average precision that its card says, 0 to 1; null if it says none
  measured: string; // what else its card says of how well it finds things
  reason: string;
}

/** Weights are on their way from a hub. */
export interface DownloadProgress {
  name: string;
  done: number; // bytes
  total: number | null; // bytes
  state: "running" | "ready" | "failed";
  detail: string;
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

/** A stage works with less from now on, or with more again, so that the promised latency is kept. */
export interface GovernorStepped {
  index: number | null; // place in the pipeline, from 0; null: the track's frame rate
  stage: string;
  down: boolean; // with less than before
  before: string; // the rung's name
  after: string; // the rung's name
  says: string; // what that means, in a few words
  why: string;
  p95_ms: number; // what 95 of 100 frames of this track stayed below
  latency_ms: number; // ms, the promised bound
}

/** A hand signs another digit than before, and has done so for a moment. */
export interface HandDigit {
  hand: number; // the same for as long as this hand is followed
  side: "left" | "right";
  digit: number | null; // null when it shows none any more, or is gone
}

/** A hand shows something else than before, for some pictures in a row. */
export interface HandGesture {
  hand: number; // the same for as long as this hand is followed
  side: "left" | "right";
  gesture: "none" | "open" | "fist" | "point" | "thumb" | "victory"; // none also when the hand is gone
}

/** Which recogniser hears this track, and why that one. */
export interface HearingReady {
  engine: string;
  model: string;
  reason: string;
  languages: Array<string>;
}

/** The promised latency can't be kept: no stage can do with less. Told once; the session goes on. */
export interface LatencyMissed {
  why: string;
  p95_ms: number; // what 95 of 100 frames of this track stay below
  latency_ms: number; // ms, the promised bound
}

/** Something that a stage `detect` follows went over one of its lines. */
export interface LineCrossed {
  line: string;
  id: number; // of the thing, as in the results of this track
  label: string;
  model: string; // which detector found it
  direction: "in" | "out"; // in: to the right-hand side of who looks from the line's start to its end
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

/** Models came or went while the server runs; `GET /v1/stages` offers those that are here now. */
export interface ModelsChanged {
  added: Array<InstalledModel>;
  changed: Array<InstalledModel>; // other files under the same name
  removed: Array<string>; // names
}

/** Something moves that a stage `motion` looks at, for some pictures in a row. */
export interface MotionStarted {
  zone: string; // empty: anywhere in the picture
  share: number; // of the zone or picture that moves, 0 to 1
}

/** Nothing has moved there for as long as the stage waits. */
export interface MotionStopped {
  zone: string; // empty: anywhere in the picture
  duration: number; // s that something moved
}

/** Somebody who is enrolled was recognised by a stage `faces`, and was not there before. */
export interface PersonArrived {
  person: string; // id, as GET /v1/faces lists it
  name: string;
  at: number; // s of media time: when their face was first seen
}

/** Nobody has seen their face for as long as the stage waits. */
export interface PersonLeft {
  person: string;
  name: string; // empty for somebody who was deleted meanwhile
  at: number; // s of media time: when they were last seen
  stayed: number; // s
}

/** What a stage `rule` waits for has been there for long enough. */
export interface RuleFired {
  rule: string; // what the stage calls it
  when: string;
  zone: string; // empty: anywhere in the picture
  count: number; // things that are there for long enough
  ids: Array<number>; // of those that have one
  seconds: number; // s that it has been so
  webhook: string; // where this event is posted, too
}

/** What was told by `rule.fired` is so no longer. */
export interface RuleOver {
  rule: string;
  zone: string;
  seconds: number; // s that it was so
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
  latency_ms: number | null; // ms, the promised bound; null: none
}

export interface SessionEnded {
  reason: string;
  by: "client" | "request" | "server"; // its own client; a request over HTTP by who may; or the server, which stops, has failed, or has waited in vain for the client
}

/** Sent once a second: latency per hop (ms), drops by reason, bitrates (bit/s). */
export interface SessionStats {
  hops: Record<string, Record<string, HopStats>>; // track, then hop in the order of the journey
  drops: Record<string, number>; // '<track>/<reason>', counted since the session began
  transport: Record<string, unknown>; // what the transport measures: bitrate, jitter, loss, rtt
  latency: LatencyStats | null; // where a latency is promised
}

/** The pipeline, the way of syncing or the promised latency changed. */
export interface SessionUpdated {
  pipeline: Array<Record<string, unknown>>;
  sync: "lowest" | "lips";
  latency_ms: number | null; // ms, the promised bound; null: none
  request_id: string | null; // the id of the control message that asked for it
}

/** A clause begins to be heard; the times of its words are media times of the returned sound. */
export interface SpeechSpoken {
  text: string;
  voice: string;
  engine: string;
  words: Array<SpokenWord>;
}

/** Somebody speaks, from `at` on. */
export interface SpeechStarted {
  at: number; // s of media time
}

/** Nobody has spoken for as long as the endpointing waits. */
export interface SpeechStopped {
  at: number; // s of media time: where the speech ended, not where that was noticed
  duration: number; // s
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

/** A stage `ocr` read a line: once, and again when the same line says something else. */
export interface TextRead {
  line: number; // the same for as long as the line is followed, as in the results of this track
  text: string;
  score: number; // 0 to 1
  box: Array<number>; // x, y, width and height in px of the picture that was looked at, upright
}

/** Words that stay: appended to what this utterance already has, never changed again. */
export interface TranscriptCommitted {
  utterance: string;
  text: string;
  words: Array<SpokenWord>;
  engine: string;
  model: string;
  language: string;
  speaker: string; // the track, or the name that the stage was given
  final: boolean; // true with the last words of the utterance; they may be none
}

/** What the end of the utterance sounds like so far: replaces the last partial of this utterance. */
export interface TranscriptPartial {
  utterance: string; // the same for all events of one utterance
  text: string;
  words: Array<SpokenWord>;
  engine: string; // which engine made it
  language: string;
}

/** Where the time of one turn went, in ms from the end of the user's speech. */
export interface TurnLatency {
  turn: string;
  endpoint: number; // ms until the turn was taken for over
  recognition: number; // ms more until its words were final
  brain: number; // ms more until the first words of the reply
  voice: number; // ms more until the first sound of it
  wire: number; // ms more until that left for the client
  total: number; // ms, the sum
}

/** An event could not be posted, and will not be tried again. */
export interface WebhookFailed {
  url: string;
  detail: string;
  attempts: number;
}

/** Something that a stage `detect` follows came into one of its zones, or is in it at first sight. */
export interface ZoneEntered {
  zone: string;
  id: number; // of the thing, as in the results of this track
  label: string;
  model: string; // which detector found it
}

/** It went out of the zone, or is seen no longer. */
export interface ZoneLeft {
  zone: string;
  id: number; // of the thing, as in the results of this track
  label: string;
  model: string; // which detector found it
  dwell: number; // s from when it came until it was last seen there
}

/** What each event carries as `data`, by its type. */
export interface EventMap {
  "assistant.action": AssistantAction;
  "assistant.interrupted": AssistantInterrupted;
  "assistant.reply": AssistantReply;
  "assistant.resumed": AssistantResumed;
  "assistant.state": AssistantState;
  "assistant.understood": AssistantUnderstood;
  "audio.level": AudioLevel;
  "bitrate.changed": BitrateChanged;
  "detector.ready": DetectorReady;
  "download.progress": DownloadProgress;
  "error": ErrorEvent;
  "frame.result": FrameResult;
  "governor.stepped": GovernorStepped;
  "hand.digit": HandDigit;
  "hand.gesture": HandGesture;
  "hearing.ready": HearingReady;
  "latency.missed": LatencyMissed;
  "line.crossed": LineCrossed;
  "media.dropped": MediaDropped;
  "media.refused": MediaRefused;
  "models.changed": ModelsChanged;
  "motion.started": MotionStarted;
  "motion.stopped": MotionStopped;
  "person.arrived": PersonArrived;
  "person.left": PersonLeft;
  "rule.fired": RuleFired;
  "rule.over": RuleOver;
  "session.closing": SessionClosing;
  "session.created": SessionCreated;
  "session.ended": SessionEnded;
  "session.stats": SessionStats;
  "session.updated": SessionUpdated;
  "speech.spoken": SpeechSpoken;
  "speech.started": SpeechStarted;
  "speech.stopped": SpeechStopped;
  "stage.bypassed": StageBypassed;
  "stage.failed": StageFailed;
  "stage.reloaded": StageReloaded;
  "text.read": TextRead;
  "transcript.committed": TranscriptCommitted;
  "transcript.partial": TranscriptPartial;
  "turn.latency": TurnLatency;
  "webhook.failed": WebhookFailed;
  "zone.entered": ZoneEntered;
  "zone.left": ZoneLeft;
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
