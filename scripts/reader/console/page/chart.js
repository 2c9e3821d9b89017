// Small line charts of the last minutes, one line per series, drawn as SVG.

import { drawn, element, say } from "./element.js";

const WIDTH = 300;
const HEIGHT = 64;
const SHOWN_SECONDS = 300;

/** A chart with its title and the value at its top; `drawChart` fills it. */
export function makeChart(title, ...more) {
  return element("figure", { class: "chart" },
    element("figcaption", {}, element("span", {}, title), ...more, element("b", { class: "peak" })),
    drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": title }),
    element("p", { class: "axis", "aria-hidden": "true" }, element("span", {}, "5 min ago"), element("span", {}, "now")),
  );
}

/** `series`: { class, points: [{ at, value }] } each; a value of null is a gap. `text` says a value. */
export function drawChart(figure, series, now, text) {
  const values = series.flatMap(({ points }) => points.map(({ value }) => value)).filter((value) => value !== null);
  const peak = Math.max(0, ...values);
  const top = peak || 1;
  const place = ({ at, value }) => [
    (WIDTH * (1 - (now - at) / SHOWN_SECONDS)).toFixed(1),
    (HEIGHT - 2 - ((HEIGHT - 6) * value) / top).toFixed(1),
  ];
  const svg = figure.querySelector("svg");
  svg.replaceChildren(
    drawn("line", { class: "ground", x1: 0, x2: WIDTH, y1: HEIGHT - 2, y2: HEIGHT - 2 }),
    ...series.flatMap(({ class: kind, points }) =>
      runs(points).map((run) => drawn("polyline", { class: `line ${kind}`, points: run.map(place).join(" ") })),
    ),
  );
  say(figure.querySelector(".peak"), peak ? `peak ${text(peak)}` : "none");
  svg.setAttribute("aria-label", `${figure.querySelector("figcaption span").textContent}, last five minutes: `
    + (peak ? `peak ${text(peak)}` : "none"));
}

/** The stretches of points that have a value; a point alone becomes a short stroke. */
function runs(points) {
  const found = [[]];
  for (const point of points) {
    if (point.value === null) found.push([]);
    else found.at(-1).push(point);
  }
  return found
    .filter((run) => run.length)
    .map((run) => (run.length > 1 ? run : [{ ...run[0], at: run[0].at - 1 }, run[0]]));
}
