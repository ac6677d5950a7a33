/**
 * The clip that plays before anybody gives a permission: an evening at sea, drawn and sounded here, thirty
 * pictures a second. A buoy rings whenever its lamp lights, so that one can hear whether lips would be in sync.
 */

import { Bell } from "./demo-sound.js";

const WIDTH = 848; // px, whole macroblocks
const HEIGHT = 480;
const FPS = 30;
const HORIZON = 0.56; // of the height
const BELL_EVERY = 2; // s

export class DemoClip {
  #canvas = document.createElement("canvas");
  #context = /** @type {CanvasRenderingContext2D} */ (this.#canvas.getContext("2d", { alpha: false }));
  #still = backdrop();
  /** @type {Bell | null} */
  #sound = null;
  #over = new AbortController();
  #begun = performance.now();
  #drawn = -1;
  #rings = 0;
  #request = 0;

  /** @param {() => void} onSound the stream has got its sound: browsers allow none before somebody touches the page */
  constructor(onSound) {
    this.#canvas.width = WIDTH;
    this.#canvas.height = HEIGHT;
    this.#draw(0);
    this.stream = this.#canvas.captureStream(FPS);
    this.#next();
    const touched = () => navigator.userActivation?.hasBeenActive !== false;
    if (navigator.userActivation?.hasBeenActive) this.#ring();
    for (const gesture of ["pointerup", "keydown"]) {
      addEventListener(gesture, () => {
        if (this.#sound || !touched()) return;
        this.#ring();
        onSound();
      }, { signal: this.#over.signal });
    }
  }

  #ring() {
    this.#sound = new Bell();
    for (const track of this.#sound.tracks) this.stream.addTrack(track);
  }

  #next() {
    this.#request = requestAnimationFrame((now) => {
      const number = Math.floor(((now - this.#begun) * FPS) / 1000);
      if (number > this.#drawn) this.#draw(Math.max(0, number));
      this.#next();
    });
  }

  /** @param {number} number of the picture */
  #draw(number) {
    this.#drawn = number;
    const t = number / FPS;
    const rings = Math.floor(t / BELL_EVERY);
    if (rings > this.#rings) {
      this.#rings = rings;
      this.#sound?.ring();
    }
    this.#context.drawImage(this.#still, 0, 0);
    moving(this.#context, t);
  }

  stop() {
    cancelAnimationFrame(this.#request);
    this.#over.abort();
    this.#sound?.close();
    endLater(this.stream);
  }
}

/** Ends it in a second: Chromium forgets to close a picture of a canvas if its track ends then. @param {MediaStream} stream */
export function endLater(stream) {
  setTimeout(() => stream.getTracks().forEach((track) => track.stop()), 1000);
}

/** One picture of the clip. @param {number} t s */
export function scene(t) {
  const canvas = backdrop();
  moving(/** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { alpha: false })), t);
  return canvas;
}

/** @param {CanvasRenderingContext2D} c @param {number} t s */
function moving(c, t) {
  clouds(c, t);
  glitter(c, t);
  boat(c, t);
  wave(c, t, 0.74, 7, "#1d4f66", 0.55);
  beam(c, t);
  gulls(c, t);
  wave(c, t, 0.82, 9, "#163f57", 0.85);
  buoy(c, t);
  wave(c, t, 0.92, 12, "#0e2c44", 1.25);
}

/** What never moves: sky, sun, mountains, the sea's colour, the headland with its lighthouse. */
function backdrop() {
  const canvas = document.createElement("canvas");
  canvas.width = WIDTH;
  canvas.height = HEIGHT;
  const c = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { alpha: false }));
  const horizon = HEIGHT * HORIZON;
  fill(c, 0, horizon, ["#1c2a5a", "#5a4a86", "#c76b7d", "#f3a469", "#ffd28a"]);
  const sun = { x: WIDTH * 0.36, y: horizon - 34 };
  const glow = c.createRadialGradient(sun.x, sun.y, 10, sun.x, sun.y, 230);
  glow.addColorStop(0, "#fff3c9");
  glow.addColorStop(0.18, "#ffdf9acc");
  glow.addColorStop(1, "#ffb36b00");
  c.fillStyle = glow;
  c.fillRect(0, 0, WIDTH, horizon);
  disc(c, sun.x, sun.y, 40, "#fff6dc");
  ridge(c, horizon, 86, 0.011, 2.1, ["#8a6f96", "#c58b91"]);
  ridge(c, horizon, 46, 0.019, 4.4, ["#5d5680", "#94708a"]);
  fill(c, horizon, HEIGHT, ["#f1b184", "#7d8a97", "#2f6b80", "#174a62"]);
  headland(c, horizon);
  return canvas;
}

/**
 * @param {CanvasRenderingContext2D} c
 * @param {number} top
 * @param {number} bottom
 * @param {string[]} colours from top to bottom
 */
function fill(c, top, bottom, colours) {
  const gradient = c.createLinearGradient(0, top, 0, bottom);
  colours.forEach((colour, index) => gradient.addColorStop(index / (colours.length - 1), colour));
  c.fillStyle = gradient;
  c.fillRect(0, top, WIDTH, bottom - top);
}

/** @param {CanvasRenderingContext2D} c @param {number} x @param {number} y @param {number} r @param {string} colour */
function disc(c, x, y, r, colour) {
  c.fillStyle = colour;
  c.beginPath();
  c.arc(x, y, r, 0, Math.PI * 2);
  c.fill();
}

/** @param {CanvasRenderingContext2D} c @param {Array<[number, number]>} points @param {string | CanvasGradient} colour */
function shape(c, points, colour) {
  c.fillStyle = colour;
  c.beginPath();
  for (const [x, y] of points) c.lineTo(x, y);
  c.closePath();
  c.fill();
}

/**
 * @param {CanvasRenderingContext2D} c
 * @param {number} base
 * @param {number} height
 * @param {number} frequency
 * @param {number} seed
 * @param {[string, string]} colours
 */
function ridge(c, base, height, frequency, seed, colours) {
  const gradient = c.createLinearGradient(0, base - height, 0, base);
  gradient.addColorStop(0, colours[0]);
  gradient.addColorStop(1, colours[1]);
  /** @type {Array<[number, number]>} */
  const points = [[0, base]];
  for (let x = 0; x <= WIDTH; x += 4) {
    const rise = Math.sin(x * frequency + seed) * 0.5 + Math.sin(x * frequency * 2.7 + seed * 3) * 0.25
      + Math.abs(Math.sin(x * frequency * 6.1 + seed)) * 0.16;
    points.push([x, base - height * Math.max(0.05, 0.42 + rise * 0.6)]);
  }
  points.push([WIDTH, base]);
  shape(c, points, gradient);
}

/** @param {CanvasRenderingContext2D} c @param {number} horizon */
function headland(c, horizon) {
  const x = WIDTH * 0.8;
  shape(c, [[WIDTH * 0.6, horizon + 58], [WIDTH * 0.655, horizon + 22], [WIDTH * 0.7, horizon + 8], [x - 34, horizon - 26],
    [x + 44, horizon - 32], [WIDTH * 0.93, horizon - 8], [WIDTH, horizon - 20], [WIDTH, horizon + 92]], "#33304e");
  shape(c, [[x - 34, horizon - 26], [x + 44, horizon - 32], [WIDTH * 0.93, horizon - 8], [WIDTH, horizon - 20],
    [WIDTH, horizon - 6], [WIDTH * 0.9, horizon + 8], [x, horizon - 14]], "#5d7a4c");
  const foot = horizon - 28;
  for (let band = 0; band < 6; band++) {
    const wide = 19 - band * 1.5;
    const y = foot - band * 22;
    shape(c, [[x - wide, y], [x + wide, y], [x + wide - 1.5, y - 22], [x - wide + 1.5, y - 22]],
      band % 2 ? "#c9443a" : "#f4e7d6");
  }
  shape(c, [[x, foot], [x + 19, foot], [x + 10, foot - 132], [x, foot - 132]], "#2a184055");
  c.fillStyle = "#2b2440";
  c.fillRect(x - 15, foot - 138, 30, 6);
  c.fillRect(x - 9, foot - 160, 18, 22);
  shape(c, [[x - 13, foot - 160], [x + 13, foot - 160], [x, foot - 176]], "#c9443a");
  c.fillStyle = "#f4e7d6";
  c.fillRect(x + 24, foot - 24, 44, 26);
  shape(c, [[x + 19, foot - 24], [x + 73, foot - 24], [x + 62, foot - 42], [x + 30, foot - 42]], "#7d3438");
  c.fillStyle = "#ffd987";
  for (const left of [31, 50]) c.fillRect(x + left, foot - 16, 10, 10);
}

/** @param {CanvasRenderingContext2D} c @param {number} t */
function clouds(c, t) {
  c.save();
  c.globalAlpha = 0.5;
  for (let cloud = 0; cloud < 5; cloud++) {
    const x = ((cloud * 227 + t * (7 + cloud * 2)) % (WIDTH + 320)) - 160;
    const y = 46 + ((cloud * 61) % 110);
    c.fillStyle = cloud % 2 ? "#f7b7a3" : "#d99aa8";
    for (const [dx, dy, r] of /** @type {const} */ ([[-58, 6, 20], [-24, -4, 30], [18, 0, 36], [58, 8, 22]])) {
      c.beginPath();
      c.ellipse(x + dx, y + dy, r * 1.7, r * 0.52, 0, 0, Math.PI * 2);
      c.fill();
    }
  }
  c.restore();
}

/** Light on the water, below the sun. @param {CanvasRenderingContext2D} c @param {number} t */
function glitter(c, t) {
  const horizon = HEIGHT * HORIZON;
  c.fillStyle = "#ffe3a8";
  for (let row = 0; row < 26; row++) {
    const depth = row / 26;
    const y = horizon + 4 + depth * depth * (HEIGHT - horizon) * 0.8;
    const spread = 24 + depth * 120;
    for (let dash = 0; dash < 3; dash++) {
      const swing = Math.sin(row * 2.3 + dash * 4.1 + t * (1.1 + dash * 0.5));
      c.globalAlpha = (0.75 - depth * 0.55) * (0.35 + 0.65 * Math.abs(Math.sin(t * 1.7 + row * 1.3 + dash)));
      c.fillRect(WIDTH * 0.36 + swing * spread - 8, y, 16 + depth * 34, 1.5 + depth * 3);
    }
  }
  c.globalAlpha = 1;
}

/** @param {CanvasRenderingContext2D} c @param {number} t */
function boat(c, t) {
  const travel = (t * 34) % (WIDTH + 240);
  c.save();
  c.translate(travel - 120, HEIGHT * 0.715 + Math.sin(t * 1.6) * 3);
  c.rotate(Math.sin(t * 1.3) * 0.045);
  c.scale(1.25, 1.25);
  shape(c, [[-4, -10], [-4, -112], [52, -22]], "#fbf3e4");
  shape(c, [[-4, -52], [-4, -82], [30, -57], [36, -48]], "#e2573f");
  shape(c, [[-9, -14], [-9, -98], [-44, -18]], "#e9d9c2");
  c.fillStyle = "#3b2a36";
  c.fillRect(-8, -114, 4, 108);
  shape(c, [[-56, -10], [60, -12], [42, 12], [-40, 12]], "#8c3b2f");
  shape(c, [[-56, -10], [60, -12], [58, -7], [-53, -5]], "#f0c27a");
  shape(c, [[-8, -114], [-8, -104], [-28 + Math.sin(t * 7) * 3, -108]], "#e2573f");
  c.restore();
}

/** @param {CanvasRenderingContext2D} c @param {number} t @param {number} level @param {number} high
 *  @param {string} colour @param {number} speed */
function wave(c, t, level, high, colour, speed) {
  c.fillStyle = colour;
  c.beginPath();
  c.moveTo(0, HEIGHT);
  for (let x = 0; x <= WIDTH; x += 8) {
    c.lineTo(x, HEIGHT * level + Math.sin(x * 0.014 + t * speed) * high + Math.sin(x * 0.037 - t * speed * 1.4) * high * 0.4);
  }
  c.lineTo(WIDTH, HEIGHT);
  c.fill();
  c.strokeStyle = "#ffffff26";
  c.lineWidth = 2;
  c.stroke();
}

/** The lighthouse's light goes round. @param {CanvasRenderingContext2D} c @param {number} t */
function beam(c, t) {
  const x = WIDTH * 0.8;
  const y = HEIGHT * HORIZON - 28 - 149;
  const angle = t * 0.9;
  const reach = Math.cos(angle);
  c.save();
  c.globalCompositeOperation = "lighter";
  for (const side of [1, -1]) {
    const length = reach * side * WIDTH * 0.8;
    const light = c.createLinearGradient(x, y, x + length, y);
    light.addColorStop(0, "#ffe9b070");
    light.addColorStop(1, "#ffe9b000");
    const wide = 10 + Math.abs(length) * 0.09;
    shape(c, [[x, y - 3], [x + length, y - wide], [x + length, y + wide], [x, y + 3]], light);
  }
  c.restore();
  disc(c, x, y, 6 + (1 - Math.abs(reach)) * 5, "#fff4cf");
}

/** @param {CanvasRenderingContext2D} c @param {number} t */
function gulls(c, t) {
  c.strokeStyle = "#2d2745";
  c.lineWidth = 3;
  c.lineJoin = c.lineCap = "round";
  for (let gull = 0; gull < 4; gull++) {
    const x = WIDTH - (((t * (46 + gull * 9)) + gull * 260) % (WIDTH + 120)) + 40;
    const y = 92 + gull * 30 + Math.sin(t * 1.1 + gull) * 14;
    const wing = Math.sin(t * 6.5 + gull * 1.9) * 9;
    const size = 13 + gull * 2;
    c.beginPath();
    c.moveTo(x - size * 1.5, y - wing);
    c.quadraticCurveTo(x - size * 0.6, y - 5 - wing * 0.3, x, y);
    c.quadraticCurveTo(x + size * 0.6, y - 5 - wing * 0.3, x + size * 1.5, y - wing);
    c.stroke();
  }
}

/** @param {CanvasRenderingContext2D} c @param {number} t */
function buoy(c, t) {
  const lit = t % BELL_EVERY < 0.22 && t > 1;
  c.save();
  c.translate(WIDTH * 0.17, HEIGHT * 0.85 + Math.sin(t * 1.9) * 6);
  c.rotate(Math.sin(t * 1.5 + 1) * 0.13);
  shape(c, [[-34, 18], [34, 18], [26, -6], [-26, -6]], "#b5342f");
  shape(c, [[-17, -6], [17, -6], [8, -74], [-8, -74]], "#d9473a");
  shape(c, [[-14, -22], [14, -22], [11, -44], [-11, -44]], "#f6ead8");
  c.fillStyle = "#2b2440";
  c.fillRect(-11, -80, 22, 6);
  if (lit) {
    c.globalCompositeOperation = "lighter";
    const halo = c.createRadialGradient(0, -88, 2, 0, -88, 70);
    halo.addColorStop(0, "#fff6c8");
    halo.addColorStop(1, "#ffd36a00");
    c.fillStyle = halo;
    c.fillRect(-70, -158, 140, 140);
    c.globalCompositeOperation = "source-over";
  }
  disc(c, 0, -88, 8, lit ? "#fffbe6" : "#8f7440");
  c.restore();
}
