/** Light or dark: as the system has it, until somebody says otherwise. */

import { recall, remember } from "./storage.js";

/** What was said on an earlier visit. */
export function recallTheme() {
  const theme = recall("aimass.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
}

export function switchTheme() {
  const set = document.documentElement.dataset.theme;
  const dark = set ? set === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const next = dark ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  remember("aimass.theme", next);
}
