// One slot whole: what it holds, who said it when, its word pieces by rarity, its usage over time, and the chain of
// links before and after it, which can be walked.
import { at, get } from "../api.js";
import { useWaiting } from "../forgetting.js";
import { html } from "../html.js";
import { address } from "../place.js";
import { texts } from "../texts.js";
import { Pending, percent, Trouble, useAsked } from "./asking.js";
import { ForgetButton } from "./buttons.js";
import { Who } from "./recollections.js";
import { UsageCurve } from "./usage_curve.js";

async function whole(user, slot, signal) {
  const one = await get(at`/v1/users/${user}/memory/slots/${slot}`, {}, signal);
  const near = [...one.links.before.slice(0, 3), ...one.links.after.slice(0, 3)].map((link) => link.slot);
  const others = new Map(await Promise.all([...new Set(near)].map(async (number) => [
    number, await get(at`/v1/users/${user}/memory/slots/${number}`, {}, signal).catch(() => null),
  ])));
  const usage = await get(at`/v1/users/${user}/memory/slots/${slot}/usage`, {}, signal);
  return { one, others, usage };
}

export function SlotPage({ user, slot, version, close }) {
  const asked = useAsked((signal) => whole(user, slot, signal), [user, slot, version]);
  const waiting = useWaiting();
  const found = asked.value;
  return html`
    <section class="slot-page panel" aria-label=${texts.slot(slot)}>
      <div class="row">
        <h2 class="grow">${texts.slot(slot)}</h2>
        <button onClick=${close}>${texts.close}</button>
      </div>
      <${Pending} asked=${asked} />
      ${asked.problem?.status === 404 ? html`<p class="empty">${texts.slotEmpty}</p>` : html`<${Trouble} problem=${asked.problem} again=${asked.again} />`}
      ${found && !asked.problem && html`
        ${[found.one, ...found.one.shared_with].map((held) => html`
          <article class="held">
            <p class="quote" dir="auto">${waiting.has(held.message_id) ? texts.goingQuote : held.text}</p>
            <p class="muted small"><${Who} one=${held} /> · <a href=${address(user, "chat", held.session_id, held.message_id)}>${texts.showInSession}</a>
              ${" · "}<${ForgetButton} user=${user} id=${held.message_id} text=${held.text} /></p>
            <dl class="facts">
              <div><dt>${texts.colourings.usage}</dt><dd>${percent(held.usage)}</dd></div>
              <div><dt>${texts.colourings.strength}</dt><dd>${percent(held.strength)}</dd></div>
              <div><dt>${texts.colourings.reads}</dt><dd>${held.reads}</dd></div>
              ${held.part > 0 && html`<div><dt>${texts.part}</dt><dd>${held.part + 1}</dd></div>`}
            </dl>
          </article>`)}
        <h3>${texts.usageOverTime}</h3>
        <${UsageCurve} usage=${found.usage} />
        <h3>${texts.pieces}</h3>
        <p class="muted small">${texts.piecesSay}</p>
        <p class="pieces">${found.one.pieces.map((piece, place) => html`<code style=${{ opacity: Math.max(0.72, 1 - place / 60) }}>${piece}</code>`)}</p>
        <h3>${texts.chain}</h3>
        <ol class="chain">
          ${found.one.links.before.slice(0, 3).reverse().map((link) => html`<${Step} user=${user} link=${link} other=${found.others.get(link.slot)} way="before" />`)}
          <li class="here"><b>${texts.slot(slot)}</b><p class="quote" dir="auto">${found.one.text}</p></li>
          ${found.one.links.after.slice(0, 3).map((link) => html`<${Step} user=${user} link=${link} other=${found.others.get(link.slot)} way="after" />`)}
        </ol>`}
    </section>`;
}

function Step({ user, link, other, way }) {
  return html`<li class=${way}>
    <a href=${address(user, "map", "slot", link.slot)}>${way === "before" ? "↑" : "↓"} ${texts.slot(link.slot)}</a>
    <span class="muted small"> ${percent(link.weight)} </span><p class="quote" dir="auto">${other?.text}</p>
  </li>`;
}
