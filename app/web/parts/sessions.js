// The list of sessions: a new one, another one, none any more.
import { at, get, patch, remove } from "../api.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "../html.js";
import { tell } from "../news.js";
import { address, go } from "../place.js";
import { texts } from "../texts.js";
import { date, isAway, isNobody, Pending, Trouble, useAsked } from "./asking.js";
import { TypedConfirmation } from "./confirmation.js";

export async function forgetSession(user, session) {
  await remove(at`/v1/users/${user}/sessions/${session}`);
  tell({ user, kind: "changed", session });
}

export const named = (one) => one.title || one.session_id;

const AT_ONCE = 200;

/** The newest sessions, as many pages of them as were wanted. @returns what `useAsked` does, with `more` where there are more. */
export function useSessions(user) {
  const [pages, setPages] = useState(1);
  const asked = useAsked(async (signal) => {
    const sessions = [];
    let cursor;
    for (let page = 0; page < pages; page++) {
      const found = await get(at`/v1/users/${user}/sessions`, { limit: AT_ONCE, cursor }, signal);
      sessions.push(...found.sessions);
      cursor = found.next_cursor;
      if (!cursor) break;
    }
    return { sessions, rest: Boolean(cursor) };
  }, [user, pages]);
  return { ...asked, more: asked.value?.rest ? () => setPages(pages + 1) : null };
}

function Renaming({ user, session, close }) {
  const [title, setTitle] = useState(session.title || "");
  const [problem, setProblem] = useState(null);
  const box = useRef(null);
  useEffect(() => {
    box.current.focus();
    box.current.closest("li").scrollIntoView({ block: "nearest", inline: "nearest" });
  }, []);
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
      <input id="session-title" maxlength="128" value=${title} placeholder=${session.session_id} dir="auto"
        ref=${box} onInput=${(event) => setTitle(event.target.value)} />
      <div class="row"><button class="primary">${texts.save}</button><button type="button" onClick=${close}>${texts.cancel}</button></div>
      <${Trouble} problem=${problem} />
    </form>`;
}

export function Sessions({ user, current, begun, sessions, fresh }) {
  const [leaving, setLeaving] = useState(null);
  const [renaming, setRenaming] = useState(null);
  const list = isNobody(sessions.problem) ? [] : sessions.value?.sessions || [];
  const here = list.find(({ session_id }) => session_id === current);
  const shown = useRef(null);
  const rename = useRef(null);
  useLayoutEffect(() => shown.current?.scrollIntoView({ block: "nearest", inline: "nearest" }), [current, Boolean(here)]);
  function renamed() {
    setRenaming(null);
    sessions.again();
    requestAnimationFrame(() => rename.current?.focus());
  }
  return html`
    <section class="sessions" aria-label=${texts.sessions}>
      <div class="row">
        <h2 class="grow">${texts.sessions}</h2>
        <button class="primary" onClick=${fresh}>${texts.newSession}</button>
      </div>
      ${!isNobody(sessions.problem) && !isAway(sessions.problem) && html`<${Trouble} problem=${sessions.problem} again=${sessions.again} />`}
      <ul>
        ${!here && html`<li class="current"><a href=${address(user, "chat", current)} aria-current="true"><b>${begun ? current : texts.thisSession}</b></a></li>`}
        ${list.map((one) => html`
          <li key=${one.session_id} class=${one.session_id === current ? "current" : ""} ref=${one.session_id === current ? shown : undefined}>
            <a href=${address(user, "chat", one.session_id)} aria-current=${one.session_id === current ? "true" : undefined}>
              <b title=${one.session_id} dir="auto">${named(one)}</b>
              <span class="muted small">${texts.sessionFacts(one.messages, date(one.last_at))}</span>
            </a>
            ${one.session_id === current && (renaming === current
              ? html`<${Renaming} user=${user} session=${one} close=${renamed} />`
              : html`<div class="row small">
                  <button class="link" ref=${rename} onClick=${() => setRenaming(current)} aria-label=${texts.renameSession}>${texts.rename}</button>
                  <button class="link danger" onClick=${() => setLeaving(one)} aria-label=${texts.forgetSession}>${texts.forget}</button>
                </div>`)}
          </li>`)}
        ${sessions.more && html`<li><button onClick=${sessions.more}>${texts.olderSessions}</button></li>`}
      </ul>
      <${Pending} asked=${sessions} />
      ${leaving && html`<${TypedConfirmation} title=${texts.forgetSession} word=${named(leaving)}
        says=${texts.forgetSessionSays(leaving.messages)} close=${() => setLeaving(null)}
        confirmed=${async () => {
          await forgetSession(user, leaving.session_id);
          go(user, "chat");
          sessions.again();
        }} />`}
    </section>`;
}
