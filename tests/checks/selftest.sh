#!/bin/sh
# selftest.sh: each check fails when its violation is put in, and only then: a small tree that passes, one change at
# a time.
set -eu
checks=$(cd "$(dirname "$0")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
passed=0 failed=0

fresh() {
    rm -rf "$tree"
    mkdir -p "$tree/src/base" "$tree/src/rules" "$tree/src/device/cpu" "$tree/src/model" "$tree/src/eval" \
        "$tree/src/train" "$tree/src/cli" "$tree/tests" "$tree/include"
    cp "$checks/../../.clang-format" "$tree/"
    cat > "$tree/src/base/str.h" <<'C'
/* str.h: strings. */
#include "agrl.h"
C
    cat > "$tree/src/eval/judge.c" <<'C'
/* judge.c: it prints nothing, whatever "printf(" and exit() in a comment say. */
#include "base/str.h"
#include "model/model.h"
#include "rules/book.h"

static const char *text = "exit(1) \" printf(";
C
    echo 'project(agrl)' > "$tree/CMakeLists.txt"
    echo '/* main.c: the program. */' > "$tree/src/main.c"
    echo '#include "cli/cli.h"' >> "$tree/src/main.c"
}

ok() { # NAME COMMAND...: the command succeeds
    name=$1
    shift
    if "$@" > "$tree/log" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $name"
        cat "$tree/log"
    fi
}

fails() { # NAME CHECK WORD: the check fails and says WORD
    if "$checks/$2.sh" "$tree" > "$tree/log" 2>&1; then
        failed=$((failed + 1))
        echo "FAILED: $1: $2.sh found nothing"
    elif ! grep -q -e "$3" "$tree/log"; then
        failed=$((failed + 1))
        echo "FAILED: $1: $2.sh does not say '$3':"
        cat "$tree/log"
    else
        passed=$((passed + 1))
    fi
    fresh
}

put() { # FILE LINE...: appends the lines
    file=$tree/$1
    shift
    [ -f "$file" ] || echo "/* $(basename "$file"): a file. */" > "$file"
    printf '%s\n' "$@" >> "$file"
}

fresh
ok "a clean tree has its layers" "$checks/layers.sh" "$tree"
ok "a clean tree has style" "$checks/style.sh" "$tree"

put src/base/bad.c '#include "rules/book.h"'
fails "base includes rules" layers 'src/base/bad.c:2: base must not include "rules/book.h"'
put src/eval/bad.c '  #  include "train/loop.h"'
fails "eval includes train" layers 'eval must not include "train/loop.h"'
put src/device/cpu/bad.c '#include "text/tokenizer.h"'
fails "device includes text" layers 'device must not include "text/tokenizer.h"'
put src/model/bad.c '#include "data/pair.h"'
fails "model includes data" layers 'model must not include "data/pair.h"'
put src/base/bad.c '#include "../rules/book.h"'
fails "a way around by .." layers 'by its path below src'
put src/base/bad.c '#include "str.h"'
fails "a header without its room" layers 'by its path below src'
put src/base/bad.c '#include "attic/old.h"'
fails "a room that is none" layers 'is in no room'
mkdir "$tree/src/attic"
put src/attic/old.c 'int x;'
fails "a folder that is no room" layers 'no room is called attic'

put CMakeLists.txt "add_compile_options(-f""fast-math)"
fails "fast math" style 'CMakeLists.txt:2: a flag'
put src/base/flags.cmake "add_compile_options(-m""arch=native)"
fails "this machine's processor" style 'flags.cmake:2: a flag'
put src/base/bad.c "#pragma GCC optimize(\"fast""-math\")"
fails "fast math by pragma" style 'bad.c:2: a flag'
put src/rules/bad.c 'void f(void) { exit(1); }'
fails "exit in a library room" style 'src/rules/bad.c:2: library code'
put src/rules/bad.c '/* a comment */ void f(void) { printf("x"); }'
fails "printf in a library room" style 'src/rules/bad.c:2: library code'
put src/rules/bad.c 'void f(void) { fprintf(stderr, "x"); }'
fails "stderr in a library room" style 'src/rules/bad.c:2: library code'
put src/cli/fine.c 'void f(void) { printf("x"); }'
put src/rules/fine.c 'void f(char *b) { snprintf(b, 2, "x"); on_exit_from(b); }'
ok "commands print, and names may hold these words" "$checks/style.sh" "$tree"
fresh
awk 'BEGIN { print "/* long.c */"; for (i = 0; i < 1500; i++) print "int x" i ";" }' > "$tree/src/base/long.c"
fails "a file too long" style 'long.c:1501: more than 1500 lines'
echo 'int x;' > "$tree/src/base/bare.c"
fails "no head comment" style 'bare.c:1: no head comment'
put tests/bad.sh "cd /wo""rk/main"
fails "a machine's path" style 'tests/bad.sh:2: a path'
put src/base/bad.c "const char *p = \"/ho""me/ann/x\";"
fails "a home folder" style 'src/base/bad.c:2: a path'

if "$checks/format.sh" "$tree" > "$tree/log" 2>&1; then
    ok "a clean tree is formatted" "$checks/format.sh" "$tree"
    put src/base/bad.c 'int  f( int x ){return x;}'
    fails "unformatted" format 'src/base/bad.c: not formatted'
elif [ $? -ne 77 ]; then
    cat "$tree/log"
    failed=$((failed + 1))
fi

echo "selftest of the checks: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
