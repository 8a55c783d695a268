#!/usr/bin/env python3
"""Checks the sources against layers.json, the only table of allowed dependencies.

Usage: tools/check_layers.py [ROOT]        exit status: 0 clean, 1 violations, 2 layers.json is unusable

The compiler refuses a wrong include of another layer already, for there is one include root per layer.
This checker catches what it cannot: `../` includes, a foreign `detail/`, third-party headers that happen to be
installed, a layer used without being listed, include cycles; and the house rules on README and file length.
"""

import json
import re
import sys
from pathlib import Path

README_LINES = 40
FILE_LINES = 800
CODE_SUFFIXES = {".hpp", ".cpp"}
COUNTED_SUFFIXES = CODE_SUFFIXES | {".h", ".c", ".cmake", ".py", ".sh", ".md", ".txt", ".json", ""}
SKIPPED_FOLDERS = {".git", ".cache", "build", "__pycache__", "node_modules"}
SYSTEM_FOLDERS = {"sys", "linux", "asm", "net", "netinet", "arpa", "bits", "experimental"}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
REAL_SLEEP = re.compile(r"\bthis_thread::sleep_(?:for|until)\b|\b(?:usleep|nanosleep|clock_nanosleep)\s*\(")


class TableError(Exception):
    """layers.json contradicts itself or cannot be read."""


class Table:
    """layers.json, validated: every name known, every arrow pointing down, every list closed."""

    def __init__(self, root: Path):
        try:
            data = json.loads((root / "layers.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise TableError(f"layers.json: {error}") from error
        self.layers = data.get("layers", {})
        self.apps = data.get("apps", {})
        self.packages = data.get("packages", {})
        for name, entry in {**self.layers, **{f"app {n}": e for n, e in self.apps.items()}}.items():
            self._check(name, entry)

    def _check(self, name: str, entry: dict) -> None:
        for key in ("folder", "rank", "sees", "packages"):
            if key not in entry:
                raise TableError(f"layers.json: {name} has no '{key}'")
        for seen in entry["sees"]:
            if seen not in self.layers:
                raise TableError(f"layers.json: {name} sees '{seen}', which is not a layer")
            if self.layers[seen]["rank"] >= entry["rank"]:
                raise TableError(
                    f"layers.json: {name} (rank {entry['rank']}) sees {seen} (rank {self.layers[seen]['rank']}); "
                    "a layer sees lower ranks only")
            hidden = set(self.layers[seen]["sees"]) - set(entry["sees"])
            if hidden:
                raise TableError(
                    f"layers.json: {name} sees {seen} and therefore also {', '.join(sorted(hidden))}; list it")
        for package in entry["packages"]:
            if package not in self.packages:
                raise TableError(f"layers.json: {name} uses package '{package}', which is not in 'packages'")

    def package_of(self, header: str) -> "str | None":
        for name, package in self.packages.items():
            if any(header == prefix or (prefix.endswith("/") and header.startswith(prefix))
                   for prefix in package["includes"]):
                return name
        return None


def layer_of(header: str) -> "str | None":
    """The layer that owns <tenure/...>; what lies directly below tenure/ belongs to the facade."""
    parts = header.split("/")
    if parts[0] != "tenure" or len(parts) < 2:
        return None
    return "tenure" if len(parts) == 2 else parts[1]


def includes_of(path: Path):
    text = path.read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match.group(1) == "<", match.group(2)


def files_below(folder: Path, suffixes=None):
    for path in sorted(folder.rglob("*")):
        if not SKIPPED_FOLDERS.isdisjoint(path.relative_to(folder).parts):
            continue
        if path.is_file() and not path.is_symlink() and (suffixes is None or path.suffix in suffixes):
            yield path


def is_test_file(path: Path) -> bool:
    return "test" in path.stem.split("_")


class Checker:
    def __init__(self, root: Path):
        self.root = root
        self.table = Table(root)
        self.errors: "list[str]" = []

    def error(self, path: Path, line: int, what: str, mend: str) -> None:
        self.errors.append(f"{path.relative_to(self.root)}:{line}: {what}; {mend}")

    def run(self) -> "list[str]":
        for name, entry in self.table.layers.items():
            self.check_folder(name, entry, is_layer=True)
        for name, entry in self.table.apps.items():
            self.check_folder(name, entry, is_layer=False)
        for folder in ("examples", "bench", "tests"):
            self.check_outside(self.root / folder, only_public=folder == "examples")
        self.check_cycles()
        self.check_lengths()
        return self.errors

    def check_folder(self, name: str, entry: dict, is_layer: bool) -> None:
        folder = self.root / entry["folder"]
        if not folder.is_dir():
            self.errors.append(f"layers.json:1: {name}: folder {entry['folder']} does not exist; "
                               "list only what has content")
            return
        self.check_readme(folder)
        for path in files_below(folder, CODE_SUFFIXES):
            for line, angled, header in includes_of(path):
                self.check_include(name, entry, folder, path, line, angled, header, is_layer)
            if path.suffix == ".hpp":
                self.check_guard(path)
            if is_layer and path.name.endswith("_test.cpp"):
                self.check_sleep(path)

    def check_readme(self, folder: Path) -> None:
        readme = folder / "README.md"
        if not readme.is_file():
            self.error(readme, 1, "there is no README.md", "write purpose, file map and invariants")
            return
        lines = len(readme.read_text(encoding="utf-8").splitlines())
        if lines > README_LINES:
            self.error(readme, README_LINES + 1, f"{lines} lines, at most {README_LINES} allowed",
                       "move the rest to docs/")

    def check_include(self, name, entry, folder, path, line, angled, header, is_layer) -> None:
        if ".." in header.split("/"):
            self.error(path, line, f"include of '{header}' leaves its folder",
                       "include <tenure/<layer>/...> or a header beside this file")
            return
        owner = layer_of(header)
        if owner is not None:
            self.check_tenure_include(name, entry, path, line, angled, header, owner, is_layer)
        elif angled:
            self.check_package_include(name, entry, path, line, header)
        elif is_layer and (folder / "include") in path.parents:
            self.error(path, line, f'public header includes "{header}"', "write <tenure/<layer>/...>")
        elif not (path.parent / header).is_file() and not (folder / "src" / header).is_file():
            self.error(path, line, f'"{header}" is neither beside this file nor in {entry["folder"]}/src',
                       "quotes are for private headers of the same layer")

    def check_tenure_include(self, name, entry, path, line, angled, header, owner, is_layer) -> None:
        own = is_layer and owner == name
        if not angled:
            self.error(path, line, f'"{header}" is in quotes', f"write <{header}>")
        if not own and owner not in entry["sees"]:
            allowed = ", ".join(entry["sees"]) or "none"
            self.error(path, line, f"{name} includes <{header}> of layer {owner}, which it does not see",
                       f"allowed: {allowed} (layers.json)")
        if not own and "detail" in header.split("/"):
            self.error(path, line, f"<{header}> is private to layer {owner}", "use its public headers")

    def check_package_include(self, name, entry, path, line, header) -> None:
        package = self.table.package_of(header)
        if package is not None:
            tests_only = self.table.packages[package].get("tests_only", False)
            if package in entry["packages"] or (tests_only and is_test_file(path)):
                return
            mend = "only tests may include it" if tests_only else f"layers.json does not give it to {name}"
            self.error(path, line, f"third-party header <{header}> (package {package})", mend)
            return
        parts = header.split("/")
        if len(parts) > 1 and parts[0] not in SYSTEM_FOLDERS:
            self.error(path, line, f"third-party header <{header}> of an unknown package",
                       "add the package to layers.json, and to the layers that may use it")

    def check_guard(self, path: Path) -> None:
        if "#pragma once" not in path.read_text(encoding="utf-8", errors="replace"):
            self.error(path, 1, "header without #pragma once", "add it as the first line")

    def check_sleep(self, path: Path) -> None:
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if REAL_SLEEP.search(line.split("//")[0]):
                self.error(path, number, "a unit test sleeps in real time",
                           "use the virtual clock, or wait for the event itself")

    def check_outside(self, folder: Path, only_public: bool) -> None:
        """Examples, benchmarks and tests may use everything, but examples only what users may use."""
        if not folder.is_dir():
            return
        for path in files_below(folder, CODE_SUFFIXES):
            for line, _, header in includes_of(path):
                if ".." in header.split("/"):
                    self.error(path, line, f"include of '{header}' leaves its folder",
                               "include <tenure/<layer>/...> or a header beside this file")
                if only_public and layer_of(header) is not None and "detail" in header.split("/"):
                    self.error(path, line, f"an example includes <{header}>", "use public headers")

    def check_cycles(self) -> None:
        """Header cycles within the include roots: such headers work in one order of inclusion only."""
        graph, where = {}, {}
        for entry in self.table.layers.values():
            root = self.root / entry["folder"] / "include"
            for path in files_below(root, {".hpp"}) if root.is_dir() else ():
                name = path.relative_to(root).as_posix()
                where[name] = path
                graph[name] = [(header, line) for line, _, header in includes_of(path)]
        done, trail = set(), []

        def visit(name: str) -> None:
            trail.append(name)
            for header, line in graph[name]:
                if header in trail:
                    cycle = " -> ".join(trail[trail.index(header):] + [header])
                    self.error(where[name], line, f"include cycle {cycle}", "split what both need into a third")
                elif header in graph and header not in done:
                    visit(header)
            done.add(trail.pop())

        for name in graph:
            if name not in done:
                visit(name)

    def check_lengths(self) -> None:
        for path in files_below(self.root, COUNTED_SUFFIXES):
            try:
                lines = len(path.read_text(encoding="utf-8").splitlines())
            except UnicodeDecodeError:
                continue  # not a text file
            if lines > FILE_LINES:
                self.error(path, FILE_LINES + 1, f"{lines} lines, at most {FILE_LINES} allowed",
                           "split it by responsibility")


def main(arguments: "list[str]") -> int:
    if len(arguments) > 1 or any(argument.startswith("-") for argument in arguments):
        print("usage: tools/check_layers.py [ROOT]", file=sys.stderr)
        return 2
    root = Path(arguments[0]) if arguments else Path(__file__).resolve().parent.parent
    try:
        errors = Checker(root.resolve()).run()
    except TableError as error:
        print(error, file=sys.stderr)
        return 2
    for line in errors:
        print(line)
    if errors:
        print(f"{len(errors)} violation(s) of layers.json and the house rules", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
