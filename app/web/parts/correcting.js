// Correcting a message: another text in its place. The old one is forgotten, the new one counts as remembered last.
import { at, call } from "../api.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { tell } from "../news.js";
import { texts } from "../texts.js";
import { Trouble } from "./asking.js";

export function Correcting({ user, message, close }) {
  const [text, setText] = useState(message.content);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(null);
  const box = useRef(null);
  useEffect(() => box.current.focus(), []);
  async function submit(event) {
    event.preventDefault();
    if (busy || !text.trim() || text === message.content) return;
    setBusy(true);
    try {
      await call("PATCH", at`/v1/users/${user}/messages/${message.id}`, { json: { content: text } });
      close();
      tell({ user, kind: "changed" });
    } catch (error) {
      setProblem(error);
      setBusy(false);
    }
  }
  return html`
    <form class="correcting" onSubmit=${submit} onKeyDown=${(event) => event.key === "Escape" && close()}>
      <label for=${`correct-${message.id}`}>${texts.correctedText}</label>
      <textarea id=${`correct-${message.id}`} ref=${box} rows="3" maxlength="32000" dir="auto" value=${text} onInput=${(event) => setText(event.target.value)}></textarea>
      <p class="muted small">${texts.correctSays}</p>
      <${Trouble} problem=${problem} />
      <div class="row"><button class="primary" disabled=${busy || !text.trim() || text === message.content}>${busy ? texts.working : texts.correct}</button>
        <button type="button" onClick=${close}>${texts.cancel}</button></div>
    </form>`;
}
