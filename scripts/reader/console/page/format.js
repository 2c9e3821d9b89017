// Numbers as people read them.

const NONE = "–";

export function secondsText(seconds) {
  if (seconds === null || seconds === undefined) return NONE;
  if (seconds === 0) return "0 ms";
  if (seconds < 0.001) return `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 1) return `${digits(seconds * 1000)} ms`;
  return seconds < 120 ? `${digits(seconds)} s` : `${Math.round(seconds / 60)} min`;
}

export function rateText(rate) {
  if (rate === null || rate === undefined) return NONE;
  if (rate === 0) return "0";
  return rate < 100 ? digits(rate) : Math.round(rate).toLocaleString("en");
}

/** Whole up to seven figures; of more, three: what is longer would not stand in its column. */
export function countText(count) {
  if (count === null || count === undefined) return NONE;
  if (count < 1e7) return Math.round(count).toLocaleString("en");
  return count < 1e9 ? `${digits(count / 1e6)} M` : `${digits(count / 1e9)} bn`;
}

/** A number that may not be there. */
export function numberText(number) {
  return number === null || number === undefined ? NONE : digits(number);
}

export function bytesText(bytes) {
  if (!bytes) return NONE;
  const units = ["B", "kB", "MB", "GB"];
  const power = Math.min(Math.floor(Math.log10(bytes) / 3), 3);
  return `${digits(bytes / 1000 ** power)} ${units[power]}`;
}

/** Three significant digits, without a trailing ".0". */
export function digits(number) {
  const places = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(number) || 1)));
  return String(Number(number.toFixed(Math.min(places, 3))));
}

/** "3 min ago"; the time itself is in the element's title. */
export function agoText(date, now = Date.now()) {
  const seconds = Math.max(0, (now - date) / 1000);
  if (seconds < 60) return "just now";
  const units = [["day", 86400], ["h", 3600], ["min", 60]];
  const [unit, size] = units.find(([, length]) => seconds >= length);
  const count = Math.floor(seconds / size);
  return `${count} ${unit}${unit === "day" && count > 1 ? "s" : ""} ago`;
}
