// Try it: a request made from a version's own input schema, sent to the front as any client does, and its answer.

import { showAnswer, showFailure, showMissing, showSending } from "./answer.js";
import { curlLine } from "./curl.js";
import { element } from "./element.js";
import { makeInput } from "./inputs.js";
import { read } from "./server.js";

const WORKING = ["READY", "DEGRADED"];

export class TryIt {
  #parts;
  #status = null;
  #shown = null; // which version's form stands there, and which content of it
  #takes = null; // what it takes
  #input = null;
  #offered = null;
  #wanted = new URLSearchParams(location.search).get("version");

  constructor(parts) {
    this.#parts = parts;
    parts.select.addEventListener("change", () => this.#showForm());
    parts.form.addEventListener("input", () => this.#showCurl());
    parts.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
  }

  /** Offer what works now; what is chosen, and what was typed, stays. */
  async offer(status) {
    this.#status = status;
    const { select } = this.#parts;
    const chosen = this.#wanted ?? select.value;
    const options = status.models.filter(({ state }) => WORKING.includes(state)).flatMap(({ name, version, default: isDefault }) => [
      ...(isDefault ? [{ value: name, text: `${name} (default, ${version})` }] : []),
      { value: `${name}/${version}`, text: `${name} ${version}` },
    ]);
    if (JSON.stringify(options) !== this.#offered) { // an open list is left alone
      this.#offered = JSON.stringify(options);
      select.replaceChildren(...options.map(({ value, text }) => element("option", { value }, text)));
      select.disabled = !options.length;
    }
    if (options.some(({ value }) => value === chosen)) {
      select.value = chosen;
      this.#wanted = null;
    }
    await this.#showForm();
  }

  async choose(name, version) {
    this.#parts.select.value = `${name}/${version}`;
    await this.#showForm();
  }

  async #showForm() {
    const version = this.#version();
    const identity = version ? `${this.#parts.select.value} ${version.version} ${version.digest}` : "";
    if (identity === this.#shown) return;
    this.#shown = identity;
    this.#parts.form.inert = true; // what stands there is not yet for what is chosen
    try {
      const description = version ? await read(`models/${encodeURIComponent(version.name)}/${encodeURIComponent(version.version)}`) : null;
      if (this.#shown === identity) this.#fill(description); // else another has been chosen meanwhile
    } catch (error) {
      this.#shown = null; // the next look tries again
      throw error;
    }
  }

  /** A form for what is chosen. Where another version takes the same, what was typed stays. */
  #fill(description) {
    const { form, answer } = this.#parts;
    const takes = JSON.stringify([description?.name, description?.input_schema, description?.task_config]);
    if (takes !== this.#takes) {
      this.#takes = takes;
      this.#input = description ? makeInput(description, () => this.#showCurl()) : null;
      form.replaceChildren(...(description ? [this.#input.node, this.#sendButton()] : [element("p", { class: "empty" }, "No version can be tried now.")]));
      showAnswer(answer, null);
    }
    form.inert = false;
    this.#showCurl();
  }

  #version() {
    const [name, version] = this.#parts.select.value.split("/");
    return this.#status.models.find((each) => each.name === name && (version ? each.version === version : each.default));
  }

  #sendButton() {
    if (this.#status.through_front) return element("p", { class: "send" }, element("button", { type: "submit" }, "Send"));
    const there = `${this.#status.front}/console/?version=${encodeURIComponent(this.#parts.select.value)}#try-it`;
    return element("p", { class: "send" },
      element("a", { class: "button", href: there }, "Try it at the front"),
      element("span", { class: "quiet" }, "This port only reads. The front, which answers requests, has this page too."));
  }

  #showCurl() {
    const request = this.#input?.request();
    const path = this.#parts.select.value;
    this.#parts.curl.replaceChildren(...(request ? curlLine(request, `${this.#status.front}/predictions/${path}`) : []));
  }

  async #send() {
    const { select, form, answer } = this.#parts;
    const request = this.#input?.request();
    if (!this.#status.through_front) return;
    if (!request) {
      showMissing(answer, this.#input?.missing() ?? "There is no input yet.");
      return;
    }
    const button = form.querySelector("button[type=submit]");
    button.disabled = true;
    showSending(answer);
    try {
      showAnswer(answer, await predicted(`../predictions/${select.value}`, request));
    } catch (error) {
      showFailure(answer, error);
    }
    button.disabled = false;
    answer.scrollIntoView({ block: "nearest" });
  }
}

/** The answer with what it took: status, headers, text, and seconds from the first byte sent to the last one read. */
async function predicted(path, { body, type }) {
  performance.clearResourceTimings(); // our looks have filled its list
  const began = performance.now();
  const answer = await fetch(path, {
    method: "POST",
    body,
    headers: { ...(type ? { "content-type": type } : {}), "x-statehouse-timing": "yes" },
  });
  const text = await answer.text();
  const milliseconds = performance.now() - began;
  const [timing] = performance.getEntriesByName(answer.url, "resource").slice(-1);
  const measured = timing?.requestStart ? timing.responseEnd - timing.requestStart : milliseconds;
  return { status: answer.status, headers: answer.headers, text, seconds: measured / 1000 };
}
