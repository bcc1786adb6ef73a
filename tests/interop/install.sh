#!/usr/bin/env bash
# Installs under target/interop the two Socket.IO servers of tests/it/socketio_interop.rs and the streaming clients of
# tests/it/stream_clients.rs.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
into="$here/../../target/interop"
mkdir -p "$into"
cp "$here"/{server.py,server.mjs,clients.py,clients.mjs,package.json,package-lock.json} "$into"
[ -x "$into/venv/bin/python" ] || python3 -m venv "$into/venv"
"$into/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
(cd "$into" && npm ci --silent --no-audit --no-fund)
