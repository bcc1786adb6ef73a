// The quote stream's socket, as the feed wants it.

import { Feed, type FeedEvent, Novelty } from "../core/feed";
import { fields, streamQuote } from "../core/parse";
import type { Quote } from "../core/types";

const TICK_MS = 500;

/** `WebSocket.OPEN` */
const OPEN = 1;

export class Stream {
  readonly feed = new Feed(performance.now(), Math.random);
  private socket: WebSocket | null = null;
  private wanted = new Set<string>();
  private readonly novelty = new Novelty();
  /** The provider's own quotes may be newer than the stream's, which are news all the same. */
  private readonly polledNovelty = new Novelty();

  constructor(
    private readonly onQuote: (quote: Quote) => void,
    private readonly onResync: () => void,
    private readonly onChange: () => void,
  ) {}

  start(): void {
    this.event({ kind: "tick" });
    setInterval(() => this.event({ kind: "tick" }), TICK_MS);
  }

  /** The symbols whose quotes are wanted from now on. */
  want(symbols: Iterable<string>): void {
    const next = new Set(symbols);
    this.say("unsubscribe", [...this.wanted].filter((s) => !next.has(s)));
    this.say("subscribe", [...next].filter((s) => !this.wanted.has(s)));
    this.wanted = next;
  }

  /** A quote that was polled in place of a streamed one. */
  polled(quote: Quote): void {
    if (this.polledNovelty.isNews(quote.symbol, Math.max(quote.tradeMs, quote.quoteMs))) this.event({ kind: "polled" });
    this.onQuote(quote);
  }

  private event(event: FeedEvent): void {
    const before = `${this.feed.mode} ${this.feed.why} ${this.feed.relay}`;
    for (const effect of this.feed.on(event, performance.now())) {
      if (effect === "connect") this.connect();
      else if (effect === "drop") this.drop();
      else this.onResync();
    }
    if (before !== `${this.feed.mode} ${this.feed.why} ${this.feed.relay}`) this.onChange();
  }

  private connect(): void {
    let socket: WebSocket;
    try {
      const scheme = location.protocol === "https:" ? "wss" : "ws";
      socket = new WebSocket(`${scheme}://${location.host}/api/ws/quotes`);
    } catch {
      // A browser or a proxy without WebSocket: polling does.
      this.event({ kind: "closed" });
      return;
    }
    this.socket = socket;
    socket.onopen = () => {
      if (this.socket !== socket) return;
      this.event({ kind: "opened" });
      this.say("subscribe", [...this.wanted]);
    };
    socket.onmessage = (message: MessageEvent<unknown>) => {
      if (this.socket === socket) this.hear(message.data);
    };
    socket.onclose = () => {
      if (this.socket !== socket) return;
      this.socket = null;
      this.event({ kind: "closed" });
    };
  }

  private drop(): void {
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }

  private hear(data: unknown): void {
    let message;
    try {
      message = fields(JSON.parse(String(data)));
    } catch {
      return;
    }
    if (message["type"] === "status") {
      this.event({ kind: "status", connected: message["connected"] === true });
    } else if (message["type"] === "quote") {
      const quote = streamQuote(message);
      if (quote === null) return;
      if (this.novelty.isNews(quote.symbol, Math.max(quote.tradeMs, quote.quoteMs))) {
        this.event({ kind: "news" });
      }
      this.onQuote(quote);
    }
  }

  private say(action: "subscribe" | "unsubscribe", symbols: readonly string[]): void {
    // The browser may have no WebSocket at all, and so no name for its states.
    if (symbols.length === 0 || this.socket === null || this.socket.readyState !== OPEN) return;
    this.socket.send(JSON.stringify({ action, symbols }));
  }
}
