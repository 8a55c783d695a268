#!/usr/bin/env python3
"""Samples in the documentation are files that are built and run.

A code block that follows the line `<!-- sample: examples/foo.cpp -->` holds that file, word for word.
  tools/samples.py          says which blocks differ from their files; exit status 1 if any does
  tools/samples.py --paste  copies the files into the blocks
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"<!-- sample: (?P<file>\S+) -->\n```(?P<language>\w+)\n(?P<text>.*?)```\n", re.DOTALL)


def main():
    paste = sys.argv[1:] == ["--paste"]
    if sys.argv[1:] and not paste:
        sys.exit(f"{sys.argv[1]}: unknown; the one option is --paste")
    wrong = found = 0
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, check=True, capture_output=True, text=True)
    for name in listed.stdout.split():
        page = ROOT / name
        old = page.read_text(encoding="utf-8")

        def block(match):
            nonlocal wrong, found
            found += 1
            source = ROOT / match["file"]
            if not source.is_file():
                sys.exit(f"{name}: {match['file']} does not exist")
            text = source.read_text(encoding="utf-8")
            if text != match["text"] and not paste:
                wrong += 1
                print(f"{name}: the block of {match['file']} differs from the file; tools/samples.py --paste mends it")
            return f"<!-- sample: {match['file']} -->\n```{match['language']}\n{text}```\n"

        new = BLOCK.sub(block, old)
        if paste and new != old:
            page.write_text(new, encoding="utf-8")
    print(f"{found} samples, {wrong} differ")
    sys.exit(1 if wrong or not found else 0)


if __name__ == "__main__":
    main()
