// What a map's lights mean.
import { html } from "../html.js";
import { texts } from "../texts.js";

export const Lights = () => html`<span class="light"><i class="light-read"></i>${texts.lights.read}</span><span class="light"><i class="light-written"></i>${texts.lights.written}</span>`;
