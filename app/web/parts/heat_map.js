// Late interaction, seen: how much every word piece of a slot is like every word piece of the cue.
import { html, useState } from "../html.js";
import { texts } from "../texts.js";

const MOST_PIECES = 14;

export function HeatMap({ one, pieces }) {
  const [open, setOpen] = useState(false);
  const [all, setAll] = useState(false);
  return html`
    <details class="heat" onToggle=${(event) => setOpen(event.target.open)}>
      <summary>${texts.matchedPieces}</summary>
      ${open && html`<${Table} one=${one} pieces=${pieces} all=${all} />
        ${one.pieces.length > MOST_PIECES && html`<button class="link" onClick=${() => setAll(!all)}>${all ? texts.fewerPieces : texts.allPieces(one.pieces.length)}</button>`}`}
    </details>`;
}

function Table({ one, pieces, all }) {
  const best = pieces.map((_, cue) => Math.max(...one.cosines.map((line) => line[cue])));
  const lines = one.pieces.map((piece, place) => ({ piece, cosines: one.cosines[place], most: Math.max(...one.cosines[place]) }));
  if (!all && lines.length > MOST_PIECES) {
    const least = lines.map(({ most }) => most).sort((a, b) => b - a)[MOST_PIECES - 1];
    lines.splice(0, lines.length, ...lines.filter(({ most }) => most >= least).slice(0, MOST_PIECES));
  }
  return html`
    <div class="wide" tabindex="0" role="group" aria-label=${texts.heatLabel}>
      <table class="heat-map">
        <caption class="unseen">${texts.heatLabel}</caption>
        <thead><tr><td></td>${pieces.map(({ piece }) => html`<th scope="col"><span>${piece}</span></th>`)}</tr></thead>
        <tbody>${lines.map(({ piece, cosines }) => html`
          <tr><th scope="row">${piece}</th>${cosines.map((cosine, cue) => html`
            <td class=${cosine === best[cue] && cosine > 0.3 ? "best" : ""} style=${{ "--heat": `${Math.round(100 * Math.max(0, cosine))}%` }}>${Math.round(100 * cosine)}</td>`)}</tr>`)}</tbody>
      </table>
    </div>`;
}
