// Stacks as a tree, and the tree as boxes of a flame graph.

import { plainName, type Stack } from "./report";
import { pool } from "./threads";

export interface Node {
  readonly name: string;
  readonly own: boolean;
  readonly count: number;
  readonly children: readonly Node[];
}

interface Growing {
  name: string;
  own: boolean;
  count: number;
  children: Map<string, Growing>;
}

/** Threads of a pool are one; stacks grow from how the thread starts to where it stands. */
export function tree(stacks: readonly Stack[]): Node {
  const root: Growing = { name: "all threads", own: false, count: 0, children: new Map() };
  for (const stack of stacks) {
    if (stack.frames.length === 0) continue;
    root.count += 1;
    let node = root;
    const path = [{ name: pool(stack.name), own: false }, ...[...stack.frames].reverse()];
    for (const { name, own } of path) {
      let child = node.children.get(name);
      if (child === undefined) {
        child = { name, own, count: 0, children: new Map() };
        node.children.set(name, child);
      }
      child.count += 1;
      node = child;
    }
  }
  return settled(root);
}

function settled(node: Growing): Node {
  const children = [...node.children.values()].map(settled);
  children.sort((a, b) => b.count - a.count || (a.name < b.name ? -1 : 1));
  return { name: node.name, own: node.own, count: node.count, children };
}

export interface Box {
  readonly node: Node;
  /** Names from the root on, which tell the box from others of the same name. */
  readonly path: readonly string[];
  readonly depth: number;
  /** Shares of the whole width, 0 to 1. */
  readonly left: number;
  readonly width: number;
}

/** Thinner boxes than this share are left out, with what stands on them. */
const WIDTH_MIN = 0.002;

/** Boxes with `focus` (a path) over the whole width, those below it as well, the deepest last. */
export function layout(root: Node, focus: readonly string[]): Box[] {
  const boxes: Box[] = [];
  const place = (node: Node, path: readonly string[], left: number, width: number): void => {
    if (width < WIDTH_MIN) return;
    const depth = path.length;
    boxes.push({ node, path, depth, left, width });
    const wanted = focus[depth];
    const isAbove = depth < focus.length && path.every((name, i) => name === focus[i]);
    if (isAbove && wanted !== undefined) {
      const child = node.children.find((c) => c.name === wanted);
      if (child !== undefined) {
        place(child, [...path, child.name], left, width);
        return;
      }
    }
    let at = left;
    for (const child of node.children) {
      const share = (width * child.count) / Math.max(1, node.count);
      place(child, [...path, child.name], at, share);
      at += share;
    }
  };
  place(root, [], 0, 1);
  return boxes.sort((a, b) => a.depth - b.depth || a.left - b.left);
}

/** The last parts of a function's path, short enough for a box: "thread::run". */
export function brief(name: string): string {
  return plainName(name).split("::").slice(-2).join("::");
}
