/** A model's files on their way: in parts, going on where one broke off, then checked, and told what came of it. */

import { byId, h } from "./dom.js";
import { AimassError, NetworkError } from "../sdk/aimass-stream.js";
import { complain, ready, values } from "./site-forms.js";
import { ask, request } from "./site-api.js";
import { say } from "./site-words.js";

const PART = 4 << 20; // bytes
const TRIES = 5;
const LOOK = 400; // ms between looks at the check

const form = byId("upload", HTMLFormElement);
const stage = byId("stage", HTMLElement);
const bar = byId("progress", HTMLProgressElement);

/** @param {number} ms */
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** @param {string} id @param {string} what @returns {object} */
function json(id, what) {
  const text = byId(id, HTMLTextAreaElement).value.trim();
  try {
    const found = text ? JSON.parse(text) : {};
    if (found && typeof found === "object" && !Array.isArray(found)) return found;
  } catch { /* told below */ }
  throw new AimassError("invalid", { title: what, message: say("{what} is no JSON object, like {example}", { what, example: '{"x": [[1, 2, 3]]}' }) });
}

/** @param {File} file @param {(bytes: number) => void} sent @returns {Promise<string>} the upload's id */
async function send(file, sent) {
  const begun = await ask("POST", "/v1/uploads", { name: file.name, size: file.size });
  let offset = 0;
  let tries = 0;
  while (offset < file.size) {
    try {
      const answer = await request("PATCH", `/v1/uploads/${begun.id}`, file.slice(offset, offset + PART),
        { "Content-Type": "application/offset+octet-stream", "Upload-Offset": String(offset) });
      offset = Number(answer.headers.get("Upload-Offset"));
      tries = 0;
    } catch (error) {
      if (!(error instanceof NetworkError) || ++tries > TRIES) throw error;
      await pause(1000 * tries);
      offset = Number((await request("HEAD", `/v1/uploads/${begun.id}`)).headers.get("Upload-Offset"));
    }
    sent(offset);
  }
  return begun.id;
}

/** @param {File[]} files @returns {Promise<Record<string, string>>} */
async function sendAll(files) {
  const all = files.reduce((sum, file) => sum + file.size, 0);
  let before = 0;
  /** @type {Record<string, string>} */
  const uploads = {};
  for (const file of files) {
    stage.textContent = say("Sending {name}", { name: file.name });
    uploads[file.name] = await send(file, (bytes) => (bar.value = (before + bytes) / all));
    before += file.size;
  }
  return uploads;
}

/** @param {string} path @returns {Promise<any>} the version, once it is checked */
async function checked(path) {
  for (;;) {
    const version = await ask("GET", path);
    if (version.state !== "checking") return version;
    stage.textContent = `${say("Checking")}: ${version.message}`;
    bar.value = version.progress ?? 0;
    await pause(LOOK);
  }
}

/** @param {any} version */
function tell(version) {
  const words = { ready: say("Checked and tried: it can be deployed."), refused: say("It was refused."),
    quarantined: say("It counts as code, and waits for an admin.") };
  const place = byId("verdict", HTMLElement);
  place.dataset.tone = { ready: "good", refused: "bad" }[/** @type {string} */ (version.state)] ?? "";
  place.replaceChildren(h("div", {},
    h("p", {}, h("b", {}, words[/** @type {keyof typeof words} */ (version.state)] ?? version.state)),
    version.reason ? h("p", {}, version.reason) : null,
    version.facts.trial?.ms === undefined ? null : h("p", {}, say("One run took {ms} ms.", { ms: version.facts.trial.ms })),
    h("div", { class: "row" }, h("a", { class: "button primary", href: `/models/${version.name}?version=${version.number}` }, say("To its page")))));
  byId("course", HTMLElement).hidden = true;
  place.hidden = false;
  place.focus();
}

let made = form.dataset.name ?? ""; // who tries again after a mistake has the model already

async function upload() {
  const button = /** @type {HTMLButtonElement} */ (form.querySelector("button"));
  complain(form, null);
  byId("verdict", HTMLElement).hidden = true;
  button.disabled = true;
  try {
    const example = json("example", say("An example"));
    const manifest = { ...json("manifest", say("Manifest, as JSON")), ...(Object.keys(example).length ? { example } : {}) };
    if (!made) made = (await ask("POST", "/v1/hub/models", values(form))).name;
    byId("course", HTMLElement).hidden = false;
    const uploads = await sendAll([...(byId("files", HTMLInputElement).files ?? [])]);
    const version = await ask("POST", `/v1/hub/models/${made}/versions`, { uploads, manifest, note: byId("note", HTMLInputElement).value });
    tell(await checked(`/v1/hub/models/${made}/versions/${version.number}`));
  } catch (error) {
    byId("course", HTMLElement).hidden = true;
    complain(form, error);
  }
  button.disabled = false;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  void upload();
});
ready(form);
