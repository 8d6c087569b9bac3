// The latest texts and conversations, stored in this browser only.

import { $, make } from "./dom.js";
import { draw, keep, load, tab } from "./store.js";

const MOST = 60;
let current = load("current", null, tab) ?? draw();

const entries = () => load("history", []);

/** The entry that this tab showed before it was reloaded, if it still exists. */
export const resumed = () => entries().find(({ id }) => id === current) ?? null;

/** Leave the current entry: what is written from now on belongs to entry `id`, by default a new one. */
export function leave(id = draw()) {
  current = id;
  keep("current", current, tab);
}

/** Store the current state as the first entry. The oldest entries are dropped when the browser has no more room. */
export function remember(state, title) {
  if (!title.trim()) return;
  const others = entries().filter(({ id }) => id !== current);
  const kept = [{ ...state, id: current, at: Date.now(), title: title.trim().slice(0, 120) }, ...others].slice(0, MOST);
  while (!keep("history", kept) && kept.length > 1) kept.pop();
  keep("current", current, tab);
}

/** Fill the panel. `choose(entry)` is called for the entry that is picked. */
export function list(choose) {
  const found = entries();
  $("clear").hidden = found.length === 0;
  $("entries").replaceChildren(
    ...found.map((entry) => {
      const when = new Date(entry.at);
      const time = make("time", { dateTime: when.toISOString() }, when.toLocaleString([], { dateStyle: "medium", timeStyle: "short" }));
      const button = make("button", { type: "button" }, make("span", {}, entry.title), time);
      button.addEventListener("click", () => choose(entry));
      return make("li", {}, button);
    }),
  );
  if (!found.length) $("entries").append(make("li", { className: "note" }, "Nothing yet."));
}

/** Set up the button that clears the history. It asks for a second press; `emptied()` is called afterwards. */
export function open(emptied) {
  const button = $("clear");
  const name = button.textContent;
  const calm = () => {
    button.textContent = name;
    button.classList.remove("sure");
  };
  button.addEventListener("blur", calm);
  button.addEventListener("click", () => {
    if (!button.classList.contains("sure")) {
      button.classList.add("sure");
      button.textContent = "Clear everything?";
      return;
    }
    calm();
    keep("history", []);
    leave();
    emptied();
  });
}
