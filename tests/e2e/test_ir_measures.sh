#!/bin/sh
# test_ir_measures.sh: `agrl eval --run` against the Python package ir_measures, where that is installed. PYTHON names another python3.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
PYTHON=${PYTHON:-python3}
if ! "$PYTHON" -c "import ir_measures, pytrec_eval" 2> /dev/null; then
    echo "skipped: no Python package ir_measures (pip install ir_measures pytrec_eval-terrier)"
    exit 77
fi

t "30 random runs, all measures, all queries"
PYTHONUTF8=1 run 0 "$PYTHON" "$SRC/tests/e2e/ir_measures_peer.py" "$AGRL" 30
cat out
finish
