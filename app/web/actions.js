// What can be done with a finished text: copy it, share it, save it as a picture.

import { $, copy, download, flash } from "./dom.js";
import * as link from "./link.js";
import { joined } from "./pen.js";
import { changed } from "./settings.js";
import { button } from "./speech.js";
import { trouble } from "./trouble.js";

// What other apps show beside a link.
const MOST_SHOWN = 280;
// The letters of a message in Telegram.
const MOST_SENT = 4096;
// The last sentence about one of these that could not be done.
let told = "";

/** The buttons under the text. `current()` gives {mode, model, pieces, link}. */
export function open(current) {
  act("copy", () => copy(joined(current().pieces).text).then(() => "Copied"));
  act("share", () => share(current()));
  act("image", () => save(current()));
  $("doings").append(button(() => $(current().mode === "chat" ? "turns" : "ink")));
}

/** Hand the text over as a link that shows it: to the phone's own sheet, or else to the clipboard. Returns what was done. */
export async function share({ mode, model, pieces, link: { text: prompt, turns, ...more } }) {
  const content = mode === "chat" ? { turns } : { pieces, prompt };
  const url = link.write({ mode, model, ...content, ...more, settings: usedSettings() });
  if (!navigator.share) return copied(url);
  const { text } = joined(pieces);
  try {
    await navigator.share({ title: document.title, text: text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)} …` : text, url: await url });
    return "Shared";
  } catch (error) {
    // Nothing is wrong if the sheet is closed without a choice.
    if (error.name === "AbortError") return "";
    return copied(url);
  }
}

/** Copy a link that is on its way, and say so if other apps may not take it. */
async function copied(url) {
  await copy(url);
  if ((await url).length > MOST_SENT) trouble("The link is copied. It is long, and some apps cut it: for those, copy the text or save an image.");
  return "Link copied";
}

/** The settings that differ from the model's own. The seed is in the link by itself. */
function usedSettings() {
  const { seed, ...others } = changed();
  return others;
}

/** Download a picture of the text. */
async function save({ pieces }) {
  const { picture } = await import("./image.js");
  download(await picture(pieces), "gpt-2.png");
  return "Saved";
}

function act(id, work) {
  $(id).onclick = async () => {
    if ($("trouble").textContent === told) trouble("");
    try {
      const done = await work();
      if (done) flash($(id), done);
    } catch (error) {
      trouble(error.message);
      told = $("trouble").textContent;
    }
  };
}
