// The frame around the views: who is looked at, where to go, signing in, and what waits to be forgotten.
import { isSignedIn, onKeyWanted, Problem, signIn } from "./api.js";
import { SECONDS, takeBack, takeRepliesToo, useWaiting } from "./forgetting.js";
import { html, render, useEffect, useRef, useState } from "./html.js";
import { Trouble } from "./parts/asking.js";
import { icon } from "./parts/icons.js";
import { address, go, usePlace } from "./place.js";
import { SignIn } from "./parts/sign_in.js";
import { texts } from "./texts.js";

const VIEWS = ["chat", "map", "why", "timeline", "keeping", "operator"];
const AWAY = new Problem(0, { detail: "" });
const THEMES = ["system", "light", "dark"];

function Page() {
  const place = usePlace();
  const [loaded, setLoaded] = useState({});
  const [wanted, setWanted] = useState(null);
  const [entered, setEntered] = useState(0);
  const [tries, setTries] = useState(0);
  const main = useRef(null);
  const name = VIEWS.includes(place.view) ? place.view : "chat";

  useEffect(() => onKeyWanted((problem) => setWanted(problem.detail || "")), []);
  useEffect(() => {
    let late = false;
    const again = tries ? `?again=${tries}` : ""; // a module that failed is not fetched again under its name
    import(`./views/${name}.js${again}`).then(
      (module) => late || setLoaded({ name, View: module.default }),
      () => late || setLoaded({ name, problem: AWAY }),
    );
    document.title = `${texts.views[name]} · Mneme`;
    return () => (late = true);
  }, [name, tries]);

  function enter(key) {
    signIn(key);
    setWanted(null);
    setEntered(entered + 1);
  }

  function shown() {
    if (loaded.name !== name) return html`<p class="muted">${texts.loading}</p>`;
    if (loaded.problem) return html`<${Trouble} problem=${loaded.problem} again=${() => { setLoaded({}); setTries(tries + 1); }} />`;
    return html`<${loaded.View} key=${`${place.user} ${entered}`} user=${place.user} more=${place.more} />`;
  }

  return html`
    <button class="skip" onClick=${() => main.current.focus()}>${texts.skip}</button>
    <header class="top">
      <a class="brand" href=${address(place.user, "chat")}>${icon("brand")}<span>Mneme</span></a>
      <${Whose} user=${place.user} view=${name} />
      <${Theme} />
      ${isSignedIn() && html`<button onClick=${() => enter(null)}>${texts.signOut}</button>`}
    </header>
    <nav class="views" aria-label=${texts.viewsLabel}>
      ${VIEWS.map((view) => html`
        <a href=${address(place.user, view)} aria-current=${view === name ? "page" : undefined}>
          ${icon(view)}<span>${texts.views[view]}</span>
        </a>`)}
    </nav>
    <main ref=${main} tabindex="-1" id=${`view-${name}`}>
      ${wanted !== null ? html`<${SignIn} detail=${wanted} enter=${enter} />` : shown()}
    </main>
    <${Waiting} />`;
}

function Whose({ user, view }) {
  const [name, setName] = useState(user);
  useEffect(() => setName(user), [user]);
  function submit(event) {
    event.preventDefault();
    if (!name.trim()) setName(user);
    else if (name !== user && event.currentTarget.form?.checkValidity() !== false) go(name.trim(), view);
  }
  return html`
    <form class="whose" onSubmit=${submit}>
      <label for="whose">${texts.whose}</label>
      <input id="whose" value=${name} maxlength="128" pattern="[A-Za-z0-9._:@\\-]+" title=${texts.userRule}
        autocomplete="off" spellcheck=${false} onInput=${(event) => setName(event.target.value)} onBlur=${submit} />
    </form>`;
}

function Theme() {
  const [theme, setTheme] = useState(() => localStorage.getItem("theme") || "system");
  useEffect(() => {
    localStorage.setItem("theme", theme);
    document.documentElement.dataset.theme = theme;
  }, [theme]);
  return html`
    <button class="theme" onClick=${() => setTheme(THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length])}
      aria-label=${texts.themeLabel(texts.themes[theme])} title=${texts.themeLabel(texts.themes[theme])}>
      ${icon(`theme-${theme}`)}
    </button>`;
}

function Waiting() {
  const waiting = [...useWaiting().values()];
  const [, tick] = useState(0);
  useEffect(() => {
    if (!waiting.length) return undefined;
    const timer = setInterval(() => tick((count) => count + 1), 500);
    return () => clearInterval(timer);
  }, [waiting.length]);
  return html`
    <div class="toasts" role="status" aria-live="polite">
      ${waiting.map((one) => {
        const left = Math.max(0, Math.ceil((one.until - Date.now()) / 1000));
        return html`
          <div class="toast" key=${one.messageId}>
            <span class="grow">${one.failed ? texts.forgetFailed(one.failed) : texts.forgetting(one.label)}</span>
            ${one.going && !one.failed
              ? null
              : html`<button class="primary" onClick=${() => takeBack(one.messageId)}>
                  ${one.failed ? texts.close : texts.undo}
                  ${one.failed ? null : html`<span aria-hidden="true"> ${left}</span>`}
                </button>`}
            ${one.replies > 0 && !one.going && html`<label class="with-replies"><input type="checkbox" checked=${one.withReplies}
                onChange=${(event) => takeRepliesToo(one.messageId, event.target.checked)} />${texts.repliesToo(one.replies)}</label>`}
            ${one.failed ? null : html`<progress aria-hidden="true" max=${SECONDS} value=${left}></progress>`}
          </div>`;
      })}
    </div>`;
}

const box = document.getElementById("page");
box.replaceChildren();
render(html`<${Page} />`, box);
