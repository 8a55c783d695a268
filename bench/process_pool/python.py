#!/usr/bin/env python3
"""python.py LIBRARY: the calls of tenure.cpp in a process pool of Python; without an argument: which libraries it knows.

Prints what bench/compare reads. Exit status: 0; 77 when there is no such library here.
"""
import importlib
import json
import os
import signal
import sys
import time

LIBRARIES = ("concurrent.futures", "loky")


def add(a, b):
    return a + b


def first_of(data):
    return data[0]


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def pool(library):
    if library == "loky":
        return importlib.import_module("loky").ProcessPoolExecutor(max_workers=1)
    return importlib.import_module("concurrent.futures").ProcessPoolExecutor(max_workers=1)


def timed(call):
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def latencies(name, seconds):
    seconds = sorted(seconds)
    return {"name": name, "items_per_second": len(seconds) / sum(seconds), "p50_us": seconds[len(seconds) // 2] * 1e6,
            "p99_us": seconds[len(seconds) * 99 // 100] * 1e6}


def one_by_one(executor, tasks, calls):
    """`tasks` calls are under way at any time."""
    waiting = [executor.submit(add, 1, 2) for _ in range(tasks)]
    for i in range(tasks * (calls - 1)):
        waiting[i % tasks].result()
        waiting[i % tasks] = executor.submit(add, 1, 2)
    for future in waiting:
        future.result()


def start(library):
    began = time.perf_counter()
    executor = pool(library)
    executor.submit(add, 1, 2).result()
    took = time.perf_counter() - began
    executor.shutdown()
    return took


def death(library):
    """The pool is broken by it: each death has one of its own."""
    executor = pool(library)
    executor.submit(add, 1, 2).result()
    began = time.perf_counter()
    try:
        executor.submit(die).result()
    except Exception:  # pylint: disable=broad-exception-caught
        pass
    took = time.perf_counter() - began
    executor.shutdown()
    return took


def main(library):
    try:
        importlib.import_module(library)
    except ImportError:
        return 77
    cases = []
    with pool(library) as executor:
        executor.submit(add, 1, 2).result()
        cases.append(latencies("round_trip", [timed(lambda: executor.submit(add, 1, 2).result()) for _ in range(1000)]))
        parked = []
        for _ in range(200):
            time.sleep(0.001)
            parked.append(timed(lambda: executor.submit(add, 1, 2).result()))
        cases.append(latencies("round_trip_parked", parked))
        for tasks in (8, 64):
            took = timed(lambda n=tasks: one_by_one(executor, n, 20))
            cases.append({"name": f"pipelined/{tasks}", "items_per_second": tasks * 20 / took})
        for size, times in ((1, 50), (100, 3)):
            data = bytes(size << 20)
            took = timed(lambda d=data, n=times: [executor.submit(first_of, d).result() for _ in range(n)])
            cases.append({"name": f"payload/{size}", "items_per_second": times / took})
    cases.append(latencies("start/1", [start(library) for _ in range(10)]))
    cases.append(latencies("death", [death(library) for _ in range(10)]))
    print(json.dumps({"benchmarks": cases}))
    return 0


if __name__ == "__main__":
    if len(sys.argv) == 1:
        print(" ".join(LIBRARIES))
    else:
        sys.exit(main(sys.argv[1]))
