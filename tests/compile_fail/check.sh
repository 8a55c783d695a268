#!/usr/bin/env bash
# check.sh COMPILER CASE.cpp [FLAG...]: does the compiler say what the case expects? CMakeLists.txt describes it.
set -euo pipefail

compiler=$1
case_file=$2
shift 2

refuse() {
    echo "check.sh: refused: $case_file: $1"
    printf '%s\n' "$diagnostics" | head -n 60
    exit 1
}

kind=gcc
if [[ $compiler == clang* ]]; then kind=clang; fi

status=0
diagnostics=$(LC_ALL=C "$compiler" -std=c++20 -fsyntax-only "$@" "$case_file" 2>&1) || status=$?

if grep -q '^// expect-success' "$case_file"; then
    [ "$status" -eq 0 ] || refuse "it must compile, and does not"
    exit 0
fi

mapfile -t expected < <(sed -nE "s,^// expect(\($kind\))?: *(.*[^ ]) *$,\2,p" "$case_file")
[ "${#expected[@]}" -gt 0 ] || refuse "no '// expect: FRAGMENT' for $kind"
[ "$status" -ne 0 ] || refuse "it compiles"
for fragment in "${expected[@]}"; do
    grep -qF -- "$fragment" <<<"$diagnostics" || refuse "$kind does not say '$fragment'"
done
# expect-errors: the words come without noise.
errors=$(sed -nE "s,^// expect-errors(\($kind\))?: *([0-9]+) *$,\2,p" "$case_file")
if [ -n "$errors" ]; then
    said=$(grep -cE '(^|: )(fatal )?error: ' <<<"$diagnostics")
    [ "$said" -eq "$errors" ] || refuse "$kind reports $said errors, not $errors"
fi
