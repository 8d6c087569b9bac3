// The server: requests, streams of events, and its refusals as sentences to show.

import { chunks } from "./chunks.js";
import { keep, load, tab } from "./store.js";
import { identity } from "./telegram.js";

// The server's own sentences about these are for programs: they name headers, and seconds that a countdown shows anyway.
const NO_KEY = "this server asks for an API key: enter yours below.";
const WRONG_KEY = "this server does not know this API key: check it and enter it again.";
const TOO_OFTEN = "that was more than this server answers in a minute.";
const FULL = "the server is busy with the texts of others.";
const FULL_CODE = "overloaded";
const UNREACHABLE = "the server cannot be reached: check your connection.";
const OFFLINE = "you are offline: what the history holds can be read, and writing goes on when the network is back.";
// Seconds, where the server names none.
const WAIT = 4;

/**
 * A refusal as a sentence: the server's own, or one about why none arrived. `status` is 0 if there was no response.
 * `wait` is the number of seconds after which it may be tried again without being told to, if it may.
 */
export class Refusal extends Error {
  constructor(message, status, wait) {
    super(message);
    Object.assign(this, { status, wait });
  }
}

export function useKey(key) {
  keep("key", key, tab);
}

/** What to say to a person whose key is missing or wrong. */
export const keyRefusal = () => new Refusal(load("key", null, tab) ? WRONG_KEY : NO_KEY, 401);

async function ask(path, body, signal) {
  const key = load("key", null, tab);
  const headers = { "Content-Type": "application/json", ...(key && { Authorization: `Bearer ${key}` }), ...identity() };
  const request = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  let response;
  try {
    response = await fetch(path, { ...request, headers, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw navigator.onLine ? new Refusal(UNREACHABLE, 0, WAIT) : new Refusal(OFFLINE, 0);
  }
  if (response.status === 401) throw keyRefusal();
  if (!response.ok) throw await refusal(response);
  return response;
}

async function refusal(response) {
  const { status } = response;
  const { message, code } = await response.json().then(({ error }) => error).catch(() => ({}));
  const wait = Number(response.headers.get("Retry-After")) || WAIT;
  if (status === 429) return new Refusal(TOO_OFTEN, status, wait);
  // 502 and 504 come from what stands before the server, as does a 503 without a code.
  if (status > 501 && (code ?? FULL_CODE) === FULL_CODE) return new Refusal(FULL, status, wait);
  return new Refusal(message ?? `the server answered with status ${status} and gave no reason.`, status);
}

export async function get(path) {
  return (await ask(path)).json();
}

export async function post(path, body, signal) {
  return (await ask(path, body, signal)).json();
}

/** Yields the parsed events of a response as they arrive. Throws Refusal, also for an error in the middle of the stream. */
export async function* stream(path, body, signal) {
  const response = await ask(path, { ...body, stream: true }, signal);
  for await (const data of events(response.body, signal)) {
    if (data === "[DONE]") return;
    const event = JSON.parse(data);
    const { error } = event;
    if (error) throw error.code === FULL_CODE ? new Refusal(FULL, 503, WAIT) : new Refusal(error.message, 500);
    yield event;
  }
  throw new Refusal("the connection was lost before the text was finished.", 0);
}

async function* events(body, signal) {
  let buffer = "";
  try {
    for await (const chunk of chunks(body.pipeThrough(new TextDecoderStream()))) {
      const blocks = (buffer + chunk).split("\n\n");
      buffer = blocks.pop();
      for (const block of blocks) if (block.startsWith("data: ")) yield block.slice(6);
    }
  } catch (error) {
    if (signal?.aborted) throw error;
  }
}
