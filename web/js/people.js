/**
 * People at a stage `faces`: who is known, and a person in front of the camera who wants to be, or does not any more.
 */

import { h } from "./dom.js";
import { explain } from "../sdk/aimass-stream.js";

/**
 * @typedef {import("../types/people.js").Known} Known
 * @typedef {import("../types/people.js").KnownPerson} KnownPerson
 * @typedef {import("./server.js").Server} Server
 */

export const CONSENT = "Pictures of my face may be kept on this server, so that its sessions recognise me, until they are deleted here.";
const PICTURES = 8; // of a person
const PAUSE = 450; // ms from one to the next, to move a little
const HINTS = ["Look at the camera", "Turn your head a little to the left", "And to the right", "Chin up a little",
  "And down", "A little nearer", "A little farther", "Smile"];
const SHARP = 0.92; // quality of the pictures that are sent
const SURE = 4000; // ms that a second press deletes

/** What the figures mean. @param {Known} known */
export function trustOf({ tier, names, people, strangers, accepted, recognised }) {
  const pictures = people.reduce((sum, person) => sum + person.pictures, 0);
  if (!people.length) return "Nobody is enrolled.";
  if (!names) return `Nobody is named yet: 3 people with 24 pictures are needed to measure on, ${people.length} with ${pictures} are here.`;
  if (!strangers) return tier === "weights" ? "Recognised by the model's own threshold." : "";
  return `Of ${strangers} pictures, each held against everybody else, ${accepted} would be taken for somebody; `
    + `${Math.round(recognised * 100)} % are recognised by the person's other pictures.`;
}

export class People {
  #list;
  #server;
  #video;

  /**
   * @param {HTMLElement} list of stages
   * @param {HTMLVideoElement} video the camera's picture, before anything was done to it
   * @param {Server} server
   */
  constructor(list, video, server) {
    this.#list = list;
    this.#video = video;
    this.#server = server;
    new MutationObserver(() => this.#attach()).observe(list, { childList: true });
  }

  #attach() {
    for (const card of this.#list.querySelectorAll("[data-stage=faces]")) {
      if (!card.querySelector(".people")) card.append(new Panel(this.#video, this.#server).element);
    }
  }
}

class Panel {
  #video;
  #server;
  #busy = false;
  #rows = h("ul", { class: "people-list" });
  #about = h("p", { class: "help" });
  #status = h("p", { class: "people-status", role: "status" });
  #bar = h("progress", { max: PICTURES, value: 0, hidden: true, "aria-label": "Pictures taken" });
  #name = h("input", { type: "text", maxlength: 80, autocomplete: "name", required: true, placeholder: "Your name",
    "aria-label": "Your name" });
  #agree = h("input", { type: "checkbox", required: true });
  #button = h("button", { type: "submit", class: "button primary" }, "Enrol me from the camera");
  element;

  /** @param {HTMLVideoElement} video @param {Server} server */
  constructor(video, server) {
    this.#video = video;
    this.#server = server;
    const form = h("form", { class: "people-form", onsubmit: (/** @type {Event} */ event) => {
      event.preventDefault();
      void this.#enrol();
    } }, this.#name, h("label", { class: "consent" }, this.#agree, h("span", {}, CONSENT)), this.#button, this.#bar);
    for (const input of [this.#name, this.#agree]) input.addEventListener("input", () => this.#able());
    this.element = h("section", { class: "people", "aria-label": "People" }, h("h4", {}, "People"), this.#about,
      this.#rows, form, this.#status);
    this.#able();
    void this.#look();
  }

  #able() {
    this.#button.disabled = this.#busy || !this.#name.value.trim() || !this.#agree.checked;
  }

  async #look() {
    try {
      const known = await this.#server.people();
      this.#about.replaceChildren(known.tier === "no-weights" ? h("b", { class: "tier",
        title: "Faces are compared by local binary patterns. A network for faces in the server's folder of models takes their place" },
        "No-weights tier") : "", " ", trustOf(known));
      this.#rows.replaceChildren(...known.people.map((person) => this.#row(person)));
    } catch (thrown) {
      this.#say(explain(thrown).message, true);
    }
  }

  /** @param {KnownPerson} person */
  #row({ id, name, consent, pictures }) {
    const when = new Date(consent.when).toLocaleDateString(undefined, { day: "numeric", month: "short", year: "numeric" });
    let armed = false;
    const button = h("button", { type: "button", class: "link", onclick: () => {
      if (armed) return void this.#forget(id, name, button);
      armed = true;
      button.textContent = "Delete for good";
      return setTimeout(() => {
        armed = false;
        button.textContent = "Delete";
      }, SURE);
    }, "aria-label": `Delete ${name}` }, "Delete");
    return h("li", {}, h("span", {}, h("b", {}, name), h("small", { title: consent.words },
      `${pictures} ${pictures === 1 ? "picture" : "pictures"}, agreed${consent.by === name ? "" : ` by ${consent.by}`} on ${when}`)), button);
  }

  /** @param {string} id @param {string} name @param {HTMLButtonElement} button */
  async #forget(id, name, button) {
    button.disabled = true;
    try {
      await this.#server.forget(id);
      this.#say(`${name} is deleted, with all pictures.`);
    } catch (thrown) {
      this.#say(explain(thrown).message, true);
    }
    await this.#look();
    this.#name.focus();
  }

  async #enrol() {
    this.#busy = true;
    this.#able();
    const name = this.#name.value.trim();
    try {
      const form = new FormData();
      form.set("name", name);
      form.set("consent", CONSENT);
      for (const [number, picture] of (await this.#pictures()).entries()) {
        form.append("image", picture, `picture ${number + 1}`);
      }
      this.#say("Looking at them…");
      await this.#server.enrol(form);
      this.#say(`${name} is enrolled.`);
      this.#name.value = "";
      this.#agree.checked = false;
    } catch (thrown) {
      this.#say(explain(thrown).message, true);
    } finally {
      this.#busy = false;
      this.#bar.hidden = true;
      this.#able();
    }
    await this.#look();
  }

  /** Some pictures of who sits there. @returns {Promise<Blob[]>} */
  async #pictures() {
    const { videoWidth: width, videoHeight: height } = this.#video;
    const canvas = h("canvas", { width, height });
    const context = canvas.getContext("2d");
    if (!context || !width) throw new Error("There is no picture: choose the camera as the source.");
    this.#bar.hidden = false;
    /** @type {Blob[]} */
    const taken = [];
    while (taken.length < PICTURES) {
      this.#bar.value = taken.length;
      this.#say(`${HINTS[taken.length]}…`);
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
      context.drawImage(this.#video, 0, 0, width, height);
      const blob = await new Promise((/** @type {(blob: Blob | null) => void} */ resolve) => (
        canvas.toBlob(resolve, "image/jpeg", SHARP)));
      if (!blob) throw new Error("The picture could not be taken.");
      taken.push(blob);
    }
    return taken;
  }

  /** @param {string} text @param {boolean} [wrong] */
  #say(text, wrong = false) {
    this.#status.textContent = text;
    this.#status.classList.toggle("wrong", wrong);
  }
}
