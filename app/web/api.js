// The service's public API, and nothing else. The credential lives in this module's memory: closing the tab forgets it.

let credential = null;
const askers = new Set();

/** An error reply (RFC 9457), or a server that does not answer (status 0). */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || String(status));
    this.status = status;
    this.body = body;
  }
}

export const isSignedIn = () => credential !== null;

export function signIn(key) {
  credential = key || null;
}

/** Calls `ask` whenever the service wants a key. Returns how to stop that. */
export function onKeyWanted(ask) {
  askers.add(ask);
  return () => askers.delete(ask);
}

/** A path with every value in it encoded: at`/v1/users/${user}/memory`. */
export function at(parts, ...values) {
  return parts.reduce((path, part, place) => path + encodeURIComponent(values[place - 1]) + part);
}

async function send(method, path, { json, body, type, query, signal, keepalive } = {}) {
  const headers = {};
  const shown = credential;
  if (credential) headers.Authorization = `Bearer ${credential}`;
  if (json !== undefined) headers["Content-Type"] = "application/json";
  if (type) headers["Content-Type"] = type;
  const asked = Object.entries(query || {}).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const search = asked.length ? `?${new URLSearchParams(asked)}` : "";
  const content = json !== undefined ? JSON.stringify(json) : body;
  let reply;
  try {
    reply = await fetch(path + search, { method, headers, body: content, signal, keepalive, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { detail: "" });
  }
  if (reply.ok) return reply;
  const problem = await reply.json().catch((error) => {
    if (error.name === "AbortError") throw error;
    return { title: reply.statusText };
  });
  if (reply.status === 401 && shown === credential) askers.forEach((ask) => ask(problem));
  throw new Problem(reply.status, problem);
}

/** The reply's JSON; null where it has no body. */
export async function call(method, path, options) {
  const reply = await send(method, path, options);
  return reply.status === 204 ? null : reply.json();
}

export const get = (path, query, signal) => call("GET", path, { query, signal });
export const post = (path, json, signal) => call("POST", path, { json, signal });
export const patch = (path, json) => call("PATCH", path, { json });
export const remove = (path, options) => call("DELETE", path, options);

export async function text(path) {
  return (await send("GET", path)).text();
}

export async function download(path) {
  return (await send("GET", path)).blob();
}

/** Server-sent events of a POST, as [name, data] pairs. */
export async function* events(path, json, signal) {
  const reply = await send("POST", path, { json, signal });
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (held + value).split("\n\n");
    held = blocks.pop();
    for (const block of blocks) {
      const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s).slice(0, 2)));
      if (fields.event) yield [fields.event, JSON.parse(fields.data)];
    }
  }
}
