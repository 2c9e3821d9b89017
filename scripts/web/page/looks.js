// Workers count from the moment they are loaded. Two looks, some time apart, tell what happened between them.

const KEPT_SECONDS = 130;

export const keyOf = ({ name, version }) => `${name}/${version}`;

/** The looks of the last minutes, and what happened between each and the next. */
export class Looks {
  #looks = [];
  #course = [];

  add({ at_seconds: at, versions }) {
    if (at === this.latest?.at) return; // the server kept its last look for us
    if (at < this.latest?.at) [this.#looks, this.#course] = [[], []]; // another machine, or the same anew
    const look = { at, versions: new Map(versions.map((counted) => [keyOf(counted), counted])) };
    if (this.latest) this.#course.push({ at, happened: between(this.latest, look) });
    this.#looks.push(look);
    this.#looks = this.#looks.filter((each) => at - each.at <= KEPT_SECONDS);
    this.#course = this.#course.filter((each) => at - each.at <= KEPT_SECONDS);
  }

  get latest() {
    return this.#looks.at(-1);
  }

  /** What happened to each version in the last `seconds`, by key; with "all" since it was loaded. */
  happened(seconds) {
    if (seconds === "all" || !this.latest) return between(null, this.latest);
    const since = this.#looks.find((look) => this.latest.at - look.at <= seconds + 0.5);
    return since === this.latest ? new Map() : between(since, this.latest);
  }

  /** The points of a version's chart. */
  course(key) {
    return this.#course.map(({ at, happened }) => ({ at, ...happened.get(key) }));
  }
}

/** By key: seconds, requests, refused (4xx), failed (5xx), rate, percentiles, mean seconds by phase, requests per batch. */
export function between(older, newer) {
  const happened = new Map();
  for (const [key, now] of newer?.versions ?? []) {
    const before = older?.versions.get(key);
    // Counts that went down are those of a version that was loaded anew.
    const since = before && total(before.requests) <= total(now.requests) ? before : null;
    const seconds = older ? newer.at - older.at : null;
    const requests = difference(now.requests, since?.requests);
    const count = total(requests);
    const latency = histogram(now.seconds.total, since?.seconds.total);
    happened.set(key, {
      seconds,
      requests: count,
      refused: total(requests, (status) => status >= "400" && status < "500"),
      failed: total(requests, (status) => status >= "500"),
      rate: seconds ? count / seconds : null,
      latency,
      p50: percentile(latency, 0.5),
      p95: percentile(latency, 0.95),
      p99: percentile(latency, 0.99),
      phases: phaseMeans(now.seconds, since?.seconds),
      perBatch: mean(histogram(now.batch_requests, since?.batch_requests)),
      inFlight: now.rows_in_flight + now.queued_requests,
    });
  }
  return happened;
}

/** As Prometheus' histogram_quantile: linear within a bucket; null without observations. */
export function percentile(observed, share) {
  const all = observed?.counts.at(-1);
  if (!all) return null;
  const rank = share * all;
  let lowerBound = 0;
  let lowerCount = 0;
  for (const [index, count] of observed.counts.entries()) {
    const bound = observed.bounds[index];
    if (count >= rank && bound === null) return lowerBound;
    if (count >= rank) return lowerBound + ((bound - lowerBound) * (rank - lowerCount)) / (count - lowerCount || 1);
    [lowerBound, lowerCount] = [bound, count];
  }
  return lowerBound;
}

/** Several versions' histograms as one. */
export function added(histograms) {
  const there = histograms.filter((each) => each?.counts.length);
  if (!there.length) return null;
  const [first] = there;
  const counts = first.bounds.map((_, index) => there.reduce((sum, each) => sum + each.counts[index], 0));
  return { bounds: first.bounds, counts, sum: there.reduce((sum, each) => sum + each.sum, 0) };
}

function histogram(now, since) {
  if (!now) return null;
  const counts = now.counts.map((count, index) => count - (since?.counts[index] ?? 0));
  return { bounds: now.bounds, counts, sum: now.sum - (since?.sum ?? 0) };
}

function mean(observed) {
  const count = observed?.counts.at(-1);
  return count ? observed.sum / count : null;
}

function phaseMeans(now, since) {
  return Object.entries(now)
    .filter(([phase]) => phase !== "total")
    .map(([phase, observed]) => ({ phase, seconds: mean(histogram(observed, since?.[phase])) }))
    .filter(({ seconds }) => seconds !== null);
}

function difference(now, since = {}) {
  return Object.fromEntries(Object.entries(now).map(([status, count]) => [status, count - (since[status] ?? 0)]));
}

function total(requests, counts = () => true) {
  return Object.entries(requests).reduce((sum, [status, count]) => sum + (counts(status) ? count : 0), 0);
}
