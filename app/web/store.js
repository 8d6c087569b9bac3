// What the browser keeps. Where it keeps nothing (private windows, a full disk) the page works without.

function attempt(work, otherwise) {
  try {
    return work() ?? otherwise;
  } catch {
    return otherwise;
  }
}

export const load = (name, otherwise = null, store = () => localStorage) =>
  attempt(() => JSON.parse(store().getItem(name)), otherwise);

/** Whether it could be kept. */
export const keep = (name, value, store = () => localStorage) =>
  attempt(() => (store().setItem(name, JSON.stringify(value)), true), false);

export const tab = () => sessionStorage;

/** A random name of 24 characters. */
export function draw() {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Who votes: the same in this browser for good, and nothing about anybody. */
export function voter() {
  const known = load("voter");
  if (typeof known === "string") return known;
  const drawn = draw();
  keep("voter", drawn);
  return drawn;
}
