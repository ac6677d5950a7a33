/** Where the page that paints starts. */

import { PaintPage } from "./paint.js";

void new PaintPage().start();
