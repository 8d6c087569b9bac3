// Texts and conversations of late, kept in this browser only.

import { $, make } from "./dom.js";
import { draw, keep, load, tab } from "./store.js";

const MOST = 60;
let current = load("current", null, tab) ?? draw();

const entries = () => load("history", []);

/** The one that this tab was at when it was loaded last, if it is still there. */
export const resumed = () => entries().find(({ id }) => id === current) ?? null;

/** From now on something else is written. */
export function leave(id = draw()) {
  current = id;
  keep("current", current, tab);
}

/** Put the present state of what is written first; where there is no more room, the oldest leave. */
export function remember(state, title) {
  if (!title.trim()) return;
  const others = entries().filter(({ id }) => id !== current);
  const kept = [{ ...state, id: current, at: Date.now(), title: title.trim().slice(0, 120) }, ...others].slice(0, MOST);
  while (!keep("history", kept) && kept.length > 1) kept.pop();
  keep("current", current, tab);
}

/** Fill the panel; `choose(entry)` is called for the one that is picked. */
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

/** The button asks once more before it empties. */
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
      button.textContent = "Really clear it all?";
      return;
    }
    calm();
    keep("history", []);
    leave();
    emptied();
  });
}
