/** Stages and models that come, change or go while the page is open. */

import { toast } from "./dom.js";

/** @typedef {import("./pipeline-editor.js").PipelineEditor} PipelineEditor */

export class Arrivals {
  #model;
  #editor;
  #server;
  #add;

  /**
   * @param {import("./pipeline.js").PipelineModel} model
   * @param {PipelineEditor} editor
   * @param {import("./server.js").Server} server
   * @param {(name: string) => void} add puts a stage into the pipeline
   */
  constructor(model, editor, server, add) {
    this.#model = model;
    this.#editor = editor;
    this.#server = server;
    this.#add = add;
  }

  /** A stage's file changed, perhaps its parameters too. @param {import("../types/events.js").StageReloaded} stage */
  async stage({ stage, ok, detail }) {
    const isNew = this.#model.info(stage) === null;
    if (!ok) {
      this.#editor.breaks(stage, detail);
      return toast(`${stage}: ${detail}`);
    }
    const before = this.#model.catalogue;
    this.#model.learn(await this.#server.stages());
    for (const { name } of before) {
      if (!this.#model.info(name)) this.#editor.breaks(name, `${name} is no longer in the file`);
    }
    this.#editor.breaks(stage, null);
    this.#editor.renew(stage);
    if (isNew) toast(`${stage} is new`, { label: "Add it", act: () => this.#add(stage) });
    else toast(`${stage} was loaded again`);
  }

  /** Models came or went, and with them what stages offer. @param {import("../types/events.js").ModelsChanged} models */
  async models({ added }) {
    const before = new Map(this.#model.catalogue.map(({ name, params }) => [name, JSON.stringify(params)]));
    this.#model.learn(await this.#server.stages());
    for (const { name, params } of this.#model.catalogue) {
      if (before.get(name) !== JSON.stringify(params)) this.#editor.renew(name);
    }
    const style = added.filter(({ task }) => task === "style-transfer").at(-1);
    if (style) toast(`${style.title} is a new style`, { label: "Paint with it", act: () => this.#paint(style.name) });
  }

  /** @param {string} model */
  #paint(model) {
    const name = model.replace(/^style-/, "");
    const entry = this.#model.entries.find(({ name: stage }) => stage === "style");
    if (!entry) return this.#model.set([...this.#model.wire(), { stage: "style", name }]);
    this.#model.setParam(entry.key, "name", name);
    return this.#editor.renew("style");
  }
}
