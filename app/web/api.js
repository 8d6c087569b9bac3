// The server: requests, streams of events, and refusals as the sentences they are.

import { keep, load, tab } from "./store.js";

/** The server's own sentence, or what kept it from saying one. `status` is 0 where no answer came. */
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
    throw new Refusal("the server cannot be reached: see whether you are online, then try again.", 0);
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

async function refusal(response) {
  let sentence;
  try {
    sentence = (await response.json()).error.message;
  } catch {
    sentence = `the server answered ${response.status} and gave no reason.`;
  }
  const wait = Number(response.headers.get("Retry-After"));
  if (wait > 1) sentence += ` It asks for ${wait} seconds of patience.`;
  return new Refusal(sentence, response.status);
}

export async function get(path) {
  return (await ask(path)).json();
}

export async function post(path, body) {
  return (await ask(path, body)).json();
}

/** The events of an answer, parsed, as they arrive. Throws Refusal, also for an error that comes in mid-stream. */
export async function* stream(path, body, signal) {
  const response = await ask(path, { ...body, stream: true }, signal);
  for await (const data of events(response.body, signal)) {
    if (data === "[DONE]") return;
    const event = JSON.parse(data);
    if (event.error) throw new Refusal(event.error.message, event.error.code ?? 500);
    yield event;
  }
  throw new Refusal("the connection broke off before the text was finished.", 0);
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
