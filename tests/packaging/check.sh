#!/usr/bin/env bash
# check.sh find_package|add_subdirectory SOURCE BUILD CMAKE COMPILER
# Builds the consumer project against the installed package, or against the sources, and runs it.
set -euo pipefail

way=$1 source=$2 build=$3 cmake=$4 compiler=$5
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

case $way in
find_package)
    "$cmake" --install "$build" --prefix "$work/prefix" >"$work/install.log"
    options=("-DCMAKE_PREFIX_PATH=$work/prefix" -DCMAKE_BUILD_TYPE=Release)
    "$work/prefix/bin/tenure" --help >"$work/help.txt"
    grep -q 'tenure' "$work/help.txt" || { echo "the installed command has no help"; exit 1; }
    # What was installed must not refer to where it was built.
    if grep -rIlF -e "$source" -e "$build" "$work/prefix"; then
        echo "the files above name the source or build folder"
        exit 1
    fi
    ;;
add_subdirectory)
    options=("-DTENURE_SOURCE=$source" -DCMAKE_BUILD_TYPE=Debug) # the quickest to build, and the other one
    ;;
esac

"$cmake" -G Ninja -S "$here/consumer" -B "$work/build" -DCMAKE_CXX_COMPILER="$compiler" "${options[@]}"
"$cmake" --build "$work/build" -j "$(nproc)"
"$work/build/layer_alone"
"$work/build/wire_alone"
"$work/build/workers_without_a_line"
output=$("$work/build/consumer")
echo "$output"
[ "$output" = "6 times 7 is 42" ] || { echo "the consumer says something else"; exit 1; }
if [ "$way" = add_subdirectory ]; then
    # A guest builds its library and nothing else of the host's.
    if "$cmake" --build "$work/build" --target help | grep -E '(_test|unit_tests|example_.*|app_core|: phony tenure):'; then
        echo "tests, examples or the command were added to the consumer's build"
        exit 1
    fi
fi
