// MediaStreamTrack Insertable Media Processing (W3C), as Chromium has it in windows; TypeScript's DOM does not yet.

declare class MediaStreamTrackProcessor {
  constructor(init: { track: MediaStreamTrack; maxBufferSize?: number });
  readonly readable: ReadableStream<VideoFrame | AudioData>;
}

interface MediaStreamTrackGenerator extends MediaStreamTrack {
  readonly writable: WritableStream<VideoFrame | AudioData>;
}

declare var MediaStreamTrackGenerator: {
  new (init: { kind: "audio" | "video" }): MediaStreamTrackGenerator;
};
