// What cannot be taken back is confirmed by typing the name of what goes.
import { html, useEffect, useRef, useState } from "../html.js";
import { texts } from "../texts.js";
import { Trouble } from "./asking.js";

export function TypedConfirmation({ title, says, word, confirmed, close }) {
  const dialog = useRef(null);
  const [typed, setTyped] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(null);
  useEffect(() => dialog.current.showModal(), []);
  async function submit(event) {
    event.preventDefault();
    if (typed !== word || busy) return;
    setBusy(true);
    try {
      await confirmed();
      dialog.current?.close();
    } catch (error) {
      setProblem(error);
      setBusy(false);
    }
  }
  return html`
    <dialog ref=${dialog} onClose=${close} aria-labelledby="confirmation-title">
      <form onSubmit=${submit}>
        <h2 id="confirmation-title">${title}</h2>
        <p>${says}</p>
        <label for="confirmation">${texts.typeToConfirm(word)}</label>
        <input id="confirmation" value=${typed} autocomplete="off" spellcheck=${false} onInput=${(event) => setTyped(event.target.value)} />
        <${Trouble} problem=${problem} />
        <div class="row end">
          <button type="button" onClick=${() => dialog.current.close()}>${texts.cancel}</button>
          <button class="primary danger" disabled=${typed !== word || busy}>${busy ? texts.working : title}</button>
        </div>
      </form>
    </dialog>`;
}
