// The letters that lie beneath the text area: in two inks, and with what is marked in them.

import { $, make } from "./dom.js";
import { runs } from "./pen.js";

let tip = null;

/**
 * Draw a text. `unseen` is how much of its beginning the model no longer sees, `words` are tinted ([{start, end, tint}]), and
 * `ghost` is drawn at `caret` in between. With `growing`, what the model writes there is added by `grow`.
 */
export function draw(text, ranges, { unseen = 0, words = [], ghost = "", caret = -1, growing = false }) {
  const cuts = new Set([unseen, ghost || growing ? caret : 0, ...words.flatMap(({ start, end }) => [start, end])]);
  const tints = new Map(words.map(({ start, tint }) => [start, tint]));
  const ends = new Set(words.map(({ end }) => end));
  const edges = [...cuts].filter((at) => at > 0 && at < text.length).sort((one, other) => one - other);
  const spans = [];
  let [at, tint, next] = [0, 0, 0];
  tip = null;
  const put = (piece, model) => {
    if (ends.has(at)) tint = 0;
    tint = tints.get(at) ?? tint;
    const names = [model ? "models" : "yours", ...(at < unseen ? ["unseen"] : []), ...(tint ? [`tint${tint}`] : [])];
    if (piece) spans.push(make("span", { className: names.join(" ") }, piece));
    at += piece.length;
    if (at === caret) between();
  };
  const between = () => {
    if (ghost) spans.push(make("span", { className: "ghost" }, ghost));
    if (growing) spans.push((tip = make("span", { className: "models tip" })));
  };
  if (caret === 0) between();
  for (const { text: run, model } of runs(text, ranges)) {
    const end = at + run.length;
    while (edges[next] <= at) next++;
    while (edges[next] < end) put(text.slice(at, edges[next++]), model);
    put(text.slice(at, end), model);
  }
  $("ink").classList.toggle("invitation", !text && !growing);
  if (!text && !growing) spans.push(...invitation());
  // An empty last line only has a height if it holds a character.
  $("ink").replaceChildren(...spans, "\u200b");
}

/** Add what the model writes where it is writing. */
export function grow(text) {
  tip.append(text);
}

const invitation = () => [
  make("span", { className: "yours" }, "Write a beginning,"), " ",
  make("span", { className: "models" }, "and the model continues it."),
];

/** Where these characters of the text stand on the screen. */
export function place(start, end) {
  const range = document.createRange();
  let at = 0;
  for (const span of $("ink").children) {
    if (span.className === "ghost") continue;
    const [node] = span.childNodes;
    const next = at + (node?.length ?? 0);
    if (node && at <= start && start < next) range.setStart(node, start - at);
    if (node && at < end && end <= next) range.setEnd(node, end - at);
    at = next;
  }
  return range.getBoundingClientRect();
}
