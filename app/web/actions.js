// What can be done with a finished text: copy it, share it, save it as a picture.

import { $, copy, flash, make } from "./dom.js";
import * as link from "./link.js";
import { joined } from "./pen.js";
import { trouble } from "./trouble.js";

/** The buttons under the text. `current()` gives {mode, model, pieces, link}. */
export function open(current) {
  act("copy", "Copied", () => copy(joined(current().pieces).text));
  act("share", "Link copied", () => {
    const { mode, model, link: held } = current();
    return copy(link.write(mode, model, held));
  });
  act("image", "Saved", () => save(current()));
}

/** Download a picture of the text. */
async function save({ pieces, model }) {
  const { picture } = await import("./image.js");
  const address = URL.createObjectURL(await picture(pieces, model));
  make("a", { href: address, download: "gpt-2.png" }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
}

function act(id, done, work) {
  $(id).addEventListener("click", async () => {
    try {
      await work();
      flash($(id), done);
    } catch (error) {
      trouble(error.message);
    }
  });
}
