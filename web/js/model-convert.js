/** A conversion on its way: how far it is, ending it, and the page anew when there is a version. */

import { byId } from "./dom.js";
import { problem, translated } from "./problem-words.js";
import { ask } from "./site-api.js";
import { complain, ready, values } from "./site-forms.js";
import { say } from "./site-words.js";

const LOOK = 500; // ms between looks
const course = byId("course", HTMLElement);
const [stage, failed] = [byId("stage", HTMLElement), byId("failed", HTMLElement)];
const [bar, cancel] = [byId("progress", HTMLProgressElement), byId("cancel", HTMLButtonElement)];

/** @param {string} id @param {string} title @returns {Promise<any>} the job, once it is over */
async function followed(id, title) {
  byId("course-title", HTMLElement).textContent = title;
  failed.hidden = true;
  cancel.hidden = bar.hidden = course.hidden = false;
  course.focus();
  cancel.onclick = () => void ask("POST", `/v1/jobs/${id}/cancel`).catch((error) => tell(problem(error)));
  for (;;) {
    const job = await ask("GET", `/v1/jobs/${id}`);
    stage.textContent = `${say(job.state)} ${job.message}`;
    bar.value = job.progress;
    if (!["queued", "running"].includes(job.state)) return job;
    await new Promise((resolve) => setTimeout(resolve, LOOK));
  }
}

/** @param {string} text */
function tell(text) {
  failed.textContent = text;
  failed.hidden = false;
}

/** @param {HTMLFormElement} form */
async function convert(form) {
  complain(form, null);
  const buttons = document.querySelectorAll(".convert button");
  buttons.forEach((button) => button.setAttribute("disabled", ""));
  try {
    const said = values(form);
    const job = await followed((await ask("POST", form.dataset.path ?? "", said)).id, String(said["kind"]));
    if (job.state === "done") return location.assign(form.dataset.page ?? "");
    if (job.error) tell(translated(job.error.detail));
    cancel.hidden = bar.hidden = true;
  } catch (error) {
    complain(form, error);
  }
  buttons.forEach((button) => button.removeAttribute("disabled"));
}

for (const form of document.querySelectorAll("form")) {
  if (!form.classList.contains("convert")) continue;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void convert(form);
  });
  ready(form);
}
