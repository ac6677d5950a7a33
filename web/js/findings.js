/**
 * What stages other than detectors find, in the form that `results.js` draws: hands as lines between their points,
 * classes as words at the picture's corner.
 */

/**
 * @typedef {{hand: number, score: number, gesture?: string, digit?: number, points: [number, number][]}} Hand
 * @typedef {{label: string, score: number}} Class
 * @typedef {{detections?: unknown, hands?: Hand[], classes?: Class[]}} Finding
 */

const HAND = 21; // points: the wrist, then four of each finger, thumb first
/** @type {[number, number][]} */
const BONES = [0, 1, 2, 3, 4].flatMap((finger) => [0, 1, 2, 3].map((joint) => (
  /** @type {[number, number]} */ ([joint ? finger * 4 + joint : 0, finger * 4 + joint + 1]))));

/** A stage's note as one with detections, where it is of a kind that is known here. @param {unknown} note */
export function drawable(note) {
  if (typeof note !== "object" || note === null) return note;
  const { detections, hands, classes } = /** @type {Finding} */ (note);
  if (detections !== undefined) return note;
  if (Array.isArray(hands)) return { ...note, detections: hands.filter(whole).map(sketchOf) };
  if (Array.isArray(classes)) return { ...note, detections: [], classes: classes.filter(said) };
  return note;
}

/** What stands for a thing: its name, what it says, or what it is; and what that is like. @param {any} found */
export function wordsOf({ label, name, text, score, attributes, likeness }) {
  const like = Object.values(attributes ?? {}).flat().map((each) => /** @type {Class} */ (each)?.label).filter(Boolean);
  // of a face the score is the finder's: beside a name it would read as how sure the name is
  const sure = name ? (likeness ? ` ${Math.round(likeness * 100)} %` : "") : ` ${Math.round(score * 100)} %`;
  return [`${name || text || label}${sure}`, ...like].join(", ");
}

/** @param {Hand} hand */
function whole(hand) {
  return hand?.points?.length === HAND && hand.points.every((spot) => spot.length === 2 && spot.every(Number.isFinite));
}

/** @param {Class} found */
const said = (found) => typeof found?.label === "string" && Number.isFinite(found.score);

/** @param {Hand} hand */
function sketchOf({ hand, score, gesture, digit, points }) {
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  const [left, top] = [Math.min(...xs), Math.min(...ys)];
  const shown = [digit === undefined ? "" : `digit ${digit}`, gesture === "none" ? "" : gesture].filter(Boolean).join(", ");
  return { label: shown || "hand", score, id: hand, points, bones: BONES,
    box: [left, top, Math.max(...xs) - left, Math.max(...ys) - top] };
}
