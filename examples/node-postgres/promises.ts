// What the programs that judge themselves share.

/** Prints a line, "ok - PROMISE" or "not ok - PROMISE", which scripts/examples counts. */
export function judge(promise: string, found: string, wanted: string): void {
  console.log(`${found === wanted ? "ok" : "not ok"} - ${promise}`);
  if (found !== wanted) console.log(`#   found ${found}, wanted ${wanted}`);
}

/** "29 already_redeemed, 1 redeemed" */
export async function tally(answers: Promise<string>[]): Promise<string> {
  const counts = new Map<string, number>();
  for (const answer of await Promise.all(answers)) counts.set(answer, (counts.get(answer) ?? 0) + 1);
  return [...counts].map(([answer, count]) => `${count} ${answer}`).sort().join(", ");
}
