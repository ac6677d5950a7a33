/**
 * A spoken conversation: the microphone goes where the source's sound went, the pipeline gets `assistant`, and what
 * is said by both stands here as it is said.
 */

import { spans } from "./captions.js";
import { byId, h, icon } from "./dom.js";
import { explain } from "../sdk/aimass-stream.js";
import { latencyBar } from "./latency-bar.js";
import { openMicrophone } from "./sources.js";

/**
 * @typedef {import("../types/events.js").ServerEvent} ServerEvent
 * @typedef {import("./transcript.js").Transcript} Transcript
 * @typedef {import("./transcript.js").Utterance} Utterance
 * @typedef {{device: () => string, use: (track: MediaStreamTrack | null) => void, stop: () => void,
 *   tell: (error: import("../sdk/aimass-stream.js").AimassError) => void, arrange: (on: boolean) => void}} Hands what the
 *   conversation asks of the page and does to it: which microphone was picked, which one is sent (null: the source's own
 *   sound), stopping a reply, words about what went wrong, and having the assistant in the pipeline
 */

const STATES = { listening: "Listening", thinking: "Thinking", speaking: "Speaking", waiting: "Waiting for the server" };
const SILENT = new Set(["small_talk"]); // skills whose reply is all they do
const SKILLS = /** @type {Record<string, string>} */ ({ arithmetic: "Sum", clock: "Clock", convert: "Units",
  notes: "Notes", spell: "Spelling", steer: "Effects", timer: "Timer" });
const KEPT = 100; // bubbles
const BADGES = /** @type {Record<string, string>} */ ({
  pocketsphinx: "pocketsphinx is the offline fallback: expect mistakes.",
  "asr-nano-en": "The built-in nano model was trained on synthetic voices: expect mistakes with real ones.",
});

export class Talk {
  #root = byId("talk", HTMLElement);
  #button = byId("talk-button", HTMLButtonElement);
  #stop = byId("talk-stop", HTMLButtonElement);
  #state = byId("talk-state", HTMLElement);
  #list = byId("talk-list", HTMLOListElement);
  #live = byId("talk-live", HTMLElement);
  #badge = byId("talk-badge", HTMLElement);
  #hands;
  /** @type {MediaStreamTrack | null} */
  #microphone = null;
  #busy = false;
  #connected = false;
  #refused = ""; // why the last conversation ended
  /** @type {keyof typeof STATES} */
  #now = "listening";
  /** @type {Map<string, HTMLLIElement>} by utterance or turn */
  #bubbles = new Map();
  /** @type {Map<string, string>} what was replied so far, by turn */
  #replies = new Map();

  /** @param {Transcript} transcript @param {Hands} hands */
  constructor(transcript, hands) {
    this.#hands = hands;
    transcript.on("change", (said) => this.on && this.#heard(said));
    transcript.on("clear", () => this.#clear());
    this.#button.addEventListener("click", () => void this.toggle());
    this.#stop.addEventListener("click", () => hands.stop());
    this.#draw();
  }

  get on() {
    return this.#microphone !== null;
  }

  /** Whether this server can converse at all. @param {boolean} able */
  set able(able) {
    this.#root.hidden = !able;
  }

  /** Without a server nobody listens, whatever it said last. @param {boolean} connected */
  set connected(connected) {
    this.#connected = connected;
    this.#show();
  }

  async toggle() {
    if (this.on) return this.end();
    if (this.#busy) return undefined;
    this.#busy = true;
    this.#refused = "";
    try {
      const track = await openMicrophone(this.#hands.device());
      track.addEventListener("ended", () => this.#microphone === track && this.end());
      this.#microphone = track;
      this.#hands.arrange(true);
      this.#hands.use(track);
    } catch (error) {
      this.#hands.tell(explain(error));
    } finally {
      this.#busy = false;
      this.#draw();
    }
    return undefined;
  }

  end() {
    const track = this.#microphone;
    if (!track) return;
    this.#microphone = null;
    track.stop();
    this.#hands.use(null);
    this.#hands.arrange(false);
    this.#draw();
  }

  /** The server does not converse: ends it, and says why until the next try. @param {string} text */
  refuse(text) {
    this.#refused = text;
    this.end();
  }

  /** @param {ServerEvent} event */
  event(event) {
    switch (event.type) {
      case "assistant.state": return this.#say(event.data.state);
      case "assistant.reply": return this.#reply(event.data);
      case "assistant.interrupted": return this.#interrupted(event.data);
      case "assistant.resumed": return this.#resumed(event.data.turn);
      case "assistant.understood": return this.#understood(event.data);
      case "assistant.action": return this.#action(event.data);
      case "turn.latency": return this.#latency(event.data);
      case "hearing.ready": return this.#ready(event.data);
      default: return undefined;
    }
  }

  #draw() {
    this.#root.classList.toggle("on", this.on);
    this.#button.setAttribute("aria-pressed", String(this.on));
    this.#button.replaceChildren(icon(this.on ? "stop" : "mic"), this.on ? "End the conversation" : "Talk to it");
    this.#button.classList.toggle("primary", !this.on);
    this.#say("listening");
  }

  /** @param {keyof typeof STATES} state */
  #say(state) {
    this.#now = state;
    this.#show();
  }

  #show() {
    const state = !this.on ? (this.#refused ? "refused" : "off") : this.#connected ? this.#now : "waiting";
    this.#state.dataset.state = state;
    this.#state.textContent = state === "off" ? "" : state === "refused" ? this.#refused : STATES[state];
    this.#stop.hidden = state !== "thinking" && state !== "speaking";
  }

  /** @param {Utterance} said */
  #heard(said) {
    const words = [...said.committed, ...said.partial];
    if (!words.length) return this.#drop(said.id);
    this.#bubble(said.id, "you").querySelector("p")?.replaceChildren(...spans(said, words));
    this.#scroll();
  }

  /** The command stands where the words stood; what these were is told when one points at it. */
  /** @param {import("../types/events.js").AssistantUnderstood} command */
  #understood({ utterance, text }) {
    const line = this.#bubble(utterance, "you").querySelector("p");
    if (!line || line.textContent === text) return;
    line.title = line.textContent ? `heard word by word: ${line.textContent}` : "";
    line.textContent = text;
  }

  /** @param {import("../types/events.js").AssistantReply} reply */
  #reply({ turn, delta, final }) {
    const text = (this.#replies.get(turn) ?? "") + delta;
    this.#replies.set(turn, text);
    if (!text && final) return this.#drop(turn);
    const bubble = this.#bubble(turn, "assistant");
    const line = bubble.querySelector("p");
    if (line) line.textContent = text;
    bubble.classList.toggle("growing", !final);
    if (final) this.#live.textContent = text;
    this.#scroll();
  }

  /** Only what was heard counts: the rest stays readable, but as something that was not said. */
  /** @param {import("../types/events.js").AssistantInterrupted} cut */
  #interrupted({ turn, heard }) {
    const bubble = this.#bubbles.get(turn);
    if (!bubble) return;
    const text = this.#replies.get(turn) ?? heard;
    const rest = text.startsWith(heard) ? text.slice(heard.length) : "";
    bubble.classList.add("interrupted");
    bubble.classList.remove("growing");
    bubble.querySelector("p")?.replaceChildren(heard, h("s", { title: "not heard: you spoke" }, rest));
  }

  /** @param {string} turn */
  #resumed(turn) {
    const bubble = this.#bubbles.get(turn);
    bubble?.classList.remove("interrupted");
    bubble?.querySelector("p")?.replaceChildren(this.#replies.get(turn) ?? "");
  }

  /** @param {import("../types/events.js").AssistantAction} action */
  #action({ name, arguments: given, result, ok }) {
    if (ok && SILENT.has(name)) return;
    const [title, values] = described(name, given);
    const chip = h("li", { class: `chip ${ok ? "" : "failed"}`, title: result }, icon(ok ? "tick" : "close"),
      h("b", {}, title), values ? h("span", {}, values) : null);
    this.#list.append(chip);
    this.#scroll();
  }

  /** @param {import("../types/events.js").TurnLatency} latency */
  #latency(latency) {
    const bubble = this.#bubbles.get(latency.turn);
    bubble?.querySelector(".latency")?.remove();
    bubble?.append(latencyBar(latency));
    this.#scroll();
  }

  /** @param {import("../types/events.js").HearingReady} ready */
  #ready({ engine, model, reason }) {
    const warning = BADGES[model] ?? BADGES[engine] ?? "";
    const more = h("button", { type: "button", class: "link", onclick: () => byId("models-button", HTMLElement).click() },
      "How to add weights");
    const told = model.startsWith(engine);
    this.#badge.replaceChildren("Heard by ", h("b", {}, told ? model : engine), model && !told ? ` (${model}). ` : ". ",
      ...(warning ? [`${warning} `, more] : []));
    this.#badge.title = reason;
    this.#badge.hidden = false;
  }

  /** @param {string} id @param {"you" | "assistant"} who @returns {HTMLLIElement} */
  #bubble(id, who) {
    let found = this.#bubbles.get(id);
    if (!found) {
      found = h("li", { class: `bubble ${who}` }, h("span", { class: "unseen" }, who === "you" ? "You:" : "Assistant:"),
        h("p"));
      this.#bubbles.set(id, found);
      this.#list.append(found);
      while (this.#list.children.length > KEPT) this.#list.firstElementChild?.remove();
    }
    return found;
  }

  /** @param {string} id */
  #drop(id) {
    this.#bubbles.get(id)?.remove();
    this.#bubbles.delete(id);
  }

  #clear() {
    this.#bubbles.clear();
    this.#replies.clear();
    this.#list.replaceChildren();
    this.#badge.hidden = true;
  }

  #scroll() {
    this.#list.scrollTop = this.#list.scrollHeight;
  }
}

/**
 * What was done, for people: the tool's title, and what it was asked for.
 * @param {string} name
 * @param {Record<string, unknown>} given
 * @returns {[title: string, values: string]}
 */
function described(name, given) {
  const words = name.replaceAll("_", " ");
  const title = SKILLS[name] ?? words.charAt(0).toUpperCase() + words.slice(1);
  if (name === "steer") return [title, [given.stage, given.action].filter(Boolean).join(" ").replaceAll("_", " ")];
  const values = Object.entries(given).filter(([, value]) => value !== "" && value !== null && typeof value !== "object")
    .map(([key, value]) => (key === "seconds" ? `${value} s` : String(value).replaceAll("_", " ")))
    .filter((value) => value !== title.toLowerCase());
  return [title, values.join(", ")];
}
