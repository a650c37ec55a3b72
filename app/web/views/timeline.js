// What was said, by day, with search and filters; what holds until revoked; and where something was forgotten.
import { at, get } from "../api.js";
import { useWaiting } from "../forgetting.js";
import { html, useEffect, useMemo, useRef, useState } from "../html.js";
import { useNews } from "../news.js";
import { clock, day, Empty, isNobody, moment, Pending, percent, said, Trouble, useAsked } from "../parts/asking.js";
import { ForgetButton } from "../parts/buttons.js";
import { Correcting } from "../parts/correcting.js";
import { Who } from "../parts/recollections.js";
import { named, useSessions } from "../parts/sessions.js";
import { address } from "../place.js";
import { texts } from "../texts.js";

const PAGE = 60;
const NO_FILTER = { contains: "", session_id: "", role: "", speaker: "", since: "", until: "" };

function queryOf(filter, cursor) {
  const start = (date, days) => {
    if (!date) return "";
    const [year, month, number] = date.split("-").map(Number);
    return new Date(year, month - 1, number + days).toISOString();
  };
  return { ...filter, since: start(filter.since, 0), until: start(filter.until, 1), limit: PAGE, cursor };
}

async function standingOf(user, signal) {
  const path = at`/v1/users/${user}/memory/standing`;
  const [{ standing }, { replaced }] = await Promise.all([get(path, {}, signal), get(`${path}/replaced`, {}, signal)]);
  return { standing, replaced };
}

export default function Timeline({ user }) {
  const [typed, setTyped] = useState(NO_FILTER);
  const [filter, setFilter] = useState(NO_FILTER);
  const [older, setOlder] = useState({ messages: [], cursor: undefined });
  const path = at`/v1/users/${user}/messages`;
  const first = useAsked((signal) => get(path, queryOf(filter), signal), [path, filter]);
  const standing = useAsked((signal) => standingOf(user, signal), [user]);
  const sessions = useSessions(user);
  const titles = useMemo(() => new Map((sessions.value?.sessions || []).map((one) => [one.session_id, named(one)])), [sessions.value]);
  const waiting = useWaiting();
  const [problem, setProblem] = useState(null);
  const delay = useRef(0);
  useEffect(() => setOlder({ messages: [], cursor: undefined }), [first.value]);
  useNews(user, (news) => news.kind !== "read" && (first.again(), standing.again(), sessions.again()), [first.again, standing.again, sessions.again]);
  function set(name) {
    return (event) => {
      const next = { ...typed, [name]: event.target.value };
      setTyped(next);
      clearTimeout(delay.current);
      delay.current = setTimeout(() => setFilter(next), 250);
    };
  }
  const cursor = older.cursor === undefined ? first.value?.next_cursor : older.cursor;
  async function more() {
    try {
      const page = await get(path, queryOf(filter, cursor));
      setOlder((was) => ({ messages: [...was.messages, ...page.messages], cursor: page.next_cursor }));
      setProblem(null);
    } catch (error) {
      setProblem(error);
    }
  }
  if (isNobody(first.problem)) return html`<h1>${texts.views.timeline}</h1><${Empty}>${texts.nobody(user)}<//>`;
  const messages = [...(first.value?.messages || []), ...older.messages];
  const field = (name, kind, extra = {}) => html`
    <div class="field"><label for=${`filter-${name}`}>${texts.filters[name]}</label>
      <input id=${`filter-${name}`} type=${kind} value=${typed[name]} onInput=${set(name)} ...${extra} /></div>`;
  return html`
    <div class="timeline">
      <h1>${texts.views.timeline}</h1>
      <form class="panel fields" role="search" onSubmit=${(event) => event.preventDefault()}>
        ${field("contains", "search", { maxlength: 200 })}
        ${field("session_id", "text", { maxlength: 128, list: "session-ids" })}
        <datalist id="session-ids">${[...titles].map(([id, title]) => html`<option value=${id}>${title}</option>`)}</datalist>
        ${field("speaker", "text", { maxlength: 128 })}
        <div class="field"><label for="filter-role">${texts.filters.role}</label>
          <select id="filter-role" value=${typed.role} onChange=${set("role")}>
            <option value="">${texts.anyRole}</option>
            ${["user", "assistant", "system", "tool"].map((role) => html`<option value=${role}>${texts.roles[role]}</option>`)}
          </select></div>
        ${field("since", "date")}
        ${field("until", "date")}
      </form>
      <${Standing} user=${user} found=${standing.value} />
      <${Pending} asked=${first} />
      <${Trouble} problem=${first.problem} again=${first.again} />
      ${first.value && !messages.length && html`<${Empty}>${texts.noneFound}<//>`}
      ${byDay(messages).map(([date, those]) => html`
        <section class="day" key=${date} aria-label=${date}>
          <h2>${date}</h2>
          <ol>${those.map((one) => html`<${Said} key=${one.id} user=${user} one=${one} title=${titles.get(one.session_id) || one.session_id} waits=${waiting.has(one.id)} />`)}</ol>
        </section>`)}
      ${cursor && html`<button onClick=${more}>${texts.older}</button>`}
      ${problem && html`<p class="problem" role="alert">${said(problem)}</p>`}
    </div>`;
}

/** What holds until revoked, each with the way to forget it; and what took whose place. */
function Standing({ user, found }) {
  const waiting = useWaiting();
  if (!found?.standing.length && !found?.replaced.length) return null;
  return html`
    <section class="panel standing" aria-label=${texts.standing}>
      <h2>${texts.standing}</h2>
      <p class="muted small">${texts.standingSays}</p>
      <ul>${found.standing.map((one) => html`<li key=${one.message_id}>
        <p class="quote" dir="auto">${waiting.has(one.message_id) ? texts.goingQuote : one.content}</p>
        <span class="muted small">${moment(one.occurred_at)} · ${percent(one.score)}</span>
        <span class="small"><${ForgetButton} user=${user} id=${one.message_id} text=${one.content} /></span></li>`)}</ul>
      ${found.replaced.length > 0 && html`<details><summary>${texts.replaced} (${found.replaced.length})</summary>
        <p class="muted small">${texts.replacedSays}</p>
        <ul>${found.replaced.map((one) => html`<li key=${one.message_id} class="replaced">
          <p class="quote" dir="auto"><s>${waiting.has(one.message_id) ? texts.goingQuote : one.content}</s></p> <span class="muted small">${moment(one.occurred_at)}</span>
          <span class="small"><${ForgetButton} user=${user} id=${one.message_id} text=${one.content} /></span>
          <p class="quote by" dir="auto"><span class="muted small">${texts.replacedBy} </span>${one.by.content}</p> <span class="muted small">${moment(one.by.occurred_at)}</span></li>`)}</ul>
      </details>`}
    </section>`;
}

function byDay(messages) {
  const days = [];
  for (const one of messages) {
    const date = day(one.occurred_at);
    if (days.at(-1)?.[0] !== date) days.push([date, []]);
    days.at(-1)[1].push(one);
  }
  return days;
}

function Said({ user, one, title, waits }) {
  const [correcting, setCorrecting] = useState(false);
  const correct = useRef(null);
  function close() {
    setCorrecting(false);
    requestAnimationFrame(() => correct.current?.focus());
  }
  return html`
    ${one.forgotten_after > 0 && html`<li class="gap" key=${`${one.id} gap`}>${texts.gap(one.forgotten_after)}</li>`}
    <li class=${`said ${one.role}`}>
      <time class="muted small" datetime=${one.occurred_at}>${clock(one.occurred_at)}</time>
      <div class="grow">
        <p class="small muted"><${Who} one=${one} at=${html`<a href=${address(user, "chat", one.session_id, one.id)}><bdi>${title}</bdi></a>`} /></p>
        ${correcting
          ? html`<${Correcting} user=${user} message=${one} close=${close} />`
          : html`<p class="quote" dir="auto">${waits ? texts.goingQuote : one.content}</p>`}
      </div>
      ${!correcting && html`<span class="row small actions">
        <a href=${address(user, "why", one.content.slice(0, 500))} aria-label=${texts.whatBrings(one.content)}>${texts.views.why}</a>
        ${!waits && html`<button class="link" ref=${correct} onClick=${() => setCorrecting(true)} aria-label=${texts.correctThis(one.content)}>${texts.correct}</button>`}
        <${ForgetButton} key="forget" user=${user} id=${one.id} text=${one.content} />
      </span>`}
    </li>`;
}
