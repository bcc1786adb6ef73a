# Sourced by installers: finds a Python for programs that want a certain one.

# python_for "what wants it and what for" CHECK CANDIDATE...: sets python to the first candidate in which the Python
# statement CHECK ends well; where none does it says so, and the installer ends with 3.
python_for() {
    local why="$1" check="$2" candidate
    shift 2
    for candidate in "$@"; do
        if command -v "$candidate" >/dev/null && "$candidate" -c "$check" 2>/dev/null; then
            python="$candidate"
            return
        fi
    done
    echo "skipped: no $why"
    exit 3
}
