/** What every page that the server writes has: its theme, its forms, times in the reader's own zone. */

import { byId } from "./dom.js";
import { takeForms } from "./site-forms.js";
import { recallTheme, switchTheme } from "./theme.js";

recallTheme();
byId("theme-button", HTMLButtonElement).addEventListener("click", switchTheme);
const written = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
for (const time of document.querySelectorAll("time")) time.textContent = written.format(new Date(time.dateTime));
takeForms();
