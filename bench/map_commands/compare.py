#!/usr/bin/env python3
"""tenure map beside xargs, GNU parallel and a bare loop: the same commands, interleaved in one run.

  bench/map_commands/compare.py [--items N] [--rounds R] [--tenure BINARY] [WORKLOAD...]

Workloads
  throughput   N x true, two at a time, with a 30 s timeout where the contender has one: wall and CPU seconds
  memory       1,000,000 x true from standard input: peak of the proportional set size of all of tenure's processes
  lateness     from an item's deadline to SIGTERM, both cores busy: p50, p99

Prints minimum and median, and the ratio of medians to tenure's. A contender that is not installed is left out, and said so.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def contenders(tenure):
    """Name -> command that reads one argument a line from standard input and runs `true` for each."""
    found = {"tenure map": [tenure, "map", "-j2", "--timeout", "30s", "--progress", "none", "true"]}
    if shutil.which("xargs"):
        found["xargs -n1 -P2"] = ["xargs", "-n1", "-P2", "true"]
    if shutil.which("parallel"):
        found["parallel"] = ["parallel", "--will-cite", "-j2", "true"]
        found["parallel --joblog --timeout"] = ["parallel", "--will-cite", "-j2", "--timeout", "30", "--joblog",
                                                os.devnull, "true"]
    bare = os.path.join(os.path.dirname(os.path.dirname(tenure)), "bench", "map_commands", "bare_loop")
    if os.access(bare, os.X_OK):
        found["bare loop (the floor)"] = [bare]
    else:
        print(f"{bare} is not built (-DTENURE_BUILD_BENCH=ON): left out")
    for tool in ("xargs", "parallel"):
        if not shutil.which(tool):
            print(f"{tool} is not installed: left out")
    return found


def measure(command, items_file):
    """Wall seconds and CPU seconds (user and system, all descendants that were waited for)."""
    with open(items_file, "rb") as items, tempfile.TemporaryFile() as errors:
        start = time.monotonic()
        process = subprocess.Popen(command, stdin=items, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            errors.seek(0)
            sys.exit(f"{' '.join(command)} ended with {process.returncode}:\n{errors.read().decode()[-2000:]}")
    return wall, usage.ru_utime + usage.ru_stime


def throughput(args):
    with tempfile.NamedTemporaryFile("w", suffix=".items") as items:
        items.writelines(f"{i}\n" for i in range(args.items))
        items.flush()
        runs = {}
        found = contenders(args.tenure)
        for round_number in range(args.rounds):
            for name, command in found.items():
                if "parallel" in name and round_number >= max(1, args.rounds // 2):
                    continue  # four to nine times slower than the others
                runs.setdefault(name, []).append(measure(command, items.name))
    base = [statistics.median(column) for column in zip(*runs["tenure map"])]
    print(f"\n{args.items} x true, 2 at a time, {args.rounds} interleaved rounds")
    print(f"{'':30}{'wall s min/med':>18}{'us/item':>9}{'CPU s min/med':>18}{'tenure/it wall':>16}{'CPU':>7}")
    for name, values in runs.items():
        wall, cpu = zip(*values)
        mw, mc = statistics.median(wall), statistics.median(cpu)
        print(f"{name:30}{min(wall):9.2f}/{mw:8.2f}{mw / args.items * 1e6:9.0f}{min(cpu):9.2f}/{mc:8.2f}"
              f"{base[0] / mw:16.2f}{base[1] / mc:7.2f}")


def tree(pid):
    """The process and its descendants, with their command names."""
    found = []
    to_visit = [pid]
    while to_visit:
        p = to_visit.pop()
        try:
            with open(f"/proc/{p}/comm", encoding="utf-8", errors="replace") as f:
                found.append((p, f.read().strip()))
            with open(f"/proc/{p}/task/{p}/children", encoding="ascii") as f:
                to_visit += [int(c) for c in f.read().split()]
        except OSError:
            pass
    return found


def pss_kib(pid):
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
            for line in f:
                if line.startswith("Pss:"):
                    return int(line.split()[1])
    except OSError:
        pass
    return 0


def memory(args):
    items = args.memory_items
    writer = subprocess.Popen(["seq", str(items)], stdout=subprocess.PIPE)
    process = subprocess.Popen([args.tenure, "map", "-j2", "--timeout", "30s", "--progress", "none", "true"],
                               stdin=writer.stdout, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    writer.stdout.close()
    peak, samples, start = 0, 0, time.monotonic()
    while process.poll() is None:
        # Items are counted only from exec on: before it they share our memory.
        peak = max(peak, sum(pss_kib(p) for p, comm in tree(process.pid) if comm.startswith("tenure")))
        samples += 1
        time.sleep(0.2)
    writer.wait()
    text = process.stderr.read().decode()
    print(f"\n{items} items from standard input: peak PSS of all its processes {peak / 1024:.1f} MB "
          f"({samples} samples, {time.monotonic() - start:.0f} s, exit status {process.returncode})")
    print(text.strip().splitlines()[-1])


def lateness(args):
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try:
        command = [args.tenure, "map", "-j4", "--timeout", "50ms", "--json", "--progress", "none", "sleep", "10"]
        lines = "".join(f"{i}\n" for i in range(args.late_items))
        ran = subprocess.run(command + [], input=lines.encode(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                             check=False)
    finally:
        for b in busy:
            b.kill()
            b.wait()
    late = sorted(e["term_late_ms"] for e in map(json.loads, ran.stdout.splitlines())
                  if e["event"] == "end" and e.get("timed_out"))
    if not late:
        sys.exit("no item timed out")
    print(f"\ndeadline to SIGTERM, both cores busy, {len(late)} items: p50 {late[len(late) // 2]:.3f} ms, "
          f"p99 {late[len(late) * 99 // 100]:.3f} ms, max {late[-1]:.3f} ms")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", choices=["throughput", "memory", "lateness", []], default=[])
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory-items", type=int, default=1_000_000)
    parser.add_argument("--late-items", type=int, default=400)
    parser.add_argument("--tenure", default=os.path.join(ROOT, "build", "release", "bin", "tenure"))
    args = parser.parse_args()
    if not os.access(args.tenure, os.X_OK):
        sys.exit(f"{args.tenure}: not there; build it with ./run --version, or name it with --tenure")
    for workload in args.workloads or ["throughput", "memory", "lateness"]:
        globals()[workload](args)


if __name__ == "__main__":
    main()
