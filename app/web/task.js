// One text is written at a time. Here it begins, is stopped, is counted, and fails with a sentence.

import { $, announce, make } from "./dom.js";
import { useKey } from "./api.js";

let controller = null;
let retry = null;

export const busy = () => controller !== null;
export const stop = () => controller?.abort();
/** Tell the page that something is different now. */
export const changed = () => document.dispatchEvent(new Event("changed"));

/** Do `work(signal)` unless something is being done. */
export async function run(work) {
  if (controller) return;
  controller = new AbortController();
  trouble("");
  changed();
  try {
    await work(controller.signal);
  } catch (error) {
    if (error.name !== "AbortError") trouble(error.message, () => run(work), error.status);
  } finally {
    controller = null;
    changed();
  }
}

/** Show what is wrong, with a way to try again where there is one; "" takes it away. */
export function trouble(sentence, again = null, status = undefined) {
  retry = again;
  $("trouble").replaceChildren(sentence && sentence[0].toUpperCase() + sentence.slice(1));
  $("key").hidden = status !== 401;
  if (status === 401) $("key-value").focus();
  else if (again) $("trouble").append(" ", make("button", { type: "button", onclick: () => again() }, "Try again"));
}

export function open() {
  $("stop").addEventListener("click", stop);
  $("key").addEventListener("submit", (event) => {
    event.preventDefault();
    useKey($("key-value").value.trim());
    $("key-value").value = "";
    retry?.();
  });
}

/** Tokens and how fast they come, shown beside the buttons. */
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

  /** The end: with the server's own count where it sent one, and why the text ended. */
  end(tokens = this.#tokens, ...more) {
    $("count").textContent = tokens ? [this.#sentence(tokens), ...more].join(" · ") : more.join(" · ");
  }

  #sentence(tokens) {
    const seconds = (performance.now() - this.#first) / 1000;
    const speed = tokens > 1 && seconds > 0 ? ` · ${Math.round((tokens - 1) / seconds)} tokens/s` : "";
    return `${tokens} token${tokens === 1 ? "" : "s"}${speed}`;
  }
}
