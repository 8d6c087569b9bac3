// Chat: a conversation with its branches, each turn in its speaker's ink and with its own row of actions.

import * as arena from "./arena.js";
import { Branches, isConversation } from "./branches.js";
import { $, announce, copy, flash, make, tool } from "./dom.js";
import { reply } from "./reply.js";
import { set, settings } from "./settings.js";
import { button as reader } from "./speech.js";
import { keep, load } from "./store.js";
import { Pace, busy, changed, run } from "./task.js";
import { trouble } from "./trouble.js";
import { edit, line, versions } from "./turn.js";
import * as votes from "./votes.js";

const field = $("say");
const SIDES = ["The first", "The second"];
let talk = new Branches();
// The places of two replies that are shown side by side, and whether their names are hidden.
let pair = null;
// The turn that a person changes: {at, words}.
let editing = null;

const turns = () => talk.path.map((at) => talk.turns[at]);
const said = () => [{ role: "system", content: $("system").value.trim() }, ...turns()].filter(({ role, content }) => content || role !== "system");
const last = () => talk.turns[talk.end];
const model = () => $("model").value || undefined;
const empty = (name = model()) => ({ role: "assistant", content: "", model: name });
const grown = () => document.dispatchEvent(new Event("grown"));
/** Whoever asks wants to see the answer. */
const look = (element) => element?.scrollIntoView({ block: "nearest" });

export const isEmpty = () => talk.end < 0;
export const canUndo = () => false;
export const canAgain = () => last()?.role === "assistant";
export const words = () => ({ go: "Send", show: field, rows: true });
/** What a vote is about: here each turn has its own. */
export const latest = () => null;
export const pieces = () =>
  turns().flatMap(({ role, content }, at) => [
    ...(at ? [{ text: "\n\n", model: false }] : []),
    { text: content, model: role === "assistant" },
  ]);

export function open() {
  field.oninput = grow;
  instruct(load("system"));
  $("system").oninput = () => instruct($("system").value);
  // Where no mouse hovers, a tap on a turn shows its row.
  $("turns").addEventListener("click", ({ target }) => {
    for (const item of $("turns").children) item.classList.toggle("tapped", item.contains(target));
  });
  draw();
}

/** Take a system text. */
function instruct(text) {
  $("system").value = typeof text === "string" ? text : "";
  keep("system", $("system").value);
}

function grow() {
  field.style.height = "auto";
  field.style.height = `${Math.min(field.scrollHeight, 200)}px`;
  changed();
}

export function begin(text) {
  field.value = text;
  grow();
}

export function go() {
  if (field.value.trim() || last()?.role === "user") return run(send);
}

function send(signal) {
  const content = field.value.trim();
  const write = () => (arena.rival() ? compare([model(), arena.rival()], signal) : answer(empty(), signal));
  // Another try after a connection that was lost within the reply: it goes on, and two are compared anew.
  if (!content && canAgain()) return arena.rival() ? ask(null, last().after, write) : last().cut && finish(last(), signal);
  begin("");
  const back = () => begin([content, field.value].filter(Boolean).join("\n"));
  return ask(content && { role: "user", content }, talk.end, write, back);
}

/** Add the turn `asked`, if any, after the place `before`, and `write` the answer. If no word comes, all is as before, and `back()` is called. */
async function ask(asked, before, write, back = () => {}) {
  const { end, turns } = talk;
  const { length } = turns;
  pair = editing = null;
  talk.end = before;
  if (asked) talk.add(asked);
  try {
    await write();
  } finally {
    if (!canAgain()) {
      turns.length = length;
      talk.end = end;
      back();
    }
    draw();
    look($("turns").querySelector(".verdict"));
  }
}

/** Let the model write `turn` after the last one, or go on with it. */
async function answer(turn, signal) {
  const begun = turn.content;
  const before = said().filter((each) => each !== turn);
  draw();
  const item = begun ? $("turns").lastElementChild : $("turns").appendChild(line(turn));
  item.classList.add("writing");
  look(item);
  const pace = new Pace();
  let tokens = null;
  try {
    tokens = await reply(turn, before, signal, (words) => {
      pace.see();
      item.words.append(words);
      grown();
    });
  } finally {
    if (!begun && (turn.content || tokens !== null)) talk.add(turn);
    const more = turn.content.slice(begun.length);
    const silent = more || tokens === null ? [] : [`the model had nothing to ${begun ? "add" : "say"}`];
    pace.end(tokens ?? undefined, ...(signal.aborted ? ["stopped"] : silent));
    announce(more || $("count").textContent);
  }
}

/** Go on with a reply that was cut. */
function finish(turn, signal) {
  delete turn.vote;
  return answer(turn, signal).finally(draw);
}

/** Let two models reply, one after the other, with the same seed. */
async function compare(models, signal) {
  const before = said();
  const asked = talk.end;
  const seed = settings.seed ?? crypto.getRandomValues(new Uint32Array(1))[0];
  const replies = (Math.random() < 0.5 ? models : models.reverse()).map(empty);
  // What is changed in the settings meanwhile is for neither of them.
  const values = replies.map(({ model }) => ({ ...arena.values(model), seed }));
  const sides = replies.map((turn, at) => line(turn, SIDES[at], "div"));
  let done = 0;
  draw();
  $("turns").append(make("li", { className: "pair" }, ...sides));
  look($("turns").lastElementChild);
  $("count").textContent = "";
  try {
    for (const [at, turn] of replies.entries()) {
      sides[at].classList.add("writing");
      await reply(turn, before, signal, (words) => (sides[at].words.append(words), grown()), values[at]);
      sides[at].classList.remove("writing");
      done++;
    }
  } finally {
    const places = replies.filter(({ content }, at) => content || at < done).map((turn) => talk.add(turn, asked));
    talk.end = places[0] ?? asked;
    // Who was cut off cannot be judged.
    if (done === 2) pair = { places, hidden: true };
    announce(replies.map(({ content }, at) => `${SIDES[at]}: ${content}`).join("\n"));
  }
}

export const again = () => rewrite(talk.end);

/** Write the reply at this place once more, beside what was written before. */
function rewrite(at) {
  set({ seed: null });
  return run((signal) => ask(null, talk.turns[at].after, () => answer(empty(), signal)));
}

/** Keep what a person made of a turn: their own is asked beside the old one, and the model's is changed. */
function change(at, words) {
  if (busy()) return;
  const turn = talk.turns[at];
  const differs = words && words !== turn.content;
  if (differs && turn.role === "user") {
    const back = () => (editing = { at, words });
    run((signal) => {
      // Another try is with what the words are then.
      words = editing?.at === at ? editing.words.trim() || words : words;
      return ask({ role: "user", content: words }, turn.after, () => answer(empty(), signal), back);
    });
    return;
  }
  editing = null;
  if (differs) Object.assign(turn, { content: words, edited: true, cut: false });
  show(at, ".edit");
}

/** Go on with a conversation that was shared. */
export const goOn = () => field.focus();

export function fresh() {
  restore({});
  begin("");
}

export const entry = () => ({ turns: talk.turns, end: talk.end, system: $("system").value });

export function restore(kept) {
  talk = new Branches(isConversation(kept) ? kept : {});
  pair = editing = null;
  if (kept.system !== undefined) instruct(kept.system);
  draw();
  changed();
}

export const link = () => ({ turns: turns().map(({ content }) => content), seed: settings.seed, system: $("system").value });

const item = (at) => [...$("turns").children].find((each) => each.at === at);

/** Draw the conversation and focus a control of the turn at this place, or any of `others`. */
function show(at, control, others = control) {
  // What could be tried again was about another state.
  trouble("");
  draw();
  (item(at)?.querySelector(control) ?? item(at)?.querySelector(others))?.focus();
  changed();
}

function draw() {
  const path = talk.path;
  const items = pair ? [...path.slice(0, -1).map(drawn), both()] : path.map(drawn);
  const unseen = last()?.unseen || 0;
  for (const each of items.slice(0, unseen)) each.classList.add("unseen");
  if (unseen) items.splice(unseen, 0, make("li", { className: "note" }, "The model no longer sees what is above."));
  $("turns").replaceChildren(...items);
  $("silence").hidden = path.length > 0;
  if (!editing) return;
  const { at, words } = editing;
  edit(item(at), words, talk.turns[at].role === "user" ? "Ask again" : "Keep", (found) => change(at, found), (typed) => (editing.words = typed));
}

/** The turn at this place, with its row. */
function drawn(at) {
  const turn = talk.turns[at];
  const shown = Object.assign(line(turn), { at });
  const choose = (place, label) => {
    talk.choose(place);
    pair = editing = null;
    show(place, `[aria-label="${label}"]:enabled`, ".versions :enabled");
  };
  shown.who.append(versions(talk.after(turn.after), at, choose));
  shown.row.append(...doings(turn, at), ...(turn.content ? [reader(() => shown.words)] : []), ...thumbs(turn));
  return shown;
}

function doings(turn, at) {
  const take = tool("Copy", "copy", () => copy(turn.content).then(() => flash(take, "Copied"), ({ message }) => trouble(message)));
  take.setAttribute("aria-label", "Copy this turn");
  const change = tool("Edit", "edit", () => ((editing = { at, words: turn.content }), draw()));
  change.classList.add("edit");
  const more = at === talk.end && turn.cut && turn.content ? [tool("Continue", "more", () => run((signal) => finish(turn, signal)))] : [];
  const other = turn.role === "user" || turn.after < 0 ? [] : [tool("Again", "again", () => rewrite(at))];
  return [...more, ...other, change, take];
}

function thumbs(turn) {
  if (turn.role === "user" || turn.edited) return [];
  const { content: text, model, vote, after } = turn;
  return votes.buttons({ text, prefix: talk.turns[after]?.content ?? "", model, vote }, (given) => ((turn.vote = given), changed()));
}

/** The two replies side by side, with the question which is better or, after that, with their names. */
function both() {
  const { places, hidden } = pair;
  const replies = places.map((at) => talk.turns[at]);
  const sides = replies.map((turn, side) => {
    const shown = line(turn, hidden ? SIDES[side] : turn.model, "div");
    if (!hidden) shown.row.append(taking(places[side]), ...thumbs(turn));
    return shown;
  });
  const judged = (vote, second) =>
    run(async () => {
      await vote();
      if (pair?.places !== places) return;
      pair.hidden = false;
      talk.end = places[Number(second)];
      draw();
      announce(replies.map(({ model }, side) => `${SIDES[side]} was ${model}.`).join(" "));
    }).then(() => $("turns").querySelector(".pair [aria-pressed=true]")?.focus());
  const prefix = talk.turns[replies[0].after].content;
  return make("li", { className: "pair" }, ...sides, hidden ? arena.question(replies, prefix, judged) : "");
}

function taking(at) {
  const chosen = at === talk.end;
  const take = () => {
    talk.end = at;
    draw();
    $("turns").querySelector(".pair [aria-pressed=true]").focus();
    changed();
  };
  return make("button", { "aria-pressed": chosen, onclick: take }, chosen ? "Going on with this one" : "Go on with this one");
}
