// The few signs, drawn on a grid of 20.
import { html } from "../html.js";

const LINES = {
  chat: "M3 4h14v9H9l-4 3v-3H3z",
  map: "M3 3h4v4H3zM9 3h4v4H9zM15 3h2v4h-2zM3 9h4v4H3zM9 9h4v4H9zM15 9h2v4h-2zM3 15h4v2H3zM9 15h4v2H9z",
  why: "M7 7.2a3 3 0 1 1 4.2 2.7c-.8.4-1.2 1-1.2 2.1M10 15v.6",
  timeline: "M5 3v14M5 5.5h9M5 10h11M5 14.5h7",
  keeping: "M3 4h14v3H3zM4.5 7v9h11V7M8 10.5h4",
  operator: "M3 16V4M3 16h14M6 13l3.2-4 2.8 2 4-6",
  "theme-system": "M3 4h14v9H3zM8 16.5h4M10 13v3",
  "theme-light": "M10 6.5a3.5 3.5 0 1 0 0 7a3.5 3.5 0 1 0 0-7M10 2v1.6M10 16.4V18M2 10h1.6M16.4 10H18M4.4 4.4l1 1M14.6 14.6l1 1M4.4 15.6l1-1M14.6 5.4l1-1",
  "theme-dark": "M15.5 12.2A6.5 6.5 0 0 1 7.8 4.5a6.5 6.5 0 1 0 7.7 7.7z",
};

export function icon(name) {
  if (name === "brand") {
    return html`<svg viewBox="0 0 20 20" width="22" height="22" aria-hidden="true" class="brand-sign">
      ${[0.45, 1, 0.3, 0.85, 0.4, 1, 0.3, 0.7, 0.5].map((opacity, place) => html`
        <rect x=${2 + 5.6 * (place % 3)} y=${2 + 5.6 * Math.floor(place / 3)} width="4.6" height="4.6" rx="0.8" opacity=${opacity} />`)}
    </svg>`;
  }
  return html`<svg viewBox="0 0 20 20" width="20" height="20" aria-hidden="true" fill="none" stroke="currentColor"
    stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round"><path d=${LINES[name]} /></svg>`;
}
