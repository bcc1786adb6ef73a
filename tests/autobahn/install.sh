#!/usr/bin/env bash
# Installs Autobahn's fuzzing client for src/edge/ws/autobahn_tests.rs under target/autobahn. It is a program for
# Python 2.7: without one this says so and ends with 3.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
. "$here/../python.sh"
into="$here/../../target/autobahn"
python_for "Python 2.7 with pip, which Autobahn's fuzzing client needs" \
    'import sys, pip; sys.exit(sys.version_info[:2] != (2, 7))' \
    python2.7 python2 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/2.7.*/bin/python
mkdir -p "$into"
[ -x "$into/venv/bin/wstest" ] && exit 0
"$python" -m pip install --quiet --disable-pip-version-check --target "$into/tools" virtualenv==20.15.1
PYTHONPATH="$into/tools" "$python" -m virtualenv --quiet "$into/venv"
"$into/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
