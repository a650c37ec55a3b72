// What whoever runs the service asks: is it whole, who is there, who may do what, who did what, and how fast is it.
import { at, call, get, remove, text } from "../api.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { gauge, parse, quantile, sums } from "../metrics.js";
import { Empty, moment, number, Pending, said, Trouble, useAsked } from "../parts/asking.js";
import { Chart } from "../parts/chart.js";
import { address } from "../place.js";
import { texts } from "../texts.js";

const SECONDS = 2;
const KEPT = 150;
const AT_ONCE = 50; // rows of a list; more are asked for
const MOST = 1000; // rows that the service gives at once

async function whole(signal) {
  const [version, ready] = await Promise.all([get("/version", {}, signal), get("/health/ready", {}, signal).catch((problem) => problem.body)]);
  return { version, ready };
}

export default function Operator() {
  return html`
    <div class="operator">
      <h1>${texts.views.operator}</h1>
      <div class="cards two">
        <${Health} />
        <${Charts} />
      </div>
      <${Users} />
      <${Keys} />
      <${Audit} />
    </div>`;
}

function Health() {
  const asked = useAsked(whole, []);
  const found = asked.value;
  return html`
    <section class="panel">
      <h2>${texts.health}</h2>
      <${Trouble} problem=${asked.problem} again=${asked.again} />
      ${found && html`<dl class="facts">
        <div><dt>${texts.version}</dt><dd>${found.version.version}</dd></div>
        <div><dt>${texts.weights}</dt><dd><code>${found.version.fingerprint}</code></dd></div>
        <div><dt>${texts.readiness}</dt><dd>${found.ready.status}</dd></div>
        ${Object.entries(found.ready.parts || {}).map(([part, well]) => html`<div><dt>${texts.servicesParts[part] || part}</dt><dd class=${well ? "good" : "bad"}>${well ? texts.well : texts.missing}</dd></div>`)}
      </dl>
      <p><a href="/docs">${texts.apiDocs}</a></p>`}
    </section>`;
}

function Charts() {
  const [series, setSeries] = useState({ times: [], rate: [], median: [], slow: [], waiting: [] });
  const [problem, setProblem] = useState(null);
  const last = useRef(null);
  useEffect(() => {
    let timer = 0;
    async function scrape() {
      try {
        const samples = parse(await text("/metrics"));
        const now = Date.now() / 1000;
        if (last.current) add(now, last.current, samples);
        last.current = { now, samples };
        setProblem(null);
        timer = setTimeout(scrape, SECONDS * 1000);
      } catch (error) {
        setProblem(error);
      }
    }
    function add(now, { now: then, samples: before }, samples) {
      const total = (all) => [...sums(all, "mneme_requests_total", "route")].reduce((sum, [route, count]) => sum + (route === "/metrics" ? 0 : count), 0);
      const ours = ({ route }) => route !== "/metrics";
      const slow = (share) => quantile(before, samples, "mneme_request_seconds", share, ours);
      const milliseconds = (seconds) => (seconds === null ? null : 1000 * seconds);
      const entry = {
        times: now, rate: (total(samples) - total(before)) / (now - then), median: milliseconds(slow(0.5)), slow: milliseconds(slow(0.95)),
        waiting: gauge(samples, "mneme_waiting"),
      };
      setSeries((was) => Object.fromEntries(Object.entries(was).map(([name, values]) => [name, [...values, entry[name]].slice(-KEPT)])));
    }
    scrape();
    return () => clearTimeout(timer);
  }, []);
  return html`
    <section class="panel">
      <h2>${texts.load}</h2>
      <${Trouble} problem=${problem} />
      <${Chart} title=${texts.requestsASecond} times=${series.times} lines=${[[texts.requests, series.rate]]} />
      <${Chart} title=${texts.latency} times=${series.times} lines=${[[texts.median, series.median], [texts.slowest, series.slow]]} />
      ${series.waiting.some((value) => value !== null) && html`<${Chart} title=${texts.queue} times=${series.times} lines=${[[texts.waiting, series.waiting]]} />`}
    </section>`;
}

function List({ title, path, member, heads, line, extra }) {
  const [limit, setLimit] = useState(AT_ONCE);
  const asked = useAsked((signal) => get(path, { limit }, signal), [path, limit]);
  const rows = asked.value?.[member];
  return html`
    <section class="panel">
      <h2>${title}</h2>
      ${asked.problem?.status === 403 ? html`<p class="muted">${texts.adminOnly}</p>` : html`<${Trouble} problem=${asked.problem} again=${asked.again} />`}
      <${Pending} asked=${asked} />
      ${rows && !rows.length && html`<${Empty}>${texts.none}<//>`}
      ${rows?.length > 0 && html`<div class="wide" tabindex="0" role="group" aria-label=${title}><table class="list">
        <thead><tr>${heads.map((head) => html`<th scope="col">${head}</th>`)}</tr></thead>
        <tbody>${rows.map((one) => line(one, asked.again))}</tbody>
      </table></div>`}
      ${asked.value?.next_cursor && limit < MOST && html`<button disabled=${asked.busy} onClick=${() => setLimit(Math.min(MOST, 4 * limit))}>${texts.more}</button>`}
      ${asked.value && extra?.(asked.again)}
    </section>`;
}

function Users() {
  return html`<${List} title=${texts.users} path="/v1/users" member="users" heads=${[texts.user, texts.messages, texts.slotsHead, texts.lastUsed]}
    line=${(one) => html`<tr key=${one.user_id}><th scope="row"><a href=${address(one.user_id, "timeline")}>${one.user_id}</a></th>
      <td>${number(one.messages)}</td><td>${number(one.slots_used)}</td><td>${one.last_at ? moment(one.last_at) : texts.never}</td></tr>`} />`;
}

function Keys() {
  const [revoking, setRevoking] = useState(null);
  return html`<${List} title=${texts.keys} path="/v1/keys" member="keys" heads=${[texts.name, texts.scope, texts.user, texts.lastUsed, texts.expires, ""]}
    line=${(one, again) => html`<tr key=${one.id} class=${one.revoked_at ? "muted" : ""}><th scope="row">${one.name} <code class="muted">${one.prefix}…</code></th>
      <td>${one.scope}</td><td>${one.user_id || "—"}</td><td>${one.last_used_at ? moment(one.last_used_at) : texts.never}</td>
      <td>${one.revoked_at ? texts.revoked(moment(one.revoked_at)) : one.expires_at ? moment(one.expires_at) : texts.never}</td>
      <td>${!one.revoked_at && (revoking === one.id
        ? html`<button class="danger" onClick=${() => remove(at`/v1/keys/${one.id}`).then(again)}>${texts.reallyRevoke}</button>`
        : html`<button class="link danger" onClick=${() => setRevoking(one.id)} aria-label=${texts.revokeThis(one.name)}>${texts.revoke}</button>`)}</td></tr>`}
    extra=${(again) => html`<${NewKey} again=${again} />`} />`;
}

function NewKey({ again }) {
  const [wanted, setWanted] = useState({ name: "", scope: "user", user_id: "" });
  const [made, setMade] = useState(null);
  const [problem, setProblem] = useState(null);
  const set = (name) => (event) => setWanted({ ...wanted, [name]: event.target.value });
  async function submit(event) {
    event.preventDefault();
    const { user_id, ...rest } = wanted;
    try {
      setMade(await call("POST", "/v1/keys", { json: wanted.scope === "user" ? wanted : rest }));
      setProblem(null);
      again();
    } catch (error) {
      setProblem(error);
    }
  }
  return html`
    <form class="fields" onSubmit=${submit}>
      <div class="field"><label for="key-name">${texts.name}</label><input id="key-name" required maxlength="128" value=${wanted.name} onInput=${set("name")} /></div>
      <div class="field"><label for="key-scope">${texts.scope}</label><select id="key-scope" value=${wanted.scope} onChange=${set("scope")}>
        ${["user", "service", "admin"].map((scope) => html`<option value=${scope}>${texts.scopes[scope]}</option>`)}</select></div>
      ${wanted.scope === "user" && html`<div class="field"><label for="key-user">${texts.user}</label><input id="key-user" required maxlength="128" value=${wanted.user_id} onInput=${set("user_id")} /></div>`}
      <div class="field buttons"><button class="primary">${texts.makeKey}</button></div>
    </form>
    ${problem && html`<p class="problem" role="alert">${said(problem)}</p>`}
    ${made && html`<p role="status" class="made">${texts.keyOnce} <code>${made.key}</code></p>`}`;
}

function Audit() {
  return html`<${List} title=${texts.audit} path="/v1/audit" member="entries" heads=${[texts.when, texts.key, texts.what, texts.status, texts.user]}
    line=${(one) => html`<tr key=${one.request_id}><td>${moment(one.at)}</td><td>${one.key_id ? html`<code>${one.key_id}</code>${one.by_token ? ` ${texts.byToken}` : ""}` : "—"}</td>
      <td>${one.method} <code>${one.route}</code></td><td>${one.status}</td><td>${one.user_id || "—"}</td></tr>`} />`;
}
