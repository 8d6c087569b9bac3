// Two inks in one text: the model's parts, as ranges [start, end) of characters.

/**
 * The model's ranges after an edit that turned `before` into `after` and left the caret at `caret`. Typed text never belongs to
 * the model. The caret tells which of two equal letters was typed.
 */
export function edited(ranges, before, after, caret = after.length) {
  const most = Math.min(before.length, after.length);
  const same = (tail) => before.at(-1 - tail) === after.at(-1 - tail);
  // Whether an emoji, which JavaScript counts as two characters, is cut in half there.
  const halved = (text, at) => text.codePointAt(at - 1) > 0xffff;
  let [head, tail] = [0, 0];
  while (tail < Math.min(most, after.length - caret) && same(tail)) tail++;
  while (head < most - tail && before[head] === after[head]) head++;
  while (tail < most - head && same(tail)) tail++;
  if (halved(before, head) || halved(after, head)) head--;
  if (halved(before, before.length - tail) || halved(after, after.length - tail)) tail--;
  const cut = before.length - tail;
  const moved = after.length - before.length;
  const parts = ranges.flatMap(([start, end]) => [
    [start, Math.min(end, head)],
    [Math.max(start, cut) + moved, end + moved],
  ]);
  return parts.filter(([start, end]) => start < end).reduce(touching, []);
}

/** Add a range to others. What was between it and the last one may be gone. */
function touching(others, [start, end]) {
  const [last] = others.slice(-1);
  return last?.[1] === start ? [...others.slice(0, -1), [last[0], end]] : [...others, [start, end]];
}

/** The model's ranges after the model has put `length` characters at `at`. */
export function inserted(ranges, at, length) {
  const touched = ranges.filter(([start, end]) => start <= at && at <= end);
  return [
    ...ranges.filter(([, end]) => end < at),
    [Math.min(at, ...touched.map(([start]) => start)), Math.max(at, ...touched.map(([, end]) => end)) + length],
    ...ranges.filter(([start]) => start > at).map(([start, end]) => [start + length, end + length]),
  ];
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
