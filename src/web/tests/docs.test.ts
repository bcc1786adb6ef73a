import assert from "node:assert/strict";
import { test } from "node:test";

import { address, operations } from "../core/openapi";

test("operations of a document are read, odd ones left out", () => {
  const schema = { type: "string", enum: ["1m", "D"], default: "1m" };
  const get = {
    summary: "Candles",
    parameters: [{ name: "timeframe", in: "query", description: "How long", schema, example: "D" }],
    responses: { 200: { description: "Well", content: { "application/json": { schema: { $ref: "#/components/schemas/Candles" } } }, headers: { ETag: {} } } },
  };
  const [one, ...others] = operations({ paths: { "/a": { get, head: get, trace: get }, "/b": null, "/c": { get: 1 } } });
  assert.equal(others.length, 0);
  assert.equal(one?.method, "get");
  assert.deepEqual(one?.parameters[0]?.choices, ["1m", "D"]);
  assert.equal(one?.parameters[0]?.fallback, "1m");
  assert.deepEqual(one?.responses, [{ status: "200", when: "Well", content: [{ media: "application/json", schema: "Candles" }], headers: ["ETag"] }]);
  for (const odd of [null, 1, "x", [], { paths: [] }]) assert.deepEqual(operations(odd), []);
});

test("an address has its path's values escaped and no empty ones in its query", () => {
  const symbol = { name: "symbol", place: "path", value: "BRK/B" };
  assert.equal(address("/api/candles/{symbol}", [symbol, { name: "timeframe", place: "query", value: "" }]), "/api/candles/BRK%2FB");
  assert.equal(address("/api/candles/{symbol}", [symbol, { name: "a b", place: "query", value: "&" }]), "/api/candles/BRK%2FB?a%20b=%26");
});
