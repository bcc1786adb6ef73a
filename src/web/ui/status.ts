// The head of both pages: is the server well, and how fresh are prices.

import { type Feed, freshness } from "../core/feed";
import { duration } from "../core/format";
import { clock, phase } from "../core/newyork";
import { ServerWatch } from "../core/server";
import { briefly } from "../core/supply";
import { ask } from "../net/api";
import { Poller } from "../net/poller";
import { announce, byId, setClass, setText, show } from "./dom";

const HEALTH_EVERY_MS = 5_000;
/** While something is wrong it is looked more often. */
const HEALTH_EVERY_ILL_MS = 1_500;
const HEALTH_DEADLINE_MS = 4_000;

/** An access token that lives less long than this deserves a look. */
const TOKEN_SHORT_S = 300;

export class Server {
  readonly watch = new ServerWatch();
  private readonly poller: Poller;

  /** `onLook` is called after each look. */
  constructor(private readonly onLook: () => void) {
    this.poller = new Poller(
      () => (this.watch.state.kind === "ok" ? HEALTH_EVERY_MS : HEALTH_EVERY_ILL_MS),
      () => this.look(),
      { evenHidden: true },
    );
    this.poller.now();
  }

  /** Now, on the market's clock. */
  now(): number {
    return Date.now() + this.offsetMs();
  }

  /** The market's clock less this browser's. */
  offsetMs(): number {
    return this.watch.health?.clockOffsetMs ?? 0;
  }

  private async look(): Promise<boolean> {
    const reply = await ask("/api/health", "instant", { deadlineMs: HEALTH_DEADLINE_MS });
    const words = this.watch.look(reply.status, reply.body, Date.now());
    if (words !== null) announce(words);
    this.drawBanner();
    this.onLook();
    // A failed look is not put off: the next one tells when the server is back.
    return true;
  }

  private drawBanner(): void {
    const banner = byId("banner");
    const state = this.watch.state;
    const local = (ms: number): string => new Date(ms).toTimeString().slice(0, 8);
    let words = "";
    if (state.kind === "silent") {
      words = `The server does not answer since ${local(state.sinceMs)}. Trying again every few seconds; what you see is old.`;
    } else if (state.kind === "stalled") {
      words = `The server is stalled since ${local(state.sinceMs)}: ${state.detail}`;
    }
    setText(byId("banner-words"), words);
    show(banner, words !== "");
    banner.dataset["kind"] = state.kind;
  }
}

/** What the badge needs to know. */
export interface FeedView {
  readonly feed: Feed;
  /** What was last heard of the provider: null nothing, empty that it is well. */
  readonly provider: string | null;
  /** What the server says of its relay while the page does not stream. */
  readonly relay: boolean | null;
}

let badgeBefore = "";

export function drawFeed(view: FeedView, server: Server): void {
  const { feed, provider } = view;
  const age = feed.pricedAt === null ? null : performance.now() - feed.pricedAt;
  const fresh = freshness(age, feed.mode);
  const badge = byId("feed-badge");
  setText(badge, fresh);
  badge.dataset["fresh"] = fresh;
  setText(byId("feed-age"), age === null ? "" : duration(age));
  const relay = feed.relay ?? view.relay;
  part("feed-mode", feed.mode, feed.mode === "polling", feed.why);
  part("feed-relay", relay === null ? "relay ?" : relay ? "relay up" : "relay down", relay === false, "The server's own connection to the trader app's stream");
  const providerWords = provider === null ? "provider ?" : provider === "" ? "provider ok" : briefly(provider);
  part("feed-provider", providerWords, provider !== null && provider !== "", provider ?? "");
  const left = server.watch.health?.tokenRemainingS ?? null;
  const token = left === null ? "token ?" : left <= 0 ? "token expired" : `token ${duration(left * 1000)}`;
  part("feed-token", token, left !== null && left < TOKEN_SHORT_S, "The access token's remaining life");
  const say = `${fresh}, ${feed.mode}`;
  if (say !== badgeBefore && badgeBefore !== "") announce(`Prices are ${fresh.toLowerCase()}, ${feed.mode}`);
  badgeBefore = say;
}

function part(id: string, words: string, isBad: boolean, title: string): void {
  const node = byId(id);
  setText(node, words);
  setClass(node, "bad", isBad);
  if (node.title !== title) node.title = title;
}

const PHASES = { pre: "pre-market", regular: "regular session", after: "after hours", closed: "closed" };

export function drawClock(nowMs: number): void {
  setText(byId("clock-time"), clock(nowMs));
  setText(byId("clock-phase"), PHASES[phase(nowMs)]);
}
