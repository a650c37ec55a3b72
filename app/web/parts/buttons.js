// Two buttons that stand beside many texts: copying one, and forgetting one, which is the way back while it waits.
import { forget, takeBack, useWaiting } from "../forgetting.js";
import { html, useState } from "../html.js";
import { texts } from "../texts.js";

const TOLD_MILLISECONDS = 1500;

/** Whether the text is in the clipboard. A page that came over plain HTTP from another machine may only copy a selection. */
async function copy(text) {
  if (navigator.clipboard) {
    return navigator.clipboard.writeText(text).then(() => true, () => false);
  }
  const field = Object.assign(document.createElement("textarea"), { value: text, className: "unseen" });
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  return done;
}

export function CopyButton({ text, name = texts.copy, label, kind = "link" }) {
  const [done, setDone] = useState(null);
  async function press(event) {
    const button = event.currentTarget;
    setDone(await copy(text()));
    button.focus();
    setTimeout(() => setDone(null), TOLD_MILLISECONDS);
  }
  const told = done === null ? name : done ? texts.copied : texts.notCopied;
  return html`<button class=${kind} onClick=${press} aria-label=${done === null ? label : undefined}>${told}</button>`;
}

/** The same button before and after, so that it keeps the keyboard's focus. */
export function ForgetButton({ user, id, text }) {
  const waits = useWaiting().has(id);
  return html`<button class=${`link${waits ? "" : " danger"}`} onClick=${() => (waits ? takeBack(id) : forget(user, id, text))}
    aria-label=${waits ? texts.undoThis(text) : texts.forgetThis(text)}>${waits ? texts.undo : texts.forget}</button>`;
}
