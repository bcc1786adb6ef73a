// The last values of many things, for sparklines; what is gone is forgotten.

export class Rings {
  private readonly rings = new Map<string, number[]>();

  constructor(private readonly length: number) {}

  /** Adds one value of each; those that are not among them are forgotten. */
  add(values: ReadonlyMap<string, number>): void {
    for (const [key, value] of values) {
      const ring = this.rings.get(key) ?? [];
      ring.push(value);
      if (ring.length > this.length) ring.shift();
      this.rings.set(key, ring);
    }
    for (const key of this.rings.keys()) if (!values.has(key)) this.rings.delete(key);
  }

  get(key: string): readonly number[] {
    return this.rings.get(key) ?? [];
  }

  get size(): number {
    return this.rings.size;
  }
}

/** Points of an SVG polyline in a box, the newest value at its right edge; `top` is full height. */
export function polyline(values: readonly number[], length: number, w: number, h: number, top: number): string {
  const step = w / Math.max(1, length - 1);
  const from = w - (values.length - 1) * step;
  const y = (v: number): number => h - 1 - (Math.min(Math.max(v, 0), top) / (top || 1)) * (h - 2);
  return values.map((v, i) => `${(from + i * step).toFixed(1)},${y(v).toFixed(1)}`).join(" ");
}
