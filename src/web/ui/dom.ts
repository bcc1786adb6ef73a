// Small helpers around the document. Nodes are changed only where their content does, so that focus,
// selection and a screen reader's place survive.

export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no #${id}`);
  return found as T;
}

export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className = "",
  content: string | readonly Node[] = "",
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  if (className !== "") node.className = className;
  if (typeof content === "string") {
    if (content !== "") node.textContent = content;
  } else {
    node.append(...content);
  }
  return node;
}

export function setText(node: Element, content: string): void {
  if (node.textContent !== content) node.textContent = content;
}

export function setClass(node: Element, name: string, on: boolean): void {
  if (node.classList.contains(name) !== on) node.classList.toggle(name, on);
}

export function setAttribute(node: Element, name: string, value: string | null): void {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

export function show(node: HTMLElement, shown: boolean): void {
  if (node.hidden === shown) node.hidden = !shown;
}

/** The class of a gain or loss. */
export function tone(value: number | null): string {
  return value === null || value === 0 ? "" : value > 0 ? "up" : "down";
}

/**
 * Brings a parent's children in line with rows: kept by key, made, moved and removed as needed. Rows of one key
 * are told apart by their order.
 */
export function reconcile<R, N extends HTMLElement>(
  parent: HTMLElement,
  rows: readonly R[],
  key: (row: R) => string,
  create: (row: R) => N,
  update: (node: N, row: R) => void,
): void {
  const kept = new Map<string, N>();
  for (const child of Array.from(parent.children) as N[]) kept.set(child.dataset["key"] ?? "", child);
  let place: Element | null = parent.firstElementChild;
  const uses = new Map<string, number>();
  for (const row of rows) {
    const plain = key(row);
    const use = uses.get(plain) ?? 0;
    uses.set(plain, use + 1);
    const k = use === 0 ? plain : `${plain} #${use + 1}`;
    let node = kept.get(k);
    if (node === undefined) {
      node = create(row);
      node.dataset["key"] = k;
    }
    kept.delete(k);
    update(node, row);
    if (node === place) place = node.nextElementSibling;
    else parent.insertBefore(node, place);
  }
  for (const gone of kept.values()) gone.remove();
}

/** At most one call of `draw` in each frame. */
export function framed(draw: () => void): () => void {
  let due = false;
  return () => {
    if (due) return;
    due = true;
    requestAnimationFrame(() => {
      due = false;
      draw();
    });
  };
}

/** Whether keys belong to what is being typed into. */
export function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLInputElement || target instanceof HTMLSelectElement || target instanceof HTMLTextAreaElement;
}

/** Has a screen reader say something once. */
export function announce(words: string): void {
  setText(byId("announcer"), words);
}
