// A turn of a conversation as it is shown: who speaks, which version it is, the words, and a row of what can be done with them.

import { ask, make } from "./dom.js";

/** A line of the conversation. `line.who`, `line.words` and `line.row` are its parts. */
export function line({ role, content, model, edited, cut }, name = model, tag = "li") {
  const mine = role === "user";
  const silent = !mine && !content && cut !== undefined;
  const who = make("div", { className: "who" }, make("span", {}, mine ? "You" : (name ?? "Model")), edited ? "edited by you" : "");
  const words = make("p", { className: silent ? "note" : "" }, silent ? "The model had nothing to say." : content);
  const row = make("div", { className: "row" });
  return Object.assign(make(tag, { className: mine ? "yours" : "models" }, who, words, row), { who, words, row });
}

/** ‹ 2/3 › for the turn `at`, one of `places`, of which another one is chosen by `choose(place, label)`, with the label of the button. */
export function versions(places, at, choose) {
  if (places.length < 2) return "";
  const number = places.indexOf(at);
  const step = (sign, label, to) => make("button", { "aria-label": label, disabled: to === undefined, onclick: () => choose(to, label) }, sign);
  return make(
    "span", { className: "versions" },
    step("‹", "Earlier version", places[number - 1]), `${number + 1}/${places.length}`, step("›", "Later version", places[number + 1]),
  );
}

/** Let a person change the words. `typed(words)` is told them, and `done(words)` too in the end, or with none if nothing is to change. */
export function edit(line, content, label, done, typed) {
  const field = make("textarea", { value: content, rows: 1 + content.length / 40, maxLength: 20000, "aria-label": "Change these words" });
  const finish = () => field.value.trim() && done(field.value.trim());
  const leave = () => done();
  field.addEventListener("input", () => typed(field.value));
  ask(field, finish, leave);
  line.words.replaceWith(field);
  line.row.replaceChildren(
    make("button", { className: "models", onclick: finish }, label),
    make("button", { onclick: leave }, "Cancel"),
  );
  field.focus();
}
