#!/usr/bin/env python3
"""Rules of the source tree that no compiler checks: layering, banned functions, sizes, what lies where.

Findings are printed as file:line: text. Exit status 1 when there is one. --self-test plants violations and insists that each is found.
"""
import os
import re
import sys
import tempfile

TOP_LEVEL = {"meson.build", "engine", "drivers", "api", "tests", "perf", "docs", "README.md", "LICENSE",
             ".gitignore", ".clang-format", ".editorconfig", ".ci"}
TOP_LEVEL_IGNORED = re.compile(r"^(\.git|\.cache|build|build-.*)$")
# The files at the bottom; engine/meson.build's base_sources may name more of them.
BASE_FILES = {"base", "memory", "arena", "buf", "map", "values", "row", "statement"}
DRIVER_INTERFACE = {"drivers/driver.h", "drivers/dialect.h"}
SHARED_BY_DRIVERS = {"drivers/tls.h"}
# By the folder or file of drivers/ that may include them.
VENDORS = {"sqlite": {"sqlite3.h"}, "postgres": {"libpq-fe.h"}, "mariadb": {"mysql.h", "errmsg.h", "mysqld_error.h"},
           "tls.c": {"openssl/bio.h", "openssl/err.h", "openssl/ssl.h"}}

# What is banned in engine/ and drivers/ (and, where `everywhere` is set, in all C files), and what takes its place.
BANNED = [
    (r"strcpy|strncpy|strcat|strncat", "memcpy with a checked size, or nxi_buf_put"),
    (r"sprintf|vsprintf", "snprintf or nxi_buf_printf"),
    (r"strtok|strtok_r", "a cursor over {data, size}"),
    (r"atoi|atol|atoll|atof|strtol|strtoll|strtoul|strtoull", "nxi_value_convert or the parsers of value.h"),
    (r"gmtime|gmtime_r|localtime|localtime_r|mktime|strftime|asctime|ctime", "nx_timestamp_format and its relatives"),
    (r"strerror", "strerrordesc_np"),
    (r"alloca", "an arena"),
    (r"gets", "fgets"),
    (r"malloc|calloc|realloc|free|strdup|strndup|posix_memalign|aligned_alloc", "nxi_memory or an arena"),
    (r"assert", "NX_ASSERT for our own invariants, a status for input"),
    (r"printf|fprintf|vprintf|puts|putchar|perror|fputs|putc", "a status and an nx_error: the library prints nothing"),
    (r"exit|_exit|quick_exit", "a status: the library never ends the process"),
    (r"rand|srand|random|drand48", "getrandom"),
]
BANNED_EVERYWHERE = {r"strcpy|strncpy|strcat|strncat", r"sprintf|vsprintf", r"strtok|strtok_r", r"alloca", r"gets"}
# The one place where the host's allocator is called; the one where an invariant's message is printed.
EXEMPT = {
    "engine/memory.c": {"malloc|calloc|realloc|free|strdup|strndup|posix_memalign|aligned_alloc"},
    "engine/base.c": {"printf|fprintf|vprintf|puts|putchar|perror|fputs|putc"},
}
# strncpy and strtol are fine in test programs and the command's argument parsing.
EVERYWHERE_EXEMPT_DIRS = ("tests/",)

LINE_MAX = 130
FILE_LINES_MAX = 700
FUNCTION_LINES_MAX = 80
GENERATED_LIST = "tests/conformance/cases.h"
C_FILE = re.compile(r"\.[ch]$")
TEXT_FILE = re.compile(r"(\.(c|h|in|py|sh|md|build|txt|csv|1|3)|/run|/commands|LICENSE|\.clang-format|\.editorconfig|\.gitignore)$")
MACHINE_PATH = re.compile(r"(?<![\w/.])/(?:home|work|root|Users|mnt)/\w")


def strip_code(text):
    """Comments and the contents of literals become spaces; line breaks stay."""
    out = []
    pattern = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.S)
    at = 0
    for match in pattern.finditer(text):
        out.append(text[at:match.start()])
        piece = match.group(0)
        keep = piece[0] if piece[0] in "\"'" else " "
        out.append(keep + re.sub(r"[^\n]", " ", piece[1:-1]) + keep)
        at = match.end()
    out.append(text[at:])
    return "".join(out)


class Tidy:
    def __init__(self, root):
        self.root = root
        self.findings = []
        self.files = []
        for folder, folders, names in os.walk(root):
            relative = os.path.relpath(folder, root)
            if relative == ".":
                folders[:] = [f for f in folders if not TOP_LEVEL_IGNORED.match(f)]
            folders[:] = [f for f in folders if f != "__pycache__"]
            for name in names:
                self.files.append(os.path.normpath(os.path.join(relative, name)).replace(os.sep, "/"))
        self.files = [f for f in sorted(self.files) if not re.search(r"\.(db|db-wal|db-shm|pyc)$", f)]
        self.text = {}
        self.base = set(BASE_FILES)
        for path in self.files:
            try:
                with open(os.path.join(root, path), encoding="utf-8") as file:
                    self.text[path] = file.read()
            except UnicodeDecodeError:
                if not path.startswith("tests/"):
                    self.find(path, 1, "not UTF-8")
        named = re.search(r"base_sources = files\((.*?)\)", self.text.get("engine/meson.build", ""), re.S)
        if named:
            self.base |= set(re.findall(r"'(\w+)\.c'", named.group(1)))
        self.base_headers = {"engine/%s.h" % name for name in self.base}

    def find(self, path, line, text):
        self.findings.append("%s:%d: %s" % (path, line, text))

    # ------------------------------------------------------------------------------- layering

    def resolve(self, path, name):
        """The tree's file that an include in `path` means; None: a system or vendor header."""
        for base in (os.path.dirname(path), "", "api"):
            candidate = os.path.normpath(os.path.join(base, name)).replace(os.sep, "/")
            if candidate in self.text:
                return candidate
        return None

    def allowed(self, path, target, name):
        if target is not None and (target == "api/nextorm.h" or target.startswith("api/nextorm/")):
            public = True
        else:
            public = False
        if path == "api/nextorm.h" or path.startswith("api/nextorm/"):
            return public or target is None
        if path.startswith("api/cli/"):
            return public or target is None or target.startswith("api/cli/")
        if public or (target is None and not self.is_vendor(name)):
            return True
        if path.startswith("api/"):
            return target is not None and target.startswith(("engine/", "api/"))
        stem = os.path.splitext(os.path.basename(path))[0]
        if path.startswith("engine/") and stem in self.base:
            return target in self.base_headers
        if path.startswith("engine/"):
            return target is not None and (target.startswith("engine/") or target in DRIVER_INTERFACE)
        parts = path.split("/")
        if parts[0] == "drivers" and len(parts) == 2:
            if target is None:
                return name in VENDORS.get(parts[1], set())
            return target in DRIVER_INTERFACE or target in SHARED_BY_DRIVERS or target in self.base_headers
        if parts[0] == "drivers":
            if target is None:
                return name in VENDORS.get(parts[1], set())
            return (target in DRIVER_INTERFACE or target in SHARED_BY_DRIVERS or target in self.base_headers
                    or target.startswith("drivers/%s/" % parts[1]))
        return True

    @staticmethod
    def is_vendor(name):
        return any(name in names for names in VENDORS.values())

    def check_layers(self, path, text):
        for number, line in enumerate(text.splitlines(), 1):
            match = re.match(r"\s*#\s*include\s*[<\"]([^>\"]+)[>\"]", line)
            if match and not self.allowed(path, self.resolve(path, match.group(1)), match.group(1)):
                self.find(path, number, "includes %s, which lies above it or beside it" % match.group(1))
            if path.startswith(("engine/", "drivers/", "api/")) and path not in ("drivers/registry.c", "drivers/driver.h"):
                match = re.search(r"\bnxi_driver_(postgres|mariadb|sqlite)\b", line)
                if match and not path.startswith("drivers/%s/" % match.group(1)):
                    self.find(path, number, "names a concrete driver; only drivers/registry.c does")

    # ---------------------------------------------------------------------------- C source

    def check_banned(self, path, code):
        library = path.startswith(("engine/", "drivers/")) or re.match(r"api/[^/]+\.c$", path)
        for names, instead in BANNED:
            if names in EXEMPT.get(path, set()):
                continue
            if not library and (names not in BANNED_EVERYWHERE or path.startswith(EVERYWHERE_EXEMPT_DIRS)):
                continue
            for match in re.finditer(r"(?<![\w.>])(%s)\s*\(" % names, code):
                self.find(path, code.count("\n", 0, match.start()) + 1, "%s: use %s" % (match.group(1), instead))

    def check_functions(self, path, code):
        start = None
        for number, line in enumerate(code.splitlines(), 1):
            if line.rstrip() == "{":
                start = number
            elif line.rstrip() == "}" and start is not None:
                if number - start - 1 > FUNCTION_LINES_MAX:
                    self.find(path, start, "function of %d lines; at most %d" % (number - start - 1, FUNCTION_LINES_MAX))
                start = None

    def check_c(self, path, text):
        code = strip_code(text)
        self.check_layers(path, text)
        self.check_banned(path, code)
        self.check_functions(path, code)
        for number, line in enumerate(text.splitlines(), 1):
            if re.search(r"/[/*].*\b(TODO|FIXME|XXX|HACK)\b", line):
                self.find(path, number, "unfinished")
            if re.search(r"(?<!:)//(?![^\"]*\"[^\"]*$)", line) and "//" in strip_line_comments(line):
                self.find(path, number, "comments are /* */ sentences")
        if not text.lstrip().startswith("/*"):
            self.find(path, 1, "a file begins with a comment that says its one job")
        if path.endswith(".h") and not path.startswith(("tests/", "perf/", "docs/")):
            guard = re.search(r"#ifndef (NEXTORM_H|NEXTORM_\w+_H|NXI?_\w+_H)\n#define \1\n", text)
            if guard is None:
                self.find(path, 1, "no include guard")

    # -------------------------------------------------------------------------------- all files

    def check_text(self, path, text):
        lines = text.split("\n")
        c = C_FILE.search(path) is not None
        for number, line in enumerate(lines, 1):
            if c and len(line) > LINE_MAX:
                self.find(path, number, "line of %d columns; at most %d" % (len(line), LINE_MAX))
            if "\t" in line and (c or path.endswith((".build", ".py"))):
                self.find(path, number, "tab")
            if line != line.rstrip() and not path.endswith((".csv", ".md")):
                self.find(path, number, "trailing space")
            if MACHINE_PATH.search(line):
                self.find(path, number, "a path of one machine")
        if c and len(lines) > FILE_LINES_MAX and path != GENERATED_LIST:
            self.find(path, FILE_LINES_MAX, "file of %d lines; at most %d" % (len(lines), FILE_LINES_MAX))
        if text and not text.endswith("\n"):
            self.find(path, len(lines), "no line break at the end")

    def check_top_level(self):
        for name in os.listdir(self.root):
            if name not in TOP_LEVEL and not TOP_LEVEL_IGNORED.match(name):
                self.find(name, 1, "does not belong at the top level")
        for name in sorted(TOP_LEVEL):
            if not os.path.exists(os.path.join(self.root, name)):
                self.find(name, 1, "is missing at the top level")

    def check_built(self):
        """Every .c file is named by a meson.build, and every header is included by somebody."""
        builds = {os.path.dirname(p): t for p, t in self.text.items() if os.path.basename(p) == "meson.build"}
        globbed = re.compile(r"^tests/((unit|integration)/test_|fault/|fuzz/fuzz_|support/)\w+\.c$")
        included = set()
        for path, text in self.text.items():
            if C_FILE.search(path):
                for name in re.findall(r"^\s*#\s*include\s*[<\"]([^>\"]+)[>\"]", text, re.M):
                    included.add(self.resolve(path, name))
        for path in self.text:
            if path.endswith(".c") and not globbed.match(path):
                parents = [folder for folder in builds if folder == "" or path.startswith(folder + "/")]
                if not any(re.sub(r"^%s/" % re.escape(folder), "", path) in builds[folder]
                           or os.path.basename(path)[:-2] in re.findall(r"'([\w.]+)'", builds[folder]) for folder in parents):
                    self.find(path, 1, "no meson.build builds this file")
            if path.endswith(".h") and not path.startswith("api/nextorm") and path not in included:
                self.find(path, 1, "nobody includes this header")

    def run(self):
        self.check_top_level()
        for path, text in self.text.items():
            if TEXT_FILE.search("/" + path):
                self.check_text(path, text)
            if C_FILE.search(path):
                self.check_c(path, text)
        self.check_built()
        return self.findings


def strip_line_comments(line):
    """The line without literals and without /* */ comments, to look for // in what is left."""
    return re.sub(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|/\*.*?(\*/|$)|^\s*\*.*", "", line)


# ---------------------------------------------------------------------------------- self test

def head(text):
    return "/* planted - a file. */\n" + text


PLANTED = {
    "engine/planted_up.c": (head('#include "api/cli/args.h"\n'), "includes api/cli/args.h"),
    "engine/arena.c": (head('#include "engine/session.h"\n'), "includes engine/session.h"),
    "engine/planted_driver.c": (head('#include "drivers/sqlite/sqlite.h"\n'), "includes drivers/sqlite/sqlite.h"),
    "engine/planted_vendor.c": (head("#include <sqlite3.h>\n"), "includes sqlite3.h"),
    "drivers/planted_tls.c": (head("#include <openssl/ssl.h>\n"), "includes openssl/ssl.h"),
    "drivers/postgres/planted_tls.c": (head("#include <openssl/ssl.h>\n"), "includes openssl/ssl.h"),
    "engine/planted_tls.c": (head('#include "drivers/tls.h"\n'), "includes drivers/tls.h"),
    "engine/planted_name.c": (head("extern int nxi_driver_sqlite;\n"), "names a concrete driver"),
    "drivers/sqlite/planted.c": (head('#include "engine/session.h"\n'), "includes engine/session.h"),
    "drivers/sqlite/planted_api.c": (head('#include "engine/loop.h"\n'), "includes engine/loop.h"),
    "api/nextorm/planted.h": (head('#ifndef NEXTORM_PLANTED_H\n#define NEXTORM_PLANTED_H\n#include "engine/base.h"\n#endif\n'), "includes engine/base.h"),
    "api/cli/planted.c": (head('#include "engine/base.h"\n'), "includes engine/base.h"),
    "engine/planted_banned.c": (head("int f(void)\n{\n    return atoi(x);\n}\n"), "atoi: use"),
    "engine/planted_malloc.c": (head("void *f(void)\n{\n    return malloc(1);\n}\n"), "malloc: use"),
    "engine/planted_print.c": (head('void f(void)\n{\n    printf("x");\n}\n'), "printf: use"),
    "engine/planted_exit.c": (head("void f(void)\n{\n    exit(1);\n}\n"), "exit: use"),
    "engine/planted_long.c": (head("void f(void)\n{\n" + "    g();\n" * 81 + "}\n"), "function of 81 lines"),
    "engine/planted_file.c": (head("int a;\n" * 701), "file of"),
    "engine/planted_line.c": (head("int a; /* " + "x" * 130 + " */\n"), "line of"),
    "engine/planted_tab.c": (head("\tint a;\n"), "tab"),
    "engine/planted_space.c": (head("int a; \n"), "trailing space"),
    "engine/planted_path.c": (head('const char *p = "/ho' + 'me/me/x";\n'), "a path of one machine"),
    "engine/planted_comment.c": (head("int a; // no\n"), "comments are"),
    "engine/planted_todo.c": (head("int a; /* TO" + "DO later */\n"), "unfinished"),
    "engine/planted_headless.c": ("int a;\n", "begins with a comment"),
    "engine/planted_guard.h": (head("int a;\n"), "no include guard"),
    "engine/planted_unbuilt.c": (head("int a;\n"), "no meson.build builds"),
    "engine/planted_unused.h": (head("#ifndef NXI_P_H\n#define NXI_P_H\n#endif\n"), "nobody includes"),
    "engine/planted_end.c": (head("int a;"), "no line break"),
    "planted.txt": ("x\n", "top level"),
}
CLEAN = {
    "engine/session.h": head("#ifndef NXI_SESSION_H\n#define NXI_SESSION_H\n#endif\n"),
    "engine/loop.h": head("#ifndef NXI_LOOP_H\n#define NXI_LOOP_H\n#endif\n"),
    "engine/base.h": head("#ifndef NXI_BASE_H\n#define NXI_BASE_H\n#endif\n"),
    "engine/clean.c": head('#include "engine/session.h"\n#include "engine/base.h"\n#include "engine/loop.h"\n#include "nextorm/a.h"\n'
                           'const char *a = "malloc(1) // printf(2)"; /* exit(1) */\nint x_free(int);\n'),
    "api/nextorm/a.h": head("#ifndef NEXTORM_A_H\n#define NEXTORM_A_H\n#endif\n"),
    "api/cli/args.h": head("#ifndef NX_ARGS_H\n#define NX_ARGS_H\n#endif\n"),
    "api/cli/main.c": head('#include "args.h"\n#include "nextorm/a.h"\nint main(void)\n{\n    printf("x");\n}\n'),
    "drivers/sqlite/sqlite.h": head("#ifndef NXI_SQLITE_H\n#define NXI_SQLITE_H\n#endif\n"),
    "drivers/sqlite/clean.c": head('#include <sqlite3.h>\n#include "drivers/sqlite/sqlite.h"\n#include "engine/base.h"\n'),
    "drivers/tls.h": head("#ifndef NXI_TLS_H\n#define NXI_TLS_H\n#endif\n"),
    "drivers/tls.c": head('#include "drivers/tls.h"\n#include <openssl/ssl.h>\n'),
    "engine/meson.build": "files('clean.c')\n",
    "drivers/meson.build": "files('tls.c', 'sqlite/clean.c')\n",
    "api/meson.build": "files('cli/main.c')\n",
}


def self_test():
    missed = []
    with tempfile.TemporaryDirectory() as root:
        for path, text in list(CLEAN.items()) + [(p, t) for p, (t, _) in PLANTED.items()]:
            os.makedirs(os.path.dirname(os.path.join(root, path)) or root, exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                file.write(text)
        findings = Tidy(root).run()
        for path, (_, text) in PLANTED.items():
            if not any(f.startswith(path + ":") and text in f for f in findings):
                missed.append("not found: %s in %s" % (text, path))
        for path in CLEAN:
            missed += ["found without a reason: " + f for f in findings if f.startswith(path + ":")]
    for line in missed:
        print(line)
    print("%d planted, %d missed" % (len(PLANTED), len(missed)))
    return 1 if missed else 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    if sys.argv[1:]:
        print(__doc__)
        return 2
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    findings = Tidy(root).run()
    for finding in findings:
        print(finding)
    print("%d findings" % len(findings))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
