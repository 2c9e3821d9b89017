// A box for JSON, filled with a row of the right shape.

import { element } from "./element.js";

export function makeJson({ input_schema: schema }, changed) {
  const shape = shapeOf(schema);
  const problem = element("p", { class: "reason", role: "alert", hidden: true });
  const box = element("textarea", { rows: 12, spellcheck: "false", "aria-label": "The request's body, JSON" });
  const fill = (number) => () => {
    box.value = JSON.stringify({ inputs: filled(shape, number) }).replaceAll(",", ", "); // so that lines break there
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
        element("span", { class: "quiet" }, shape ? `One row is ${shape.join(" × ") || "one number"} ${whole ? "whole numbers" : "numbers"}.` : "One row, as its schema says."),
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

function filled([size, ...inner], number) {
  return size === undefined ? number() : Array.from({ length: size }, () => filled(inner, number));
}
