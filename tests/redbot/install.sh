#!/usr/bin/env bash
# Installs REDbot for tests/it/redbot.rs under target/redbot. It is a program for Python 3.11 or newer: without one this
# says so and ends with 3.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
. "$here/../python.sh"
into="$here/../../target/redbot"
python_for "Python from 3.11 on with venv, which REDbot needs" \
    'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' \
    python3 python3.{13,12,11} "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.{13,12,11}.*/bin/python
mkdir -p "$into"
[ -x "$into/venv/bin/python" ] || "$python" -m venv "$into/venv"
"$into/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
