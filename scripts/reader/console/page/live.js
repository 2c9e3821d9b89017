// The server's figures of the last minutes, as `data/live` tells them: everybody who looks sees the same.

export const keyOf = ({ name, version }) => `${name}/${version}`;

/** One answer of `data/live`, by version. */
export class Live {
  #versions;

  constructor(told) {
    this.told = told;
    this.#versions = new Map(told.versions.map((version) => [keyOf(version), version]));
  }

  /** What is told of a version; undefined while it has not been counted yet. */
  of(key) {
    return this.#versions.get(key);
  }

  /** One value of a version's course: { at, value } at the end of each interval; of a long one at its beginning too. */
  course(key, name) {
    const values = this.of(key)?.course?.[name] ?? [];
    const { at_seconds: ends, seconds } = this.told.intervals;
    return values.flatMap((value, index) => {
      const end = { at: ends[index], value };
      return seconds[index] > LONG_SECONDS ? [{ at: ends[index] - seconds[index], value }, end] : [end];
    });
  }

  /** A sum over all versions. */
  sum(value) {
    return this.told.versions.reduce((total, version) => total + value(version), 0);
  }
}

const LONG_SECONDS = 5; // longer than a look that is a little late
