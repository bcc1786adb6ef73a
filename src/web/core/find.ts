// Symbols that begin with, or whose names hold, what is typed.

export interface Candidate {
  readonly symbol: string;
  readonly name: string | null;
}

/** The best first: symbols that begin so, then those that hold it, then names that do. */
export function find(typed: string, among: readonly Candidate[], max: number): Candidate[] {
  const wanted = typed.trim().toUpperCase();
  if (wanted === "") return among.slice(0, max);
  const rank = (c: Candidate): number => {
    if (c.symbol.startsWith(wanted)) return 0;
    if (c.symbol.includes(wanted)) return 1;
    return (c.name ?? "").toUpperCase().includes(wanted) ? 2 : 3;
  };
  return among
    .map((candidate, i) => ({ candidate, i, rank: rank(candidate) }))
    .filter((c) => c.rank < 3)
    .sort((a, b) => a.rank - b.rank || a.i - b.i)
    .slice(0, max)
    .map((c) => c.candidate);
}
