// The map on a canvas: a pixel a slot in a picture that is drawn large, so that a hundred thousand cost no more than ten.
// What was just read or written glows for a few seconds above it.
import { html, useEffect, useLayoutEffect, useRef } from "../html.js";
import { shades, isNamed } from "../memory_map.js";
import { LIGHTS, palette } from "./colours.js";

const GLOW_SECONDS = 6;
const MOST_ZOOM = 48; // of a cell's side, in pixels
const GAP_FROM = 6; // pixels of a cell's side from which cells are set apart

/** @param look a ref that gets {glow, zoom, select}; `chosen` a slot; `hovered`, `opened` are told slots. */
export function Cells({ map, colouring, label, chosen = null, hovered, opened, look, small = false }) {
  const canvas = useRef(null);
  const drawing = useRef(null);
  useLayoutEffect(() => {
    drawing.current = new Drawing(canvas.current, small);
    if (look) look.current = drawing.current;
    const watched = new ResizeObserver(() => drawing.current.resize());
    watched.observe(canvas.current);
    const themed = new MutationObserver(() => drawing.current.paint());
    themed.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    const system = matchMedia("(prefers-color-scheme: dark)");
    const turned = () => drawing.current.paint();
    system.addEventListener("change", turned);
    return () => {
      watched.disconnect();
      themed.disconnect();
      system.removeEventListener("change", turned);
      drawing.current.stop();
    };
  }, []);
  useLayoutEffect(() => drawing.current.show(map, colouring), [map, colouring]);
  useEffect(() => drawing.current.choose(chosen), [chosen]);

  const press = useRef(null);
  function down(event) {
    press.current = { x: event.clientX, y: event.clientY, moved: false };
    canvas.current.setPointerCapture(event.pointerId);
  }
  function move(event) {
    const from = press.current;
    if (from) {
      if (Math.hypot(event.clientX - from.x, event.clientY - from.y) > 3) from.moved = true;
      if (from.moved) {
        drawing.current.pan(event.movementX, event.movementY);
        return;
      }
    }
    hovered?.(drawing.current.slotAt(event.offsetX, event.offsetY), event);
  }
  function up(event) {
    if (press.current && !press.current.moved) opened?.(drawing.current.slotAt(event.offsetX, event.offsetY));
    press.current = null;
  }
  function wheel(event) {
    event.preventDefault();
    drawing.current.zoom(event.deltaY < 0 ? 1.25 : 0.8, event.offsetX, event.offsetY);
  }
  useEffect(() => {
    if (small) return undefined;
    const here = canvas.current;
    here.addEventListener("wheel", wheel, { passive: false });
    return () => here.removeEventListener("wheel", wheel);
  }, []);
  return small
    ? html`<canvas ref=${canvas} class="cells small" role="img" aria-label=${label}></canvas>`
    : html`<canvas ref=${canvas} class="cells" role="img" aria-label=${label} onPointerDown=${down} onPointerMove=${move}
        onPointerUp=${up} onPointerLeave=${() => hovered?.(null)}></canvas>`;
}

class Drawing {
  constructor(canvas, small) {
    Object.assign(this, { canvas, small, map: null, chosen: null, glowing: new Map(), frame: 0, scale: 1, x: 0, y: 0 });
    this.context = canvas.getContext("2d", { alpha: false });
    this.picture = document.createElement("canvas");
    this.resize();
  }

  resize() {
    const ratio = devicePixelRatio || 1;
    this.width = this.canvas.clientWidth;
    this.height = this.canvas.clientHeight;
    this.canvas.width = Math.round(this.width * ratio);
    this.canvas.height = Math.round(this.height * ratio);
    this.ratio = ratio;
    if (this.map) this.paint(true);
  }

  show(map, colouring) {
    this.fit = !this.map || this.map.slots !== map?.slots;
    this.map = map;
    this.colouring = colouring;
    if (map) this.paint(this.fit);
  }

  /** Puts a pixel for every slot into the picture. */
  paint(fit = false) {
    if (!this.map || !this.width || !this.height) return;
    const began = performance.now();
    const { map } = this;
    this.columns = Math.max(1, Math.ceil(Math.sqrt((map.slots * this.width) / this.height)));
    this.lines = Math.ceil(map.slots / this.columns);
    const { table, free, theme } = palette(isNamed(this.colouring));
    this.theme = theme;
    const pixels = new Uint32Array(this.columns * this.lines);
    pixels.fill(free, 0, map.slots);
    const shade = shades(map, this.colouring);
    map.columns.slot.forEach((slot, row) => (pixels[slot] = table[shade[row]]));
    this.picture.width = this.columns;
    this.picture.height = this.lines;
    const data = new ImageData(new Uint8ClampedArray(pixels.buffer), this.columns, this.lines);
    this.picture.getContext("2d").putImageData(data, 0, 0);
    this.whole = Math.min(this.width / this.columns, this.height / this.lines);
    if (fit) [this.scale, this.x, this.y] = [this.whole, 0, 0];
    this.draw();
    performance.measure("map painted", { start: began, end: performance.now() });
  }

  draw() {
    cancelAnimationFrame(this.frame);
    const { context, scale, ratio, x, y } = this;
    const style = getComputedStyle(this.canvas);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.fillStyle = style.backgroundColor;
    context.fillRect(0, 0, this.width, this.height);
    if (!this.map) return;
    context.imageSmoothingEnabled = scale < 1;
    context.drawImage(this.picture, x, y, this.columns * scale, this.lines * scale);
    if (scale >= GAP_FROM) this.drawGaps(style.backgroundColor);
    const now = performance.now();
    for (const [slot, light] of this.glowing) {
      const left = 1 - (now - light.since) / 1000 / GLOW_SECONDS;
      if (left <= 0) this.glowing.delete(slot);
      else this.drawGlow(slot, light, left);
    }
    if (this.chosen !== null) this.outline(this.chosen, style.color);
    if (this.glowing.size) this.frame = requestAnimationFrame(() => this.draw());
  }

  drawGaps(colour) {
    const { context, scale, x, y } = this;
    context.fillStyle = colour;
    for (let column = Math.max(0, Math.floor(-x / scale)); column <= this.columns && x + column * scale < this.width; column++) {
      context.fillRect(x + column * scale - 0.5, y, 1, this.lines * scale);
    }
    for (let line = Math.max(0, Math.floor(-y / scale)); line <= this.lines && y + line * scale < this.height; line++) {
      context.fillRect(x, y + line * scale - 0.5, this.columns * scale, 1);
    }
  }

  drawGlow(slot, { kind, weight }, left) {
    const { context } = this;
    const [x, y] = this.cornerOf(slot);
    const side = Math.max(this.scale, 5);
    const middle = [x + this.scale / 2, y + this.scale / 2];
    context.globalAlpha = left;
    context.fillStyle = context.strokeStyle = LIGHTS[this.theme][kind];
    context.fillRect(middle[0] - side / 2, middle[1] - side / 2, side, side);
    context.lineWidth = 2;
    context.beginPath();
    context.arc(middle[0], middle[1], side / 2 + 4 + 10 * Math.sqrt(weight) * (1.4 - left), 0, 7);
    context.stroke();
    context.globalAlpha = 1;
  }

  outline(slot, colour) {
    const [x, y] = this.cornerOf(slot);
    const side = Math.max(this.scale, 6);
    this.context.strokeStyle = colour;
    this.context.lineWidth = 2;
    this.context.strokeRect(x + (this.scale - side) / 2 - 1, y + (this.scale - side) / 2 - 1, side + 2, side + 2);
  }

  cornerOf(slot) {
    return [this.x + (slot % this.columns) * this.scale, this.y + Math.floor(slot / this.columns) * this.scale];
  }

  slotAt(x, y) {
    if (!this.map) return null;
    const column = Math.floor((x - this.x) / this.scale);
    const slot = Math.floor((y - this.y) / this.scale) * this.columns + column;
    return column >= 0 && column < this.columns && slot >= 0 && slot < this.map.slots ? slot : null;
  }

  /** Slots [slot, weight] light up as read or written. */
  glow(kind, slots) {
    for (const [slot, weight] of slots) this.glowing.set(slot, { kind, weight, since: performance.now() });
    this.draw();
  }

  choose(slot) {
    this.chosen = slot;
    if (slot !== null && this.map) {
      const [x, y] = this.cornerOf(slot);
      if (x < 0 || y < 0 || x > this.width - this.scale || y > this.height - this.scale) this.pan(this.width / 2 - x, this.height / 2 - y);
    }
    this.draw();
  }

  zoom(by, x = this.width / 2, y = this.height / 2) {
    const scale = Math.min(Math.max(this.scale * by, this.whole), Math.max(MOST_ZOOM, this.whole));
    this.x = x - ((x - this.x) * scale) / this.scale;
    this.y = y - ((y - this.y) * scale) / this.scale;
    this.scale = scale;
    this.pan(0, 0);
  }

  pan(x, y) {
    const room = (at, length, side) => Math.min(0, Math.max(at, side - length));
    this.x = room(this.x + x, this.columns * this.scale, this.width);
    this.y = room(this.y + y, this.lines * this.scale, this.height);
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.draw());
  }

  stop() {
    cancelAnimationFrame(this.frame);
    this.map = null;
  }
}
