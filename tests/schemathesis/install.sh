#!/usr/bin/env bash
# Installs schemathesis and openapi-spec-validator for tests/it/schemathesis.rs under target/schemathesis. They are
# programs for Python 3.10 or newer: without one this says so and ends with 3.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
. "$here/../python.sh"
into="$here/../../target/schemathesis"
python_for "Python from 3.10 on with venv, which schemathesis needs" \
    'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 10))' \
    python3 python3.{13,12,11,10} "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.{13,12,11,10}.*/bin/python
mkdir -p "$into"
[ -x "$into/venv/bin/python" ] || "$python" -m venv "$into/venv"
"$into/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
