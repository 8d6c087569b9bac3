// The letters that lie on the text area: in two inks, and with what is marked in them.

import { $, make } from "./dom.js";

// Where the model is writing.
let tip = null;

/**
 * Draw a text. Its beginning up to `unseen` is faint and `words` are tinted ([{start, end, tint}]). At `caret` stands a `ghost` or,
 * with `growing`, what the model is about to write; -1 is nowhere.
 */
export function draw(text, ranges, { unseen, words, caret, ghost, growing }) {
  const tints = new Map();
  for (const { start, end, tint } of words) tints.set(start, tint).set(end, 0);
  const cuts = new Set([caret, unseen, ...tints.keys(), ...ranges.flat(), text.length]);
  const spans = [];
  let [from, tint, range] = [0, 0, 0];
  tip = null;
  for (const at of [...cuts].filter((cut) => 0 <= cut && cut <= text.length).sort((one, other) => one - other)) {
    tint = tints.get(from) ?? tint;
    while (ranges[range]?.[1] <= from) range++;
    const names = [ranges[range]?.[0] <= from ? "models" : "yours", from < unseen ? "unseen" : "", tint ? `tint${tint}` : ""];
    if (at > from) spans.push(span(names.filter(Boolean).join(" "), text.slice(from, at)));
    if (at === caret && ghost) spans.push(span("ghost", ghost));
    if (at === caret && growing) spans.push((tip = span("models tip", "")));
    from = at;
  }
  const empty = !text && !growing;
  if (empty) spans.push(span("yours", "Write a beginning,"), " ", span("models", "and the model continues it."));
  $("ink").classList.toggle("invitation", empty);
  // An empty last line only has a height if it holds a character.
  $("ink").replaceChildren(...spans, "\u200b");
}

const span = (className, text) => make("span", { className }, text);

/** Add what the model writes where it is writing. */
export const grow = (text) => tip?.append(text);

/** Where the characters from `start` to `end` stand on the screen. */
export function place(start, end) {
  const range = document.createRange();
  let at = 0;
  for (const { firstChild: node } of $("ink").querySelectorAll("span:not(.ghost)")) {
    const next = at + (node?.length ?? 0);
    if (at <= start && start < next) range.setStart(node, start - at);
    if (at < end && end <= next) range.setEnd(node, end - at);
    at = next;
  }
  return range.getBoundingClientRect();
}
