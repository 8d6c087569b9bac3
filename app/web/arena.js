// Two models side by side: both answer with the same seed, in an order drawn at random, and their names are hidden until a vote.

import { $, make } from "./dom.js";
import { beside } from "./settings.js";
import { keep, load } from "./store.js";
import { cast, stored } from "./votes.js";

// What each verdict says of the first reply and of the second.
const VERDICTS = [
  ["The first is better", "up", "down"],
  ["The second is better", "down", "up"],
  ["Both are good", "up", "up"],
  ["Neither is good", "down", "down"],
  ["Skip"],
];

let known = {};

/** The settings for this model. */
export const values = (model) => beside(known[model].sampling);

/** The model that answers beside the chosen one, or an empty name. */
export const rival = () => $("rival").value;

/** Offer the models that know turns, other than the chosen one. */
export function offer(model, profiles) {
  known = profiles;
  const others = Object.keys(profiles).filter((name) => name !== model && profiles[name].turns);
  const option = (name) => make("option", { value: name, selected: name === load("rival") }, name || "nobody");
  $("rival").replaceChildren(...["", ...others].map(option));
  $("rival").onchange = () => keep("rival", rival());
  $("versus").hidden = !others.length;
}

/** The question which reply to `prefix` is better. `done(vote, second)` is called with what sends the votes, and which one to go on with. */
export function question(replies, prefix, done) {
  const same = replies[0].content === replies[1].content;
  const buttons = VERDICTS.slice(same ? 2 : 0).map(([label, ...votes]) => {
    const vote = async () => {
      for (const [at, reply] of replies.entries()) {
        if (votes[at] && reply.content && stored()) await cast({ vote: votes[at], text: reply.content, prefix, model: reply.model });
        reply.vote = votes[at];
      }
    };
    return make("button", { onclick: () => done(vote, label === VERDICTS[1][0]) }, label);
  });
  const says = `${same ? "Both wrote the same." : "Which is better?"} The names are shown afterwards${stored() ? "." : "; this server keeps no votes."}`;
  return make("div", { className: "row verdict", role: "group", "aria-label": "Which is better?" }, make("p", { className: "note" }, says), ...buttons);
}
