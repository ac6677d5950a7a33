/** What can be made of a picture on a server: a few pipelines of its stages, its apps, and any pipeline as JSON. */

/** @type {Record<string, import("../types/api.js").Pipeline>} */
export const presets = {
  mirror: [{ stage: "mirror" }],
  blur: [{ stage: "background", mode: "blur" }],
  cartoon: [{ stage: "cartoon" }],
  style: [{ stage: "style" }],
};

/**
 * @param {import("../sdk/rest.js").Rest} rest
 * @returns {Promise<{id: string, title?: string}[]>} those without a title are named in the extension's own words
 */
export async function listChoices(rest) {
  const [{ stages }, { apps }] = await Promise.all([rest.call("GET", "v1/stages"), rest.call("GET", "v1/apps?sort=used")]);
  const there = new Set(stages.map((/** @type {{name: string}} */ { name }) => name));
  return [
    ...Object.keys(presets).filter((id) => presets[id]?.every(({ stage }) => there.has(stage))).map((id) => ({ id })),
    ...apps.map((/** @type {{id: string, name: string}} */ { id, name }) => ({ id: `app ${id}`, title: name })),
    { id: "json" },
  ];
}
