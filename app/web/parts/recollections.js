// What was recalled: its weight, by which mode it came, who said it and when; one step to it, one to forget it.
import { forget, useWaiting } from "../forgetting.js";
import { html } from "../html.js";
import { address } from "../place.js";
import { texts } from "../texts.js";
import { moment, percent } from "./asking.js";

const MODES = ["content", "forward", "backward", "standing"];

export function ModeBar({ modes, most = 1 }) {
  const parts = MODES.filter((mode) => modes[mode] > 0.0005);
  const told = parts.map((mode) => `${texts.modes[mode]} ${percent(modes[mode])}`).join(", ");
  return html`<span class="bar" role="img" aria-label=${told} title=${told}>
    ${parts.map((mode) => html`<i class=${`mode-${mode}`} style=${{ width: `${(100 * modes[mode]) / most}%` }}></i>`)}
  </span>`;
}

export function ModeLegend() {
  return html`<p class="legend">${MODES.map((mode) => html`<span><i class=${`mode-${mode}`}></i>${texts.modes[mode]}</span>`)}</p>`;
}

export const who = (one) => one.speaker || texts.roles[one.role] || one.role;

export function Recollection({ user, one, most, mayForget = true, children }) {
  const waits = useWaiting().has(one.message_id);
  return html`
    <li class=${`recollection${waits ? " going" : ""}`}>
      <div class="row">
        <b class="weight">${percent(one.weight)}</b>
        <${ModeBar} modes=${one.modes} most=${most} />
      </div>
      <p class="quote">${waits ? texts.goingQuote : one.content}</p>
      <div class="row small">
        <span class="muted grow">${who(one)}, ${moment(one.occurred_at)}</span>
        <a href=${address(user, "chat", one.session_id, one.message_id)}>${texts.showInSession}</a>
        <a href=${address(user, "map", "slot", one.slot)}>${texts.slot(one.slot)}</a>
        ${mayForget && !waits && html`<button class="link danger" onClick=${() => forget(user, one.message_id, one.content)}
            aria-label=${texts.forgetThis(one.content)}>${texts.forget}</button>`}
      </div>
      ${children}
    </li>`;
}

export function Recollections({ user, recalled }) {
  if (!recalled.length) return html`<p class="muted small">${texts.nothingRecalled}</p>`;
  const most = Math.max(...recalled.map((one) => one.weight), 0.01);
  return html`<ol class="recollections">${recalled.map((one) => html`<${Recollection} key=${one.message_id} user=${user} one=${one} most=${most} />`)}</ol>`;
}
