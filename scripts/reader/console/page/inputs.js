// From a version's input schema to something to fill in: fields, a place for an image, a box for text, or one for JSON.
// Each has a `node` and `request()`: { body, type, file } to be sent, or null while there is nothing to send; then
// `missing()` says what there is to do first.

import { makeFields } from "./fields.js";
import { makeImage } from "./image.js";
import { makeJson } from "./json.js";
import { makeText } from "./text.js";

const FIELD_TYPES = ["number", "integer", "boolean", "string"];

/** `description` is what `data/models/NAME/VERSION` says; `changed` is called when the request has become another. */
export function makeInput(description, changed) {
  const { input_schema: schema } = description;
  if (schema.type === "string") return makeText(description, changed);
  const named = schema.anyOf?.find(({ type }) => type === "object"); // the same row, shorter, is beside it
  if (named) return makeFields({ ...description, input_schema: named }, changed);
  const properties = Object.values(schema.properties ?? {});
  if (properties.length === 1 && properties[0].contentEncoding === "base64") return makeImage(description, changed);
  if (properties.length && properties.every(({ type }) => FIELD_TYPES.includes(type))) return makeFields(description, changed);
  return makeJson(description, changed);
}
