// Talking to the assistant: its sessions, what was said, and under each reply what was recalled for it.
import { at, events, get, remove } from "../api.js";
import { useWaiting } from "../forgetting.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "../html.js";
import { Markdown } from "../markdown.js";
import { tell, useNews } from "../news.js";
import { Empty, isNobody, Pending, said, Trouble, useAsked } from "../parts/asking.js";
import { CopyButton, ForgetButton } from "../parts/buttons.js";
import { LiveMap } from "../parts/live_map.js";
import { ModeLegend, Recollections, Who } from "../parts/recollections.js";
import { Sessions, useSessions } from "../parts/sessions.js";
import { address, go } from "../place.js";
import { texts } from "../texts.js";

const AT_ONCE = 200; // messages of a long session, the last ones, before the earlier ones are asked for
const NEAR_END = 60; // pixels from the end within which the log follows what is said
const OTHER_WORDS = 0.8; // temperature of a reply that is asked for again

export function newSessionId(now = new Date()) {
  return new Date(now - now.getTimezoneOffset() * 60_000).toISOString().slice(0, 19).replace("T", ".");
}

/** The end of a session: at least so many messages, and back to the marked one; none of a session that is not begun. */
async function logOf(user, session, least, marked, signal) {
  const messages = [];
  let cursor;
  do {
    const page = await get(at`/v1/users/${user}/messages`, { session_id: session, limit: AT_ONCE, cursor }, signal);
    messages.push(...page.messages);
    cursor = page.next_cursor;
  } while (cursor && (messages.length < least || (marked && !messages.some(({ id }) => id === marked))));
  return { session, messages: messages.reverse(), more: Boolean(cursor) };
}

export default function Chat({ user, more: [session, marked] }) {
  const [fresh] = useState(newSessionId);
  const current = session || fresh;
  const sessions = useSessions(user);
  const [least, setLeast] = useState(AT_ONCE);
  const log = useAsked((signal) => logOf(user, current, least, marked, signal), [user, current, least, marked]);
  const [turn, setTurn] = useState(null);
  const known = useRef(new Map());
  const stop = useRef(null);
  const box = useRef(null);
  const follows = useRef(true);
  const put = useRef(0); // where the log was last put at its end
  const arrived = useRef(null); // the marked message that was brought into view
  const below = useRef(0); // what stood below the top edge when earlier messages were asked for
  const waiting = useWaiting();

  useNews(user, (news) => {
    if (news.kind === "read" || turn?.busy) return;
    sessions.again();
    if (!news.session || news.session === current) log.again();
  }, [current, turn?.busy]);

  useEffect(() => () => stop.current?.abort(), [current]);
  useEffect(() => {
    setTurn(null);
    setLeast(AT_ONCE);
    follows.current = true;
    put.current = 0;
  }, [current]);
  useLayoutEffect(() => {
    const wanted = marked && arrived.current !== marked && document.getElementById(`message-${marked}`);
    if (wanted) wanted.scrollIntoView({ block: "center" });
    else if (!marked && (follows.current &&= !leftEnd())) {
      box.current.scrollTop = box.current.scrollHeight;
      put.current = box.current.scrollTop;
    }
    if (wanted || !marked) arrived.current = marked;
  }, [log.value, turn?.reply, marked]);
  useLayoutEffect(() => {
    if (below.current) box.current.scrollTop = box.current.scrollHeight - below.current;
    below.current = 0;
  }, [log.value]);

  const fromEnd = () => box.current.scrollHeight - box.current.scrollTop - box.current.clientHeight;

  /** Whether the reader has gone up since the log was last put at its end, which a scroll event tells only later. */
  function leftEnd() {
    return box.current.scrollTop < put.current - NEAR_END && fromEnd() > NEAR_END;
  }

  function earlier() {
    below.current = box.current.scrollHeight - box.current.scrollTop;
    setLeast(all.length + AT_ONCE);
  }

  /** Whether the service took the message. */
  async function ask(message, options = {}) {
    const control = (stop.current = new AbortController());
    let state = { message, reply: "", recalled: null, busy: true, problem: null };
    if (marked) go(user, "chat", current);
    follows.current = true;
    put.current = 0;
    const show = (change) => setTurn((state = { ...state, ...change }));
    show({});
    try {
      const body = { user_id: user, session_id: current, message, stream: true, ...options };
      for await (const [name, data] of events("/v1/chat", body, control.signal)) {
        if (name === "recalled") {
          show({ recalled: data.recalled, messageId: data.user_message_id });
          known.current.set(data.user_message_id, data.recalled);
          tell({ user, kind: "read", session: current, slots: data.recalled.map(({ slot, weight }) => [slot, weight]) });
        } else if (name === "token") show({ reply: state.reply + data.text });
        else if (name === "done") {
          known.current.set(data.user_message_id, data.recalled);
          tell({ user, kind: "written", session: current, slots: data.memory.written.map((slot) => [slot, 1]) });
        } else if (name === "error") throw Object.assign(new Error(data.detail), { status: data.status });
      }
      show({ busy: false });
    } catch (problem) {
      if (problem.name !== "AbortError") show({ busy: false, problem, lost: !state.messageId });
      else {
        show({ busy: false });
        await new Promise((later) => setTimeout(later, 150)); // what there was of the reply is kept as interrupted
      }
    }
    if (!session) go(user, "chat", current);
    tell({ user, kind: "written", session: current, slots: [] });
    sessions.again();
    await log.again();
    setTurn((was) => (was?.problem ? { ...was, reply: "", message: null, messageId: null } : null));
    return !state.lost;
  }

  async function regenerate(question, reply) {
    try {
      if (reply) await remove(at`/v1/users/${user}/messages/${reply.id}`);
      await remove(at`/v1/users/${user}/messages/${question.id}`);
    } catch (problem) {
      setTurn({ problem });
      return;
    }
    await log.again();
    await ask(question.content, { temperature: OTHER_WORDS });
  }

  const all = isNobody(log.problem) || log.value?.session !== current ? [] : log.value.messages;
  const shown = all.filter(({ id }) => id !== turn?.messageId);
  return html`
    <div class="chat">
      <h1 class="unseen">${texts.views.chat}</h1>
      <${Sessions} user=${user} current=${current} begun=${all.length > 0} sessions=${sessions} fresh=${() => go(user, "chat", newSessionId())} />
      <section class="talk" aria-label=${texts.conversation}>
        <div class="log" ref=${box} onScroll=${() => (follows.current = fromEnd() < NEAR_END)} tabindex="0" role="log" aria-label=${texts.conversation}>
          ${!shown.length && !turn && !log.busy && (!log.problem || isNobody(log.problem)) && html`<${Empty}>${texts.chatEmpty}<//>`}
          ${!isNobody(log.problem) && html`<${Trouble} problem=${log.problem} again=${() => tell({ user, kind: "changed" })} />`}
          ${!all.length && !isNobody(log.problem) && html`<${Pending} asked=${{ ...log, value: null }} />`}
          ${all.length > 0 && log.value.more && html`<button class="earlier" onClick=${earlier}>${texts.earlier}</button>`}
          ${shown.map((message, place) => {
            const reply = message.role === "assistant" ? message : null;
            const question = reply ? shown[place - 1] : message;
            const last = place === shown.length - 1 && question?.role === "user" && !turn?.message;
            return html`<${Message} key=${message.id} user=${user} message=${message} question=${reply && question} known=${known.current}
              marked=${message.id === marked} waits=${waiting.has(message.id)}
              again=${last ? () => regenerate(question, reply) : null} />`;
          })}
          ${turn?.message && html`
            <article class="message user">
              <p class="muted small">${texts.roles.user}, ${texts.now}</p>
              <div class="bubble plain" dir="auto">${turn.message}</div><div class="under"></div>
            </article>
            <article class="message assistant" aria-busy=${turn.busy}>
              <p class="muted small">${texts.roles.assistant}, ${texts.now}</p>
              <div class="bubble">${turn.reply ? html`<${Markdown} text=${turn.reply} />` : html`<span class="muted">${turn.recalled ? texts.replying : texts.recalling}</span>`}</div>
              <div class="under"></div>
            </article>`}
          ${turn?.problem && html`<p class="problem" role="alert">${said(turn.problem)} ${turn.lost ? texts.notSent : texts.kept}</p>`}
        </div>
        <${Composer} busy=${turn?.busy} send=${ask} stop=${() => stop.current?.abort()} />
      </section>
      <aside class="beside" aria-label=${texts.memoryLive}>
        <h2>${texts.memoryLive}</h2>
        <${LiveMap} user=${user} />
        <${ModeLegend} />
        ${turn?.recalled && html`<h3>${texts.recalledNow}</h3><${Recollections} user=${user} recalled=${turn.recalled} />`}
      </aside>
    </div>`;
}

function Message({ user, message, question, known, marked, waits, again }) {
  const reply = message.role === "assistant";
  const what = waits ? html`<span class="muted">${texts.goingQuote}</span>` : reply ? html`<${Markdown} text=${message.content} />` : message.content;
  return html`
    <article class=${`message ${reply ? "assistant" : "user"}${marked ? " marked" : ""}`} id=${`message-${message.id}`}>
      <p class="muted small"><${Who} one=${message} />${message.status === "interrupted" ? ` · ${texts.interrupted}` : ""}</p>
      <div class=${`bubble${reply ? "" : " plain"}`} dir="auto">${what}</div>
      <div class="under row small">
        ${reply && question && question.role === "user" && html`<${Because} user=${user} question=${question} known=${known} />`}
        ${!waits && html`<${CopyButton} key="copy" text=${() => message.content} label=${texts.copyThis(message.content)} />`}
        ${again && !waits && html`<button key="again" class="link" onClick=${again}>${reply ? texts.regenerate : texts.replyToThis}</button>`}
        <${ForgetButton} key="forget" user=${user} id=${message.id} text=${message.content} />
      </div>
    </article>`;
}

/** What was recalled for a question: told by the turn, or looked up in its trace when it is opened. */
function Because({ user, question, known }) {
  const [open, setOpen] = useState(false);
  const [found, setFound] = useState(known.get(question.id) || null);
  const [problem, setProblem] = useState(null);
  async function toggle(event) {
    const box = event.target;
    setOpen(box.open);
    if (!box.open) return;
    try {
      if (!found) setFound(await recalledThen(user, question.id));
    } catch (error) {
      setProblem(error);
    }
    requestAnimationFrame(() => box.scrollIntoView({ block: "nearest" }));
  }
  return html`
    <details class="because" onToggle=${toggle}>
      <summary>${found ? texts.recalledCount(found.length) : texts.recalledWhat}</summary>
      ${open && html`<${Trouble} problem=${problem} />`}
      ${open && found && html`<${Recollections} user=${user} recalled=${found} />
        <a class="small" href=${address(user, "why", question.content)}>${texts.askWhy}</a>`}
    </details>`;
}

async function recalledThen(user, messageId) {
  const trace = await get(at`/v1/users/${user}/messages/${messageId}/trace`);
  const byMessage = new Map();
  for (const one of trace.read) {
    const known = byMessage.get(one.message_id);
    if (!known) byMessage.set(one.message_id, { ...one, modes: { ...one.modes } });
    else {
      known.weight += one.weight;
      for (const mode in one.modes) known.modes[mode] += one.modes[mode];
    }
  }
  const whole = await Promise.all([...byMessage.values()].map(async (one) => {
    const slot = await get(at`/v1/users/${user}/memory/slots/${one.slot}`).catch(() => null);
    const held = slot && [slot, ...slot.shared_with].find(({ message_id }) => message_id === one.message_id);
    return held && { ...held, content: held.text, slot: one.slot, weight: one.weight, modes: one.modes };
  }));
  return whole.filter(Boolean);
}

function Composer({ busy, send, stop }) {
  const [text, setText] = useState("");
  const box = useRef(null);
  useEffect(() => box.current.focus({ preventScroll: true }), []);
  async function submit(event) {
    event?.preventDefault();
    if (busy || !text.trim()) return;
    setText("");
    if (!(await send(text))) setText((since) => since || text);
  }
  function key(event) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      submit();
    }
  }
  return html`
    <form class="composer" onSubmit=${submit}>
      <label class="unseen" for="message">${texts.message}</label>
      <textarea id="message" ref=${box} rows="2" maxlength="32000" dir="auto" placeholder=${texts.messagePlaceholder} value=${text}
        onInput=${(event) => setText(event.target.value)} onKeyDown=${key}></textarea>
      ${busy
        ? html`<button type="button" class="primary" onClick=${stop}>${texts.stop}</button>`
        : html`<button class="primary" disabled=${!text.trim()}>${texts.send}</button>`}
    </form>`;
}
