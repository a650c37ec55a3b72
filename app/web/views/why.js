// The recall debugger: why a cue finds what it finds, beside another cue if wanted.
import { at, call, isSignedIn } from "../api.js";
import { html, useEffect, useState } from "../html.js";
import { Empty, isNobody, moment, percent, Trouble } from "../parts/asking.js";
import { HeatMap } from "../parts/heat_map.js";
import { CopyButton } from "../parts/buttons.js";
import { ModeLegend, Recollection } from "../parts/recollections.js";
import { texts } from "../texts.js";

const PARTS = ["content", "time", "speaker", "recency"];

export default function Why({ user, more: [cue = "", other = ""] }) {
  const [cues, setCues] = useState(other ? [cue, other] : [cue]);
  const [options, setOptions] = useState({ k: 8, asked_at: "", session_id: "" });
  const [asked, setAsked] = useState(null);
  useEffect(() => {
    setCues(other ? [cue, other] : [cue]);
    if (cue) setAsked({ cues: other ? [cue, other] : [cue], options });
  }, [cue, other]);
  const set = (name) => (event) => setOptions({ ...options, [name]: event.target.value });
  function submit(event) {
    event.preventDefault();
    const wanted = cues.filter((one) => one.trim());
    if (wanted.length) setAsked({ cues: wanted, options });
  }
  return html`
    <div class="why">
      <h1>${texts.whyTitle}</h1>
      <form class="panel" onSubmit=${submit}>
        <div class="fields">
          ${cues.map((one, place) => html`
            <div class="field wide-field" key=${place}>
              <label for=${`cue-${place}`}>${place ? texts.otherCue : texts.cue}</label>
              <input id=${`cue-${place}`} value=${one} maxlength="32000" placeholder=${texts.cuePlaceholder} dir="auto"
                onInput=${(event) => setCues(cues.map((was, at) => (at === place ? event.target.value : was)))} />
            </div>`)}
        </div>
        <div class="fields">
          <div class="field"><label for="asked-at">${texts.askedAt}</label><input id="asked-at" type="datetime-local" value=${options.asked_at} onInput=${set("asked_at")} /></div>
          <div class="field"><label for="among">${texts.onlySession}</label><input id="among" value=${options.session_id} maxlength="128" onInput=${set("session_id")} /></div>
          <div class="field narrow"><label for="k">${texts.howMany}</label><input id="k" type="number" min="1" max="100" value=${options.k} onInput=${set("k")} /></div>
          <div class="field buttons">
            <button class="primary" disabled=${!cues.some((one) => one.trim())}>${texts.explain}</button>
            <button type="button" onClick=${() => setCues(cues.length > 1 ? cues.slice(0, 1) : [...cues, ""])}>${cues.length > 1 ? texts.oneCue : texts.compare}</button>
          </div>
        </div>
      </form>
      ${asked
        ? html`<${ModeLegend} /><div class=${`results${asked.cues.length > 1 ? " two" : ""}`}>
            ${asked.cues.map((one, place) => html`<${Result} key=${`${place} ${one}`} user=${user} cue=${one} options=${asked.options} />`)}
          </div>`
        : html`<${Empty}>${texts.whyEmpty}<//>`}
    </div>`;
}

function bodyOf(cue, options) {
  const body = { query: cue, k: Number(options.k) || 8 };
  if (options.asked_at) body.asked_at = new Date(options.asked_at).toISOString();
  if (options.session_id.trim()) body.session_id = options.session_id.trim();
  return body;
}

/** A command for a POSIX shell: a quote in the text ends the string, is escaped, and begins it again. */
export function asCurl(url, body, signedIn) {
  const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;
  const key = signedIn ? ' -H "Authorization: Bearer $MNEME_KEY"' : "";
  return `curl -s ${quoted(url)}${key} -H 'Content-Type: application/json' -d ${quoted(JSON.stringify(body))}`;
}

function Result({ user, cue, options }) {
  const [state, setState] = useState({});
  const path = at`/v1/users/${user}/memory/explain`;
  const body = bodyOf(cue, options);
  useEffect(() => {
    const control = new AbortController();
    setState({});
    call("POST", path, { json: body, signal: control.signal }).then((found) => setState({ found }), (problem) => problem.name !== "AbortError" && setState({ problem }));
    return () => control.abort();
  }, [path, JSON.stringify(body)]);
  const { found, problem } = state;
  if (isNobody(problem)) return html`<${Empty}>${options.session_id ? problem.message : texts.nobody(user)}<//>`;
  const most = found ? Math.max(...found.recalled.map((one) => one.weight), 0.01) : 1;
  return html`
    <section class="result panel" aria-label=${cue}>
      <div class="row"><h2 class="grow quote" dir="auto">${cue}</h2><${CopyButton} kind="" name=${texts.asCurl} text=${() => asCurl(location.origin + path, body, isSignedIn())} /></div>
      <${Trouble} problem=${problem} />
      ${!found && !problem && html`<p class="muted">${texts.loading}</p>`}
      ${found && html`
        <${Confidence} found=${found} />
        <dl class="facts">
          <div><dt>${texts.lookedFor}</dt><dd class="quote" dir="auto">${found.cue}</dd></div>
          <div><dt>${texts.window}</dt><dd>${found.window ? texts.fromTo(moment(found.window.since), moment(found.window.until)) : texts.noWindow}</dd></div>
          <div><dt>${texts.asksOfNow}</dt><dd>${found.asks_of_now ? texts.yes : texts.no}</dd></div>
          <div><dt>${texts.readModes}</dt><dd><${Modes} modes=${found.modes} /></dd></div>
          <div><dt>${texts.candidates}</dt><dd>${found.candidates}</dd></div>
          <div><dt>${texts.took}</dt><dd>${Math.round(found.timings_ms.total)} ms</dd></div>
        </dl>
        <p class="pieces" aria-label=${texts.cuePieces}>${found.pieces.map(({ piece, share }) => html`<code>${piece} <small>${percent(share)}</small></code>`)}</p>
        ${found.recalled.length ? null : html`<${Empty}>${texts.nothingRecalled}<//>`}
        <ol class="recollections ranked">
          ${found.recalled.map((one, place) => html`
            <${Recollection} key=${one.message_id} user=${user} one=${one} most=${most}>
              <${Moves} one=${one} place=${place + 1} parts=${found.parts} />
              <${HeatMap} one=${one} pieces=${found.pieces} />
            <//>`)}
        </ol>`}
    </section>`;
}

function Confidence({ found }) {
  const sure = found.confidence >= found.doubt_below;
  return html`
    <div class="confidence">
      <p><b>${texts.confidence(percent(found.confidence))}</b> <span class="muted">${sure ? texts.isSure : texts.isInDoubt} ${texts.threshold(percent(found.doubt_below))}</span></p>
      <div class="gauge" role="img" aria-label=${texts.confidence(percent(found.confidence))}>
        <i class=${sure ? "sure" : "doubt"} style=${{ width: `${100 * found.confidence}%` }}></i><b style=${{ left: `${100 * found.doubt_below}%` }}></b>
      </div>
    </div>`;
}

function Modes({ modes }) {
  const parts = ["content", "forward", "backward"].filter((mode) => modes[mode] >= 0.01).map((mode) => `${texts.modes[mode]} ${percent(modes[mode])}`).join(", ");
  return modes.following > 0.5 ? texts.followsUp(parts) : parts;
}

/** Before and after: where the message would stand without each part that had a say. */
function Moves({ one, place, parts }) {
  const told = PARTS.filter((part) => parts.includes(part));
  return html`<ul class="moves" aria-label=${texts.movesLabel}>
    ${told.map((part) => {
      const before = one.ranks[part];
      const after = one.ranks.reranked;
      const way = before === after ? "same" : before === null || (after !== null && after < before) ? "up" : "down";
      return html`<li class=${way}><span>${texts.parts[part]}</span> <b>${before ?? texts.notLookedAt}</b> → <b>${after ?? texts.byLink}</b></li>`;
    })}
    ${one.ranks.reranked !== place && html`<li class="same"><span>${texts.parts.modes}</span> <b>${one.ranks.reranked ?? texts.notLookedAt}</b> → <b>${place}</b></li>`}
  </ul>`;
}
