// MediaStreamTrack Insertable Media Processing (W3C), as Chromium has it in windows; TypeScript's DOM does not yet.

declare class MediaStreamTrackProcessor {
  constructor(init: { track: MediaStreamTrack; maxBufferSize?: number });
  readonly readable: ReadableStream<VideoFrame | AudioData>;
}

interface MediaStreamTrackGenerator extends MediaStreamTrack {
  readonly writable: WritableStream<VideoFrame | AudioData>;
}

// what an audio worklet has

declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}

declare function registerProcessor(name: string, processor: new () => AudioWorkletProcessor & {
  process(inputs: Float32Array[][], outputs: Float32Array[][]): boolean;
}): void;

declare var MediaStreamTrackGenerator: {
  new (init: { kind: "audio" | "video" }): MediaStreamTrackGenerator;
};
