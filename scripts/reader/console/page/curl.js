// The same request as a line for a shell.

import { element } from "./element.js";

const LONGEST = 1500;

let saved = null; // the body that can be saved now

/** The line, with what copies it; a long body goes into a file that can be saved. */
export function curlLine({ body, file }, url) {
  const long = !file && body.length > LONGEST;
  const source = file ? `@${file}` : long ? "@request.json" : body;
  const line = `curl -s --data-binary ${quoted(source)} ${quoted(url)}`;
  const copy = element("button", { type: "button", class: "plain", onclick: () => copied(copy, line) }, "Copy");
  URL.revokeObjectURL(saved);
  saved = long ? URL.createObjectURL(new Blob([body])) : null;
  const save = long ? element("a", { class: "quiet", download: "request.json", href: saved }, "save request.json") : null;
  return [element("p", { class: "actions" }, element("span", { class: "quiet" }, "From a shell"), save, copy), element("pre", { tabindex: "0", "aria-label": "curl" }, line)];
}

async function copied(button, text) {
  await navigator.clipboard.writeText(text);
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
}

/** A word for a POSIX shell. */
export function quoted(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
