/** The behaviour that the web APIs must have: the same cases run on Node and in a guest. */
import type { Cases } from "./assert.ts";
import { cases as body } from "./body.ts";
import { cases as clone } from "./clone.ts";
import { cases as crypto } from "./crypto.ts";
import { cases as events } from "./events.ts";
import { cases as forms } from "./forms.ts";
import { cases as headers } from "./headers.ts";
import { cases as streams } from "./streams.ts";
import { cases as text } from "./text.ts";
import { cases as url } from "./url.ts";

export const suites: Record<string, Cases> = { body, clone, crypto, events, forms, headers, streams, text, url };
