// A text that somebody shared: it can be read at once, and then gone on with.

import { $ } from "./dom.js";
import { joined } from "./pen.js";
import { changed } from "./task.js";

let text = null;

/** Show what can be done with the text of `mode`, which came with a link. */
export function show(mode) {
  text = joined(mode.pieces()).text;
}

/** Whether what is shown is what was shared. Whoever changes it goes on with a text of their own. */
export function unchanged(mode, busy) {
  if (busy || joined(mode.pieces()).text !== text) text = null;
  return text !== null;
}

/** The buttons below it. `mode()` and `model()` are those that are chosen. */
export function open(mode, model) {
  $("from-here").onclick = () => {
    text = null;
    changed();
    mode().goOn(model());
  };
  $("another").onclick = () => mode().again(model());
}
