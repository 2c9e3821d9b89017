// What this page asks. Every address is relative: a tunnel or a proxy may have put it anywhere.

const PATIENCE_MS = 10_000;

/** The server gave no answer, or one that says why not. */
export class NoAnswer extends Error {}

/** JSON from `data/…`; NoAnswer with the reason where there is none. */
export async function read(path) {
  let answer;
  try {
    answer = await fetch(`data/${path}`, { signal: AbortSignal.timeout(PATIENCE_MS) });
  } catch (error) {
    throw new NoAnswer("The server does not answer.", { cause: error });
  }
  const told = await answer.json().catch(() => null);
  if (!answer.ok) throw new NoAnswer(told?.detail ?? `The server answers ${answer.status}.`);
  return told;
}
