// 👍 and 👎 for what the model wrote, if the server stores votes.

import { post } from "./api.js";
import { announce, icon, make } from "./dom.js";
import { voter } from "./store.js";
import { trouble } from "./trouble.js";

let kept = false;

/** `wanted` says whether the server stores votes. */
export function open(wanted) {
  kept = wanted;
}

export const stored = () => kept;

/** Store a vote, "up" or "down". Throws Refusal. */
export const cast = ({ vote, text, prefix, model }) => post("feedback", { vote, text, prefix, model, voter: voter() });

/** Two buttons for `text`, which continues or answers `prefix`. None if votes are not stored. `given(vote)` is told a vote. */
export function buttons({ text, prefix, model, vote: before }, given = () => {}) {
  if (!kept || !text.trim()) return [];
  const both = [thumb("up", "Good"), thumb("down", "Bad")];
  const press = (vote) => both.forEach((each) => each.setAttribute("aria-pressed", each.value === vote));
  press(before);
  for (const button of both) {
    button.onclick = async () => {
      const vote = button.value;
      try {
        await cast({ vote, text, prefix, model });
      } catch (error) {
        if (error.status === 404) both.forEach((each) => each.remove());
        trouble(error.message);
        return;
      }
      press(vote);
      given(vote);
      announce("Thank you, your vote is saved.");
    };
  }
  return both;
}

const thumb = (value, label) => make("button", { value, className: `thumb ${value}`, "aria-label": label, title: label }, icon("thumb"));
