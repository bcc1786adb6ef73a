// A socket.io server with the trader app's two events, told by lines on stdin what to do. With two arguments,
// the files of a certificate and its key, it speaks TLS.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { createInterface } from "node:readline";
import { Server } from "socket.io";

const [cert, key] = process.argv.slice(2).map((file) => readFileSync(file));
const http = cert ? createSecureServer({ cert, key }) : createServer();
const io = new Server(http, { pingInterval: 1000, pingTimeout: 1000 });

io.on("connection", (socket) => {
  console.log("connected");
  socket.on("subscribe_quotes", (data) => console.log("subscribed", data.symbols.sort().join(",")));
  socket.on("unsubscribe_quotes", (data) => console.log("unsubscribed", data.symbols.sort().join(",")));
});

http.listen(0, "127.0.0.1", () => console.log("listening", http.address().port));

createInterface({ input: process.stdin }).on("line", (line) => {
  const [command, argument] = line.split(" ");
  if (command === "quote") {
    for (let n = 0; n < Number(argument); n++) {
      io.emit("quote_update", { symbol: "TOYO", last_price: 2.5 + n, n, raw: n % 2 ? Buffer.from([0, 1]) : null });
    }
  } else if (command === "spike") {
    io.emit("volume_spike", { symbol: "TOYO", spike_ratio: 4.5 });
  } else if (command === "drop") {
    io.disconnectSockets(true);
  }
}).on("close", () => process.exit(0));
