// The texts and conversations of before, stored in this browser only.

import { isConversation } from "./branches.js";
import { $, ask, make } from "./dom.js";
import { draw, keep, load, tab, there } from "./store.js";

const LONGEST = 120;
// More of them would make each key slow that is pressed in the search.
const MOST_SHOWN = 200;
let current = load("current", null, tab) ?? draw();
let state = () => ({});
// The state when it was last shown, stored or deleted: it is stored only if it has changed since.
let known = null;
// When the current entry was stored, as far as this tab knows.
let stored = null;

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
  known = stored = null;
  keep("current", current, tab);
}

/** The page shows this entry now, and goes on with it. */
export function hold({ id, at }) {
  leave(id);
  stored = at;
  settle();
}

const settle = () => (known = JSON.stringify(state()));

/** Store the present state, if it has changed. Returns a sentence if there is no room. */
export function remember() {
  const now = state();
  // A conversation is called by how it begins now.
  const title = (now.turns?.findLast(({ after }) => after < 0).content ?? now.text).trim().slice(0, LONGEST);
  if (!title || JSON.stringify(now) === known) return "";
  const all = entries();
  // What another tab has made of the entry is kept beside this.
  if (all.some(({ id, at }) => id === current && at !== stored)) leave();
  keep("current", current, tab);
  const name = all.find(({ id }) => id === current)?.name;
  const at = Date.now();
  const problem = store([{ ...now, id: current, at, title, name }, ...all.filter(({ id }) => id !== current)]);
  if (problem) return problem;
  stored = at;
  settle();
  return "";
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
  const plain = title.slice(0, LONGEST).replace(/\[[A-Z][A-Z _]*\]|\[\w+: [^\]\n]*\]|<\|\w+\|>/g, " ").replace(/\s+/g, " ").trim();
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
  // Another tab may have gone on with it.
  const fresh = () => entries().find(({ id }) => id === entry.id) ?? entry;
  const back = () => {
    const shown = item(fresh(), choose);
    line.replaceWith(shown);
    shown.querySelector(".row button").focus();
  };
  const remove = () => {
    const gone = fresh();
    say(store(without(entry.id)));
    if (entry.id === current) settle();
    const restore = () => {
      say(store([...without(entry.id), gone]));
      back();
    };
    const undo = make("button", { onclick: restore }, "Undo");
    line.replaceChildren(make("div", { className: "row note" }, `Deleted: ${title}`, undo));
    undo.focus();
  };
  const open = make("button", { className: "entry", onclick: () => choose(fresh()) }, make("span", {}, title), time);
  const act = (label, onclick) => make("button", { "aria-label": `${label} ${title}`, onclick }, label);
  const rename = () => naming(title, line, back, (name) => say(store([...without(entry.id), { ...fresh(), name }])));
  const row = make("div", { className: "row" }, act("Rename", rename), act("Delete", remove));
  const line = make("li", {}, open, row);
  return line;
}

/** Ask for a name, of which `named(name)` is told. Without one, an entry is called by its first words. */
function naming(title, line, back, named) {
  const field = make("input", { type: "text", value: title, maxLength: LONGEST, "aria-label": "New name" });
  const keep = () => {
    named(field.value.trim());
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
  // The second press is one of its own, neither a double click's nor that of a key held down.
  button.onkeydown = ({ repeat }) => !repeat;
  button.onclick = ({ detail }) => {
    if (!button.classList.contains("sure")) return sure(true);
    if (detail > 1) return;
    sure(false);
    keep("history", []);
    settle();
    again();
    $("history-title").focus();
  };
}
