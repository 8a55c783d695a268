# Sourced by ./run and ./test: finds the Debian packages that are missing and installs them, or says how.
# shellcheck shell=bash

# group|package|a file that shows it is installed (a pattern)|why it is needed
TENURE_PACKAGES='
build|clang-19|/usr/bin/clang++-19|the C++ compiler
build|cmake|/usr/bin/cmake|configures the build
build|ninja-build|/usr/bin/ninja|runs the build
build|libcli11-dev|/usr/include/CLI/CLI.hpp|the command line parser of the tenure command
build|libfmt-dev|/usr/include/fmt/core.h|text formatting in the tenure command
job|findutils|/usr/bin/find|lists the files for the main job
job|gzip|/bin/gzip|the command that the main job runs
test|libgtest-dev|/usr/include/gtest/gtest.h|the unit test framework
test|libgmock-dev|/usr/include/gmock/gmock.h|matchers for the unit tests
test|procps|/usr/bin/pgrep|integration tests look for left-over processes
test|python3|/usr/bin/python3|integration tests drive the command in a pseudo-terminal
all|g++-12|/usr/bin/g++-12|the second compiler
all|libclang-rt-19-dev|/usr/lib/llvm-19/lib/clang/19/lib/linux/libclang_rt.asan-*.a|the sanitizer run-times
all|llvm-19|/usr/lib/llvm-19/bin/llvm-symbolizer|readable stack traces from the sanitizers
all|clang-format-19|/usr/bin/clang-format-19|checks the formatting
all|clang-tidy-19|/usr/bin/clang-tidy-19|static analysis
all|libclang-19-dev|/usr/lib/llvm-19/include/clang/AST/ASTConsumer.h|a plugin that keeps the analysis to our own code
all|llvm-19-dev|/usr/lib/llvm-19/include/llvm/Support/Casting.h|the same
all|valgrind|/usr/bin/valgrind|counts the instructions of short paths
bench|libbenchmark-dev|/usr/include/benchmark/benchmark.h|the benchmark framework
bench|libtbb-dev|/usr/include/tbb/task_group.h|a contender in the benchmarks
bench|libboost1.81-dev|/usr/include/boost/asio.hpp|a contender in the benchmarks (Asio)
bench|libomp-19-dev|/usr/lib/llvm-19/lib/libomp.so|a contender in the benchmarks (OpenMP)
'

# tenure_as_root COMMAND...: runs it as root, by sudo where we are not; 1 when neither is possible.
tenure_as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1 && { sudo -n true 2>/dev/null || [ -t 2 ]; }; then
        sudo "$@"
    else
        return 1
    fi
}

# tenure_need_packages GROUP...: makes sure that every package of these groups is installed.
# Only looks for files when nothing is missing, which costs a few milliseconds.
tenure_need_packages() {
    local group package witness why missing=() wanted=" $* "
    while IFS='|' read -r group package witness why; do
        if [ -z "$group" ] || [ "${wanted/ $group /}" = "$wanted" ]; then continue; fi
        if ! compgen -G "$witness" >/dev/null; then
            if [ "${#missing[@]}" -eq 0 ]; then echo "Missing Debian packages:" >&2; fi
            printf '  %-20s %s\n' "$package" "$why" >&2
            missing+=("$package")
        fi
    done <<<"$TENURE_PACKAGES"
    if [ "${#missing[@]}" -eq 0 ]; then return 0; fi

    local line="apt-get install -y --no-install-recommends ${missing[*]}"
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "This machine has no apt-get. Install the equivalents of: ${missing[*]}" >&2
        return 1
    fi
    if ! tenure_as_root true; then
        echo "Installing them needs root, and there is no sudo to use. As root, run:" >&2
        echo "  apt-get update && $line" >&2
        return 1
    fi
    local log
    log=$(mktemp)
    echo "Installing them: $line" >&2
    # The package lists of a fresh machine are empty or old; fetch them first.
    if ! { tenure_as_root apt-get update -qq &&
        tenure_as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
            "${missing[@]}"; } >"$log" 2>&1 </dev/null; then
        tail -n 30 "$log" >&2
        rm -f "$log"
        echo "The installation failed (above). Mend it, or run as root: apt-get update && $line" >&2
        return 1
    fi
    rm -f "$log"
}
