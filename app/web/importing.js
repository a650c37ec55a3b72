// Bringing messages in from a file: an export of Mneme, JSON lines of messages, or a JSON list of them. They are sent some
// at a time, in order, so that there is progress to see; each with an id, so that a second try adds nothing twice.
import { at, post } from "./api.js";
import { texts } from "./texts.js";

const AT_ONCE = 250;
const NO_MESSAGES = ["mneme-export", "forgotten", "mneme-export-end"]; // lines of an export
const FIELDS = ["role", "content", "speaker", "occurred_at", "external_id"];

/** @returns messages with their session. @throws Error whose message says which line is wrong. */
export function messagesOf(text) {
  const found = text.trimStart().startsWith("[") ? JSON.parse(text) : linesOf(text);
  const messages = found.filter((one) => !NO_MESSAGES.includes(one?.kind));
  messages.forEach((one, place) => {
    if (typeof one?.content !== "string" || typeof one.role !== "string") throw new Error(texts.badLine(place + 1));
  });
  if (!messages.length) throw new Error(texts.emptyFile);
  return messages;
}

function linesOf(text) {
  return text.split("\n").flatMap((line, place) => {
    if (!line.trim()) return [];
    try {
      return [JSON.parse(line)];
    } catch {
      throw new Error(texts.badLine(place + 1));
    }
  });
}

export async function sendAll(user, messages, signal, progress) {
  let done = 0;
  while (done < messages.length) {
    const session = sessionOf(messages[done]);
    let end = done;
    while (end < messages.length && end - done < AT_ONCE && sessionOf(messages[end]) === session) end++;
    await post(at`/v1/users/${user}/messages`, { session_id: session, messages: messages.slice(done, end).map(plain) }, signal);
    done = end;
    progress(done);
  }
}

const sessionOf = (message) => message.session_id || "import";

function plain(message) {
  const sent = Object.fromEntries(FIELDS.filter((name) => message[name] != null).map((name) => [name, message[name]]));
  if (!sent.external_id && message.id) sent.external_id = `mneme:${message.id}`;
  return sent;
}
