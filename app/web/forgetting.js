// Forgetting waits ten seconds, in which it can be taken back; then the service deletes, and nothing brings it back.
// Leaving the page does not take it back: what waits is then deleted at once.
import { at, get, remove } from "./api.js";
import { useEffect, useState } from "./html.js";
import { tell } from "./news.js";

export const SECONDS = 10;
const waiting = new Map();
const listeners = new Set();

const changed = () => listeners.forEach((listen) => listen());

export function forget(user, messageId, label) {
  if (waiting.has(messageId)) return;
  const timer = setTimeout(() => carryOut(messageId), SECONDS * 1000);
  const one = { user, messageId, label, timer, until: Date.now() + SECONDS * 1000, replies: 0, withReplies: false };
  waiting.set(messageId, one);
  changed();
  findReplies(one).catch(() => {}); // forgetting does not wait for them
}

/** How many replies had recalled the message, and so may quote it. */
async function findReplies(one) {
  one.replies = (await get(at`/v1/users/${one.user}/messages/${one.messageId}/recalled-by`)).replies.length;
  changed();
}

export function takeRepliesToo(messageId, wanted) {
  const one = waiting.get(messageId);
  if (one) one.withReplies = wanted;
  changed();
}

export function takeBack(messageId) {
  clearTimeout(waiting.get(messageId)?.timer);
  waiting.delete(messageId);
  changed();
}

async function carryOut(messageId, keepalive = false) {
  const one = waiting.get(messageId);
  if (!one) return;
  clearTimeout(one.timer);
  one.going = true;
  changed();
  try {
    await remove(at`/v1/users/${one.user}/messages/${messageId}`, { keepalive, query: one.withReplies ? { with_replies: true } : {} });
    waiting.delete(messageId);
    tell({ user: one.user, kind: "changed" });
  } catch (error) {
    if (error.status === 404) waiting.delete(messageId);
    else one.failed = error.message;
  }
  changed();
}

addEventListener("pagehide", () => {
  for (const { messageId, failed } of waiting.values()) if (!failed) carryOut(messageId, true);
});

/** What waits to be forgotten, drawn anew when that changes. */
export function useWaiting() {
  const [, redraw] = useState(0);
  useEffect(() => {
    const listen = () => redraw((count) => count + 1);
    listeners.add(listen);
    return () => listeners.delete(listen);
  }, []);
  return waiting;
}
