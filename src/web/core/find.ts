// Symbols that begin with, or hold, what is typed.

/** The best first: symbols that begin so, then those that hold it. */
export function find(typed: string, among: readonly string[], max: number): string[] {
  const wanted = typed.trim().toUpperCase();
  const begins = among.filter((s) => s.startsWith(wanted));
  const holds = among.filter((s) => !s.startsWith(wanted) && s.includes(wanted));
  return [...begins, ...holds].slice(0, max);
}
