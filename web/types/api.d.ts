// What the REST routes carry; written by hand after /openapi.json.

export type Kind = "audio" | "video" | "text";
export type Sync = "lowest" | "lips";

/** One entry of a pipeline: `stage`, `id` and `track` are names, everything else is a parameter. */
export interface StageSpec {
  stage: string;
  id?: string;
  track?: string;
  [parameter: string]: unknown;
}

export type Pipeline = StageSpec[];

/** The part of JSON Schema that parameters are described in. */
export interface Schema {
  type?: string | string[];
  title?: string;
  description?: string;
  default?: unknown;
  const?: unknown;
  enum?: unknown[];
  anyOf?: Schema[];
  oneOf?: Schema[];
  allOf?: Schema[];
  $ref?: string;
  $defs?: Record<string, Schema>;
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  prefixItems?: Schema[];
  minItems?: number;
  maxItems?: number;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  multipleOf?: number;
  minLength?: number;
  maxLength?: number;
  pattern?: string;
  format?: string;
  unit?: string;
  step?: number;
  picture?: number; // a data: URL of a picture will do, too, with so many px at most
  labels?: Record<string, string>; // what people are shown in place of a value of `enum`
  hint?: string; // for people; the description is for who writes pipelines
  along?: Record<string, unknown>; // what other parameters are set to together with this one
}

export interface StageInfo {
  name: string;
  title: string;
  doc: string;
  accepts: Kind[];
  params: Schema;
  ladder?: { name: string; says: string }[]; // the ways it can work, from all of it on down
  error?: string; // why this stage can't be used
}

/** RFC 9457 problem details. */
export interface Problem {
  title: string;
  status: number;
  detail: string;
  field?: string | null;
  retry_after?: number;
}

export interface OfferRequest {
  sdp: string;
  type: "offer";
  pipeline?: Pipeline;
  sync?: Sync;
  latency_ms?: number; // promised; 0: none
  session_id?: string;
  resume_token?: string;
  last_seq?: number;
}

export interface OfferAnswer {
  sdp: string;
  type: "answer";
  session_id: string;
  resume_token: string;
}

export interface ClientConfig {
  version: string;
  protocol?: number; // of websockets and data channels
  iceServers: RTCIceServer[];
  max_width?: number;
  max_height?: number;
  max_fps?: number;
  resume_seconds?: number;
}

/** A model that can be used now; `id` is what clients of OpenAI's ask for. */
export interface ModelInfo {
  id: string;
  purpose: "hearing" | "voice";
  engine: string;
  title: string;
  languages: string[];
  general: boolean; // false: for tests and demonstrations
  reason: string; // why it is the one that is taken by itself
}

export interface EngineInfo {
  purpose: "hearing" | "voice";
  engine: string;
  available: boolean;
  reason: string; // why not
  languages: string[];
  models?: EngineModel[]; // that it could open now
}

export interface EngineModel {
  name: string;
  title: string;
  wer_real: number | null; // word error rate on people's speech, null: not measured
  general: boolean; // false: for tests and demonstrations
}

/** Weights that the server can fetch from its hub. */
export interface WeightsInfo {
  name: string;
  title: string;
  for: "hearing" | "voice" | "training";
  description: string;
  languages: string[];
  licence: string;
  source: string;
  bytes: number | null;
  default: boolean;
  usable: boolean;
  needs: string;
  state: "ready" | "partial" | "absent" | "running";
  progress: import("./events.js").DownloadProgress | null;
}

export interface ModelList {
  data: ModelInfo[];
  engines: EngineInfo[];
  weights: WeightsInfo[];
}
