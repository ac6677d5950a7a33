/**
 * What was found in pictures and came as data, drawn on the very picture that it belongs to.
 *
 * A result is found by the pts of its picture, in 1/90000 s. Results mostly come first, since
 * pictures have yet to be encoded; one that comes later is drawn as soon as it is there, if its picture still is.
 *
 * A layer over a video may come to the screen a picture earlier or later than what is below. So the picture is drawn here,
 * too: what one sees in the canvas belongs together.
 */

/**
 * @typedef {import("../types/events.js").ServerEvent} ServerEvent
 * @typedef {{label: string, score: number, box: [number, number, number, number], points?: [number, number][],
 *   bones?: [number, number][], text?: string, name?: string, id?: number, predicted?: boolean,
 *   doubtful?: boolean,
 *   attributes?: Record<string, {label: string}[]>}} Detection in px of the picture; the box is x, y, width, height; bones
 *   are lines between points, in place of the box
 * @typedef {{name: string, inside?: number, share?: number, in?: number, out?: number}} Place a zone or line, and what
 *   is counted there
 * @typedef {{width: number, height: number, detections: Detection[], every?: number, zones?: Place[], lines?: Place[],
 *   classes?: import("./findings.js").Class[]}}
 *   Note of one stage; `every` where only so many pictures have a result and it stays between
 * @typedef {{tick: number, notes: Note[]}} Result
 * @typedef {{tick: number | undefined, picture: HTMLVideoElement | VideoFrame, width: number, height: number}} Shown what the
 *   canvas shows
 */

import { drawable, wordsOf } from "./findings.js";

const CLOCK = 90_000; // ticks a second
const TURN = 2 ** 32; // ticks, then they begin anew
const KEPT = 600; // results: pictures may be held back for seconds
const STAYS = 0.5 * CLOCK; // ticks that a result stays where not every picture has one
const QUIET = 2000; // ms without results after which pictures are no longer followed
const COLOURS = ["#f4d35e", "#5ad1ff", "#ff7a59", "#8ce99a", "#d0a2ff", "#ff8fc7", "#64dfdf", "#ffb347"];
const LINE = 2; // px of the screen
const LETTERS = 13; // px of the screen
const PLACE = "#e8e4d8"; // zones and lines
const MISSED = 10; // pictures in a row that can't be told to be the right ones: such a browser tells no times

/** As RTP timestamps count. @param {number} pts s */
export function tickOf(pts) {
  const ticks = Math.round(pts * CLOCK) % TURN;
  return ticks < 0 ? ticks + TURN : ticks;
}

/** How much later one RTP timestamp is than another, as good as they tell. @param {number} one @param {number} other */
const later = (one, other) => (one - other + TURN) % TURN;

/** Those with boxes that nobody has drawn into the picture. @param {Record<string, unknown>} notes of an event */
export function bare(notes) {
  return Object.values(notes).map(drawable).filter(isNote);
}

/** @param {unknown} value @returns {value is Note} */
function isNote(value) {
  const note = /** @type {Partial<Note> & {drawn?: unknown} | null} */ (value);
  return typeof note === "object" && note !== null && !note.drawn && Number(note.width) > 0 && Number(note.height) > 0
    && Array.isArray(note.detections) && note.detections.every(isDetection)
    && [note.zones, note.lines].every((places) => (Array.isArray(places) ? places.every(isPlace) : places === undefined));
}

/** @param {Partial<Place> | null} place */
function isPlace(place) {
  return place !== null && typeof place?.name === "string";
}

/** Anybody's stage may write such a note. @param {Partial<Detection> | null} found */
function isDetection(found) {
  return found !== null && typeof found.label === "string" && Number.isFinite(found.score)
    && found.box?.length === 4 && found.box.every(Number.isFinite) && (found.points ?? []).every(Array.isArray);
}

/** Results of the last seconds, by the pictures they belong to. */
export class Results {
  /** @type {Map<number, Result>} by tick, the newest last */
  #kept = new Map();
  /** @type {Result | null} */
  newest = null;

  /** @param {number} pts s @param {Note[]} notes @returns {Result} */
  add(pts, notes) {
    this.newest = { tick: tickOf(pts), notes };
    this.#kept.set(this.newest.tick, this.newest);
    if (this.#kept.size > KEPT) this.#kept.delete(this.#kept.keys().next().value ?? 0);
    return this.newest;
  }

  /**
   * What was found in a picture, or null.
   * @param {number | undefined} tick its RTP timestamp; where a browser does not tell, the newest result has to do
   */
  at(tick) {
    if (tick === undefined) return this.newest;
    const own = this.#kept.get(tick);
    if (own) return own;
    /** @type {Result | null} before it, of a stage that looks at some pictures only */
    let nearest = null;
    for (const result of this.#kept.values()) {
      const passed = later(tick, result.tick);
      if (passed < STAYS && result.notes.some(({ every }) => every)
        && (!nearest || passed < later(tick, nearest.tick))) nearest = result;
    }
    return nearest;
  }

  clear() {
    this.#kept.clear();
    this.newest = null;
  }
}

export class ResultsView {
  #results = new Results();
  #video;
  #canvas;
  #context;
  #following = 0; // what video callbacks are cancelled by; 0: none is asked for
  #came = -Infinity; // ms, the last result
  /** @type {Shown | null} */
  #shown = null;
  #missed = 0; // pictures in a row

  /**
   * @param {HTMLElement} box with `video.processed` and `canvas.results` inside, one over the other
   * @param {(picture: VideoFrameCallbackMetadata) => number | null} pts s of a picture that the video shows, where it is known
   * @param {() => boolean} moved whether a later stage moves the picture, so that the places are no longer true
   * @param {() => Map<string, [number, number][]>} ground corners of zones and ends of lines by name, in parts of the picture
   */
  constructor(box, pts, moved, ground) {
    this.pts = pts;
    this.moved = moved;
    this.ground = ground;
    this.#video = /** @type {HTMLVideoElement} */ (box.querySelector("video.processed"));
    this.#canvas = /** @type {HTMLCanvasElement} */ (box.querySelector("canvas.results"));
    this.#context = /** @type {CanvasRenderingContext2D} */ (this.#canvas.getContext("2d"));
  }

  /** @param {Extract<ServerEvent, {type: "frame.result"}>} event */
  add({ pts, track, data }) {
    const notes = bare(data.notes);
    if (!notes.length || pts === null || !track?.startsWith("video")) return;
    const { tick } = this.#results.add(pts, notes);
    this.#came = performance.now();
    if (!this.#following) this.#follow();
    else if (this.#shown?.tick === tick) this.#draw();
  }

  /** Another stream is shown, with pictures of its own. */
  clear() {
    this.#results.clear();
    if (this.#following) this.#video.cancelVideoFrameCallback(this.#following);
    this.#following = 0;
    this.#hold(null);
    this.#context.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
  }

  #follow() {
    this.#following = this.#video.requestVideoFrameCallback((now, metadata) => {
      if (now - this.#came > QUIET) return this.clear();
      this.#follow();
      if (this.#take(metadata)) this.#draw();
      return undefined;
    });
  }

  /**
   * Takes the picture that a browser tells of, if the video element has not gone on to the next one: then the canvas stays
   * as it is until that is told.
   * @param {VideoFrameCallbackMetadata} metadata
   */
  #take(metadata) {
    const { mediaTime, width, height } = metadata;
    const pts = this.pts(metadata);
    const tick = pts === null ? undefined : tickOf(pts);
    if (typeof VideoFrame === "undefined") return this.#hold({ tick, picture: this.#video, width, height });
    if (this.#video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return false; // another stream came meanwhile
    const picture = new VideoFrame(this.#video);
    if (Math.abs(picture.timestamp / 1e6 - mediaTime) > 0.001 && this.#missed < MISSED) {
      picture.close();
      this.#missed += 1;
      return false;
    }
    if (this.#missed < MISSED) this.#missed = 0;
    return this.#hold({ tick, picture, width, height });
  }

  /** @param {Shown | null} shown */
  #hold(shown) {
    if (this.#shown && this.#shown.picture !== this.#video) /** @type {VideoFrame} */ (this.#shown.picture).close();
    this.#shown = shown;
    return shown !== null;
  }

  #draw() {
    if (!this.#shown) return;
    const { tick, picture, width, height } = this.#shown;
    const result = this.#results.at(tick);
    // as sharp as the screen, but not larger than it needs
    const zoom = Math.max(1, Math.min(4, Math.ceil((this.#canvas.clientWidth * devicePixelRatio) / width)));
    if (this.#canvas.width !== width * zoom) this.#canvas.width = width * zoom;
    if (this.#canvas.height !== height * zoom) this.#canvas.height = height * zoom;
    const c = this.#context;
    c.drawImage(picture, 0, 0, this.#canvas.width, this.#canvas.height);
    if (!result || this.moved()) return;
    const pixel = this.#canvas.width / Math.max(1, this.#canvas.clientWidth); // of the screen, in the canvas'
    const ground = this.ground();
    for (const note of result.notes) {
      const x = this.#canvas.width / note.width;
      const y = this.#canvas.height / note.height;
      for (const place of [...note.zones ?? [], ...note.lines ?? []]) outline(c, place, ground.get(place.name), pixel);
      for (const found of note.detections) sketch(c, found, { x, y, pixel });
      (note.classes ?? []).forEach((found, row) => {
        c.fillStyle = colourOf(row, found.label);
        plate(c, wordsOf(found), 10 * pixel, (10 + (row + 1) * (LETTERS + 11)) * pixel, pixel);
      });
    }
  }
}

/**
 * A zone or line with what is counted there.
 * @param {CanvasRenderingContext2D} c
 * @param {Place} place
 * @param {[number, number][] | undefined} points in parts of the picture
 * @param {number} pixel of the screen, in the canvas'
 */
function outline(c, place, points, pixel) {
  const { width, height } = c.canvas;
  const corners = (points ?? []).map(([x, y]) => /** @type {[number, number]} */ ([x * width, y * height]));
  const [first] = corners;
  if (!first) return;
  c.strokeStyle = c.fillStyle = PLACE;
  c.lineWidth = LINE * pixel;
  c.setLineDash([]);
  c.beginPath();
  for (const [x, y] of corners) c.lineTo(x, y);
  if (corners.length > 2) c.closePath();
  c.stroke();
  if (corners.length > 2) {
    c.globalAlpha = place.inside || (place.share ?? 0) > 0 ? 0.22 : 0.08;
    c.fill();
    c.globalAlpha = 1;
  }
  const top = corners.reduce((best, corner) => (corner[1] < best[1] ? corner : best), first);
  plate(c, `${place.name} ${countOf(place)}`, top[0], top[1], pixel);
}

/** @param {Place} place */
function countOf(place) {
  if (place.inside !== undefined) return String(place.inside);
  if (place.share !== undefined) return `${Math.round(place.share * 100)} %`;
  return `${place.in ?? 0} in, ${place.out ?? 0} out`;
}

/**
 * @param {CanvasRenderingContext2D} c
 * @param {Detection} found
 * @param {{x: number, y: number, pixel: number}} scale px of the canvas in one of the picture, and of the screen
 */
function sketch(c, found, { x, y, pixel }) {
  const { label, box, points = [], bones, id, predicted, doubtful } = found;
  const [left, top, wide, high] = [box[0] * x, box[1] * y, box[2] * x, box[3] * y];
  c.strokeStyle = c.fillStyle = colourOf(id, label);
  c.lineWidth = LINE * pixel;
  c.setLineDash(predicted || doubtful ? [6 * pixel, 4 * pixel] : []);
  if (!bones) c.strokeRect(left, top, wide, high);
  for (const [from, to] of bones ?? []) {
    c.beginPath();
    for (const [px, py] of [points[from] ?? [0, 0], points[to] ?? [0, 0]]) c.lineTo(px * x, py * y);
    c.stroke();
  }
  for (const [px, py] of points) {
    c.beginPath();
    c.arc(px * x, py * y, LINE * pixel, 0, Math.PI * 2);
    c.fill();
  }
  plate(c, `${id ? `#${id} ` : ""}${wordsOf(found)}`, left - c.lineWidth / 2, top, pixel);
}

/**
 * Words in dark letters on a plate of the present colour, above a point where there is room.
 * @param {CanvasRenderingContext2D} c
 * @param {string} words
 * @param {number} x
 * @param {number} y
 * @param {number} pixel of the screen, in the canvas'
 */
function plate(c, words, x, y, pixel) {
  c.font = `600 ${LETTERS * pixel}px "Instrument Sans", sans-serif`;
  c.textBaseline = "middle";
  const size = { width: c.measureText(words).width + 10 * pixel, height: (LETTERS + 7) * pixel };
  const at = { x: Math.max(0, Math.min(x, c.canvas.width - size.width)), y: y >= size.height ? y - size.height : y };
  c.fillRect(at.x, at.y, size.width, size.height);
  c.fillStyle = "#121412";
  c.fillText(words, at.x + 5 * pixel, at.y + size.height / 2 + pixel / 2);
}

/**
 * Each thing keeps its colour; one without an id has that of its kind.
 * @param {number | undefined} id
 * @param {string} label
 */
function colourOf(id, label) {
  const number = id ?? [...label].reduce((sum, letter) => sum + (letter.codePointAt(0) ?? 0), 0);
  return COLOURS[number % COLOURS.length] ?? "#f4d35e";
}
