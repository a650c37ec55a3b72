// What was recalled: its weight, by which mode it came, who said it and when; one step to it, one to forget it.
import { useWaiting } from "../forgetting.js";
import { html } from "../html.js";
import { address } from "../place.js";
import { texts } from "../texts.js";
import { moment, percent } from "./asking.js";
import { ForgetButton } from "./buttons.js";

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

const who = (one) => one.speaker || texts.roles[one.role] || one.role;

/** Who said it and when. A name is kept apart from what is around it, whichever way it is written. */
export const Who = ({ one, at = moment(one.occurred_at) }) => html`<bdi>${who(one)}</bdi>, ${at}`;

export function Recollection({ user, one, most, children }) {
  const waits = useWaiting().has(one.message_id);
  return html`
    <li class=${`recollection${waits ? " going" : ""}`}>
      <div class="row">
        <b class="weight">${percent(one.weight)}</b>
        <${ModeBar} modes=${one.modes} most=${most} />
      </div>
      <p class="quote" dir="auto">${waits ? texts.goingQuote : one.content}</p>
      <div class="row small">
        <span class="muted said-by"><${Who} one=${one} /></span>
        <a href=${address(user, "chat", one.session_id, one.message_id)}>${texts.showInSession}</a>
        <a href=${address(user, "map", "slot", one.slot)}>${texts.slot(one.slot)}</a>
        <${ForgetButton} user=${user} id=${one.message_id} text=${one.content} />
      </div>
      ${children}
    </li>`;
}

export function Recollections({ user, recalled }) {
  if (!recalled.length) return html`<p class="muted small">${texts.nothingRecalled}</p>`;
  const most = Math.max(...recalled.map((one) => one.weight), 0.01);
  return html`<ol class="recollections">${recalled.map((one) => html`<${Recollection} key=${one.message_id} user=${user} one=${one} most=${most} />`)}</ol>`;
}
