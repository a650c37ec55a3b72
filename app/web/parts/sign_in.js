// Signing in with a key. It is handed to `api.js` and kept nowhere else.
import { html, useState } from "../html.js";
import { texts } from "../texts.js";

export function SignIn({ detail, enter }) {
  const [key, setKey] = useState("");
  function submit(event) {
    event.preventDefault();
    if (key.trim()) enter(key.trim());
  }
  return html`
    <section class="sign-in panel">
      <h1>${texts.signInTitle}</h1>
      <p>${texts.signInWhy}</p>
      ${detail && html`<p class="problem" role="alert">${texts.signInSaid(detail)}</p>`}
      <form onSubmit=${submit}>
        <label for="key">${texts.key}</label>
        <input id="key" type="password" value=${key} autocomplete="off" spellcheck=${false}
          onInput=${(event) => setKey(event.target.value)} />
        <button class="primary" disabled=${!key.trim()}>${texts.signIn}</button>
      </form>
      <p class="muted">${texts.signInKept}</p>
    </section>`;
}
