// A slot's usage from when it was written until now: it fades, and every reading raises it. A step is told by the service.
import { html } from "../html.js";
import { texts } from "../texts.js";
import { moment, percent } from "./asking.js";

const WIDTH = 320;
const HEIGHT = 72;

/** @param usage {written, now, halves_after, points: [{number, usage, read_at?}]} */
export function UsageCurve({ usage }) {
  const { points, now, halves_after: half } = usage;
  const first = points[0].number;
  const across = (number) => (WIDTH * (number - first)) / Math.max(1, now - first);
  const down = (share) => HEIGHT - 4 - (HEIGHT - 8) * share;
  let path = `M0 ${down(0)}`;
  points.forEach((point, place) => {
    const until = points[place + 1]?.number ?? now;
    path += ` L${across(point.number)} ${down(point.usage)}`;
    for (let step = 1; step <= 8; step++) {
      const number = point.number + ((until - point.number) * step) / 8;
      path += ` L${across(number)} ${down(point.usage * 2 ** (-(number - point.number) / half))}`;
    }
  });
  const readings = points.slice(1);
  return html`<figure class="curve">
    <svg viewBox=${`-6 -4 ${WIDTH + 12} ${HEIGHT + 4}`} role="img" aria-label=${texts.usageLabel(readings.length, percent(usage.usage))}>
      <path class="area" d=${`${path} L${WIDTH} ${down(0)} Z`} /><path class="line" d=${path} />
      ${readings.map((point) => html`<circle cx=${across(point.number)} cy=${down(point.usage)} r="3.5"><title>${moment(point.read_at)}</title></circle>`)}
    </svg>
    <figcaption class="muted small">${texts.usageLabel(readings.length, percent(usage.usage))}</figcaption>
  </figure>`;
}
