// Taking the memory along, bringing messages in, forgetting for good, and the proof that the memory is what its log makes.
import { at, download, get, post, remove } from "../api.js";
import { html, useRef, useState } from "../html.js";
import { messagesOf, sendAll } from "../importing.js";
import { leastUsed, loadMap } from "../memory_map.js";
import { tell, useNews } from "../news.js";
import { isNobody, moment, number, Pending, percent, size, Trouble, useAsked } from "../parts/asking.js";
import { TypedConfirmation } from "../parts/confirmation.js";
import { forgetSession, named } from "../parts/sessions.js";
import { address } from "../place.js";
import { texts } from "../texts.js";

async function summaryOf(user, signal) {
  const summary = await get(at`/v1/users/${user}/memory`, {}, signal);
  const map = await loadMap(user, signal).catch(() => null);
  const next = map
    ? await Promise.all(leastUsed(map, 5).map((slot) => get(at`/v1/users/${user}/memory/slots/${slot}`, {}, signal).catch(() => null)))
    : [];
  const { sessions } = await get(at`/v1/users/${user}/sessions`, { limit: 1000 }, signal);
  return { summary, next: next.filter(Boolean), sessions };
}

export default function Keeping({ user }) {
  const asked = useAsked((signal) => summaryOf(user, signal), [user]);
  useNews(user, (news) => news.kind !== "read" && asked.again(), [asked.again]);
  const nobody = isNobody(asked.problem);
  const found = nobody ? null : asked.value;
  return html`
    <div class="keeping">
      <h1>${texts.views.keeping}</h1>
      ${!nobody && html`<${Trouble} problem=${asked.problem} again=${asked.again} />`}
      <${Pending} asked=${asked} />
      ${nobody && html`<p class="empty">${texts.nobody(user)}</p>`}
      ${found && html`<${Capacity} user=${user} found=${found} />`}
      <div class="cards">
        ${found && html`<${Export} user=${user} />`}
        <${Import} user=${user} />
        ${found && html`<${Check} user=${user} />`}
        ${found && html`<${Forget} user=${user} sessions=${found.sessions} />`}
      </div>
    </div>`;
}

function Capacity({ user, found: { summary, next } }) {
  const full = summary.slots_used / summary.slots;
  const most = Math.max(...summary.usage_histogram, 1);
  return html`
    <section class="panel capacity">
      <div class="row wrap">
        <div class="grow">
          <h2>${texts.capacity}</h2>
          <p><b>${texts.slotsUsed(number(summary.slots_used), number(summary.slots))}</b> · ${size(summary.bytes)}${summary.oldest ? ` · ${texts.fromTo(moment(summary.oldest), moment(summary.newest))}` : ""}</p>
          <div class="gauge" role="img" aria-label=${texts.fullness(percent(full))}><i class="sure" style=${{ width: `${100 * full}%` }}></i></div>
          <p class="muted small">${texts.whenFull}</p>
        </div>
        <figure>
          <div class="histogram" role="img" aria-label=${texts.histogram}>
            ${summary.usage_histogram.map((count, place) => html`<i style=${{ height: `${(100 * count) / most}%` }} title=${`${place * 10}–${place * 10 + 10} %: ${number(count)}`}></i>`)}
          </div>
          <figcaption class="muted small">${texts.histogram}</figcaption>
        </figure>
      </div>
      ${next.length > 0 && html`
        <details><summary>${texts.goesNext}</summary>
          <ol class="recollections">${next.map((one) => html`<li class="recollection"><p class="quote" dir="auto">${one.text}</p>
            <p class="muted small">${moment(one.occurred_at)} · ${texts.slotFacts(percent(one.usage), percent(one.strength), one.reads)} · <a href=${address(user, "map", "slot", one.slot)}>${texts.slot(one.slot)}</a></p></li>`)}</ol>
        </details>`}
    </section>`;
}

function Export({ user }) {
  const [state, setState] = useState({});
  async function save() {
    setState({ busy: true });
    try {
      const address = URL.createObjectURL(await download(at`/v1/users/${user}/export`));
      const link = Object.assign(document.createElement("a"), { href: address, download: `mneme-${user}.jsonl` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(address), 60_000);
      setState({ done: true });
    } catch (problem) {
      setState({ problem });
    }
  }
  return html`
    <section class="panel card">
      <h2>${texts.exportTitle}</h2>
      <p>${texts.exportSays}</p>
      <button class="primary" onClick=${save} disabled=${state.busy}>${state.busy ? texts.working : texts.exportTitle}</button>
      <div role="status">${state.done && texts.exported}</div>
      <${Trouble} problem=${state.problem} />
    </section>`;
}

function Import({ user }) {
  const [state, setState] = useState({});
  const control = useRef(null);
  const input = useRef(null);
  async function take(event) {
    event.preventDefault();
    const file = input.current.files[0];
    if (!file) return;
    control.current = new AbortController();
    const show = (change) => setState((was) => ({ ...was, ...change }));
    setState({ busy: true, done: 0, all: 0 });
    try {
      const messages = messagesOf(await file.text());
      show({ all: messages.length });
      await sendAll(user, messages, control.current.signal, (done) => show({ done }));
      show({ busy: false, whole: true });
    } catch (problem) {
      show({ busy: false, stopped: problem.name === "AbortError", problem: problem.name === "AbortError" ? null : problem });
    }
    tell({ user, kind: "changed" });
  }
  return html`
    <section class="panel card">
      <h2>${texts.importTitle}</h2>
      <p>${texts.importSays}</p>
      <form onSubmit=${take}>
        <label for="import-file">${texts.importFile}</label>
        <input id="import-file" ref=${input} type="file" accept=".jsonl,.ndjson,.json,application/x-ndjson,application/json" required />
        ${state.busy
          ? html`<button type="button" onClick=${() => control.current.abort()}>${texts.stop}</button>`
          : html`<button class="primary">${texts.importTitle}</button>`}
      </form>
      ${state.all > 0 && html`<progress max=${state.all} value=${state.done} aria-label=${texts.importTitle}></progress>`}
      <div role="status">${state.all > 0 && (state.whole ? texts.imported(number(state.all)) : texts.importing(number(state.done), number(state.all)))}${state.stopped ? ` ${texts.importStopped}` : ""}</div>
      ${state.problem && (state.problem.status === undefined ? html`<p class="problem" role="alert">${state.problem.message}</p>` : html`<${Trouble} problem=${state.problem} />`)}
    </section>`;
}

function Check({ user }) {
  const [state, setState] = useState({});
  async function check() {
    setState({ busy: true });
    await post(at`/v1/users/${user}/memory/check`).then((found) => setState({ found }), (problem) => setState({ problem }));
  }
  const { found } = state;
  return html`
    <section class="panel card">
      <h2>${texts.checkTitle}</h2>
      <p>${texts.checkSays}</p>
      <button class="primary" onClick=${check} disabled=${state.busy}>${state.busy ? texts.working : texts.checkTitle}</button>
      <div role="status">${found && html`<p class=${`verdict ${found.same ? "good" : "bad"}`}>
        ${found.same ? texts.checkSame(number(found.messages)) : found.foreign ? texts.checkForeign : texts.checkDiffers}</p>
        <ul>${found.differences.map((line) => html`<li>${line}</li>`)}</ul>`}</div>
      <${Trouble} problem=${state.problem} />
    </section>`;
}

function Forget({ user, sessions }) {
  const [session, setSession] = useState("");
  const [asking, setAsking] = useState(null);
  const chosen = sessions.find(({ session_id }) => session_id === session);
  return html`
    <section class="panel card">
      <h2>${texts.forgetTitle}</h2>
      <p>${texts.forgetSays} <a href=${address(user, "timeline")}>${texts.views.timeline}</a></p>
      <label for="forget-session">${texts.aSession}</label>
      <div class="row">
        <select id="forget-session" class="grow" value=${session} onChange=${(event) => setSession(event.target.value)}>
          <option value="">${texts.chooseSession}</option>
          ${sessions.map((one) => html`<option value=${one.session_id}>${one.title ? `${one.title} (${one.session_id})` : one.session_id}</option>`)}
        </select>
        <button class="danger" disabled=${!chosen} onClick=${() => setAsking("session")}>${texts.forgetSession}</button>
      </div>
      <button class="danger" onClick=${() => setAsking("all")}>${texts.forgetAll}</button>
      ${asking === "session" && html`<${TypedConfirmation} title=${texts.forgetSession} word=${chosen ? named(chosen) : session} says=${texts.forgetSessionSays(chosen?.messages)}
        close=${() => setAsking(null)} confirmed=${() => forgetSession(user, session)} />`}
      ${asking === "all" && html`<${TypedConfirmation} title=${texts.forgetAll} word=${user} says=${texts.forgetAllSays}
        close=${() => setAsking(null)} confirmed=${async () => {
          await remove(at`/v1/users/${user}`);
          tell({ user, kind: "changed" });
        }} />`}
    </section>`;
}
