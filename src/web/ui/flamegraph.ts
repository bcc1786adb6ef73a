// A flame graph: boxes that can be entered by click or Enter; the graph grows downwards from how a
// thread starts to where it stands.

import { brief, layout, type Node } from "../core/flame";
import { make, setAttribute } from "./dom";

const ROW_PX = 20;

export class FlameGraph {
  private root: Node | null = null;
  private focus: readonly string[] = [];
  private words = "";

  constructor(private readonly box: HTMLElement) {
    box.addEventListener("click", (event) => {
      const node = event.target instanceof Element ? event.target.closest<HTMLElement>("[data-path]") : null;
      if (node !== null) this.enter(JSON.parse(node.dataset["path"] ?? "[]") as string[]);
    });
  }

  set(root: Node): void {
    this.root = root;
    this.focus = [];
    this.draw();
  }

  search(words: string): void {
    this.words = words.trim().toLowerCase();
    this.draw();
  }

  private enter(path: readonly string[]): void {
    this.focus = path;
    this.draw();
    this.box.querySelector<HTMLElement>(".focused")?.focus();
  }

  private draw(): void {
    if (this.root === null) return;
    const boxes = layout(this.root, this.focus);
    const depth = Math.max(0, ...boxes.map((b) => b.depth));
    this.box.style.height = `${(depth + 1) * ROW_PX}px`;
    this.box.replaceChildren(
      ...boxes.map((b) => {
        const button = make("button", b.node.own ? "flame own" : "flame", brief(b.node.name));
        button.type = "button";
        button.dataset["path"] = JSON.stringify(b.path);
        const threads = `${b.node.count} ${b.node.count === 1 ? "thread" : "threads"}`;
        button.title = `${b.node.name}\n${threads}`;
        button.setAttribute("aria-label", `${b.node.name}, ${threads}`);
        button.style.left = `${(b.left * 100).toFixed(3)}%`;
        button.style.width = `${(b.width * 100).toFixed(3)}%`;
        button.style.top = `${b.depth * ROW_PX}px`;
        if (this.words !== "" && b.node.name.toLowerCase().includes(this.words)) button.classList.add("hit");
        if (b.depth < this.focus.length) button.classList.add("above");
        if (b.depth === this.focus.length) button.classList.add("focused");
        // One stop of the tab key; arrows are not needed where Enter enters.
        setAttribute(button, "tabindex", b.width > 0.02 ? "0" : "-1");
        return button;
      }),
    );
  }
}
