#!/usr/bin/env python3
"""Compile every C fragment of docs/guide.

    docs_snippets.py COMPILER [ARGUMENT...] INCLUDE_DIR [PAGE...]

A fragment that defines main is compiled as it stands. One that begins with a definition is put at file level, any other one into a
function with the usual variables: nx_loop *loop, nx_db *db, nx_session *s and the entities Author and Post of the
guide. Only the syntax is checked, with warnings as errors. One line is printed per fragment; the last line is "N passed, N failed".
"""
import os
import re
import subprocess
import sys
import tempfile

FLAGS = ["-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-std=gnu11"]
GUIDE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "guide")
FENCE = re.compile(r"^```c\n(.*?)^```$", re.M | re.S)
WHOLE = re.compile(r"\bint main\(")
FILE_LEVEL = re.compile(r"^(#define|#include|NX_ENTITY|static |typedef |struct \w+ \{|enum )")

HEADERS = "#include <nextorm.h>\n#include <poll.h>\n#include <stdio.h>\n#include <stdlib.h>\n"
ENTITIES = """
#define AUTHOR(FIELD, E) \\
    FIELD(E, PK, i64, id) FIELD(E, REQ, text, name, .max_len = 64, .unique = true)
#define POST(FIELD, E) \\
    FIELD(E, PK, i64, id) FIELD(E, REQ, text, title, .max_len = 200) FIELD(E, OPT, text, body, .lazy = NX_ON) \\
    FIELD(E, OPT, i32, score) FIELD(E, REQ, boolean, draft, .initial = "true") FIELD(E, SINGLE, Author, author, .optional = true)
NX_ENTITY(Author, AUTHOR)
NX_ENTITY(Post, POST, .table = "post")
"""
OPENING = """
int fragment(nx_loop *loop, nx_db *db, nx_session *s);
int fragment(nx_loop *loop, nx_db *db, nx_session *s)
{
    (void)loop, (void)db, (void)s;
    {
"""
CLOSING = "    }\n    return 0;\n}\n"


def fragments(page):
    """(line of the first line of code, code) of each fragment."""
    with open(page, encoding="utf-8") as file:
        text = file.read()
    for match in FENCE.finditer(text):
        yield text.count("\n", 0, match.start(1)) + 1, match.group(1)


def unit(page, line, code):
    """A translation unit around a fragment; messages of the compiler name the page's own lines."""
    place = '#line %d "%s"\n' % (line, page)
    if WHOLE.search(code):
        return place + code
    if FILE_LEVEL.match(code):
        # What a page shows may be unused there: that it compiles is the question.
        return '%s%s#pragma GCC diagnostic ignored "-Wunused-function"\n%s%s' % (HEADERS, ENTITIES, place, code)
    return HEADERS + ENTITIES + OPENING + place + code + CLOSING


def compiles(compiler, include, text, folder):
    source = os.path.join(folder, "fragment.c")
    with open(source, "w", encoding="utf-8") as file:
        file.write(text)
    done = subprocess.run(compiler + FLAGS + ["-I", include, source], capture_output=True, text=True, errors="replace")
    return done.returncode == 0, done.stdout + done.stderr


def main():
    arguments = sys.argv[1:]
    pages = [a for a in arguments if a.endswith(".md")]
    arguments = [a for a in arguments if not a.endswith(".md")]
    if len(arguments) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    compiler, include = arguments[:-1], arguments[-1]
    if not pages:
        pages = sorted(os.path.join(GUIDE, name) for name in os.listdir(GUIDE) if name.endswith(".md"))

    passed = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for page in pages:
            name = os.path.basename(page)
            for line, code in fragments(page):
                good, output = compiles(compiler, include, unit(name, line, code), folder)
                print("%-7s %s:%d" % ("ok" if good else "FAILED", name, line))
                if not good:
                    print("".join("    | %s\n" % text for text in output.splitlines()), end="")
                passed += good
                failed += not good
    if passed + failed == 0:
        print("no fragment was found")
        failed = 1
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
