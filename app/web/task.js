// The one task at a time, writing a text: start, stop, speed.

import { $, announce } from "./dom.js";
import { failed, trouble } from "./trouble.js";

let controller = null;

export const busy = () => controller !== null;
export const stop = () => controller?.abort();
/** Tell the page to update its controls. */
export const changed = () => document.dispatchEvent(new Event("changed"));

/** Run `work(signal)`, unless a task is running. */
export async function run(work) {
  if (controller) return;
  controller = new AbortController();
  trouble("");
  changed();
  let refused = null;
  try {
    await work(controller.signal);
  } catch (error) {
    if (error.name !== "AbortError") refused = error;
  } finally {
    controller = null;
    changed();
  }
  failed(refused, () => run(work));
}

export function open() {
  $("stop").onclick = stop;
}

/** The number of tokens and their speed, shown beside the buttons. */
export class Pace {
  #tokens = 0;
  #first = 0;
  #shown = 0;

  constructor() {
    $("count").textContent = "Reading …";
    announce("Writing.");
  }

  see() {
    const now = performance.now();
    this.#first ||= now;
    this.#tokens++;
    if (now - this.#shown < 200) return;
    this.#shown = now;
    $("count").textContent = this.#sentence(this.#tokens);
  }

  /** Show the final count, the server's own if it sent one, and `more`, such as why the text ended. */
  end(tokens = this.#tokens, ...more) {
    $("count").textContent = tokens ? [this.#sentence(tokens), ...more].join(" · ") : more.join(" · ");
  }

  #sentence(tokens) {
    const seconds = (performance.now() - this.#first) / 1000;
    // Tokens that arrive all at once say nothing about it.
    const speed = tokens > 1 && seconds > 0.02 ? ` · ${Math.round((tokens - 1) / seconds)} tokens/s` : "";
    return `${tokens} token${tokens === 1 ? "" : "s"}${speed}`;
  }
}
