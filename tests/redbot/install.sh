#!/usr/bin/env bash
# Installs REDbot for tests/redbot.rs under target/redbot. It is a program for Python 3.11 or newer: without one this
# says so and ends with 3.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
into="$here/../../target/redbot"
python=""
for candidate in python3 python3.{13,12,11} "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.{13,12,11}.*/bin/python; do
    if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python="$candidate"
        break
    fi
done
if [ -z "$python" ]; then
    echo "skipped: no Python from 3.11 on with venv, which REDbot needs"
    exit 3
fi
mkdir -p "$into"
[ -x "$into/venv/bin/python" ] || "$python" -m venv "$into/venv"
"$into/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
