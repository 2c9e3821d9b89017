// Looks again and again, and shows what there is. Nothing is asked while nobody looks.

import { showChanges } from "./changes.js";
import { element, say } from "./element.js";
import { secondsText } from "./format.js";
import { Live } from "./live.js";
import { isDown, showModels, showTotals } from "./models.js";
import { NoAnswer, read } from "./server.js";
import { TryIt } from "./try_it.js";

const LOOK_MS = 2000;
const LOOKS_PER_STATUS = 3; // the status takes the server longer
const LATE_SECONDS = 10; // the server looks every 2 s

const at = (id) => document.getElementById(id);
const tryIt = new TryIt({ select: at("try-version"), form: at("try-form"), answer: at("try-answer"), curl: at("try-curl") });
let status = null;
let live = null;
let lookCount = 0;
let lastAnswer = null;
let looking = false;

/** One look, and the next one later; while the page is hidden none. */
async function look() {
  if (looking || document.hidden) return; // visibilitychange goes on
  looking = true;
  await lookOnce();
  looking = false;
  setTimeout(look, LOOK_MS);
}

async function lookOnce() {
  try {
    if (lookCount % LOOKS_PER_STATUS === 0) await lookAtAll();
    live = new Live(await read("live"));
    lookCount += 1;
    lastAnswer = new Date();
    showState();
    showNumbers();
  } catch (error) {
    lookCount = 0;
    showNoAnswer(error);
    if (!(error instanceof NoAnswer)) console.error(error); // a fault of this page
  }
}

async function lookAtAll() {
  const [toldStatus, history] = await Promise.all([read("status"), read("history")]);
  status = toldStatus;
  showChanges(at("change-list"), at("changes-count"), history);
  await tryIt.offer(status);
}

function showNumbers() {
  const chosen = document.querySelector("#window input:checked").value;
  const covered = live.told.all[chosen].seconds;
  say(at("covered"), chosen === "loaded" ? "" : `the last ${secondsText(Math.round(covered))}`);
  showTotals(at("totals"), live, chosen);
  showModels(at("model-list"), status, live, chosen, { onTry: (name, version) => tryIt.choose(name, version) });
}

// -- how it is with the server

function showState() {
  say(at("release"), status.statehouse);
  at("metrics-link").href = `${status.reader}/metrics`;
  if (status.stopping) return setState("stopping", "stopping", "The server is stopping: what is in flight is answered, and no more is taken.");
  const lines = [...(status.ready ? [] : status.missing)];
  if (status.change) lines.push(`Now: ${status.change.text}. To undo it: statehouse abort`);
  if (live.told.age_seconds > LATE_SECONDS) lines.push(`The figures are ${secondsText(live.told.age_seconds)} old: ${live.told.problem ?? "the server has not looked since"}.`);
  if (status.edited) lines.push("deployment.yaml was edited and is not applied: run `statehouse apply`, or undo the edit.");
  const down = status.models.filter(isDown);
  if (down.length) return setState("down", down.length === 1 ? `${down[0].name} is down` : `${down.length} models are down`, ...lines);
  setState(status.ready ? "ready" : "missing", status.ready ? "ready" : "not ready", ...lines);
}

function showNoAnswer(error) {
  const since = lastAnswer ? ` What you see is from ${lastAnswer.toLocaleTimeString()}.` : "";
  setState("gone", "no answer", `${error.message}${since} Asking again every ${LOOK_MS / 1000} s.`);
}

function setState(kind, text, ...lines) {
  at("state").dataset.kind = kind;
  say(at("state").lastElementChild, text);
  document.title = kind === "ready" ? "Statehouse" : `${text} – Statehouse`;
  const banner = at("banner");
  banner.hidden = !lines.length;
  banner.dataset.kind = kind;
  if (banner.textContent !== lines.join("")) banner.replaceChildren(...lines.map((line) => element("p", {}, line)));
}

// -- the start

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) look();
});
at("window").addEventListener("change", () => live && showNumbers());
look();
