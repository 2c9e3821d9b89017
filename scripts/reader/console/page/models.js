// The models: a card each, with charts, and in it every version that is loaded, loading or could not be.

import { drawChart, makeChart } from "./chart.js";
import { element, keep, replaceWith, say } from "./element.js";
import { bytesText, countText, digits, numberText, rateText, secondsText } from "./format.js";
import { keyOf } from "./live.js";
import { phaseBar } from "./phases.js";

const STATES = { READY: "ready", DEGRADED: "fewer workers", LOADING: "loading", FAILED: "failed", STOPPED: "stopped" };
const SERIES = 4;

/** Whether clients get a version that has no worker to answer them, and none on its way. */
export const isDown = ({ default: isDefault, answers, state }) => isDefault && !answers && state !== "LOADING";

/** Show all models, with the figures of the chosen window. */
export function showModels(list, status, live, chosen, { onTry }) {
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
      updateModel(card, versions, live, chosen, onTry);
    },
  });
}

function nothingServed({ wants_versions: wantsVersions }) {
  if (wantsVersions) return element("p", { class: "empty" }, "No version is loaded yet.");
  return element("div", { class: "empty" },
    element("p", {}, "Nothing is served yet. Publish a checkpoint and make it the default:"),
    element("pre", {}, "statehouse publish checkpoint.pt --name NAME --version 1.0\nstatehouse swap NAME 1.0"),
  );
}

function makeModel(name) {
  return element("article", { class: "card model", "aria-label": `Model ${name}` },
    element("header", {}, element("h3", {}, name), element("p", { class: "quiet about" }), element("p", { class: "reason", hidden: true })),
    element("div", { class: "charts" }, makeChart("Requests per second", element("b", { class: "failing-key failing", hidden: true }, "red: failed")), makeChart("Latency, p50 and p99")),
    element("div", { class: "versions" }),
  );
}

function updateModel(card, versions, live, chosen, onTry) {
  const [shown] = [...versions].sort((one, other) => other.default - one.default);
  const about = [shown.task?.replaceAll("_", " "), shown.architecture].filter(Boolean).join(" · ");
  say(card.querySelector(".about"), about);
  const down = versions.find(isDown);
  card.classList.toggle("down", Boolean(down));
  const reason = card.querySelector("header .reason");
  say(reason, down ? `Requests that name no version are not answered: ${down.version}, the default, has no worker.` : "");
  reason.hidden = !down;
  const colours = coloursOf(card, versions);
  keep(card.querySelector(".versions"), versions, {
    key: keyOf,
    make: (version) => makeVersion(version, onTry),
    update: (row, version) => updateVersion(row, version, live.of(keyOf(version)), chosen, colours.get(version.version)),
  });
  updateCharts(card, versions, live, colours);
}

const colourMaps = new WeakMap(); // by card: a version keeps its colour while others come and go

function coloursOf(card, versions) {
  const before = colourMaps.get(card) ?? new Map();
  const colours = new Map(versions.filter(({ version }) => before.has(version)).map(({ version }) => [version, before.get(version)]));
  for (const { version } of versions) {
    const taken = new Set(colours.values());
    const free = Array.from({ length: SERIES }, (_, index) => index).find((index) => !taken.has(index));
    if (!colours.has(version)) colours.set(version, free ?? colours.size % SERIES);
  }
  colourMaps.set(card, colours);
  return colours;
}

function updateCharts(card, versions, live, colours) {
  const [rates, latencies] = card.querySelectorAll(".chart");
  const now = live.told.at_seconds;
  const line = (version, name, more = "") => ({ class: `series-${colours.get(version.version)}${more}`, points: live.course(keyOf(version), name) });
  const failing = versions.filter((version) => live.of(keyOf(version))?.course?.failed_per_second.some((rate) => rate > 0));
  drawChart(rates, [
    ...versions.map((version) => line(version, "requests_per_second")),
    ...failing.map((version) => ({ ...line(version, "failed_per_second"), class: "failing" })),
  ], now, (rate) => `${rateText(rate)}/s`);
  drawChart(latencies, versions.flatMap((version) => [line(version, "p99_seconds", " faint"), line(version, "p50_seconds")]), now, secondsText);
  card.querySelector(".failing-key").hidden = !failing.length;
}

// -- a version

const NUMBERS = [
  ["rate", "requests/s"], ["requests", "requests"], ["p50", "p50"], ["p95", "p95"], ["p99", "p99"], ["batch", "requests/batch"],
  ["failed", "failed (5xx)"], ["refused", "refused (4xx)"], ["flight", "rows in work"], ["queued", "queued"],
  ["workers", "workers"], ["memory", "memory"],
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
    element("p", { class: "quiet newer-code", hidden: true }),
    element("dl", { class: "numbers" },
      NUMBERS.map(([key, title]) => element("div", { "data-number": key }, element("dt", {}, title), element("dd", {}, "–")))),
    element("details", {},
      element("summary", {}, "Workers and phases"),
      element("div", { class: "phases" }),
      element("p", { class: "quiet optimizations", hidden: true }),
      element("p", { class: "quiet row-proof", hidden: true }),
      element("p", { class: "quiet batches" }),
      element("p", { class: "quiet pids" }),
    ),
  );
}

function updateVersion(row, version, counted, chosen, colour) {
  row.querySelector(".key").className = `key series-${colour}`;
  row.querySelector(".default").hidden = !version.default;
  const condition = row.querySelector(".condition");
  const lost = !version.answers && version.state === "DEGRADED";
  say(condition, lost ? "no worker" : STATES[version.state] ?? version.state);
  condition.dataset.state = lost ? "FAILED" : version.state;
  const digest = row.querySelector(".digest");
  say(digest, version.digest?.slice(0, 12) ?? "");
  digest.title = version.digest ? `digest ${version.digest}` : "";
  const reason = row.querySelector(".reason");
  say(reason, version.reason ?? "");
  reason.hidden = !version.reason;
  const newerCode = row.querySelector(".newer-code");
  say(newerCode, version.code_changed ?? "");
  newerCode.hidden = !version.code_changed;
  reason.classList.toggle("mild", version.answers || version.state === "LOADING");
  row.querySelector(".links a:last-child").hidden = !["READY", "DEGRADED"].includes(version.state);
  const figures = counted?.figures[chosen];
  updateNumbers(row, version, counted, figures);
  updatePhases(row.querySelector(".phases"), Object.entries(figures?.phase_seconds ?? {}).map(([phase, seconds]) => ({ phase, seconds })));
  const optimizations = version.settings?.optimizations ?? [];
  const told = row.querySelector(".optimizations");
  say(told, `The module is optimized: ${optimizations.join(", ")}.`);
  told.hidden = !optimizations.length;
  updateRowProof(row.querySelector(".row-proof"), version.row_proof);
  updateWorkers(row, version);
}

function updateRowProof(place, proof) {
  place.hidden = !proof;
  if (!proof) return;
  const alone = proof.row_by_row ? "; each row is computed alone" : "";
  const sizes = proof.batch_sizes.join(", ") || "none";
  say(place, `Proved at publish: an answer is its row's alone. ${proof.rows} rows, batches of ${sizes}, ${proof.tolerance} allowed${alone}.`);
}

function updateNumbers(row, version, counted, figures) {
  const texts = {
    rate: rateText(figures?.requests_per_second),
    requests: countText(figures?.requests),
    p50: secondsText(figures?.p50_seconds),
    p95: secondsText(figures?.p95_seconds),
    p99: secondsText(figures?.p99_seconds),
    batch: numberText(figures?.requests_per_batch),
    failed: countText(figures?.failed),
    refused: countText(figures?.refused),
    flight: countText(counted?.rows_in_flight),
    queued: countText(counted?.queued_requests),
    workers: `${version.workers.ready} of ${version.workers.desired}`,
    memory: bytesText(version.memory_bytes),
  };
  const list = row.querySelector(".numbers");
  for (const [key, text] of Object.entries(texts)) say(list.querySelector(`[data-number="${key}"] dd`), text);
  list.title = figures ? `counted over ${secondsText(Math.round(figures.seconds))}` : "";
  list.querySelector('[data-number="requests"]').title = figures ? figures.requests.toLocaleString("en") : "";
  list.querySelector('[data-number="failed"]').classList.toggle("bad", figures?.failed > 0);
  list.querySelector('[data-number="workers"]').classList.toggle("bad", version.workers.ready < version.workers.desired);
}

function updatePhases(place, phases) {
  const all = phases.reduce((sum, { seconds }) => sum + seconds, 0);
  place.hidden = !all;
  if (all) place.replaceChildren(element("p", { class: "quiet" }, "Where the time in the worker goes, on average:"), phaseBar(phases));
}

function updateWorkers(row, { settings, workers }) {
  const { batch_size: size, threads } = settings;
  say(row.querySelector(".batches"), `A worker takes what is waiting, up to ${manyOf(size, "request")}, as one batch, and computes it with ${manyOf(threads, "thread")}.`);
  const pids = workers.pids.filter(Boolean);
  say(row.querySelector(".pids"), pids.length ? `Process ids: ${pids.join(", ")}` : "No process yet.");
}

const manyOf = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

// -- all versions together

/** The tiles above the models. */
export function showTotals(list, live, chosen) {
  const all = live.told.all[chosen];
  const { failed, refused, requests } = all;
  const tiles = [
    ["Requests/s", rateText(all.requests_per_second), `${countText(requests)} in all`],
    ["p50", secondsText(all.p50_seconds), `p95 ${secondsText(all.p95_seconds)}`],
    ["p99", secondsText(all.p99_seconds), "in the worker"],
    ["Failed", countText(failed), requests ? `${digits((100 * failed) / requests)} % · ${countText(refused)} refused` : "no requests"],
    ["Rows in work", countText(live.sum((each) => each.rows_in_flight)), `${countText(live.sum((each) => each.queued_requests))} requests queued`],
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
