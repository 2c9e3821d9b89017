// What a tried request got: the answer, or what was wrong; and where the time went.

import { element } from "./element.js";
import { countText, digits, secondsText } from "./format.js";
import { phaseBar } from "./phases.js";

const SHOWN_NUMBERS = 24;
const FIRST_NUMBERS = 8;
const SHOWN_ROWS = 20;
const LONGEST_TEXT = 20_000;

/** Show an answer; null: that there is none yet. */
export function showAnswer(place, answer) {
  if (!answer) {
    place.replaceChildren(element("p", { class: "empty" }, "The answer will be here, with where its time went."));
    return;
  }
  const { status, headers, text } = answer;
  const told = parsed(text);
  place.replaceChildren(element("div", {},
    element("p", { class: "status" },
      element("span", { class: "chip", "data-outcome": status < 400 ? "done" : "failed" }, String(status)),
      headers.get("x-model-version") ? element("span", {}, "by version ", element("b", {}, headers.get("x-model-version"))) : null,
      element("span", { class: "quiet" }, `in ${secondsText(answer.seconds)}`)),
    status < 400 ? result(told) : problem(told, text),
    timing(answer),
    element("details", {}, element("summary", {}, "The whole answer"), element("pre", { tabindex: "0" }, whole(told, text))),
  ));
}

export function showSending(place) {
  place.replaceChildren(element("p", { class: "empty" }, "Waiting for the answer …"));
}

/** There is nothing to send: what is missing. */
export function showMissing(place, missing) {
  place.replaceChildren(element("div", { class: "problem" }, element("h3", {}, "Nothing was sent"), element("p", {}, missing)));
  place.scrollIntoView({ block: "nearest" });
}

/** There was no answer at all. */
export function showFailure(place, error) {
  place.replaceChildren(element("div", { class: "problem" },
    element("h3", {}, "No answer"), element("p", {}, `The front does not answer (${error.message}). It may be stopping or starting.`)));
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function whole(told, text) {
  const shown = told === null ? text : JSON.stringify(told, null, 2);
  return shown.length > LONGEST_TEXT ? `${shown.slice(0, LONGEST_TEXT)}\n…` : shown;
}

// -- what the model says

function result(told) {
  if (told?.top_k) return ranking(told);
  if (typeof told?.value === "number") return element("p", { class: "verdict" }, element("b", {}, digits(told.value)));
  if (told?.embedding) return embedding(told.embedding);
  if (told?.spans) return found(told.spans, "Nothing was found in the text.");
  if (told?.detections) return found(told.detections, "Nothing was found in the image.");
  if (told?.outputs !== undefined) return numbers(told.outputs);
  if (Array.isArray(told?.predictions)) return several(told.predictions);
  return null;
}

function ranking({ label, top_k: ranked }) {
  return element("div", {},
    element("p", { class: "verdict" }, element("b", {}, label)),
    element("ul", { class: "ranking" }, ranked.map((each) => {
      const meter = element("span", { class: "meter", "aria-hidden": "true" }, element("span"));
      meter.firstChild.style.width = `${100 * each.score}%`;
      return element("li", {}, element("span", { class: "label" }, each.label), meter, element("span", { class: "score" }, percent(each.score)));
    })));
}

function percent(score) {
  if (score > 0 && score < 0.0005) return "< 0.1 %";
  return `${(100 * score).toFixed(1)} %`;
}

function numbers(outputs) {
  const flat = [outputs].flat(Infinity);
  const shown = flat.slice(0, SHOWN_NUMBERS).map((number) => digits(number)).join("  ");
  return element("p", { class: "outputs" }, flat.length > SHOWN_NUMBERS ? `${shown}  … ${countText(flat.length)} numbers` : shown);
}

/** A vector: how many numbers, how long it is, and the first of them. */
function embedding(vector) {
  return element("div", {},
    element("p", { class: "verdict" }, element("b", {}, `${countText(vector.length)} numbers`),
      element("span", { class: "quiet" }, ` of length ${digits(Math.hypot(...vector))}; the first:`)),
    element("p", { class: "outputs" }, firstOf(vector)));
}

function firstOf(vector) {
  const first = vector.slice(0, FIRST_NUMBERS).map((number) => Number(number.toPrecision(3))).join("  ");
  return vector.length > FIRST_NUMBERS ? `${first}  …` : first;
}

function found(pieces, none) {
  if (!pieces.length) return element("p", { class: "empty" }, none);
  return element("ul", { class: "ranking" },
    pieces.slice(0, SHOWN_ROWS).map(({ label, score, start, end, box }) => element("li", {},
      element("span", { class: "label" }, label), element("span", {}, box ? box.map(Math.round).join(", ") : `${start}–${end}`),
      element("span", { class: "score" }, percent(score)))),
    pieces.length > SHOWN_ROWS ? element("li", {}, `… ${countText(pieces.length)} in all`) : null);
}

function shortOf(row) {
  if (row.embedding) return `${countText(row.embedding.length)} numbers: ${firstOf(row.embedding.slice(0, 3))} …`;
  return row.label ?? JSON.stringify(row).slice(0, 80);
}

function several(predictions) {
  const rows = predictions.slice(0, SHOWN_ROWS).map((each, index) => element("li", {},
    element("span", { class: "label" }, `row ${index}`), element("span", {}, shortOf(each)),
    element("span", { class: "score" }, each.score === undefined ? "" : percent(each.score))));
  return element("ul", { class: "ranking" }, rows, predictions.length > SHOWN_ROWS ? element("li", {}, `… ${countText(predictions.length)} rows`) : null);
}

function problem(told, text) {
  const errors = (told?.errors ?? []).slice(0, SHOWN_ROWS);
  return element("div", { class: "problem" },
    element("h3", {}, told?.title ?? "Not answered"),
    element("p", {}, told?.detail ?? told?.message ?? text.slice(0, 500)),
    errors.length > 1 ? element("ul", {}, errors.map((error) => element("li", {}, error.detail ?? JSON.stringify(error)))) : null);
}

// -- where the time went

function timing({ headers, seconds }) {
  const told = serverTiming(headers.get("server-timing") ?? "");
  if (!told.total) return null;
  const phases = Object.entries(told.phases).map(([phase, value]) => ({ phase, seconds: value }));
  const around = { phase: "queue, front and network", seconds: Math.max(seconds - told.total, 0) };
  const shared = told.rows > 1 ? ` Its batch had ${told.rows} rows.` : "";
  return element("div", { class: "timing" },
    element("p", { class: "quiet" }, `Where the ${secondsText(seconds)} went.${shared}`),
    phaseBar([around, ...phases]));
}

/** `decode;dur=0.3, total;dur=1.2, rows;desc="1"`: seconds by phase, in all, and the rows of the batch. */
function serverTiming(header) {
  const told = { phases: {}, total: 0, rows: 0 };
  for (const [, name, key, value] of header.matchAll(/(\w+);(dur|desc)="?([\d.]+)"?/g)) {
    if (key === "desc") told.rows = Number(value);
    else if (name === "total") told.total = Number(value) / 1000;
    else told.phases[name] = Number(value) / 1000;
  }
  return told;
}
