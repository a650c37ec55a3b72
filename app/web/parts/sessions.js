// The list of sessions: a new one, another one, none any more.
import { at, remove } from "../api.js";
import { html, useState } from "../html.js";
import { tell } from "../news.js";
import { address, go } from "../place.js";
import { texts } from "../texts.js";
import { isNobody, moment, Trouble } from "./asking.js";
import { TypedConfirmation } from "./confirmation.js";

export async function forgetSession(user, session) {
  await remove(at`/v1/users/${user}/sessions/${session}`);
  tell({ user, kind: "changed", session });
}

export function Sessions({ user, current, sessions, fresh }) {
  const [leaving, setLeaving] = useState(null);
  const list = isNobody(sessions.problem) ? [] : sessions.value?.sessions || [];
  const here = list.find(({ session_id }) => session_id === current);
  return html`
    <section class="sessions" aria-label=${texts.sessions}>
      <div class="row">
        <h2 class="grow">${texts.sessions}</h2>
        <button class="primary" onClick=${fresh}>${texts.newSession}</button>
      </div>
      ${!isNobody(sessions.problem) && html`<${Trouble} problem=${sessions.problem} again=${sessions.again} />`}
      <ul>
        ${!here && html`<li class="current"><a href=${address(user, "chat", current)} aria-current="true"><b>${texts.thisSession}</b></a></li>`}
        ${list.map((one) => html`
          <li key=${one.session_id} class=${one.session_id === current ? "current" : ""}>
            <a href=${address(user, "chat", one.session_id)} aria-current=${one.session_id === current ? "true" : undefined}>
              <b>${one.session_id}</b>
              <span class="muted small">${texts.sessionFacts(one.messages, moment(one.last_at))}</span>
            </a>
          </li>`)}
      </ul>
      ${here && html`<div class="row small">
        <button class="link danger" onClick=${() => setLeaving(here)}>${texts.forgetSession}</button>
      </div>`}
      ${leaving && html`<${TypedConfirmation} title=${texts.forgetSession} word=${leaving.session_id}
        says=${texts.forgetSessionSays(leaving.messages)} close=${() => setLeaving(null)}
        confirmed=${async () => {
          await forgetSession(user, leaving.session_id);
          go(user, "chat");
          sessions.again();
        }} />`}
    </section>`;
}
