// The page of threads: who does what, who is stalled, what past reports say.

import { duration } from "./core/format";
import { type Kept, readKept } from "./core/report";
import { type Look, readLook, type Stall } from "./core/threads";
import { ask } from "./net/api";
import { Poller } from "./net/poller";
import { announce, byId, isTyping, make, reconcile, setAttribute, setText, show } from "./ui/dom";
import { Server } from "./ui/status";
import { ChannelTable, ThreadTable } from "./ui/threadtable";
import { type View, Viewer, type ViewerState, VIEWS } from "./ui/viewer";

const LOOK_EVERY_MS = 1_000;
const LOOK_DEADLINE_MS = 3_000;
const REPORTS_EVERY_MS = 10_000;
/** The server makes a report, at worst one without stacks, in eight seconds. */
const DUMP_DEADLINE_MS = 11_000;

const server = new Server(() => drawSummary());
const threads = new ThreadTable();
const channels = new ChannelTable();
const viewer = new Viewer((state) => go(state));
let look: Look | null = null;
let kept: readonly Kept[] = [];
let stallsSeen = -1;
let missedSince: number | null = null;

// --- the live part -------------------------------------------------------------------------------

new Poller(
  () => LOOK_EVERY_MS,
  async () => {
    const reply = await ask("/api/threads", "instant", { deadlineMs: LOOK_DEADLINE_MS });
    if (reply.status === 200) {
      missedSince = null;
      look = readLook(reply.body);
      threads.set(look, performance.now());
      channels.set(look.channels);
      drawStalls(look.stalls);
      drawDrill(look);
      // A new stall brings a report within seconds.
      if (look.stallsTotal !== stallsSeen) {
        stallsSeen = look.stallsTotal;
        reports.now();
        setTimeout(() => reports.now(), 2_000);
        setTimeout(() => reports.now(), 6_000);
      }
    } else {
      missedSince ??= Date.now();
    }
    drawSummary();
    // Looking goes on at its own pace while nothing answers: that is when it matters.
    return true;
  },
).now();

const reports = new Poller(
  () => REPORTS_EVERY_MS,
  async () => {
    const reply = await ask("/api/stalls", "model");
    if (reply.status === 200) {
      kept = readKept(reply.body);
      drawKept();
      viewer.setKept(kept);
    }
    const why = reply.status === 200 ? "" : (reply.detail ?? "the server does not answer");
    setText(byId("reports-note"), why);
    return reply.status === 200;
  },
);
reports.now();

function drawSummary(): void {
  const box = byId("summary");
  if (missedSince !== null && Date.now() - missedSince > LOOK_DEADLINE_MS) {
    const since = new Date(missedSince).toTimeString().slice(0, 8);
    setText(
      box,
      `Nothing in the server has answered since ${since}; what stands below is old. On its machine there is still: kill -QUIT PID, or tapewarden dump --pid PID`,
    );
    box.dataset["state"] = "stalled";
    return;
  }
  if (look === null) return;
  const stalled = look.threads.filter((t) => t.state === "stalled");
  const dead = look.threads.filter((t) => t.state === "dead");
  const busy = look.threads.filter((t) => t.state === "busy").length;
  const ill = stalled.length + dead.length > 0 || look.ailments.length > 0;
  const words = ill
    ? [
        stalled.length > 0 ? `stalled: ${names(stalled)}` : "",
        dead.length > 0 ? `ended by a panic: ${names(dead)}` : "",
        ...look.ailments.filter((a) => !stalled.some((t) => a.startsWith(t.name))),
      ]
    : [`all ${look.threads.length} threads alive, ${busy} busy`];
  const health = server.watch.health;
  const facts = [
    `${look.stallsTotal} ${look.stallsTotal === 1 ? "stall" : "stalls"} since the start`,
    health === null ? "" : `up ${duration(health.uptimeS * 1000)}, version ${health.version}`,
  ];
  setText(box, [...words, ...facts].filter((w) => w !== "").join(" · "));
  const state = ill ? "stalled" : "ok";
  if (box.dataset["state"] !== state && box.dataset["state"] !== "") announce(words.join(", "));
  box.dataset["state"] = state;
  document.title = ill ? "STALLED · tapewarden threads" : "tapewarden threads";
}

function names(threads: readonly { readonly name: string }[]): string {
  const first = threads.slice(0, 5).map((t) => t.name);
  return first.join(", ") + (threads.length > 5 ? ` and ${threads.length - 5} more` : "");
}

function drawStalls(stalls: readonly Stall[]): void {
  show(byId("stalls-empty"), stalls.length === 0);
  reconcile(
    byId("stalls"),
    [...stalls].reverse(),
    (s) => `${s.name} ${s.sinceMs}`,
    () => make("li", "", [make("b"), make("span", "when"), make("span", "doing")]),
    (node, s) => {
      const [name, when, doing] = Array.from(node.children);
      if (name) setText(name, s.name);
      const at = new Date(s.sinceMs).toTimeString().slice(0, 8);
      const lasted = s.lastedMs === null ? "lasting" : `for ${duration(s.lastedMs)}`;
      if (when) setText(when, `${at}, ${lasted}`);
      if (doing) setText(doing, s.activity);
      node.dataset["state"] = s.lastedMs === null ? "stalled" : "over";
    },
  );
}

function drawKept(): void {
  show(byId("reports-empty"), kept.length === 0);
  reconcile(
    byId("reports"),
    kept,
    (k) => k.name,
    (k) => {
      const link = make("a", "", [make("b", "", k.time), make("span", "verdict-line", k.verdict)]);
      link.href = `/threads?report=${encodeURIComponent(k.name)}`;
      link.addEventListener("click", (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        go({ name: k.name, view: "stacks", words: "", other: "" });
      });
      return make("li", k.isStall ? "is-stall" : "", [link]);
    },
    (node, k) => {
      const link = node.firstElementChild;
      if (link) setAttribute(link, "aria-current", state?.name === k.name ? "true" : null);
    },
  );
}

// --- dumps and drills ----------------------------------------------------------------------------

const dumpButton = byId<HTMLButtonElement>("dump");

async function dump(): Promise<void> {
  if (dumpButton.disabled) return;
  dumpButton.disabled = true;
  setText(byId("dump-note"), "looking at every thread…");
  const before = new Set(kept.map((k) => k.name));
  const reply = await ask("/api/threads/dump?format=json", "model", { deadlineMs: DUMP_DEADLINE_MS });
  dumpButton.disabled = false;
  if (reply.status !== 200) {
    setText(byId("dump-note"), reply.detail ?? "the server does not answer; kill -QUIT PID makes a report without it");
    return;
  }
  setText(byId("dump-note"), "");
  viewer.showFresh(reply.body);
  const list = await ask("/api/stalls", "model");
  if (list.status === 200) {
    kept = readKept(list.body);
    viewer.setKept(kept);
  }
  // The newest that was not there before is this one; where the disk took none, the answer itself is.
  const fresh = kept.find((k) => !before.has(k.name));
  go({ name: fresh?.name ?? "now", view: "stacks", words: "", other: "" });
  drawKept();
}

dumpButton.addEventListener("click", () => void dump());

const drillForm = byId<HTMLFormElement>("drill");
const drillThread = byId<HTMLSelectElement>("drill-thread");

function drawDrill(now: Look): void {
  show(drillForm, now.drills);
  if (!now.drills || drillThread === document.activeElement) return;
  const alive = now.threads.filter((t) => t.state !== "dead" && !/^(conn|ws)-/.test(t.name)).map((t) => t.name);
  const all = ["conn-*", ...alive];
  if (all.join() === Array.from(drillThread.options, (o) => o.value).join()) return;
  const chosen = drillThread.value === "" ? "candle-cache" : drillThread.value;
  drillThread.replaceChildren(...all.map((name) => new Option(name === "conn-*" ? "every connection" : name, name)));
  drillThread.value = chosen;
}

drillForm.addEventListener("submit", (event) => {
  event.preventDefault();
  const how = byId<HTMLSelectElement>("drill-how").value;
  const seconds = byId<HTMLInputElement>("drill-seconds").value;
  const query = new URLSearchParams({ stall: drillThread.value, how, for: `${seconds}s` });
  setText(byId("drill-note"), "ordering…");
  void ask(`/api/drill?${query}`, "model", { method: "POST" }).then((reply) => {
    const done = `${drillThread.value} stalls at its next beat`;
    setText(byId("drill-note"), reply.status === 200 ? done : (reply.detail ?? "the server does not answer"));
  });
});

// --- address and keys ----------------------------------------------------------------------------

let state: ViewerState | null = null;

function read(): ViewerState | null {
  const params = new URLSearchParams(location.search);
  const name = params.get("report");
  if (name === null || name === "") return null;
  const view: View = VIEWS.find((v) => v === params.get("view")) ?? "stacks";
  return { name, view, words: params.get("q") ?? "", other: params.get("with") ?? "" };
}

function write(to: ViewerState | null): string {
  if (to === null) return "/threads";
  const params = new URLSearchParams({ report: to.name });
  if (to.view !== "stacks") params.set("view", to.view);
  if (to.words !== "") params.set("q", to.words);
  if (to.other !== "") params.set("with", to.other);
  return `/threads?${params}`;
}

function go(to: ViewerState | null): void {
  const isOther = to?.name !== state?.name;
  history[isOther ? "pushState" : "replaceState"](null, "", write(to));
  apply(to);
  if (isOther && to !== null) byId("viewer").scrollIntoView({ block: "start" });
}

function apply(to: ViewerState | null): void {
  state = to;
  void viewer.show(to);
  drawKept();
}

window.addEventListener("popstate", () => apply(read()));

const filter = byId<HTMLInputElement>("thread-filter");
filter.addEventListener("input", () => threads.filter(filter.value));

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") {
    if (isTyping(event.target) && event.target instanceof HTMLElement) event.target.blur();
    else if (state !== null) go(null);
    return;
  }
  if (isTyping(event.target)) return;
  if (event.key === "/") (state === null ? filter : byId("report-search")).focus();
  else if (event.key === "d") void dump();
  else if (event.key === "c") location.assign("/");
  else return;
  event.preventDefault();
});

apply(read());
