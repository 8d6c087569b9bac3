// A model's reply in a chat. The server writes the turns as the model's template says.

import { stream } from "./api.js";
import { settings, used } from "./settings.js";

/**
 * Let `turn.model` answer `turns`, of which the first may be the system text, or go on with `turn` if it has words. Its words are added to `turn.content`, and `grown(words)` is
 * told. `values` are the settings. `turn.cut` says whether the model had more to say, and `turn.unseen` for how many of the turns its window had no room. Returns the number of tokens.
 */
export async function reply(turn, turns, signal, grown, values = settings) {
  const { length, nsamples, ...sampling } = values;
  const goesOn = turn.content !== "";
  const said = goesOn ? [...turns, turn] : turns;
  const asked = {
    ...sampling,
    model: turn.model,
    messages: said.map(({ role, content }) => ({ role, content })),
    max_completion_tokens: length,
    stream_options: { include_usage: true },
    continue_final_message: goesOn,
  };
  turn.cut = true;
  try {
    return await write(turn, asked, signal, grown);
  } catch (error) {
    // A turn that is longer than the window goes on after the last words that fit.
    if (!goesOn || error.status !== 400) throw error;
    return await write(turn, { ...asked, truncate_prompt_tokens: -1 }, signal, grown);
  } finally {
    turn.content = turn.content.trimEnd();
  }
}

async function write(turn, asked, signal, grown) {
  let tokens;
  for await (const { usage, seed, left_out, choices } of stream("v1/chat/completions", asked, signal)) {
    tokens = usage?.completion_tokens ?? tokens;
    if (seed !== undefined) used(seed);
    turn.unseen = left_out ?? turn.unseen;
    const { delta, finish_reason } = choices[0] ?? {};
    if (finish_reason) turn.cut = finish_reason !== "stop";
    const words = turn.content ? delta?.content : delta?.content?.trimStart();
    if (!words) continue;
    turn.content += words;
    grown(words);
  }
  return tokens;
}
