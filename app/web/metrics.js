// What /metrics says, over time: requests a second, and how long the slower of them took.

/** The samples of a Prometheus text: [{name, labels, value}]. */
export function parse(text) {
  return text.split("\n").flatMap((line) => {
    const found = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line);
    if (!found || line.startsWith("#")) return [];
    const labels = Object.fromEntries([...(found[2] || "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map((label) => [label[1], label[2]]));
    return [{ name: found[1], labels, value: Number(found[3]) }];
  });
}

/** Sums of a counter by one of its labels. */
export function sums(samples, name, label) {
  const found = new Map();
  for (const one of samples) if (one.name === name) found.set(one.labels[label], (found.get(one.labels[label]) || 0) + one.value);
  return found;
}

export function gauge(samples, name) {
  return samples.find((one) => one.name === name)?.value ?? null;
}

/** The time that a share of the requests between two scrapes took at most, in seconds; null without requests. */
export function quantile(before, after, name, share, wanted = () => true) {
  const counts = new Map();
  const add = (samples, sign) => {
    for (const { name: found, labels, value } of samples) {
      if (found === `${name}_bucket` && wanted(labels)) counts.set(labels.le, (counts.get(labels.le) || 0) + sign * value);
    }
  };
  add(after, 1);
  add(before, -1);
  const buckets = [...counts].map(([le, count]) => [le === "+Inf" ? Infinity : Number(le), count]).sort((a, b) => a[0] - b[0]);
  const all = buckets.at(-1)?.[1] || 0;
  if (all <= 0) return null;
  let [low, below] = [0, 0];
  for (const [bound, count] of buckets) {
    if (count >= share * all) return bound === Infinity ? low : low + ((bound - low) * (share * all - below)) / Math.max(count - below, 1e-9);
    [low, below] = [bound, count];
  }
  return low;
}
