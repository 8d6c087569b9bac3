// The continuations to choose from, side by side.

import { $, copy, flash, make } from "./dom.js";
import * as votes from "./votes.js";

/** `count` empty cards in place of those that were there. */
export function lay(count) {
  const cards = Array.from({ length: count }, () => {
    const words = make("p", { className: "models" });
    return { words, card: make("div", { className: "card", role: "listitem" }, words) };
  });
  $("samples").hidden = !count;
  $("samples").replaceChildren(...cards.map(({ card }) => card));
  return cards;
}

/** A word's token begins with the space before it, which would indent the card. */
export const fill = ({ words }, text) => (words.textContent = text.trimStart());

/**
 * Let a person choose among `texts`. Those that are equal are shown once. `about(text)` is what a vote on one is about, `whole(text)`
 * what is copied, and `take(text)` is called for the one that is taken.
 */
export function offer(cards, texts, { about, whole, take }) {
  for (const [index, card] of cards.entries()) {
    const text = texts[index];
    if (texts.indexOf(text) < index) {
      card.card.remove();
      continue;
    }
    fill(card, text);
    const same = texts.filter((other) => other === text).length;
    if (same > 1) card.card.append(make("p", { className: "note" }, sameness(same, texts.length)));
    const keep = make("button", { type: "button", onclick: () => copy(whole(text)).then(() => flash(keep, "Copied")) }, "Copy");
    const chosen = make("button", { type: "button", onclick: () => take(text) }, "Take this one");
    card.card.append(make("div", { className: "after" }, chosen, keep, ...votes.buttons(about(text))));
  }
}

function sameness(same, all) {
  return `${same} of ${all} wrote this.${same === all ? " With a higher temperature they differ." : ""}`;
}
