// The texts and conversations of before, stored in this browser only.

import { isConversation } from "./branches.js";
import { $, ask, make } from "./dom.js";
import { draw, keep, load, tab, there } from "./store.js";

const LONGEST = 120;
// More of them would make each key slow that is pressed in the search.
const MOST_SHOWN = 200;
let current = load("current", null, tab) ?? draw();
let state = () => ({});
// The state whose entry was deleted: it is stored again only if it changes.
let deleted = null;

const kept = () => [load("history", [])].flat();
export const entries = () => kept().filter(isEntry);

/**
 * Store these, newest first, beside what only another version of the page can show. Returns a sentence if there is no room. Without
 * any storage, the page works too.
 */
export function store(all) {
  const others = kept().filter((each) => !isEntry(each));
  const done = keep("history", [...all.sort((one, other) => other.at - one.at), ...others]) || !there();
  return done ? "" : "This browser's storage is full: export the history, then delete some of it.";
}

/** The entry that this tab showed before it was reloaded, if it still exists. */
export const resumed = () => entries().find(({ id }) => id === current);

/** Leave the current entry: what is written from now on belongs to entry `id`, by default a new one. */
export function leave(id = draw()) {
  current = id;
  deleted = null;
  keep("current", current, tab);
}

/** Store the present state. Returns a sentence if there is no room. */
export function remember() {
  const now = state();
  // A conversation is called by how it begins now.
  const title = (now.turns?.findLast(({ after }) => after < 0).content ?? now.text).trim().slice(0, LONGEST);
  if (!title || JSON.stringify(now) === deleted) return "";
  keep("current", current, tab);
  const all = entries();
  const name = all.find(({ id }) => id === current)?.name;
  return store([{ ...now, id: current, at: Date.now(), title, name }, ...all.filter(({ id }) => id !== current)]);
}

const without = (gone) => entries().filter(({ id }) => id !== gone);

/** Whether this can be shown. */
export function isEntry(entry) {
  const { id, at, title, name = "", model = "", mode, text, ranges } = entry ?? {};
  const range = (each) => Array.isArray(each) && each.length === 2 && each.every(Number.isInteger);
  const right = mode === "chat" ? isConversation(entry) : mode === "write" && typeof text === "string" && Array.isArray(ranges) && ranges.every(range);
  // JavaScript knows no later days than 8.64e15.
  return right && [id, title, name, model].every((each) => typeof each === "string") && Number.isInteger(at) && Math.abs(at) <= 8.64e15;
}

/** What an entry is called: its own name, or its first words without the tags of a template. */
function titled({ name, title }) {
  const plain = title.replace(/\[[A-Z][A-Z _]*\]|\[\w+: [^\]\n]*\]|<\|\w+\|>/g, " ").replace(/\s+/g, " ").trim();
  return name || plain || title;
}

/** Fill the panel. `choose(entry)` is called for the entry that is picked. */
export function list(choose) {
  const all = entries();
  const sought = $("search").value.trim().toLowerCase();
  const words = (entry) => [titled(entry), entry.text, ...(entry.turns ?? []).map(({ content }) => content)].join("\n").toLowerCase();
  const found = all.filter((entry) => words(entry).includes(sought));
  for (const id of ["clear", "export", "search"]) $(id).hidden = !all.length;
  $("entries").replaceChildren(...found.slice(0, MOST_SHOWN).map((entry) => item(entry, choose)));
  const more = found.length - MOST_SHOWN;
  if (more > 0) $("entries").append(make("li", { className: "note" }, `And ${more} more: search for them.`));
  if (!found.length) $("entries").append(make("li", { className: "note" }, all.length ? "Nothing has these words." : "Nothing yet."));
}

function item(entry, choose) {
  const title = titled(entry);
  const when = new Date(entry.at);
  const time = make("time", { dateTime: when.toISOString() }, when.toLocaleString([], { dateStyle: "medium", timeStyle: "short" }));
  const back = () => {
    const shown = item(entry, choose);
    line.replaceWith(shown);
    shown.querySelector(".row button").focus();
  };
  const remove = () => {
    say(store(without(entry.id)));
    if (entry.id === current) deleted = JSON.stringify(state());
    const undo = make("button", { onclick: restore }, "Undo");
    line.replaceChildren(make("div", { className: "row note" }, `Deleted: ${title}`, undo));
    undo.focus();
  };
  const restore = () => {
    deleted = null;
    say(store([...without(entry.id), entry]));
    back();
  };
  const open = make("button", { className: "entry", onclick: () => choose(entry) }, make("span", {}, title), time);
  const act = (label, onclick) => make("button", { "aria-label": `${label} ${title}`, onclick }, label);
  const row = make("div", { className: "row" }, act("Rename", () => naming(entry, line, back)), act("Delete", remove));
  const line = make("li", {}, open, row);
  return line;
}

/** Ask for a name. Without one, an entry is called by its first words. */
function naming(entry, line, back) {
  const field = make("input", { type: "text", value: titled(entry), maxLength: LONGEST, "aria-label": "New name" });
  const keep = () => {
    entry.name = field.value.trim();
    say(store([...without(entry.id), entry]));
    back();
  };
  ask(field, keep, back);
  line.replaceChildren(field);
  field.select();
}

export const say = (sentence) => ($("told").textContent = sentence);

/** Set up the panel. `again()` fills it anew, and `now()` is the present state. Clearing everything asks for a second press. */
export function open(again, now) {
  state = now;
  const button = $("clear");
  const name = button.textContent;
  const sure = (is) => {
    button.classList.toggle("sure", is);
    button.textContent = is ? "Clear everything?" : name;
  };
  $("search").oninput = again;
  button.onblur = () => sure(false);
  button.onclick = () => {
    if (!button.classList.contains("sure")) return sure(true);
    sure(false);
    keep("history", []);
    deleted = JSON.stringify(state());
    again();
  };
}
