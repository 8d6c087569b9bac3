// A conversation with its branches: each turn has the place of the turn `after` which it comes, and the chosen path leads to `end`.

export class Branches {
  /** Turns without `after` follow one another, as earlier versions of the page stored them. */
  constructor({ turns = [], end = turns.length - 1 } = {}) {
    this.turns = turns.map((turn, at) => ({ after: at - 1, ...turn }));
    this.end = end;
  }

  /** The places of the chosen turns. */
  get path() {
    const places = [];
    for (let at = this.end; at >= 0; at = this.turns[at].after) places.unshift(at);
    return places;
  }

  /** The places of all turns that come after this one. */
  after(before) {
    return [...this.turns.keys()].filter((at) => this.turns[at].after === before);
  }

  /** Add a turn and choose it. Returns its place. */
  add(turn, before = this.end) {
    return (this.end = this.turns.push({ ...turn, after: before }) - 1);
  }

  /** Choose the turn at this place, and the newest ones that follow it. */
  choose(at) {
    this.end = at;
    for (let next; (next = this.after(this.end).at(-1)); ) this.end = next;
  }
}

/** Whether what was stored or imported can be shown. A turn comes after an earlier one, so no path is endless. */
export function isConversation({ turns, end }) {
  const place = (value, most) => value === undefined || (Number.isInteger(value) && value >= -1 && value <= most);
  const right = (turn, at) => ["user", "assistant"].includes(turn?.role) && typeof turn.content === "string" && place(turn.after, at - 1);
  return Array.isArray(turns) && turns.length > 0 && turns.every(right) && place(end, turns.length - 1);
}
