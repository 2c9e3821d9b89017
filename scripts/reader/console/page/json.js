// A box for JSON, filled with a row of the right shape.

import { element } from "./element.js";

export function makeJson({ input_schema: schema }, changed) {
  const isArray = ["array", "number", "integer"].includes(schema.type); // else a row of several inputs
  const shape = isArray ? shapeOf(schema) : null;
  const problem = element("p", { class: "reason", role: "alert", hidden: true });
  const box = element("textarea", { rows: 12, spellcheck: "false", "aria-label": "The request's body, JSON" });
  const fill = (number) => () => {
    box.value = JSON.stringify({ inputs: filled(schema, number) }).replaceAll(",", ", "); // so that lines break there
    check();
    changed();
  };
  const whole = leafOf(schema).type === "integer";

  function check() {
    const wrong = problemOf(box.value);
    problem.textContent = wrong ?? "";
    problem.hidden = !wrong;
    return !wrong;
  }

  box.addEventListener("input", check);
  fill(() => 0)();
  return {
    node: element("div", { class: "json" },
      element("p", { class: "actions" },
        element("span", { class: "quiet" }, shape ? `One row is ${shape.join(" × ") || "one number"} ${whole ? "whole numbers" : "numbers"}.` : "One row, as its schema says; an image is a single pixel."),
        element("button", { type: "button", class: "plain", onclick: fill(() => 0) }, "Zeros"),
        element("button", { type: "button", class: "plain", onclick: fill(whole ? bit : number) }, "Random")),
      box, problem),
    missing: () => (box.value.trim() ? problemOf(box.value) : "There is no input yet: write JSON, or take zeros or random numbers."),
    request: () => (problemOf(box.value) ? null : { body: box.value, type: "application/json" }),
  };
}

const bit = () => Math.round(Math.random());
const number = () => Number((Math.random() * 2 - 1).toFixed(3));

function problemOf(text) {
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    return `This is no JSON: ${error.message}`;
  }
}

function leafOf(schema) {
  return schema.type === "array" ? leafOf(schema.items) : schema;
}

function shapeOf(schema) {
  return schema.type === "array" ? [schema.minItems ?? 1, ...shapeOf(schema.items)] : [];
}

const PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGNoaGgAAAMEAYFL09IQAAAAAElFTkSuQmCC"; // a PNG

/** A row that the schema allows, each number as `number` makes it, within its bounds. */
function filled(schema, number) {
  const { type, enum: choices, anyOf, minItems, minimum = -Infinity, maximum = Infinity } = schema;
  if (anyOf) return filled(anyOf[0], number);
  if (choices) return choices[0];
  if (type === "array") return Array.from({ length: minItems ?? 1 }, () => filled(schema.items, number));
  if (type === "object") return Object.fromEntries((schema.required ?? []).map((name) => [name, filled(schema.properties[name], number)]));
  if (type === "string") return schema.contentEncoding === "base64" ? PIXEL : "a text";
  if (type === "boolean") return Boolean(Math.round(number()));
  if (type === "number" || type === "integer") return Math.min(maximum, Math.max(minimum, type === "integer" ? Math.round(number()) : number()));
  return null; // any JSON: only who sends it knows
}
