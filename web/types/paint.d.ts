// What the routes for pictures, videos and jobs carry; written by hand after /openapi.json.

import type { Problem } from "./api.js";

export interface StyleInfo {
  name: string;
  title: string;
  painter: string;
  year: string;
  names: string[]; // what else it is called, in English and Chinese
  sample: boolean;
}

export interface StyleList {
  styles: StyleInfo[];
  any: boolean; // whether it can be painted after any picture
  unable: string; // why no style can be learned here; empty: it can
  meant: string; // the one that was said; empty if none is
}

export interface Distance {
  name: string;
  title: string;
  painter: string;
  distance: number; // 0: the same; about 1: two unrelated pictures
  installed: boolean;
}

export interface Matched {
  file: string;
  width: number;
  height: number;
  nearest: string;
  distances: Distance[];
}

export interface Match {
  pictures: Matched[];
  between: number[][];
}

export interface Job {
  id: string;
  kind: string;
  state: "queued" | "running" | "done" | "failed" | "cancelled";
  waiting: number; // jobs that come before it
  progress: number; // 0 to 1
  message: string;
  eta: number | null; // s
  preview: number; // how many there were
  facts: Record<string, unknown>;
  error: Problem | null;
  result: { name: string; media_type: string; bytes: number } | null;
}
