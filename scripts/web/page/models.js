// The models: a card each, with charts, and in it every version that is loaded, loading or could not be.

import { drawChart, makeChart } from "./chart.js";
import { element, keep, replaceWith, say } from "./element.js";
import { bytesText, countText, digits, rateText, secondsText } from "./format.js";
import { added, keyOf, percentile } from "./looks.js";
import { phaseBar } from "./phases.js";

const STATES = { READY: "ready", DEGRADED: "fewer workers", LOADING: "loading", FAILED: "failed", STOPPED: "stopped" };
const SERIES = 4;

/** Show all models; `happened` are the numbers of the chosen time, by version. */
export function showModels(list, status, looks, happened, { onTry }) {
  const names = [...new Set(status.models.map(({ name }) => name))];
  if (!names.length) {
    replaceWith(list, nothingServed(status));
    return;
  }
  keep(list, names, {
    key: (name) => name,
    make: makeModel,
    update: (card, name) => {
      const versions = status.models.filter((version) => version.name === name);
      updateModel(card, versions, looks, happened, onTry);
    },
  });
}

function nothingServed({ ready, missing }) {
  if (!ready && missing.length) return element("p", { class: "empty" }, "No version is loaded yet.");
  return element("div", { class: "empty" },
    element("p", {}, "Nothing is served yet. Publish a checkpoint and make it the default:"),
    element("pre", {}, "statehouse publish checkpoint.pt --name NAME --version 1.0\nstatehouse swap NAME 1.0"),
  );
}

function makeModel(name) {
  return element("article", { class: "card model", "aria-label": `Model ${name}` },
    element("header", {}, element("h3", {}, name), element("p", { class: "quiet about" })),
    element("div", { class: "charts" }, makeChart("Requests per second"), makeChart("Latency, p50 and p99")),
    element("div", { class: "versions" }),
  );
}

function updateModel(card, versions, looks, happened, onTry) {
  const [shown] = [...versions].sort((one, other) => other.default - one.default);
  const about = [shown.task?.replaceAll("_", " "), shown.architecture].filter(Boolean).join(" · ");
  say(card.querySelector(".about"), about);
  keep(card.querySelector(".versions"), versions, {
    key: keyOf,
    make: (version) => makeVersion(version, onTry),
    update: (row, version, index) => updateVersion(row, version, happened.get(keyOf(version)), index),
  });
  updateCharts(card, versions, looks);
}

function updateCharts(card, versions, looks) {
  const [rates, latencies] = card.querySelectorAll(".chart");
  const now = looks.latest?.at ?? 0;
  const courses = versions.map((version) => looks.course(keyOf(version)));
  card.querySelector(".charts").hidden = !courses.some((course) => course.some(({ requests }) => requests));
  const points = (course, value) => course.map((point) => ({ at: point.at, value: point[value] ?? null }));
  const named = (index) => `series-${index % SERIES}`;
  drawChart(rates, courses.map((course, index) => ({ class: named(index), points: points(course, "rate") })), now,
    (rate) => `${rateText(rate)}/s`);
  drawChart(latencies, courses.flatMap((course, index) => [
    { class: `${named(index)} faint`, points: points(course, "p99") },
    { class: named(index), points: points(course, "p50") },
  ]), now, secondsText);
}

// -- a version

const NUMBERS = [
  ["rate", "requests/s"], ["requests", "requests"], ["p50", "p50"], ["p95", "p95"], ["p99", "p99"],
  ["failed", "failed (5xx)"], ["refused", "refused (4xx)"], ["batch", "requests/batch"],
  ["flight", "in flight"], ["workers", "workers"], ["memory", "memory"],
];

function makeVersion({ name, version }, onTry) {
  return element("section", { class: "version", "aria-label": `${name} ${version}` },
    element("div", { class: "version-top" },
      element("h4", {}, element("span", { class: "key", "aria-hidden": "true" }), version),
      element("span", { class: "chip default" }, "default"),
      element("span", { class: "chip condition" }),
      element("code", { class: "digest" }),
      element("span", { class: "links" },
        element("a", { href: `data/models/${encodeURIComponent(name)}/${encodeURIComponent(version)}` }, "schema"),
        element("a", { href: "#try-it", onclick: () => onTry(name, version) }, "try it"),
      ),
    ),
    element("p", { class: "reason", hidden: true }),
    element("dl", { class: "numbers" },
      NUMBERS.map(([key, title]) => element("div", { "data-number": key }, element("dt", {}, title), element("dd", {}, "–")))),
    element("details", {},
      element("summary", {}, "Lanes and phases"),
      element("div", { class: "phases" }),
      element("p", { class: "quiet optimizations", hidden: true }),
      element("p", { class: "quiet" }, "Lanes: a request goes to the first that is enough for what is in flight."),
      element("div", { class: "scrolls", tabindex: "0", role: "region", "aria-label": `Lanes of ${name} ${version}` }, element("table", {},
        element("thead", {}, element("tr", {},
          ["batch size", "up to", "longest wait", "workers", "queued", "process ids"].map((title) => element("th", { scope: "col" }, title)))),
        element("tbody"))),
    ),
  );
}

function updateVersion(row, version, happened, index) {
  row.querySelector(".key").className = `key series-${index % SERIES}`;
  row.querySelector(".default").hidden = !version.default;
  const condition = row.querySelector(".condition");
  say(condition, STATES[version.state] ?? version.state);
  condition.dataset.state = version.state;
  const digest = row.querySelector(".digest");
  say(digest, version.digest?.slice(0, 12) ?? "");
  digest.title = version.digest ? `digest ${version.digest}` : "";
  const reason = row.querySelector(".reason");
  say(reason, version.reason ?? "");
  reason.hidden = !version.reason;
  row.querySelector(".links a:last-child").hidden = !["READY", "DEGRADED"].includes(version.state);
  updateNumbers(row, version, happened);
  updatePhases(row.querySelector(".phases"), happened?.phases ?? []);
  const optimizations = version.settings?.optimizations ?? [];
  const told = row.querySelector(".optimizations");
  say(told, `The module is optimized: ${optimizations.join(", ")}.`);
  told.hidden = !optimizations.length;
  updateLanes(row.querySelector("tbody"), version.lanes);
}

function updateNumbers(row, version, happened) {
  const texts = {
    rate: rateText(happened?.rate),
    requests: countText(happened?.requests),
    p50: secondsText(happened?.p50),
    p95: secondsText(happened?.p95),
    p99: secondsText(happened?.p99),
    failed: countText(happened?.failed),
    refused: countText(happened?.refused),
    batch: happened?.perBatch ? digits(happened.perBatch) : "–",
    flight: happened ? countText(happened.inFlight) : "–",
    workers: `${version.workers.ready} of ${version.workers.desired}`,
    memory: bytesText(version.memory_bytes),
  };
  for (const [key, text] of Object.entries(texts)) say(row.querySelector(`[data-number="${key}"] dd`), text);
  row.querySelector('[data-number="failed"]').classList.toggle("bad", happened?.failed > 0);
  row.querySelector('[data-number="workers"]').classList.toggle("bad", version.workers.ready < version.workers.desired);
  row.querySelector('[data-number="batch"]').hidden = !happened?.perBatch;
}

function updatePhases(place, phases) {
  const all = phases.reduce((sum, { seconds }) => sum + seconds, 0);
  place.hidden = !all;
  if (all) place.replaceChildren(element("p", { class: "quiet" }, "Where the time in the worker goes, on average:"), phaseBar(phases));
}

function updateLanes(body, lanes) {
  keep(body, lanes, {
    key: ({ batch_size: size }) => String(size),
    make: () => element("tr", {}, Array.from({ length: 6 }, () => element("td"))),
    update: (row, lane) => {
      const { ready, desired, pids } = lane.workers;
      const texts = [
        lane.batch_size, lane.up_to ?? "any", `${lane.max_batch_delay_ms} ms`, `${ready} of ${desired}`,
        lane.queued_requests, pids.filter(Boolean).join(", ") || "–",
      ];
      texts.forEach((text, index) => say(row.children[index], String(text)));
    },
  });
}

// -- all versions together

/** The tiles above the models. */
export function showTotals(list, looks, happened) {
  const all = [...happened.values()];
  const sum = (value) => all.reduce((total, each) => total + (value(each) ?? 0), 0);
  const latency = added(all.map((each) => each.latency));
  const failed = sum((each) => each.failed);
  const requests = sum((each) => each.requests);
  const waiting = [...(looks.latest?.versions.values() ?? [])];
  const tiles = [
    ["Requests/s", all.some((each) => each.rate !== null) ? rateText(sum((each) => each.rate)) : "–", `${countText(requests)} in all`],
    ["p50", secondsText(percentile(latency, 0.5)), `p95 ${secondsText(percentile(latency, 0.95))}`],
    ["p99", secondsText(percentile(latency, 0.99)), "in the worker"],
    ["Failed", countText(failed), requests ? `${digits((100 * failed) / requests)} % · ${countText(sum((each) => each.refused))} refused` : "no requests"],
    ["In flight", countText(waiting.reduce((total, each) => total + each.rows_in_flight, 0)),
      `${countText(waiting.reduce((total, each) => total + each.queued_requests, 0))} queued`],
  ];
  keep(list, tiles, {
    key: ([title]) => title,
    make: ([title]) => element("div", {}, element("dt", {}, title), element("dd", {}), element("dd", { class: "quiet" })),
    update: (tile, [title, text, more]) => {
      say(tile.children[1], text);
      say(tile.children[2], more);
      tile.classList.toggle("bad", title === "Failed" && failed > 0);
    },
  });
}
