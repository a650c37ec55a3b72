// One tag for all markup: what is put into it becomes text and attributes, never HTML.
import { h, render, Fragment } from "./vendor/preact.js";
import htm from "./vendor/htm.js";

export const html = htm.bind(h);
export { render, Fragment };
export * from "./vendor/hooks.js";
