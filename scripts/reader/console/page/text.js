// A box for a text, sent as it is.

import { element } from "./element.js";

export function makeText({ input_schema: schema }, changed) {
  const box = element("textarea", { rows: 6, maxlength: schema.maxLength, "aria-label": "The text", oninput: changed });
  box.value = "The train to the coast leaves at nine and arrives before noon.";
  return {
    node: element("div", { class: "json" }, element("p", { class: "quiet" }, "One text."), box),
    missing: () => "There is no text yet: write one first.",
    request: () => (box.value.trim() ? { body: box.value, type: "text/plain" } : null),
  };
}
