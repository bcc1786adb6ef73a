// The page of routes: what each takes and answers, from the server's own OpenAPI document, and a try of those that read.

import { address, type Operation, operations, type Parameter, type Response } from "./core/openapi";
import { fields, text } from "./core/parse";
import { ask } from "./net/api";
import { byId, isTyping, make, setText, show } from "./ui/dom";

/** As long as the server may take, and a little more. */
const TRY_DEADLINE_MS = 11_000;
/** More of an answer than that is no use on a page. */
const SHOWN_CHARS_MAX = 20_000;

interface Shown {
  readonly node: HTMLDetailsElement;
  /** What the filter looks through. */
  readonly words: string;
}

let routes: readonly Shown[] = [];

const filter = byId<HTMLInputElement>("filter");
filter.addEventListener("input", () => drawFilter());
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  if (event.key === "/") {
    event.preventDefault();
    filter.focus();
  } else if (event.key === "c") {
    location.assign("/");
  }
});

function drawFilter(): void {
  const wanted = filter.value.trim().toLowerCase();
  let shown = 0;
  for (const { node, words } of routes) {
    const fits = words.includes(wanted);
    show(node, fits);
    if (fits) shown += 1;
  }
  setText(byId("count"), `${shown} of ${routes.length} routes`);
}

// --- a route -------------------------------------------------------------------------------------

/** Words between backquotes are code. */
function worded(words: string): Node {
  const parts = words.split("`").map((part, n) => (n % 2 === 1 ? make("code", "", part) : document.createTextNode(part)));
  return make("span", "", parts);
}

function table(heads: readonly string[], rows: readonly (readonly (string | Node)[])[]): HTMLElement {
  const head = make("tr", "", heads.map((words) => {
    const cell = make("th", "", words);
    cell.scope = "col";
    return cell;
  }));
  const cells = (row: readonly (string | Node)[]): Node[] =>
    row.map((cell) => make("td", "", [typeof cell === "string" ? worded(cell) : cell]));
  const body = rows.map((row) => make("tr", "", cells(row)));
  const whole = make("table", "", [make("thead", "", [head]), make("tbody", "", body)]);
  return make("div", "scroll", [whole]);
}

function described(p: Parameter): string {
  const or = p.fallback === null ? "" : `; otherwise ${p.fallback}`;
  const choices = p.choices.length === 0 ? "" : ` (${p.choices.join(", ")})`;
  return `${p.does}${choices}${p.required ? "; must be there" : or}`;
}

function content(r: Response): Node {
  const parts = r.content.flatMap(({ media, schema }, n) => {
    const link = make("a", "", schema);
    link.href = `#schema-${schema}`;
    return [document.createTextNode(`${n === 0 ? "" : ", "}${media} `), link];
  });
  return make("span", "", parts);
}

function input(p: Parameter): HTMLInputElement | HTMLSelectElement {
  if (p.choices.length > 0) {
    const choice = make("select", "", ["", ...p.choices].map((value) => new Option(value, value)));
    choice.value = p.fallback ?? p.choices[0] ?? "";
    return choice;
  }
  const field = make("input");
  field.spellcheck = false;
  field.placeholder = p.example;
  if (p.required) field.value = p.example;
  return field;
}

/** A form that asks a route that reads. */
function trial(operation: Operation): HTMLElement {
  const asked = operation.parameters.map((p) => ({ p, field: input(p) }));
  const labels = asked.map(({ p, field }) => make("label", "", [document.createTextNode(p.name), field]));
  const send = make("button", "", "Send");
  send.type = "submit";
  const note = make("span", "note");
  note.setAttribute("role", "status");
  const form = make("form", "send", [...labels, send, note]);
  const answer = make("pre");
  answer.tabIndex = 0;
  answer.hidden = true;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const values = asked.map(({ p, field }) => ({ name: p.name, place: p.place, value: field.value }));
    send.disabled = true;
    void tried(address(operation.path, values), note, answer).finally(() => {
      send.disabled = false;
    });
  });
  return make("div", "", [form, answer]);
}

async function tried(path: string, note: HTMLElement, answer: HTMLElement): Promise<void> {
  setText(note, `GET ${path} …`);
  const began = performance.now();
  const reply = await ask(path, "market", { asText: true, deadlineMs: TRY_DEADLINE_MS });
  const took = Math.round(performance.now() - began);
  const stale = reply.stale === null ? "" : ` · stale: ${reply.stale}`;
  setText(note, reply.status === 0 ? `GET ${path}: no answer within ${took} ms` : `GET ${path}: ${reply.status} in ${took} ms${stale}`);
  const said = reply.detail ?? laidOut(typeof reply.body === "string" ? reply.body : "");
  const more = said.length - SHOWN_CHARS_MAX;
  setText(answer, more > 0 ? `${said.slice(0, SHOWN_CHARS_MAX)}\n… and ${more} characters more` : said);
  show(answer, said !== "");
}

/** JSON by lines; anything else as it is. */
function laidOut(raw: string): string {
  try {
    return JSON.stringify(JSON.parse(raw), null, 2);
  } catch {
    return raw;
  }
}

function panel(id: string, head: readonly Node[], fill: () => readonly Node[]): HTMLDetailsElement {
  const node = make("details", "panel", [make("summary", "", head)]);
  node.id = id;
  // Filled when it is first looked at.
  node.addEventListener("toggle", () => {
    if (node.open && node.childElementCount === 1) node.append(make("div", "route-body", fill()));
  });
  return node;
}

function route(operation: Operation): Shown {
  const method = make("span", "method", operation.method.toUpperCase());
  method.dataset["method"] = operation.method;
  const head = [method, make("code", "", operation.path), make("span", "note", [worded(operation.does)])];
  const node = panel(`${operation.method}-${operation.path}`, head, () => {
    const parts: Node[] = [];
    if (operation.degraded !== null) parts.push(make("p", "note", [worded(operation.degraded)]));
    if (operation.parameters.length > 0) {
      parts.push(table(["Parameter", "In", "What", "Example"], operation.parameters.map((p) => [p.name, p.place, described(p), p.example])));
    }
    if (operation.method === "get") parts.push(trial(operation));
    parts.push(table(["Status", "When", "Content", "Headers"], operation.responses.map((r) => [r.status, r.when, content(r), r.headers.join(", ")])));
    return parts;
  });
  return { node, words: `${operation.method} ${operation.path} ${operation.does}`.toLowerCase() };
}

function schema(name: string, said: unknown): HTMLDetailsElement {
  return panel(`schema-${name}`, [make("code", "", name)], () => [make("pre", "", JSON.stringify(said, null, 2))]);
}

/** What the address names is open and in view. */
function goto(): void {
  const node = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!(node instanceof HTMLDetailsElement)) return;
  node.open = true;
  node.scrollIntoView({ block: "nearest" });
}

async function load(): Promise<void> {
  const reply = await ask("/api/openapi.json", "instant", { kept: true });
  if (reply.status !== 200) {
    setText(byId("banner"), reply.detail ?? "The server does not answer; load this page again");
    show(byId("banner"), true);
    return;
  }
  const said = fields(reply.body);
  byId("about").replaceChildren(worded(text(fields(said["info"]), "description") ?? ""));
  routes = operations(said).map(route);
  byId("routes").replaceChildren(...routes.map(({ node }) => node));
  const schemas = Object.entries(fields(fields(said["components"])["schemas"]));
  byId("schemas").replaceChildren(...schemas.map(([name, of]) => schema(name, of)));
  drawFilter();
  goto();
}

addEventListener("hashchange", goto);
void load();
