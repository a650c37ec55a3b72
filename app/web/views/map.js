// The memory map: every slot a cell; pointing at one tells what it holds, opening one shows it whole.
import { at, get } from "../api.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { COLOURINGS, isNamed, loadMap } from "../memory_map.js";
import { useNews } from "../news.js";
import { Empty, isNobody, number, Pending, percent, Trouble, useAsked } from "../parts/asking.js";
import { Cells } from "../parts/cells.js";
import { css, palette } from "../parts/colours.js";
import { Lights } from "../parts/lights.js";
import { Who } from "../parts/recollections.js";
import { SlotPage } from "../parts/slot_page.js";
import { go } from "../place.js";
import { texts } from "../texts.js";

const HOVER_MILLISECONDS = 90;

export default function MapView({ user, more: [kind, which] }) {
  const slot = kind === "slot" && /^\d+$/.test(which || "") ? Number(which) : null;
  const map = useAsked((signal) => loadMap(user, signal), [user]);
  const [colouring, setColouring] = useState("usage");
  const [pointed, setPointed] = useState(null);
  const [held, setHeld] = useState(null);
  const look = useRef(null);
  const owed = useRef([]);

  useNews(user, (news) => {
    if (news.kind === "read") look.current?.glow("read", news.slots);
    else {
      owed.current.push(...(news.slots || []));
      map.again();
    }
  }, [map.again]);
  useEffect(() => {
    if (map.value && owed.current.length) look.current.glow("written", owed.current.splice(0));
  }, [map.value]);

  useEffect(() => {
    setHeld(null);
    if (pointed === null || !map.value || map.value.rowOf[pointed.slot] < 0) return undefined;
    const asked = new AbortController();
    const timer = setTimeout(() => {
      get(at`/v1/users/${user}/memory/slots/${pointed.slot}`, {}, asked.signal).then(setHeld, () => {});
    }, HOVER_MILLISECONDS);
    return () => {
      clearTimeout(timer);
      asked.abort();
    };
  }, [pointed?.slot]);

  const { value } = map;
  function step(event) {
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -look.current.columns, ArrowDown: look.current.columns }[event.key];
    if (by && value) {
      event.preventDefault();
      const from = pointed?.slot ?? slot ?? 0;
      const to = Math.min(Math.max(from + by, 0), value.slots - 1);
      setPointed({ slot: to });
      look.current.choose(to);
    } else if (event.key === "Enter" && pointed) go(user, "map", "slot", pointed.slot);
    else if (event.key === "+" || event.key === "-") look.current.zoom(event.key === "+" ? 1.25 : 0.8);
  }
  if (isNobody(map.problem)) return html`<h1>${texts.mapTitle}</h1><${Empty}>${texts.nobody(user)}<//>`;
  return html`
    <div class=${`map${slot === null ? "" : " with-slot"}`}>
      <section class="canvas-side">
        <div class="row wrap">
          <h1 class="grow">${texts.mapTitle}</h1>
          <label for="colouring">${texts.colouredBy}</label>
          <select id="colouring" value=${colouring} onChange=${(event) => setColouring(event.target.value)}>
            ${COLOURINGS.map((one) => html`<option value=${one}>${texts.colourings[one]}</option>`)}
          </select>
          <span class="buttons">
            <button onClick=${() => look.current.zoom(1.5)} aria-label=${texts.closer}>+</button>
            <button onClick=${() => look.current.zoom(1 / 1.5)} aria-label=${texts.farther}>−</button>
          </span>
        </div>
        <${Trouble} problem=${map.problem} again=${map.again} /><${Pending} asked=${map} />
        <div class="map-frame" tabindex="0" role="application" aria-label=${texts.mapKeys} onKeyDown=${step}>
          <${Cells} map=${value} colouring=${colouring} look=${look} chosen=${slot}
            label=${value ? texts.mapLabel(number(value.count), number(value.slots), texts.colourings[colouring]) : texts.loading}
            hovered=${(found, event) => setPointed(found === null ? null : { slot: found, x: event.offsetX, y: event.offsetY })}
            opened=${(found) => found !== null && value?.rowOf[found] >= 0 && go(user, "map", "slot", found)} />
          ${pointed && html`<${Pointed} pointed=${pointed} map=${value} held=${held} />`}
        </div>
        ${value && html`<${Legend} map=${value} colouring=${colouring} />`}
      </section>
      ${slot !== null && html`<${SlotPage} key=${slot} user=${user} slot=${slot} version=${value?.version} close=${() => go(user, "map")} />`}
    </div>`;
}

function Pointed({ pointed, map, held }) {
  const used = map && map.rowOf[pointed.slot] >= 0;
  const place = pointed.x === undefined ? { left: "8px", bottom: "8px" } : { left: `min(${pointed.x + 14}px, calc(100% - 19rem))`, top: `min(${pointed.y + 14}px, calc(100% - 7.5rem))` };
  return html`
    <div class="tip" style=${place} role="status">
      <b>${texts.slot(pointed.slot)}</b>
      ${!used
        ? html` <span class="muted">${texts.free}</span>`
        : held
          ? html`<span class="muted"> <${Who} one=${held} /></span><p class="quote" dir="auto">${held.text}</p>
              <span class="muted small">${texts.slotFacts(percent(held.usage), percent(held.strength), held.reads)}</span>`
          : null}
    </div>`;
}

function Legend({ map, colouring }) {
  const { table } = palette(isNamed(colouring));
  if (isNamed(colouring)) {
    const names = colouring === "session" ? map.sessions : map.speakers;
    return html`<p class="legend">${names.slice(0, 10).map((name, place) => html`<span><i style=${{ background: css(table[place % 256]) }}></i>${texts.roles[name] || name}</span>`)}
      ${names.length > 10 && html`<span class="muted">${texts.andMore(names.length - 10)}</span>`}<${Used} map=${map} /></p>`;
  }
  const [low, high] = texts.scaleEnds[colouring];
  const steps = [0, 64, 128, 191, 255].map((shade) => css(table[shade])).join(", ");
  return html`<p class="legend"><span>${low}</span><span class="scale" style=${{ background: `linear-gradient(to right, ${steps})` }}></span><span>${high}</span><${Used} map=${map} /></p>`;
}

const Used = ({ map }) => html`<span class="grow"></span><${Lights} /><span>${texts.slotsUsed(number(map.count), number(map.slots))}</span>`;
