// The order of a table's rows.

export interface Order {
  readonly by: string;
  readonly down: boolean;
}

export type Sortable = string | number | boolean | null;

/** Sorted anew: what is unknown stands last in both directions, equals keep their order. */
export function sorted<T>(rows: readonly T[], order: Order, value: (row: T, by: string) => Sortable): T[] {
  const direction = order.down ? -1 : 1;
  return rows
    .map((row, i) => ({ row, i, key: value(row, order.by) }))
    .sort((a, b) => {
      if (a.key === null || b.key === null) {
        if (a.key === b.key) return a.i - b.i;
        return a.key === null ? 1 : -1;
      }
      if (a.key === b.key) return a.i - b.i;
      const less =
        typeof a.key === "string" && typeof b.key === "string"
          ? a.key.localeCompare(b.key, "en", { numeric: true }) < 0
          : a.key < b.key;
      return less ? -direction : direction;
    })
    .map(({ row }) => row);
}

/** A click on a column: the other direction if it is the one already, else down (text: up). */
export function clicked(order: Order, by: string, isText: boolean): Order {
  return order.by === by ? { by, down: !order.down } : { by, down: !isText };
}

/** "gap:down" */
export function writeOrder(order: Order): string {
  return `${order.by}:${order.down ? "down" : "up"}`;
}

export function readOrder(text: string | null, otherwise: Order): Order {
  const read = /^([a-z_]{1,20}):(up|down)$/.exec(text ?? "");
  const by = read?.[1];
  return by === undefined ? otherwise : { by, down: read?.[2] === "down" };
}
