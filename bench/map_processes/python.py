#!/usr/bin/env python3
"""python.py LIBRARY: the items of tenure.cpp in worker processes of Python; without an argument: which libraries it knows.

Prints what bench/compare reads. Exit status: 0; 77 when there is no such library here.
"""
import importlib
import json
import sys
import time

LIBRARIES = ("concurrent.futures", "joblib")


def add_one(i):
    return i + 1


def concurrent_futures(library, workers, batch, items):
    """A chunk of a thousand where tenure chooses one: it has no choice of its own."""
    with library.ProcessPoolExecutor(max_workers=workers) as executor:
        list(executor.map(add_one, range(100)))
        began = time.perf_counter()
        total = sum(executor.map(add_one, range(items), chunksize=batch or 1000))
        return total, time.perf_counter() - began


def joblib(library, workers, batch, items):
    with library.Parallel(n_jobs=workers, batch_size=batch or "auto", return_as="generator") as parallel:
        list(parallel(library.delayed(add_one)(i) for i in range(100)))
        began = time.perf_counter()
        total = sum(parallel(library.delayed(add_one)(i) for i in range(items)))
        return total, time.perf_counter() - began


def main(library):
    try:
        module = importlib.import_module(library)
    except ImportError:
        return 77
    run = joblib if library == "joblib" else concurrent_futures
    cases = []
    for workers in (1, 2):
        if library == "joblib" and workers == 1:
            continue  # one job is none: joblib calls the function itself
        for batch, items in ((0, 200_000), (1, 5_000)):
            total, took = run(module, workers, batch, items)
            assert total == items * (items + 1) // 2
            cases.append({"name": f"map_processes/workers:{workers}/batch:{batch}/timeout:0/unordered:0",
                          "items_per_second": items / took})
    print(json.dumps({"benchmarks": cases}))
    return 0


if __name__ == "__main__":
    if len(sys.argv) == 1:
        print(" ".join(LIBRARIES))
    else:
        sys.exit(main(sys.argv[1]))
