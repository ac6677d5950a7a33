/** Where the page starts. */

import { App } from "./app.js";

const app = new App();
void app.start();
