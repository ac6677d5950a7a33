/**
 * What the page of the measurements has beside the SDK: pictures that are numbered as they are drawn, an eye that reads
 * the numbers of those that are shown, and a sound with beeps and an ear for them. All times are in ms since 1970.
 */
async () => {
  const [WIDTH, HEIGHT, BLOCK] = [640, 360, 32]; // px; a picture's number stands in its lowest row of blocks
  const BITS = 14;
  const MANY = 1 << BITS;
  const MARGIN = 4; // px of a block's edge that are not looked at
  const now = () => performance.timeOrigin + performance.now();
  const check = (number) => (number ^ (number >> 4) ^ (number >> 8) ^ (number >> 12) ^ 9) & 15;

  /** White, the number, its check, black: so it can be told from its mirror image. */
  function blocks(number) {
    const value = (number << 4) | check(number);
    return [1, ...Array.from({ length: BITS + 4 }, (_, bit) => (value >> bit) & 1), 0];
  }

  function understood(seen) {
    const mirrored = !seen[0];
    if (seen[0] === seen[BITS + 5]) return null;
    const value = (mirrored ? [...seen].reverse() : seen).slice(1, BITS + 5).reduce((sum, bit, at) => sum | (bit << at), 0);
    const number = value >> 4;
    return (value & 15) === check(number) ? { number, mirrored } : null;
  }

  /** A camera of numbered pictures: `track`, and `at(number)`, when that was taken. */
  function camera(fps = 30) {
    const canvas = new OffscreenCanvas(WIDTH, HEIGHT);
    const context = canvas.getContext("2d", { willReadFrequently: true, alpha: false });
    const wall = context.createLinearGradient(0, 0, WIDTH, HEIGHT);
    for (const [at, colour] of [[0, "#274060"], [0.5, "#c9a36a"], [1, "#5a7d4f"]]) wall.addColorStop(at, colour);
    const track = new MediaStreamTrackGenerator({ kind: "video" });
    const writer = track.writable.getWriter();
    const taken = new Float64Array(MANY);
    const begun = performance.now();
    let count = 0;
    const draw = () => {
      const number = ++count % MANY;
      context.fillStyle = wall;
      context.fillRect(0, 0, WIDTH, HEIGHT - BLOCK);
      context.fillStyle = "#e8e2d4";
      context.beginPath();
      context.arc(320 + 200 * Math.sin(count / 20), 160 + 90 * Math.cos(count / 13), 60, 0, 7);
      context.fill();
      blocks(number).forEach((bit, at) => {
        context.fillStyle = bit ? "#fff" : "#000";
        context.fillRect(at * BLOCK, HEIGHT - BLOCK, BLOCK, BLOCK);
      });
      taken[number] = now();
      const frame = new VideoFrame(canvas, { timestamp: performance.now() * 1000 });
      writer.write(frame).catch(() => frame.close()); // stopped meanwhile
      timer = setTimeout(draw, begun + (count * 1000) / fps - performance.now());
    };
    let timer = setTimeout(draw);
    const stop = () => {
      clearTimeout(timer);
      track.stop();
    };
    return { track, at: (number) => taken[number], count: () => count, stop };
  }

  /**
   * Looks at each new picture of an element: `seen({number, mirrored, at})`, where it is one of ours.
   * @returns {() => void} that stops it
   */
  function look(video, seen) {
    const eye = new OffscreenCanvas(WIDTH, BLOCK).getContext("2d", { willReadFrequently: true });
    let request = video.requestVideoFrameCallback(function next() {
      const at = now();
      const high = video.videoHeight * (BLOCK / HEIGHT);
      eye.drawImage(video, 0, video.videoHeight - high, video.videoWidth, high, 0, 0, WIDTH, BLOCK);
      const { data } = eye.getImageData(0, MARGIN, WIDTH, BLOCK - 2 * MARGIN);
      const row = Array.from({ length: WIDTH / BLOCK }, (_, block) => {
        let sum = 0, count = 0;
        for (let y = 0; y < BLOCK - 2 * MARGIN; y += 4) {
          for (let x = block * BLOCK + MARGIN; x < (block + 1) * BLOCK - MARGIN; x += 4, count++) sum += data[(y * WIDTH + x) * 4 + 1];
        }
        return sum > 128 * count ? 1 : 0;
      });
      const read = understood(row);
      if (read) seen({ ...read, at });
      request = video.requestVideoFrameCallback(next);
    });
    return () => video.cancelVideoFrameCallback(request);
  }

  /** A microphone that beeps: `track`, for as long as it is not stopped; nothing comes while its `context` is suspended. */
  async function beeper(every = 1, long = 0.06) {
    const context = new AudioContext({ sampleRate: 48_000 });
    await context.resume();
    const beats = context.createBuffer(1, every * 48_000, 48_000);
    const samples = beats.getChannelData(0);
    for (let n = 0; n < samples.length; n++) {
      samples[n] = n < long * 48_000 ? 0.6 * Math.sin((n * 2 * Math.PI * 1000) / 48_000) : 0.002 * Math.sin(n / 40);
    }
    const source = new AudioBufferSourceNode(context, { buffer: beats, loop: true });
    const out = context.createMediaStreamDestination();
    source.connect(out);
    source.start();
    return { track: out.stream.getAudioTracks()[0], context, stop: () => context.close() };
  }

  /**
   * Hears when each beep of a track begins, by when its piece of sound is handed out.
   * @returns {() => void} that stops it
   */
  function listen(track, heard) {
    const copy = track.clone();
    const reader = new MediaStreamTrackProcessor({ track: copy }).readable.getReader();
    let last = -Infinity;
    const read = async () => {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        const samples = new Float32Array(value.numberOfFrames);
        value.copyTo(samples, { planeIndex: 0, format: "f32-planar" });
        const end = now();
        const loud = samples.findIndex((sample) => Math.abs(sample) > 0.15);
        if (loud >= 0) {
          const at = end - ((value.numberOfFrames - loud) * 1000) / value.sampleRate;
          if (at - last > 300) heard(at);
          last = at;
        }
        value.close();
      }
    };
    read().catch(() => undefined); // stopped in the middle of it
    return () => {
      reader.cancel().catch(() => undefined); // ended before
      copy.stop();
    };
  }

  function element(name) {
    const video = document.createElement("video");
    Object.assign(video, { className: name, muted: true, autoplay: true, playsInline: true });
    document.body.append(video);
    return video;
  }

  /** @returns {HTMLVideoElement} that shows the track */
  function show(name, track) {
    const video = document.querySelector(`video.${name}`) ?? element(name);
    video.srcObject = new MediaStream([track]);
    return video;
  }

  /** The track by way of two connections of this page, and nothing between them; frame by frame, as the SDK has it: an
   * element that shows a remote track by itself holds pictures back to show them evenly. */
  async function loopback(track) {
    const [here, there] = [new RTCPeerConnection(), new RTCPeerConnection()];
    for (const [one, other] of [[here, there], [there, here]]) {
      one.addEventListener("icecandidate", ({ candidate }) => candidate && other.addIceCandidate(candidate));
    }
    const came = new Promise((resolve) => there.addEventListener("track", (event) => resolve(event.track)));
    const sender = here.addTransceiver(track, { direction: "sendonly" });
    const vp8 = RTCRtpSender.getCapabilities("video").codecs.filter(({ mimeType }) => mimeType === "video/VP8");
    sender.setCodecPreferences(vp8);
    await here.setLocalDescription();
    await there.setRemoteDescription(here.localDescription);
    await there.setLocalDescription();
    await here.setRemoteDescription(there.localDescription);
    for (const receiver of there.getReceivers()) receiver.jitterBufferTarget = 0; // ms, as the SDK has it
    const close = () => [here, there].forEach((one) => one.close());
    const shown = new MediaStreamTrackGenerator({ kind: "video" });
    const { readable } = new MediaStreamTrackProcessor({ track: await came });
    readable.pipeTo(shown.writable).catch(() => undefined); // closed in the middle of it
    return { track: shown, close };
  }

  const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  document.body.textContent = "";
  window.bench = { now, camera, look, beeper, listen, show, loopback, pause };
  window.sdk = await import("/sdk/aimass-stream.js");
}
