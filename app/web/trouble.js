// What went wrong, as a sentence, and the way on: a key to enter, or a countdown after which it is tried again.

import { useKey } from "./api.js";
import { $ } from "./dom.js";

const MOST_TRIES = 8;
let retry = null;
// The error that is shown. One that `stays` does so until it is over, whatever else goes wrong.
let shown = {};
let timer = null;
// How often it was tried again without success.
let tries = 0;

/** Show an error that can be tried again by `again`. Null says that it went well. */
export function failed(error, again) {
  if (error) trouble(error.message, again, error);
  else tries = 0;
}

/** Show a sentence, with a way to try again if there is one. An empty sentence clears it. */
export function trouble(sentence, again = null, error = {}) {
  if (shown.stays && !error.stays) return;
  const { status, wait } = error;
  calm();
  [retry, shown] = [again, error];
  $("trouble").replaceChildren(sentence && sentence[0].toUpperCase() + sentence.slice(1));
  $("key").hidden = status !== 401;
  $("retry").hidden = status === 401 || !again;
  if (status === 401) $("key-value").focus();
  else if (again && wait && tries < MOST_TRIES) count(wait);
}

/** Try again in `wait` seconds, twice as long after each time in vain. A person can stop it, and does so by typing, too. */
function count(wait) {
  const end = Date.now() + 1000 * Math.min(wait * 2 ** tries, 120);
  const tick = () => {
    const left = Math.ceil((end - Date.now()) / 1000);
    $("left").textContent = `Trying again in ${left} s.`;
    // Nobody waits in front of a page that cannot be seen.
    if (left > 0 || document.hidden) return;
    tries++;
    act();
  };
  $("waiting").hidden = false;
  timer = setInterval(tick, 250);
  tick();
}

/** Wait no longer: it is tried again when a person says so. */
function calm() {
  clearInterval(timer);
  $("waiting").hidden = true;
}

function act() {
  const again = retry;
  shown = {};
  trouble("");
  again?.();
}

export function open() {
  $("retry").onclick = act;
  $("calm").onclick = calm;
  document.addEventListener("input", () => shown.stays || calm());
  document.addEventListener("keydown", ({ key }) => key === "Escape" && calm());
  // The network is back: nobody needs to wait for the end of the countdown.
  addEventListener("online", () => shown.status === 0 && act());
  $("key").onsubmit = (event) => {
    event.preventDefault();
    useKey($("key-value").value.trim());
    $("key").reset();
    document.dispatchEvent(new CustomEvent("keyed", { detail: retry }));
  };
}
