// The list of sessions: a new one, another one, another name, none any more.
import { at, call, get, has, remove } from "../api.js";
import { html, useState } from "../html.js";
import { tell } from "../news.js";
import { address, go } from "../place.js";
import { texts } from "../texts.js";
import { isNobody, moment, Trouble } from "./asking.js";
import { TypedConfirmation } from "./confirmation.js";

const ONE = "/v1/users/{user_id}/sessions/{session_id}";

/** Forgets a session: by the route for it, or message by message where the service has none. */
export async function forgetSession(user, session) {
  if (await has("DELETE", ONE)) await remove(at`/v1/users/${user}/sessions/${session}`);
  else {
    for (;;) {
      const page = await get(at`/v1/users/${user}/sessions/${session}/messages`, { limit: 100 }).catch((problem) => {
        if (problem.status === 404) return { messages: [] };
        throw problem;
      });
      if (!page.messages.length) break;
      for (const { id } of page.messages) await remove(at`/v1/users/${user}/messages/${id}`);
    }
  }
  tell({ user, kind: "changed", session });
}

export function Sessions({ user, current, sessions, fresh }) {
  const [leaving, setLeaving] = useState(null);
  const [naming, setNaming] = useState(null);
  const list = isNobody(sessions.problem) ? [] : sessions.value?.sessions || [];
  const here = list.find(({ session_id }) => session_id === current);
  const title = (one) => one.title || one.session_id;

  async function startNaming() {
    if (await has("PATCH", ONE)) setNaming({ session_id: current, text: here.title || "" });
    else setNaming({ impossible: true });
  }
  async function rename(event) {
    event.preventDefault();
    await call("PATCH", at`/v1/users/${user}/sessions/${naming.session_id}`, { json: { title: naming.text.trim() || null } });
    setNaming(null);
    sessions.again();
  }
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
              <b>${title(one)}</b>
              <span class="muted small">${texts.sessionFacts(one.messages, moment(one.last_at))}</span>
            </a>
          </li>`)}
      </ul>
      ${here && html`<div class="row small">
        <button class="link" onClick=${startNaming}>${texts.rename}</button>
        <button class="link danger" onClick=${() => setLeaving(here)}>${texts.forgetSession}</button>
      </div>`}
      ${naming?.impossible && html`<p class="muted small" role="status">${texts.noRename}</p>`}
      ${naming && !naming.impossible && html`<form class="row" onSubmit=${rename}>
        <label class="unseen" for="session-title">${texts.sessionTitle}</label>
        <input id="session-title" maxlength="200" value=${naming.text} onInput=${(event) => setNaming({ ...naming, text: event.target.value })} />
        <button class="primary">${texts.save}</button>
      </form>`}
      ${leaving && html`<${TypedConfirmation} title=${texts.forgetSession} word=${leaving.session_id}
        says=${texts.forgetSessionSays(leaving.messages)} close=${() => setLeaving(null)}
        confirmed=${async () => {
          await forgetSession(user, leaving.session_id);
          go(user, "chat");
          sessions.again();
        }} />`}
    </section>`;
}
