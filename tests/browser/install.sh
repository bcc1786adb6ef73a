#!/usr/bin/env bash
# Installs what tests/it/browser.rs needs beside a Chromium: its driver, and what checks the page's sources,
# under target/browser.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
into="$here/../../target/browser"
mkdir -p "$into/page"
cp "$here"/package*.json "$into"
cp "$here"/../../src/web/package*.json "$into/page"
for folder in "$into" "$into/page"; do
    (cd "$folder" && npm ci --silent --no-audit --no-fund --ignore-scripts)
done
