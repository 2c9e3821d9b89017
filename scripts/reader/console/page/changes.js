// The journal: what was changed, by whom, how it went and what it cost.

import { element, keep, replaceWith } from "./element.js";
import { agoText, countText, secondsText } from "./format.js";

const MARKS = { done: "✓", failed: "✕", "rolled back": "↺", aborted: "↺" };

/** Show the changes, newest first. */
export function showChanges(list, count, { changes, total }) {
  count.textContent = total > changes.length ? `the latest ${changes.length} of ${countText(total)}` : "";
  if (!changes.length) {
    replaceWith(list, element("li", { class: "empty" }, "Nothing has been changed yet. A swap, roll-back, scaling or retirement will be listed here."));
    return;
  }
  keep(list, changes, {
    key: (change) => change.when ?? `line ${change.line}`,
    make: (change) => (change.outcome === "unreadable" ? unreadable(change) : told(change)),
    update: (item, change) => {
      const time = item.querySelector("time");
      if (time) time.textContent = agoText(Date.parse(change.when));
    },
  });
}

function told(change) {
  const { kind, name, outcome, reason, steps = [] } = change;
  return element("li", { class: "card change", "data-outcome": outcome },
    element("span", { class: "mark", "aria-hidden": "true" }, MARKS[outcome] ?? "!"),
    element("div", {},
      element("p", { class: "what" },
        element("b", {}, `${kind} ${name}`.trim()), " ", versions(change), " ",
        element("span", { class: "chip", "data-outcome": outcome }, outcome)),
      reason ? element("p", { class: "reason" }, reason) : null,
      element("p", { class: "quiet" }, cost(change)),
      steps.length ? element("details", {}, element("summary", {}, steps.length === 1 ? "1 step" : `${steps.length} steps`), stepList(steps)) : null,
    ),
    element("p", { class: "when quiet" },
      element("time", { datetime: change.when, title: change.when }), element("span", {}, `${change.user}@${change.host}`)),
  );
}

function versions({ from, to }) {
  const [before, after] = [from?.version, to?.version];
  if (!before && !after) return null;
  if (!before || !after || before === after) return element("span", { class: "route" }, after ?? before);
  return element("span", { class: "route" }, before, element("span", { "aria-label": "to" }, " → "), after);
}

function cost({ seconds, requests, failed, slowest_seconds: slowest }) {
  const parts = [`took ${secondsText(seconds)}`];
  if (requests) parts.push(`${countText(requests)} requests meanwhile`, `${countText(failed)} failed`, `slowest ${secondsText(slowest)}`);
  else if (requests === 0) parts.push("no requests meanwhile");
  return parts.join(" · ");
}

function stepList(steps) {
  return element("ol", { class: "steps" }, steps.map(({ name, seconds, ok }) =>
    element("li", { class: ok ? false : "bad" }, element("span", {}, ok ? name : `${name}: failed`), element("span", {}, secondsText(seconds)))));
}

function unreadable({ line, text }) {
  return element("li", { class: "card change", "data-outcome": "failed" },
    element("span", { class: "mark", "aria-hidden": "true" }, "!"),
    element("div", {}, element("p", { class: "what" }, `Line ${line} of the journal cannot be read.`), element("pre", { class: "quiet" }, text ?? "")));
}
