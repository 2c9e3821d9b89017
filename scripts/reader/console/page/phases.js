// Where time went, as one bar.

import { element } from "./element.js";
import { secondsText } from "./format.js";

/** A bar of phases in proportion, with what each took. */
export function phaseBar(phases) {
  const all = phases.reduce((sum, { seconds }) => sum + seconds, 0) || 1;
  const bar = element("div", { class: "bar", "aria-hidden": "true" });
  const legend = element("ul", { class: "legend" });
  for (const { phase, seconds } of phases) {
    const part = element("span", { "data-phase": phase });
    part.style.flexGrow = seconds / all;
    bar.append(part);
    legend.append(element("li", {}, element("span", { class: "swatch", "data-phase": phase, "aria-hidden": "true" }),
      `${phase} `, element("b", {}, secondsText(seconds))));
  }
  return element("div", {}, bar, legend);
}
