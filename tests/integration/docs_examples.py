#!/usr/bin/env python3
"""Every call in the tables of docs/api.md stands in an example that its line names, and every example is built and run.

The last line is "N passed, N failed": one for each line of a table, one for each example.
"""
import os
import re
import sys

DOCS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs")
CALL = re.compile(r"\b(?:nx_\w+|NX_[A-Z_]+)\b")
EXAMPLE = re.compile(r"`(\w+\.c)`")


def read(*names):
    with open(os.path.join(DOCS, *names), encoding="utf-8") as file:
        return file.read()


def lines_of_tables(page):
    """(line number, the C form, the names of its examples)"""
    for number, line in enumerate(page.splitlines(), 1):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        names = EXAMPLE.findall(cells[-1]) if line.startswith("|") and len(cells) == 3 else []
        if names:
            yield number, cells[1], names


def main():
    blog = read("examples", "blog.h")
    built = read("examples", "meson.build")
    passed = failed = 0

    def result(good, what):
        nonlocal passed, failed
        passed += good
        failed += not good
        if not good:
            print("FAILED  " + what)

    named = set()
    for number, form, names in lines_of_tables(read("api.md")):
        named.update(names)
        there = [name for name in names if os.path.exists(os.path.join(DOCS, "examples", name))]
        words = set(CALL.findall(blog + "".join(read("examples", name) for name in there)))
        missing = [call for call in CALL.findall(form) if call not in words]
        result(there == names and not missing, "api.md:%d: %s without %s" % (number, ", ".join(names), ", ".join(missing)))
    for name in sorted(name for name in os.listdir(os.path.join(DOCS, "examples")) if name.endswith(".c")):
        result(name in named and "'%s'" % name[:-2] in built, "%s is not in api.md, or not built" % name)
    if passed == 0:
        print("no table was found")
        failed += 1
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
