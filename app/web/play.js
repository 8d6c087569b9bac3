// The game: ten texts, a guess at each, and a score to share. The server alone knows who wrote a text, and tells after the guess.

import { post } from "./api.js";
import { $, announce, copy, flash, make } from "./dom.js";
import { keep, load, voter } from "./store.js";
import { failed, open as openTrouble, trouble } from "./trouble.js";

const ROUND = 10;
// This file is in /web/VERSION/, wherever a proxy puts that.
const address = new URL("../../play", import.meta.url).href;

const player = voter();

let played = 0; // Where the browser keeps nothing, since the page was opened.
let shown = null; // The text to guess.
let coming = null; // A promise of the next one.
let guesses = []; // The texts of this round, with {right, written_by}.

/** Ask for a text. The server shows each person's text to a player only once, by the player's count of texts. */
function draw() {
  const number = Math.max(played, load("played", 0));
  keep("played", (played = number + 1));
  const drawn = post(address, { voter: player, number });
  drawn.catch(() => {}); // Whoever waits for it is told.
  return drawn;
}

async function next() {
  show("guesses");
  page("shown");
  enable(false);
  mark();
  write({ question: "", text: "Here comes a text …" });
  document.body.classList.add("waiting");
  await attempt(async () => {
    coming ??= draw();
    try {
      shown = await coming;
    } finally {
      coming = null;
    }
    document.body.classList.remove("waiting");
    write(shown);
    enable(true);
    $("shown").focus();
    announce(`${shown.question} ${shown.text}`);
    // It is written while this one is read.
    if (guesses.length + 1 < ROUND) coming = draw();
  });
}

async function guess(who) {
  const { id } = shown;
  enable(false);
  await attempt(async () => {
    const told = await post(`${address}/guesses`, { id, voter: player, guess: who }).catch(unknown);
    if (!told) return;
    guesses.push({ ...shown, ...told });
    mark();
    tell(told);
    show("onward");
    $("next").textContent = guesses.length < ROUND ? "Next text" : "Your score";
    $("next").focus();
  });
}

/** A text that the server no longer knows cannot be guessed: another one takes its place. */
async function unknown(error) {
  if (error.status !== 404) throw error;
  await next();
  if (!$("model").disabled) trouble("The server no longer knows that text: here is another one.");
}

function tell({ right, written_by, name }) {
  const author = written_by === "model" ? `A model wrote it: ${name}.` : "A person wrote it.";
  $("text").className = written_by === "model" ? "models" : "";
  $("verdict").replaceChildren(make("strong", {}, right ? "Right." : "Wrong."), ` ${author}`);
  announce($("verdict").textContent);
  $("lead").hidden = $("about").hidden = true;
}

function write({ question, text }) {
  $("question").textContent = question;
  $("question").hidden = !question;
  $("text").textContent = text;
  $("text").className = "";
  $("verdict").textContent = "";
}

function score() {
  $("result").textContent = `You told ${rights()} of ${ROUND} apart.`;
  $("texts").replaceChildren(
    ...guesses.map(({ right, written_by, question, text }) =>
      make("li", {},
        make("span", { role: "img", "aria-label": right ? "right:" : "wrong:" }, right ? "✓" : "✗"),
        make("span", {}, `${question} `, make("span", { className: written_by === "model" ? "models" : "" }, text)))),
  );
  page("score");
  show("after");
  $("result").focus();
}

const rights = () => guesses.filter(({ right }) => right).length;

async function share() {
  const text = `I told ${rights()} of ${ROUND} apart: model or human?`;
  try {
    if (navigator.share) await navigator.share({ text, url: address });
    else {
      await copy(`${text} ${address}`);
      flash($("share"), "Copied");
    }
  } catch (error) {
    if (error.name !== "AbortError") trouble(error.message);
  }
}

function mark() {
  $("marks").replaceChildren(
    ...Array.from({ length: ROUND }, (_, place) => {
      const told = guesses[place];
      const state = told ? (told.right ? "right" : "wrong") : place === guesses.length ? "now" : "to come";
      return make("li", { className: state }, make("span", { className: "hidden" }, state));
    }),
  );
}

function page(name) {
  for (const each of ["shown", "score"]) $(each).hidden = each !== name;
  $("marks").hidden = false;
}

/** Show one row of buttons in the foot. */
function show(name) {
  for (const each of ["guesses", "onward", "after"]) $(each).hidden = each !== name;
}

function enable(enabled) {
  for (const name of ["model", "human"]) $(name).disabled = !enabled;
}

/** Do `work`. If the server refuses, it is said why, and it is done again in a while or when a person says so. */
async function attempt(work) {
  trouble("");
  let refused = null;
  try {
    await work();
  } catch (error) {
    refused = error;
  }
  failed(refused, () => attempt(work));
}

function restart() {
  guesses = [];
  next();
}

function onward() {
  if (guesses.length < ROUND) next();
  else score();
}

function keys() {
  document.addEventListener("keydown", (event) => {
    const who = { ArrowLeft: "model", ArrowRight: "human" }[event.key];
    if (!who || event.repeat || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input")) return;
    if (!$("onward").hidden) onward();
    else if (!$("guesses").hidden && !$(who).disabled) guess(who);
  });
}

function open() {
  for (const who of ["model", "human"]) $(who).addEventListener("click", () => guess(who));
  $("next").addEventListener("click", onward);
  $("share").addEventListener("click", share);
  $("restart").addEventListener("click", restart);
  openTrouble();
  document.addEventListener("keyed", ({ detail: again }) => again?.());
  keys();
  next();
}

open();
