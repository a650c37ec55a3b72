// Signing in with a key. It is handed to `api.js` and kept nowhere else.
import { isSignedIn } from "../api.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { texts } from "../texts.js";

export function SignIn({ detail, enter }) {
  const [key, setKey] = useState("");
  const field = useRef(null);
  useEffect(() => field.current.focus(), []);
  function submit(event) {
    event.preventDefault();
    if (key.trim()) enter(key.trim());
  }
  return html`
    <section class="sign-in panel">
      <h1>${texts.signInTitle}</h1>
      <p>${texts.signInWhy} <code>mneme keys create</code></p>
      ${detail && isSignedIn() && html`<p class="problem" role="alert">${texts.signInSaid(detail)}</p>`}
      <form onSubmit=${submit}>
        <label for="key">${texts.key}</label>
        <input id="key" ref=${field} type="password" value=${key} autocomplete="off" spellcheck=${false}
          onInput=${(event) => setKey(event.target.value)} />
        <button class="primary" disabled=${!key.trim()}>${texts.signIn}</button>
      </form>
      <p class="muted">${texts.signInKept}</p>
    </section>`;
}
