// The small map beside the chat: what a message reads and writes lights up while it happens.
import { html, useEffect, useRef } from "../html.js";
import { loadMap } from "../memory_map.js";
import { useNews } from "../news.js";
import { address } from "../place.js";
import { texts } from "../texts.js";
import { isAway, isNobody, number, Trouble, useAsked } from "./asking.js";
import { Cells } from "./cells.js";
import { Lights } from "./lights.js";

export function LiveMap({ user }) {
  const map = useAsked((signal) => loadMap(user, signal), [user]);
  const look = useRef(null);
  const owed = useRef([]);
  useNews(user, (news) => {
    if (news.kind === "read") look.current?.glow("read", news.slots);
    else {
      if (news.slots?.length) owed.current.push(...news.slots);
      map.again();
    }
  }, [map.again]);
  useEffect(() => {
    if (map.value && owed.current.length) look.current.glow("written", owed.current.splice(0));
  }, [map.value]);
  const { value } = map;
  return html`
    <div class="live-map">
      <${Cells} small=${true} map=${value} colouring="usage" look=${look}
        label=${value ? texts.mapLabel(number(value.count), number(value.slots), texts.colourings.usage) : texts.loading} />
      ${isNobody(map.problem)
        ? html`<p class="muted small">${texts.nothingYet}</p>`
        : !isAway(map.problem) && html`<${Trouble} problem=${map.problem} again=${map.again} />`}
      ${value && html`<p class="muted small">${texts.slotsUsed(number(value.count), number(value.slots))} <a href=${address(user, "map")}>${texts.openMap}</a></p>
        <p class="legend"><${Lights} /></p>`}
    </div>`;
}
