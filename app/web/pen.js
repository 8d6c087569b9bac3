// Two inks in one text: the model's parts, as ranges [start, end) of characters.

/** The model's ranges after an edit that turned `before` into `after`. Typed text never belongs to the model. */
export function edited(ranges, before, after) {
  const most = Math.min(before.length, after.length);
  let head = 0;
  while (head < most && before[head] === after[head]) head++;
  let tail = 0;
  while (tail < most - head && before.at(-1 - tail) === after.at(-1 - tail)) tail++;
  const cut = before.length - tail;
  const moved = after.length - before.length;
  return ranges
    .flatMap(([start, end]) => [
      [start, Math.min(end, head)],
      [Math.max(start, cut) + moved, end + moved],
    ])
    .filter(([start, end]) => start < end);
}

/** The text in pieces of one ink: [{text, model}]. */
export function runs(text, ranges) {
  const pieces = [];
  let at = 0;
  for (const [start, end] of ranges) {
    if (start > at) pieces.push({ text: text.slice(at, start), model: false });
    pieces.push({ text: text.slice(start, end), model: true });
    at = end;
  }
  if (at < text.length) pieces.push({ text: text.slice(at), model: false });
  return pieces;
}

/** The inverse: pieces → {text, ranges}. */
export function joined(pieces) {
  const ranges = [];
  let text = "";
  for (const piece of pieces) {
    if (piece.model) ranges.push([text.length, text.length + piece.text.length]);
    text += piece.text;
  }
  return { text, ranges };
}
