#!/bin/sh
# Make the virtual environment .venv and install the tested set. Called by make, which sets PYTHON and NEWEST.
set -u
PYTHON=${PYTHON:-python3}

stop() {
    printf '\n%s\n' "$1" >&2
    exit 1
}

minor() {
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

command -v "$PYTHON" >/dev/null 2>&1 ||
    stop "There is no $PYTHON here. Install Python 3.11 or newer, or name yours: make PYTHON=/path/to/python3"
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    stop "Python 3.11 or newer is needed, but $PYTHON is $("$PYTHON" --version 2>&1). Install a newer one and name it: make PYTHON=python3.12"
"$PYTHON" -c 'import venv, ensurepip' 2>/dev/null ||
    stop "$PYTHON cannot make virtual environments (its venv module is missing). On Debian and Ubuntu: apt install python3-venv"

fresh=""
if [ -e .venv ] && [ "$(minor .venv/bin/python)" != "$(minor "$PYTHON")" ]; then
    fresh="--clear" # made by another Python: packages of two versions would mix
fi
"$PYTHON" -m venv $fresh .venv ||
    stop "The virtual environment .venv could not be made. The lines above say why; is the disk full, or the folder not yours?"

if [ -n "${NEWEST:-}" ]; then
    pinned=""
    echo "Installing the newest versions of the packages into .venv. This takes some minutes."
else
    pinned="-c constraints.txt"
    echo "Installing the tested versions of the packages into .venv. The first time takes some minutes."
fi
# shellcheck disable=SC2086  # $pinned is two words or none
.venv/bin/python -m pip install $pinned -r requirements.txt && .venv/bin/python -m pip install --no-deps --no-build-isolation -e . ||
    stop "pip could not install the packages. The lines above say which one and why. Most often the network or the disk is the cause;
when it is mended, run the same make command again: it goes on where it stopped."
