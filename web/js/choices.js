/** What can be made of a picture on a server, to be chosen from: a few pipelines of its stages, and its apps. */

/**
 * @typedef {{effects: string[], apps: {id: string, name: string}[]}} Choices `effects` are names of presets
 */

/** @type {Record<string, import("../types/api.js").Pipeline>} */
export const presets = {
  mirror: [{ stage: "mirror" }],
  blur: [{ stage: "background", mode: "blur" }],
  cartoon: [{ stage: "cartoon" }],
  style: [{ stage: "style" }],
};

const APP = "app ";

/**
 * @param {import("../sdk/aimass-stream.js").Rest} rest
 * @returns {Promise<Choices>} of the presets those whose stages are there
 */
export async function listChoices(rest) {
  const [{ stages }, { apps }] = await Promise.all([rest.call("GET", "v1/stages"), rest.call("GET", "v1/apps?sort=used")]);
  const there = new Set(stages.map((/** @type {{name: string}} */ { name }) => name));
  return { effects: Object.keys(presets).filter((id) => presets[id]?.every(({ stage }) => there.has(stage))), apps };
}

/** @param {string} id */
export const valueOfApp = (id) => APP + id;

/** The app's id that this value of a select stands for; null for all else. @param {string} value */
export const appOf = (value) => (value.startsWith(APP) ? value.slice(APP.length) : null);

/** @param {string} label @param {HTMLOptionElement[]} options */
function group(label, options) {
  const made = document.createElement("optgroup");
  made.label = label;
  made.append(...options);
  return made;
}

/**
 * For a select: effects have the presets' names as values.
 * @param {Choices} choices
 * @param {(id: string) => string} say what a preset is called, and the groups `effects` and `apps`
 */
export function groupsOf({ effects, apps }, say) {
  const named = apps.map(({ id, name }) => new Option(name, valueOfApp(id)));
  return [group(say("effects"), effects.map((id) => new Option(say(id), id))), ...(named.length ? [group(say("apps"), named)] : [])];
}
