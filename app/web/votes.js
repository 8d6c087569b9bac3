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

/** Two buttons for `text`, which continues or answers `prefix`. None if votes are not stored. */
export function buttons({ text, prefix, model }) {
  if (!kept || !text.trim()) return [];
  const both = [thumb("up", "Good"), thumb("down", "Bad")];
  for (const button of both) {
    button.addEventListener("click", async () => {
      const vote = button.value;
      try {
        await post("feedback", { vote, text, prefix, model, voter: voter() });
      } catch (error) {
        if (error.status === 404) both.forEach((each) => each.remove());
        trouble(error.message);
        return;
      }
      for (const each of both) each.setAttribute("aria-pressed", each === button);
      announce("Thank you, your vote is saved.");
    });
  }
  return both;
}

function thumb(value, label) {
  const button = make("button", { type: "button", value, className: `thumb ${value}`, "aria-label": label, "aria-pressed": "false", title: label });
  button.append(icon("thumb"));
  return button;
}
