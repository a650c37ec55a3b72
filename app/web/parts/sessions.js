// The list of sessions: a new one, another one, none any more.
import { at, patch, remove } from "../api.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { tell } from "../news.js";
import { address, go } from "../place.js";
import { texts } from "../texts.js";
import { isNobody, moment, Trouble } from "./asking.js";
import { TypedConfirmation } from "./confirmation.js";

export async function forgetSession(user, session) {
  await remove(at`/v1/users/${user}/sessions/${session}`);
  tell({ user, kind: "changed", session });
}

const named = (one) => one.title || one.session_id;

function Renaming({ user, session, close }) {
  const [title, setTitle] = useState(session.title || "");
  const [problem, setProblem] = useState(null);
  const box = useRef(null);
  useEffect(() => box.current.focus(), []);
  async function submit(event) {
    event.preventDefault();
    try {
      await patch(at`/v1/users/${user}/sessions/${session.session_id}`, { title: title.trim() || null });
      tell({ user, kind: "renamed", session: session.session_id });
      close();
    } catch (error) {
      setProblem(error);
    }
  }
  return html`
    <form class="renaming" onSubmit=${submit} onKeyDown=${(event) => event.key === "Escape" && close()}>
      <label for="session-title">${texts.renameLabel}</label>
      <input id="session-title" maxlength="128" value=${title} placeholder=${session.session_id}
        ref=${box} onInput=${(event) => setTitle(event.target.value)} />
      <div class="row"><button class="primary">${texts.save}</button><button type="button" onClick=${close}>${texts.cancel}</button></div>
      <${Trouble} problem=${problem} />
    </form>`;
}

export function Sessions({ user, current, sessions, fresh }) {
  const [leaving, setLeaving] = useState(null);
  const [renaming, setRenaming] = useState(null);
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
              <b title=${one.session_id}>${named(one)}</b>
              <span class="muted small">${texts.sessionFacts(one.messages, moment(one.last_at))}</span>
            </a>
          </li>`)}
      </ul>
      ${here && renaming !== current && html`<div class="row small">
        <button class="link" onClick=${() => setRenaming(current)}>${texts.renameSession}</button>
        <button class="link danger" onClick=${() => setLeaving(here)}>${texts.forgetSession}</button>
      </div>`}
      ${here && renaming === current && html`<${Renaming} key=${current} user=${user} session=${here} close=${() => { setRenaming(null); sessions.again(); }} />`}
      ${leaving && html`<${TypedConfirmation} title=${texts.forgetSession} word=${leaving.session_id}
        says=${texts.forgetSessionSays(leaving.messages)} close=${() => setLeaving(null)}
        confirmed=${async () => {
          await forgetSession(user, leaving.session_id);
          go(user, "chat");
          sessions.again();
        }} />`}
    </section>`;
}
