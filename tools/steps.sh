# Sourced by ./test: runs named steps quietly, shows the log of what failed, and closes with a table.
# shellcheck shell=bash

step_rows=()
steps_failed=0
log_folder=build/logs

# Two ./test in one tree would spoil each other's timings and logs. Held until the script ends.
one_at_a_time() {
    mkdir -p build
    exec 8>build/.test-lock
    if ! flock -n 8; then
        echo "Another ./test is running in this tree; waiting for it." >&2
        flock 8
    fi
}

# What a reader needs of a failed step: compiler errors, and what failing tests printed, without the lines of those that
# passed or were skipped.
show_failure() {
    sed '/^The following tests did not run:/,/^$/d' "$1" |
        grep -vE -e '^ *(Start +[0-9]+:|[0-9]+/[0-9]+ Test +#[0-9]+: .*( Passed |\*\*\*Skipped ))|^\[[0-9]+/[0-9]+\] ' \
            -e '^-- |^Preset CMake variables|^  [A-Z_]+="|^[0-9]+ warnings? generated\.$' |
        tail -n 200 | sed 's/^/    /'
    echo "    (whole log: $1)"
}

# step TITLE COMMAND...: returns the command's verdict as 0 or 1.
# bash ignores `set -e` inside `step ... || true`, so a COMMAND that is a function chains what must stop it by &&.
step() {
    local title=$1 log began=$SECONDS result=passed
    shift
    log=$log_folder/$(printf %s "$title" | tr -cs 'a-zA-Z0-9' '_').log
    mkdir -p "$log_folder"
    echo "==> $title"
    if ! run_logged "$log" "$@"; then
        result=FAILED
        steps_failed=$((steps_failed + 1))
        show_failure "$log"
    else
        # ctest's closing lines are the evidence of what ran.
        sed -n '/% tests passed/,$p' "$log" | grep -vE '^$' || true
    fi
    step_rows+=("$(printf '%6d s  %-7s %s' $((SECONDS - began)) "$result" "$title")")
    echo "    $result, $((SECONDS - began)) s"
    [ "$result" = passed ]
}

run_logged() {
    local log=$1 status=0
    shift
    # Without the lock: a process that a test leaves behind would go on holding it.
    "$@" >"$log" 2>&1 </dev/null 8>&- || status=$?
    if [ "$status" -ne 0 ]; then echo "exit status $status: $*" >>"$log"; fi
    return "$status"
}

# Prints what ran, how long it took and how it ended; leaves the script with the verdict.
closing_table() {
    echo
    printf '%s\n' "${step_rows[@]}"
    if [ "$steps_failed" -gt 0 ]; then
        echo "$steps_failed of ${#step_rows[@]} steps FAILED, $SECONDS s"
        exit 1
    fi
    echo "all ${#step_rows[@]} steps passed, $SECONDS s"
    exit 0
}

# nearest WORD CANDIDATE...: the candidate at the smallest edit distance.
nearest() {
    local word=$1
    shift
    printf '%s\n' "$@" | awk -v word="$word" '
        function min(a, b) { return a < b ? a : b }
        function distance(a, b,    i, j, d, cost) {
            for (i = 0; i <= length(a); i++) d[i, 0] = i
            for (j = 0; j <= length(b); j++) d[0, j] = j
            for (i = 1; i <= length(a); i++)
                for (j = 1; j <= length(b); j++) {
                    cost = substr(a, i, 1) != substr(b, j, 1)
                    d[i, j] = min(min(d[i - 1, j] + 1, d[i, j - 1] + 1), d[i - 1, j - 1] + cost)
                }
            return d[length(a), length(b)]
        }
        { n = distance(word, $0); if (NR == 1 || n < best) { best = n; name = $0 } }
        END { print name }'
}

# The layers that have a folder, and app for the command.
known_layers() {
    local folder
    for folder in libs/*/; do basename "$folder"; done
    echo app
}

# The layers touched since the branch left the upstream, or by the last commit and the working tree.
changed_layers() {
    local base=
    if ! git rev-parse --git-dir >/dev/null 2>&1; then
        known_layers
        return
    fi
    if git rev-parse -q --verify origin/HEAD >/dev/null; then base=$(git merge-base HEAD origin/HEAD || true); fi
    if [ -z "$base" ] || [ "$base" = "$(git rev-parse HEAD)" ]; then
        base=$(git rev-parse -q --verify HEAD~1 || git hash-object -t tree /dev/null)
    fi
    { git diff --name-only "$base"; git ls-files --others --exclude-standard; } |
        sed -nE 's,^libs/([^/]+)/.*,\1,p; s,^apps/.*,app,p' | sort -u
}
