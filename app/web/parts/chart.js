// A small chart of the last minutes, drawn by uPlot, which is loaded when a chart is looked at.
import { html, useEffect, useRef, useState } from "../html.js";
import { isDark } from "./colours.js";

const COLOURS = { light: ["#4c35b8", "#a8510a"], dark: ["#b7a5ff", "#ffb45c"] };
const HEIGHT = 150;
const LEAST_SECONDS = 60;
const CLOCK = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });

let loading = null;
function load() {
  loading ??= (async () => {
    const style = Object.assign(document.createElement("link"), { rel: "stylesheet", href: "/web/vendor/uplot.css" });
    document.head.append(style);
    return (await import("../vendor/uplot.js")).default;
  })();
  return loading;
}

export function Chart({ title, times, lines }) {
  const box = useRef(null);
  const plot = useRef(null);
  const [Plot, setPlot] = useState(null);
  useEffect(() => void load().then((found) => setPlot(() => found)), []);
  useEffect(() => {
    if (!Plot || !box.current) return undefined;
    const dark = isDark();
    const style = getComputedStyle(box.current);
    const axis = { stroke: style.color, grid: { stroke: dark ? "#35313e" : "#e4e0ea", width: 1 }, ticks: { show: false }, font: "12px system-ui" };
    plot.current = new Plot({
      width: box.current.clientWidth,
      height: HEIGHT,
      cursor: { show: false },
      legend: { show: false },
      scales: { x: { range: (_, low, high) => [Math.min(low ?? Infinity, (high ?? Date.now() / 1000) - LEAST_SECONDS), high ?? Date.now() / 1000] }, y: { range: (_, low, high) => [0, Math.max(high || 0, 1) * 1.1] } },
      axes: [{ ...axis, space: 90, values: (_, times) => times.map((time) => CLOCK.format(1000 * time)) }, { ...axis, size: 46 }],
      series: [{}, ...lines.map(([label], place) => ({ label, stroke: COLOURS[dark ? "dark" : "light"][place], width: 2, spanGaps: true, points: { show: true, size: 4 } }))],
    }, [[], ...lines.map(() => [])], box.current);
    const watched = new ResizeObserver(() => box.current && plot.current.setSize({ width: box.current.clientWidth, height: HEIGHT }));
    watched.observe(box.current);
    return () => {
      watched.disconnect();
      plot.current.destroy();
    };
  }, [Plot]);
  useEffect(() => void plot.current?.setData([times, ...lines.map(([, values]) => values)]), [Plot, times]);
  const latest = lines.map(([label, values]) => `${label} ${values.at(-1) == null ? "–" : values.at(-1).toPrecision(3)}`).join(", ");
  return html`
    <figure class="chart">
      <figcaption><b>${title}</b> <span class="muted small">${latest}</span></figcaption>
      <div ref=${box} class="plot" role="img" aria-label=${`${title}: ${latest}`}></div>
    </figure>`;
}
