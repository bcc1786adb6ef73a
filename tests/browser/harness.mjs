// A Chromium on a page, and what must hold on every page: no errors on its console, no request that
// leaves this machine, nothing that its own policy forbids.
import { chromium } from "playwright-core";
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { createInterface } from "node:readline";

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--js-flags=--expose-gc",
  // Whatever else it may want to look up is not there.
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];

/** For hangs only. */
export const PATIENCE_MS = 120_000;

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Has the test's other side do something; gives its answer. */
export async function order(words) {
  process.stdout.write(`> ${words}\n`);
  const { value, done } = await answers.next();
  assert.ok(!done, "the other side is gone");
  return value;
}

export function say(...words) {
  console.log(...words);
}

export async function withPage(base, shots, run, { init, httpCredentials, mayFail = false } = {}) {
  mkdirSync(shots, { recursive: true });
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: FLAGS,
    timeout: PATIENCE_MS,
  });
  const faults = [];
  try {
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, reducedMotion: "reduce", ...(httpCredentials && { httpCredentials }) });
    context.setDefaultTimeout(PATIENCE_MS);
    const page = await context.newPage();
    if (init !== undefined) await page.addInitScript(init);
    const home = new URL(base).host;
    const visit = (kind, url) => {
      if (new URL(url).host !== home) faults.push(`${kind} left the server: ${url}`);
    };
    page.on("request", (request) => visit("a request", request.url()));
    page.on("websocket", (socket) => visit("a stream", socket.url()));
    page.on("pageerror", (error) => faults.push(`an error: ${error.stack}`));
    page.on("console", (message) => {
      // A browser logs answers of 400 and above, and those that do not come, by itself.
      const its = /^Failed to load resource|^WebSocket connection to .* failed/.test(message.text());
      const bad = message.type() === "error" || message.type() === "warning";
      if (bad && !(its && mayFail)) faults.push(`on the console: ${message.text()} ${message.location().url}`);
    });
    const shot = (name) => page.screenshot({ path: `${shots}/${name}.png` });
    await run(page, shot);
    assert.deepEqual(faults, []);
  } catch (error) {
    say(faults.join("\n"));
    const page = browser.contexts()[0]?.pages()[0];
    await page?.screenshot({ path: `${shots}/failed.png`, timeout: 5_000 }).catch(() => undefined);
    const state = () => JSON.stringify([location.href, document.querySelector("#banner-words")?.textContent, document.querySelector("header")?.innerText, globalThis.tapewarden?.feed(), globalThis.tapewarden?.slots().map((s) => ({ ...s, data: s.data.slice(-2) }))]);
    say(await page?.evaluate(state).catch(() => "the page does not answer"));
    throw error;
  } finally {
    await browser.close();
  }
}

/** Waits until a question to the page is answered as it should be. */
export async function eventually(page, what, question, argument) {
  try {
    await page.waitForFunction(question, argument, { timeout: PATIENCE_MS, polling: 100 });
  } catch (error) {
    throw new Error(`never came: ${what} (${error.message.split("\n")[0]})`);
  }
}

export async function text(page, selector) {
  return (await page.locator(selector).innerText()).trim();
}

/** An answer of the API, asked for by the page itself. */
export function api(page, path) {
  return page.evaluate(async (p) => (await fetch(p)).json(), path);
}

/** What the primary chart holds, by the chart's own API. */
export function held(page) {
  return page.evaluate(() => globalThis.tapewarden.slots()[0]);
}
