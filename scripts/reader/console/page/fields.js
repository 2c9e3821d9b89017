// A form with one field per property: numbers within their bounds, choices, texts.

import { element } from "./element.js";

export function makeFields({ input_schema: schema, task_config: task }, changed) {
  const known = new Map((task?.features ?? []).map((feature) => [feature.name, feature]));
  const required = schema.required ?? Object.keys(schema.properties);
  const fields = Object.entries(schema.properties)
    .map(([name, property]) => makeField(name, property, required.includes(name), known.get(name)));
  const fill = (value) => () => {
    for (const field of fields) field.set(value(field));
    changed();
  };
  return {
    node: element("div", {},
      element("p", { class: "actions" },
        element("span", { class: "quiet" }, `${fields.length} fields, filled with what is usual.`),
        element("button", { type: "button", class: "plain", onclick: fill((field) => field.usual()) }, "Usual"),
        element("button", { type: "button", class: "plain", onclick: fill((field) => field.random()) }, "Random")),
      element("div", { class: "fields" }, fields.map(({ node }) => node))),
    missing: () => null, // the browser itself says which field
    request: () => {
      const inputs = Object.fromEntries(fields.map(({ name, value }) => [name, value()]));
      return { body: JSON.stringify({ inputs }), type: "application/json" };
    },
  };
}

function makeField(name, property, required, feature) {
  const kind = property.enum ? makeChoice(property, required) : property.type === "boolean" ? makeChoice({ enum: [false, true] }, true)
    : property.type === "string" ? makeText(name === "text_pair" ? 1 : 0) : makeNumber(property, feature);
  kind.control.id = `field-${name}`;
  kind.control.name = name;
  kind.control.required = required;
  const hint = kind.hint ? element("small", { id: `hint-${name}` }, kind.hint) : null;
  if (hint) kind.control.setAttribute("aria-describedby", hint.id);
  const node = element("div", { class: kind.wide ? "wide" : null }, element("label", { for: kind.control.id, title: name }, name), kind.control, hint);
  return { name, node, ...kind };
}

function makeChoice({ enum: choices }, required) {
  const values = required ? choices : [undefined, ...choices]; // JSON leaves out what is undefined
  const control = element("select", {}, values.map((value, index) => element("option", { value: index }, value === undefined ? "as usual" : String(value))));
  return {
    control,
    value: () => values[Number(control.value)],
    set: (value) => { control.value = String(values.indexOf(value)); },
    usual: () => values[0],
    random: () => values[Math.floor(Math.random() * values.length)],
  };
}

const TEXTS = [
  "The train to the coast leaves at nine and arrives before noon.",
  "Please send the report again; the last page could not be read.",
  "Fresh bread, two apples and a bottle of water are enough for the walk.",
];

function makeText(place) {
  const control = element("input", { type: "text", value: TEXTS[place] });
  return {
    control,
    wide: true,
    value: () => control.value,
    set: (value) => { control.value = value; },
    usual: () => TEXTS[place],
    random: () => TEXTS[Math.floor(Math.random() * TEXTS.length)],
  };
}

function makeNumber({ type, minimum, maximum }, feature) {
  const whole = type === "integer";
  const middle = feature?.mean ?? minimum ?? 0;
  const spread = feature?.std ?? 1;
  const fitting = (number) => {
    const bounded = Math.min(Math.max(number, minimum ?? -Infinity), maximum ?? Infinity);
    return whole ? Math.round(bounded) : Number(bounded.toPrecision(4));
  };
  const control = element("input", {
    type: "number", inputmode: "decimal", step: whole ? 1 : "any", min: minimum, max: maximum, value: fitting(middle),
  });
  return {
    control,
    hint: boundsText(minimum, maximum),
    value: () => (control.value === "" ? null : Number(control.value)),
    set: (value) => { control.value = value; },
    usual: () => fitting(middle),
    random: () => fitting(middle + spread * normal()),
  };
}

function boundsText(minimum, maximum) {
  if (minimum === undefined && maximum === undefined) return null;
  if (maximum === undefined) return `from ${minimum}`;
  return minimum === undefined ? `up to ${maximum}` : `${minimum} to ${maximum}`;
}

function normal() {
  return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
}
