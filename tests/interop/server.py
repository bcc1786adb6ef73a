"""A python-socketio server with the trader app's two events, told by lines on stdin what to do.

With two arguments, the files of a certificate and its key, it speaks TLS."""
import ssl
import sys
import threading

import socketio
from simple_websocket import Server as _needed  # without it Socket.IO has no WebSocket  # noqa: F401
from werkzeug.serving import make_server

io = socketio.Server(async_mode="threading", ping_interval=1, ping_timeout=1, cors_allowed_origins="*")


@io.on("subscribe_quotes")
def subscribe(_sid, data):
    print("subscribed", ",".join(sorted(data["symbols"])), flush=True)


@io.on("unsubscribe_quotes")
def unsubscribe(_sid, data):
    print("unsubscribed", ",".join(sorted(data["symbols"])), flush=True)


@io.event
def connect(_sid, _environ):
    print("connected", flush=True)


tls = None
if len(sys.argv) == 3:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(sys.argv[1], sys.argv[2])
http = make_server("127.0.0.1", 0, socketio.WSGIApp(io), threaded=True, ssl_context=tls)
threading.Thread(target=http.serve_forever, daemon=True).start()
print("listening", http.server_port, flush=True)
for line in sys.stdin:
    command, _, argument = line.strip().partition(" ")
    if command == "quote":
        for n in range(int(argument)):
            io.emit("quote_update", {"symbol": "TOYO", "last_price": 2.5 + n, "n": n, "raw": b"\x00\x01" if n % 2 else None})
    elif command == "spike":
        io.emit("volume_spike", {"symbol": "TOYO", "spike_ratio": 4.5})
    elif command == "drop":
        for sid in list(io.manager.rooms.get("/", {}).get(None, {})):
            io.disconnect(sid)
