// One way to the server, from the first packets until it is closed or lost: peer.js (WebRTC) and socket.js (a
// websocket). A Connection makes a new one whenever the old one is gone.

import type { Snapshot } from "./stats.js";

export type Transport = "webrtc" | "websocket";
export type Media = "audio" | "video";
export type Tracks = Record<Media, MediaStreamTrack | null>;

export interface LinkOptions {
  tracks: Tracks; // what is sent
  message: (text: string) => void; // gets what comes as text
  together: boolean; // whether the picture waits for its sound
  seconds: number; // that media may take to flow
  silence: number; // s without anything, after which the link counts as lost
  signal: AbortSignal;
  receive?: boolean; // false: no media comes back
}

export interface Link {
  name: Transport;
  stream: MediaStream; // what comes back, in tracks that are there from the beginning
  lost: Promise<Error>; // resolves once, when this link is gone
  send(text: string): boolean; // false where it is shut
  setTrack(kind: Media, track: MediaStreamTrack | null): Promise<void>;
  setTogether(together: boolean): void;
  suspect(): void; // the network changed: it has to be heard of soon, or it is lost
  stats(): Promise<Snapshot>;
  close(): void;
}
