// The server: requests, streams of events, and its refusals as sentences to show.

import { keep, load, tab } from "./store.js";

// The server's own sentences about keys name HTTP headers, which a person with a browser does not set.
const NO_KEY = "this server needs an API key: enter yours below.";
const WRONG_KEY = "this server does not know this API key: check it and enter it again.";

/** A refusal as a sentence: the server's own, or one about why none arrived. `status` is 0 if there was no response. */
export class Refusal extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

export function useKey(key) {
  keep("key", key, tab);
}

async function ask(path, body, signal) {
  const key = load("key", null, tab);
  const headers = { "Content-Type": "application/json", ...(key && { Authorization: `Bearer ${key}` }) };
  const request = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  let response;
  try {
    response = await fetch(path, { ...request, headers, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal("the server cannot be reached: check your connection, then try again.", 0);
  }
  if (response.status === 401) throw new Refusal(key ? WRONG_KEY : NO_KEY, 401);
  if (!response.ok) throw await refusal(response);
  return response;
}

async function refusal(response) {
  let sentence;
  try {
    sentence = (await response.json()).error.message;
  } catch {
    sentence = `the server answered with status ${response.status} and gave no reason.`;
  }
  const wait = Number(response.headers.get("Retry-After"));
  if (wait > 1 && !sentence.includes(`${wait} s`)) sentence += ` Please wait ${wait} seconds.`;
  return new Refusal(sentence, response.status);
}

export async function get(path) {
  return (await ask(path)).json();
}

export async function post(path, body) {
  return (await ask(path, body)).json();
}

/** Yields the parsed events of a response as they arrive. Throws Refusal, also for an error in the middle of the stream. */
export async function* stream(path, body, signal) {
  const response = await ask(path, { ...body, stream: true }, signal);
  for await (const data of events(response.body, signal)) {
    if (data === "[DONE]") return;
    const event = JSON.parse(data);
    if (event.error) throw new Refusal(event.error.message, event.error.code ?? 500);
    yield event;
  }
  throw new Refusal("the connection was lost before the text was finished.", 0);
}

async function* events(body, signal) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  try {
    for (;;) {
      const { value, done } = await reader.read().catch((error) => {
        if (signal?.aborted) throw error;
        return { done: true };
      });
      if (done) return;
      const blocks = (buffer + value).split("\n\n");
      buffer = blocks.pop();
      for (const block of blocks) if (block.startsWith("data: ")) yield block.slice(6);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
