// The history as a file: exported here, and imported in this browser or another one.

import { $, download } from "./dom.js";
import { entries, isEntry, say, store } from "./history.js";
import { draw } from "./store.js";

const FORMAT = "gpt-2-page-history";
const VERSION = 1;
// Twice what browsers keep for a site.
const LARGEST = 10_000_000;

/** Set up the buttons. `again()` fills the panel anew. */
export function open(again) {
  $("export").onclick = () => {
    const file = JSON.stringify({ format: FORMAT, version: VERSION, entries: entries() });
    download(new Blob([file], { type: "application/json" }), "gpt-2-history.json");
  };
  $("import").onclick = () => $("import-file").click();
  $("import-file").onchange = async ({ target }) => {
    const [file] = target.files;
    say(await take(file).catch((reason) => `Nothing was imported: ${file.name} ${reason}.`));
    // The same file can be chosen again.
    target.value = "";
    again();
  };
}

/** Add the entries of a file to the history. Returns how many are new, as a sentence. Throws why not. */
async function take(file) {
  if (file.size > LARGEST) throw "is larger than this browser's storage";
  const found = await file.text().then(JSON.parse).catch(() => null);
  if (found?.format !== FORMAT || !Array.isArray(found.entries)) throw "was not written by Export";
  if (found.version !== VERSION) throw `has version ${found.version}, and this page reads version ${VERSION}`;
  const wrong = found.entries.findIndex((entry) => !isEntry(entry));
  if (wrong >= 0) throw `is damaged in text ${wrong + 1}`;
  const here = entries();
  const both = merge(here, found.entries);
  if (store(both)) throw "does not fit into this browser's storage";
  return `New here: ${both.length - here.length} of ${found.entries.length}.`;
}

/** Both together. What is the same is kept once, and two states of one text are both kept. */
function merge(here, more) {
  const contents = ({ id, at, title, name, ...rest }) => JSON.stringify(Object.entries(rest).sort());
  const merged = new Map(here.map((entry) => [contents(entry), entry]));
  const ids = new Set(here.map(({ id }) => id));
  for (const entry of more) {
    const known = merged.get(contents(entry));
    const id = ids.has(entry.id) ? draw() : entry.id;
    merged.set(contents(entry), known ? { ...known, name: known.name || entry.name } : { ...entry, id });
    ids.add(id);
  }
  return [...merged.values()];
}
