#!/usr/bin/env python3
"""Prints the sources in a compile_commands.json that are ours, largest first, separated by NUL."""

import json
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def main() -> int:
    with open(sys.argv[1], encoding="utf-8") as file:
        commands = json.load(file)
    build = os.path.join(ROOT, "build") + os.sep
    files = {os.path.abspath(os.path.join(command["directory"], command["file"])) for command in commands}
    ours = [path for path in files if path.startswith(ROOT + os.sep) and not path.startswith(build)]
    if not ours:
        print(f"{sys.argv[1]}: no source of this project", file=sys.stderr)
        return 1
    for path in sorted(ours, key=os.path.getsize, reverse=True):
        sys.stdout.write(os.path.relpath(path, ROOT) + "\0")
    return 0


if __name__ == "__main__":
    sys.exit(main())
