// A page of another site that tries every way a browser has to make a server on this machine do something.
import { chromium } from "playwright-core";
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { PATIENCE_MS, say } from "./harness.mjs";

/** More than any budget of a minute may lose. */
const IMAGES = 100;

/** Runs in the foreign page; what each try came to. */
async function attack([base, images]) {
  const loaded = (element, set) =>
    new Promise((done) => {
      element.onload = () => done("loaded");
      element.onerror = () => done("failed");
      set(element);
      document.body.append(element);
    });
  const make = (tag, set) => loaded(document.createElement(tag), set);
  const read = (path, init) => fetch(base + path, init).then((r) => (r.type === "opaque" ? "opaque" : "read"), () => "failed");
  const tries = {};
  const letters = (n) => String.fromCharCode(65 + (n % 26)) + String.fromCharCode(65 + Math.floor(n / 26));
  const all = Array.from({ length: images }, (_, n) => make("img", (e) => (e.src = `${base}/api/candles/AA${letters(n)}`)));
  tries.images = [...new Set(await Promise.all(all))].join();
  tries.script = await make("script", (e) => (e.src = `${base}/api/quote/SCRP`));
  tries.style = await make("link", (e) => ((e.rel = "stylesheet"), (e.href = `${base}/api/quote/STYL`)));
  tries.prefetch = await make("link", (e) => ((e.rel = "prefetch"), (e.href = `${base}/api/quote/PREF`)));
  tries.noCors = await read("/api/candles/NCOR", { mode: "no-cors" });
  tries.noCorsPost = await read("/api/validate/TOYO", { mode: "no-cors", method: "POST" });
  tries.cors = await read("/api/candles/CORS");
  tries.beacon = navigator.sendBeacon(`${base}/api/shutdown`, "") ? "sent" : "refused";
  tries.frame = await make("iframe", (e) => (e.src = `${base}/api/candles/FRAM`));
  const said = new Promise((done) => addEventListener("message", (event) => done(event.data)));
  const inside = `<script>fetch("${base}/api/candles/SAND").then(() => "read", () => "failed").then((w) => parent.postMessage(w, "*"))</` + "script>";
  await make("iframe", (e) => ((e.sandbox = "allow-scripts"), (e.srcdoc = inside)));
  tries.sandboxed = await said;
  for (const path of ["/api/shutdown", "/api/validate/TOYO", "/api/drill?stall=candle-cache&how=sleep&for=20s"]) {
    const target = `to${path}`;
    const frame = document.createElement("iframe");
    frame.name = target;
    const form = Object.assign(document.createElement("form"), { method: "POST", action: base + path, target });
    document.body.append(frame, form);
    const done = new Promise((resolve) => (frame.onload = resolve));
    form.submit();
    await done;
  }
  tries.stream = await new Promise((done) => {
    const socket = new WebSocket(`${base.replace("http", "ws")}/api/ws/quotes`);
    socket.onopen = () => done("open");
    socket.onerror = () => done("failed");
  });
  return tries;
}

export async function foreignPage(base) {
  const site = createServer((_, answer) => answer.setHeader("Content-Type", "text/html").end("<!doctype html><title>another site</title>"));
  await new Promise((done) => site.listen(0, "127.0.0.1", done));
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    // Newer browsers ask their user before a public site reaches this machine: here it need not be asked.
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP attacker.example 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--disable-features=LocalNetworkAccessChecks,HttpsUpgrades"],
    timeout: PATIENCE_MS,
  });
  try {
    const page = await browser.newPage();
    await page.goto(`http://attacker.example:${site.address().port}/`);
    const tries = await page.evaluate(attack, [base, IMAGES]);
    say(JSON.stringify(tries));
    assert.deepEqual(tries, {
      images: "failed", script: "failed", style: "failed", prefetch: "failed",
      // What was answered cannot be seen from there.
      noCors: "opaque", noCorsPost: "opaque", beacon: "sent", frame: "loaded",
      cors: "failed", sandboxed: "failed", stream: "failed",
    });
    // A link of a foreign page opens our page, and the page works.
    await page.evaluate((url) => { location.href = url; }, `${base}/`);
    await page.waitForFunction(() => globalThis.tapewarden?.slots()[0].data.length > 0, undefined, { timeout: PATIENCE_MS });
  } finally {
    await browser.close();
    site.close();
  }
}
