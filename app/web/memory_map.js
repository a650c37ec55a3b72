// The map's data: every used slot as columns of numbers, and what each colouring makes of them. Knows no canvas.
import { at, get } from "./api.js";

const KINDS = { slot: Uint32Array, written: Uint32Array, said_at: Uint32Array, usage: Uint8Array, strength: Uint8Array, reads: Uint16Array, session: Uint16Array, speaker: Uint16Array };
export const COLOURINGS = ["usage", "age", "strength", "reads", "session", "speaker"];
export const isNamed = (colouring) => colouring === "session" || colouring === "speaker";

export async function loadMap(user, signal) {
  const body = await get(at`/v1/users/${user}/memory/map`, {}, signal);
  const columns = {};
  for (const [name, Kind] of Object.entries(KINDS)) {
    const bytes = Uint8Array.from(atob(body.columns[name]), (letter) => letter.charCodeAt(0));
    columns[name] = new Kind(bytes.buffer);
  }
  const rowOf = new Int32Array(body.slots).fill(-1);
  columns.slot.forEach((slot, row) => (rowOf[slot] = row));
  return { ...body, columns, rowOf };
}

/** For each used slot a number from 0 to 255: how far along the scale, or which name's colour. */
export function shades(map, colouring) {
  const { columns, clock, count } = map;
  const found = new Uint8Array(count);
  if (isNamed(colouring)) columns[colouring].forEach((name, row) => (found[row] = name % 256));
  else if (colouring === "age") columns.written.forEach((written, row) => (found[row] = clock ? (255 * written) / clock : 0));
  else if (colouring === "reads") {
    const most = Math.log1p(columns.reads.reduce((a, b) => Math.max(a, b), 1));
    columns.reads.forEach((reads, row) => (found[row] = (255 * Math.log1p(reads)) / most));
  } else found.set(columns[colouring]);
  return found;
}

/** The used slots that go next when the memory is full: the least used first, the older before the newer. */
export function leastUsed(map, count) {
  const { usage, written, slot } = map.columns;
  const rows = Array.from(usage.keys()).sort((a, b) => usage[a] - usage[b] || written[a] - written[b]);
  return rows.slice(0, count).map((row) => slot[row]);
}
