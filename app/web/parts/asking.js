// Asking the service from a view: what came, that it is on its way, or what went wrong.
import { html, useCallback, useEffect, useRef, useState } from "../html.js";
import { texts } from "../texts.js";

/** @returns {{value, problem, busy, again}} of `ask(signal)`, asked anew when an input changes or on `again()`. */
export function useAsked(ask, inputs) {
  const [state, setState] = useState({ value: null, problem: null, busy: true });
  const last = useRef(null);
  const again = useCallback(() => {
    last.current?.abort();
    const mine = (last.current = new AbortController());
    setState((was) => ({ ...was, busy: true }));
    return ask(mine.signal).then(
      (value) => mine.signal.aborted || setState({ value, problem: null, busy: false }),
      (problem) => mine.signal.aborted || setState((was) => ({ ...was, problem, busy: false })),
    );
  }, inputs);
  useEffect(() => {
    again();
    return () => last.current?.abort();
  }, [again]);
  return { ...state, again };
}

export function said(problem) {
  if (isAway(problem)) return texts.noAnswer;
  return problem.message || texts.wentWrong(problem.status);
}

/** What went wrong; that there is no such user yet is no mishap. */
export function Trouble({ problem, again }) {
  if (!problem || problem.status === 401) return null;
  return html`<p class="problem" role="alert">${said(problem)} ${again && html`<button onClick=${again}>${texts.tryAgain}</button>`}</p>`;
}

/** That something is on its way, while there is nothing older to show. */
export function Pending({ asked }) {
  return asked.busy && !asked.value && !asked.problem ? html`<p class="muted pending" role="status">${texts.loading}</p>` : null;
}

export function Empty({ children }) {
  return html`<p class="empty">${children}</p>`;
}

export const isNobody = (problem) => problem?.status === 404;

/** Whether the service does not answer: of a view's parts only the main one says so. */
export const isAway = (problem) => problem?.status === 0;

const DAY = new Intl.DateTimeFormat("en-GB", { dateStyle: "long" });
const MOMENT = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });
const CLOCK = new Intl.DateTimeFormat("en-GB", { timeStyle: "short" });
const NUMBER = new Intl.NumberFormat("en");

export const day = (iso) => DAY.format(new Date(iso));
const DATE = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium" });
export const date = (iso) => DATE.format(new Date(iso));
export const moment = (iso) => MOMENT.format(new Date(iso));
export const clock = (iso) => CLOCK.format(new Date(iso));
export const number = (value) => NUMBER.format(value);
export const percent = (share) => `${share > 0 && share < 0.01 ? "<1" : Math.round(100 * share)} %`;

export function size(bytes) {
  const step = bytes >= 2 ** 30 ? 3 : bytes >= 2 ** 20 ? 2 : bytes >= 2 ** 10 ? 1 : 0;
  return `${(bytes / 1024 ** step).toFixed(step ? 1 : 0)} ${["B", "KB", "MB", "GB"][step]}`;
}
