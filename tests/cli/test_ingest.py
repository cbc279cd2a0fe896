#!/usr/bin/env python3
"""nextorm ingest: formats, types, keys, conflicts, rejects, exit statuses, memory; with the bad input that files really hold.

Usage: test_ingest.py BUILD_FOLDER|NEXTORM [NAME...]. Prints TAP and "N passed, N failed".
"""
import csv
import io
import os
import pty
import random
import re
import resource
import select
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import traceback

NEXTORM = ""
SANITIZED = False
TESTS = []
SUM = re.compile(r"^read (\d+) = loaded (\d+) \+ ignored (\d+) \+ updated (\d+) \+ rejected (\d+)(?: \+ not loaded (\d+))?$")


def test(function):
    TESTS.append(function)
    return function


class Result:
    def __init__(self, status, out, err, memory_kb=0):
        self.status, self.out, self.err, self.memory_kb = status, out, err, memory_kb

    @property
    def sum(self):
        """(read, loaded, ignored, updated, rejected) of the last line; it has to add up."""
        match = SUM.match(self.out.splitlines()[-1]) if self.out else None
        assert match, "no sum line: %r %r" % (self.out, self.err)
        numbers = [int(n or 0) for n in match.groups()]
        assert numbers[0] == sum(numbers[1:]), self.out
        return tuple(numbers[:5])


def run(*arguments, stdin=None, cwd=None, preexec=None, out=subprocess.PIPE):
    process = subprocess.Popen([NEXTORM, *arguments], stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
                               stdout=out, stderr=subprocess.PIPE, cwd=cwd, preexec_fn=preexec)
    out, err = process.communicate(stdin, timeout=240)
    return Result(process.returncode, (out or b"").decode("utf-8", "replace"), err.decode("utf-8", "replace"))


class Case:
    """A folder with an input, a database and a rejects file."""

    def __init__(self, folder):
        self.folder = folder
        self.db = os.path.join(folder, "t.db")

    def drop(self):
        """What is not in the folder."""

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, content):
        with open(self.path(name), "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        return self.path(name)

    def ingest(self, content, *options, name="in.csv", table="t", status=0, **more):
        path = self.write(name, content) if content is not None else self.path(name)
        result = run("ingest", path, "--to", "sqlite:" + self.db, "--table", table, *options, **more)
        same(result.status, status, "exit status: %s %s" % (result.out, result.err))
        return result

    def rows(self, sql="SELECT * FROM t"):
        with sqlite3.connect(self.db) as connection:
            return connection.execute(sql).fetchall()

    def types(self, table="t"):
        return {name: kind for _, name, kind, *_ in self.rows("PRAGMA table_info(%s)" % table)}

    def execute(self, *statements):
        connection = sqlite3.connect(self.db)
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()

    def rejects(self, name="in.csv.rejects"):
        """[(line, reason, record)]"""
        with open(self.path(name), "rb") as file:
            return [(int(line), reason.decode("utf-8", "replace"), raw)
                    for line, reason, raw in (row.split(b"\t", 2) for row in file.read().split(b"\n")[:-1])]

    def no_rejects(self, name="in.csv.rejects"):
        assert not os.path.exists(self.path(name)), "a rejects file was left"


def same(got, wanted, what=""):
    assert got == wanted, "%s: got %r, wanted %r" % (what, got, wanted)


def holds(text, *parts):
    for part in parts:
        assert part in text, "%r is not in %r" % (part, text)


# ---------------------------------------------------------------------------------------- the command

@test
def help_and_version(c):
    for arguments in (["--help"], ["help"], ["-h"]):
        result = run(*arguments)
        same(result.status, 0)
        holds(result.out, "ingest", "--version")
    for arguments in (["ingest", "--help"], ["help", "ingest"]):
        result = run(*arguments)
        same(result.status, 0)
        holds(result.out, "--to", "--table", "--delimiter", "--header", "--columns", "--key", "--on-conflict", "--batch", "--rejects",
              "--format", "--quiet", "Exit status", "rejected J")
    assert re.match(r"nextorm \d+\.\d+\.\d+$", run("--version").out)


@test
def wrong_usage(c):
    path = c.write("in.csv", "a,b\n")
    good = ["--to", "sqlite:" + c.db, "--table", "t"]
    for arguments, text in [
            ([], "Usage"), (["explode"], "explode"), (["ingest"], "FILE"), (["ingest", path, "--table", "t"], "--to"),
            (["ingest", path, "--to", "sqlite:" + c.db], "--table"), (["ingest", path, *good, "--frobnicate"], "frobnicate"),
            (["ingest", path, path, *good], "second"), (["ingest", path, *good, "--delimiter", "ab"], "ab"),
            (["ingest", path, *good, "--delimiter", '"'], "quote"), (["ingest", path, *good, "--batch", "0"], "--batch 0"),
            (["ingest", path, *good, "--batch", "1e3"], "1e3"), (["ingest", path, *good, "--batch", "99999999999999999999"], "--batch"),
            (["ingest", path, *good, "--on-conflict", "panic"], "panic"), (["ingest", path, *good, "--format", "xml"], "xml"),
            (["ingest", path, *good, "--format", "ndjson", "--header"], "--header")]:
        result = run(*arguments)
        same(result.status, 2, str(arguments))
        holds(result.err, text)
    assert not os.path.exists(c.db)


@test
def wrong_provider(c):
    path = c.write("in.csv", "a,b\n")
    for url, text in [("oracle:x", "sqlite"), ("t.db", "sqlite:PATH"), ("sqlite:", "path"), ("sqlite:///x", "//"),
                      ("sqlite::memory:", "memory"), (":x", "sqlite:PATH"), ("postgres", "sqlite:PATH")]:
        result = run("ingest", path, "--to", url, "--table", "t")
        same(result.status, 2, url)
        holds(result.err, "--to: ", text)


@test
def missing_file_and_directory(c):
    holds(c.ingest(None, name="nowhere.csv", status=1).err, "nowhere.csv", "No such file")
    result = run("ingest", c.folder, "--to", "sqlite:" + c.db, "--table", "t")
    same(result.status, 1)
    holds(result.err, c.folder, "directory")
    assert not os.path.exists(c.db), "no database for an input that cannot be read"


@test
def refused_arguments_leave_no_database(c):
    for content, options, status in [
            ("a\n1\n", ["--header", "--key", "nope"], 2), ("a\n1\n", ["--header", "--on-conflict", "update"], 2),
            ("a\n1\n", ["--header", "--columns", "nope:text"], 2), ("1,2\n", ["--columns", "a:int,b"], 2),
            ("1,2\n", ["--columns", "a,a"], 2), ("a,a\n1,2\n", ["--header"], 1), ("", ["--header"], 1),
            ("a\n1\n", ["--header", "--rejects", c.path("no/such/file")], 1),
            ("a\n1\n", ["--header", "--rejects", c.path("in.csv")], 1)]:
        result = c.ingest(content, *options, status=status)
        same(result.out, "", "no sum: nothing was loaded")
        assert result.err.startswith("nextorm ingest: "), result.err
        same(sorted(os.listdir(c.folder)), ["in.csv"], str(options))
    # What only the mapping finds: a name that SQLite keeps for itself.
    holds(c.ingest("a\n1\n", "--header", table="sqlite_x", status=1).err, "sqlite_x")
    same(sorted(os.listdir(c.folder)), ["in.csv"])


@test
def exit_statuses(c):
    """Each status that --help lists."""
    c.ingest("k,v\na,1\n", "--header", "--key", "k", status=0)
    c.ingest("k,v\na,2\n", "--header", "--key", "k", "--on-conflict", "ignore", status=0)
    c.ingest("k,v\na,2\n", "--header", "--key", "k", "--on-conflict", "update", status=0)
    c.ingest("k,v\na,2\nb,3\n", "--header", "--key", "k", status=3)
    c.ingest("k,v\nc,x\n", "--header", "--key", "k", status=3)
    c.ingest(None, "--header", name="nowhere.csv", status=1)
    c.ingest("k,v\nd,1\n", "--header", "--no-such-option", status=2)
    c.ingest("k,v\nd,1\n", "--header", "--key", "v", status=2)
    same(c.rows("SELECT k FROM t ORDER BY k"), [("a",), ("b",)])
    # 128 + signal: interrupt_finishes_the_batch. A load that fails half way: full_disk.


# ------------------------------------------------------------------------------------------ CSV forms

@test
def plain_csv_with_header(c):
    result = c.ingest("name,age,height\nAda,36,1.65\nBob,,\n", "--header")
    same(result.sum, (2, 2, 0, 0, 0))
    same(c.rows(), [(1, "Ada", 36, 1.65), (2, "Bob", None, None)])
    c.no_rejects()


@test
def csv_without_header_or_columns(c):
    c.ingest("a,1\nb,2\n")
    same(c.rows("SELECT column_1, column_2 FROM t"), [("a", 1), ("b", 2)])


@test
def quotes(c):
    c.ingest('1,"a ""quoted"" text"\n2,"comma, inside"\n3,"line\nbreak"\n4,""\n5,a "bare" quote\n6,  spaces  \n', "--columns", "n:i32,s")
    same(c.rows("SELECT n, s FROM t"), [(1, 'a "quoted" text'), (2, "comma, inside"), (3, "line\nbreak"), (4, ""), (5, 'a "bare" quote'),
                                       (6, "  spaces  ")])


@test
def text_behind_a_closing_quote(c):
    result = c.ingest('1,a\n2,"b"x\n3,c\n', "--columns", "n:i32,s", status=3)
    same(result.sum, (3, 2, 0, 0, 1))
    same(c.rejects(), [(2, "field 2: text behind the closing quote", b'2,"b"x')])
    same(c.rows("SELECT n FROM t"), [(1,), (3,)])


@test
def quote_that_is_never_closed(c):
    result = c.ingest('1,a\n2,"b\n3,c\n4,d\n', "--columns", "n:i32,s", status=3)
    same(result.sum, (2, 1, 0, 0, 1))
    line, reason, raw = c.rejects()[0]
    same((line, raw), (2, b'2,"b\\n3,c\\n4,d'))
    holds(reason, "quote not closed")


@test
def line_ends(c):
    for ends in ("\n", "\r\n", "\r"):
        for last in (ends, ""):
            case = Case(tempfile.mkdtemp(dir=c.folder))
            same(case.ingest(ends.join(["a,b", "1,x", "2,y"]) + last, "--header").sum, (2, 2, 0, 0, 0), repr(ends))
            same(case.rows("SELECT a, b FROM t"), [(1, "x"), (2, "y")], repr((ends, last)))


@test
def carriage_returns_inside_quotes_stay(c):
    c.ingest(b'a,b\r\n1,"x\r\ny"\r\n2,z\r\n', "--header")
    same(c.rows("SELECT a, b FROM t"), [(1, "x\r\ny"), (2, "z")])


@test
def byte_order_mark(c):
    c.ingest(b"\xef\xbb\xbfname,n\nAda,1\n", "--header")
    same(list(c.types()), ["id", "name", "n"])
    same(c.rows("SELECT name FROM t"), [("Ada",)])


@test
def byte_order_mark_in_front_of_a_quote(c):
    c.ingest(b'\xef\xbb\xbf"first name",n\nAda,1\n', "--header")
    same(list(c.types()), ["id", "first name", "n"])


@test
def utf16_is_named(c):
    holds(c.ingest("a,b\n".encode("utf-16"), status=1).err, "UTF-16", "in.csv")


@test
def ragged_rows(c):
    result = c.ingest("a,b,c\n1,2,3\n4,5\n6,7,8,9\n10,11,12\n", "--header", status=3)
    same(result.sum, (4, 2, 0, 0, 2))
    same(c.rejects(), [(3, "2 fields, expected 3", b"4,5"), (4, "4 fields, expected 3", b"6,7,8,9")])
    same(c.rows("SELECT a FROM t"), [(1,), (10,)])
    holds(result.err, "in.csv.rejects")


@test
def line_numbers_count_lines_not_records(c):
    c.ingest('a,b\n1,"x\ny\nz"\n\n2\n"3\n3"\n4,w\n', "--header", status=3)
    same([(line, raw) for line, _, raw in c.rejects()], [(6, b"2"), (7, b'"3\\n3"')])


@test
def blank_lines_are_skipped(c):
    same(c.ingest("\n\na,b\n\n1,x\n\n\n2,y\n\n", "--header").sum, (2, 2, 0, 0, 0))


@test
def delimiters(c):
    for option, byte in ((";", b";"), ("\\t", b"\t"), ("\t", b"\t"), ("|", b"|"), ("\\x1f", b"\x1f"), (" ", b" ")):
        case = Case(tempfile.mkdtemp(dir=c.folder))
        case.ingest(b"a" + byte + b"b\n1" + byte + b"x,y\n", "--header", "--delimiter", option)
        same(case.rows("SELECT a, b FROM t"), [(1, "x,y")], repr(option))


@test
def empty_file(c):
    holds(c.ingest("", status=1).err, "in.csv", "empty")
    holds(c.ingest("", "--header", status=1).err, "in.csv", "empty")
    holds(c.ingest(b"\xef\xbb\xbf", status=1).err, "empty")
    holds(c.ingest("", name="in.ndjson", status=1).err, "in.ndjson")
    same(c.ingest("", "--columns", "a,b:i32").sum, (0, 0, 0, 0, 0))
    same(c.types(), {"id": "INTEGER", "a": "TEXT", "b": "INTEGER"})


@test
def header_only(c):
    same(c.ingest("a,b\n", "--header").sum, (0, 0, 0, 0, 0))
    same(list(c.types()), ["id", "a", "b"])
    c.no_rejects()


@test
def header_that_repeats_a_name(c):
    holds(c.ingest("a,b,A\n1,2,3\n", "--header", status=1).err, "columns 1 and 3", '"A"')


@test
def header_with_an_empty_name(c):
    c.ingest("a,,c\n1,2,3\n", "--header")
    same(list(c.types()), ["id", "a", "column_2", "c"])


@test
def names_with_quotes_and_keywords(c):
    c.ingest('"select","a ""b""","order by"\n1,2,3\n', "--header", table='my "table"')
    same(c.rows('SELECT "select", "a ""b""", "order by" FROM "my ""table"""'), [(1, 2, 3)])


@test
def random_csv_round_trip(c):
    """What Python's csv module writes comes back as it was, line numbers of bad records included."""
    random_ = random.Random(20261123)
    alphabet = 'ab",;\t \r\n\'\\0\u00e9\u20ac\U0001f600'
    for number in range(30):
        delimiter = random_.choice(",;\t|")
        width = random_.randint(2, 6)
        rows = [["".join(random_.choices(alphabet, k=random_.choice([0, 1, 3, 20]))) for _ in range(width)] for _ in range(200)]
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter=delimiter, lineterminator="\r\n", quoting=random_.choice([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]))
        bad_lines = []
        for row in rows:
            if random_.random() < 0.1:
                bad_lines.append(len(re.findall("\r\n|\r|\n", text.getvalue())) + 1)
                writer.writerow(["bad"])
            writer.writerow(row)
        columns = ",".join("c%d:text" % i for i in range(width))
        result = c.ingest(text.getvalue(), "--columns", columns, "--delimiter", delimiter, "--batch", "37", table="r%d" % number,
                          status=3 if bad_lines else 0)
        same(result.sum, (200 + len(bad_lines), 200, 0, 0, len(bad_lines)))
        same(c.rows("SELECT %s FROM r%d ORDER BY id" % (columns.replace(":text", ""), number)), [tuple(row) for row in rows])
        if bad_lines:
            same([line for line, _, _ in c.rejects()], bad_lines)


# --------------------------------------------------------------------------------------- bad content

@test
def invalid_utf8(c):
    result = c.ingest(b"a,b\n1,good\n2,b\xff\xfed\n3,\xed\xa0\x80\n4,ok\n", "--header", status=3)
    same(result.sum, (4, 2, 0, 0, 2))
    same([(line, raw) for line, _, raw in c.rejects()], [(3, b"2,b\xff\xfed"), (4, b"3,\xed\xa0\x80")])
    holds(c.rejects()[0][1], "b")


@test
def zero_byte(c):
    result = c.ingest(b"a,b\n1,x\x00y\n2,z\n", "--header", status=3)
    same(result.sum, (2, 1, 0, 0, 1))
    same(c.rejects()[0][::2], (2, b"1,x\\0y"))


@test
def number_out_of_range(c):
    result = c.ingest("1,40000,1\n2,30000,99999999999\n3,1,99999999999999999999\n4,2,-1\n5,-32768,5\n", "--columns", "id:i64,a:i16,b:u32",
                      "--key", "id", status=3)
    same(result.sum, (5, 1, 0, 0, 4))
    reasons = [reason for _, reason, _ in c.rejects()]
    holds(reasons[0], 'column "a"', '"40000"', "out of range", "i16")
    holds(reasons[1], 'column "b"', "out of range")
    same(c.rows(), [(5, -32768, 5)])


@test
def values_of_the_wrong_type(c):
    columns = "i:i64,f:f64,b:boolean,d:date,s:timestamp,u:uuid,x:decimal,j:json,y:bytes"
    good = '1,1.5,true,2026-11-23,2026-11-23 10:00:00,550e8400-e29b-41d4-a716-446655440000,12.50,{},0aff'.split(",")
    bad = ["1x", "1,5", "maybe", "2026-13-01", "yesterday", "550e", "1.2.3", "{", "0af"]
    lines = [",".join(good)]
    for i, value in enumerate(bad):
        lines.append(",".join(good[:i] + ['"%s"' % value] + good[i + 1:]))
    result = c.ingest("\n".join(lines), "--columns", columns, status=3)
    same(result.sum, (10, 1, 0, 0, 9))
    for (line, reason, _), name, value in zip(c.rejects(), "ifbdsuxjy", bad):
        holds(reason, 'column "%s"' % name, value)
    same(c.rows("SELECT i, f, b, d, u, x, j, y FROM t"),
         [(1, 1.5, 1, "2026-11-23", "550e8400-e29b-41d4-a716-446655440000", "12.50", "{}", b"\x0a\xff")])


@test
def extreme_numbers(c):
    c.ingest("a,b\n9223372036854775807,1.7976931348623157e308\n-9223372036854775808,-5e-324\n", "--header", "--columns", "b:f64")
    same(c.rows("SELECT a, b FROM t"), [(2**63 - 1, 1.7976931348623157e308), (-2**63, -5e-324)])
    result = c.ingest("1,1e999\n2,nan\n3,inf\n4,0x10\n", "--columns", "a:i64,b:f64", name="more.csv", status=3)
    same(result.sum, (4, 0, 0, 0, 4))


@test
def text_of_64_kib(c):
    text = "x" * 65536
    c.ingest("n,s\n1,%s\n2,\"%s\"\n" % (text, text), "--header")
    same(c.rows("SELECT s FROM t"), [(text,), (text,)])


@test
def huge_field(c):
    size = 15 << 20
    result = c.ingest(b"1,small\n2," + b"y" * size + b"\n3," + b"z" * (17 << 20) + b"\n4,small\n5,\"" + b"q" * (17 << 20) + b"\"\n6,end\n",
                      "--columns", "n:i32,s", status=3)
    same(result.sum, (6, 4, 0, 0, 2))
    same(c.rows("SELECT n, length(s) FROM t"), [(1, 5), (2, size), (4, 5), (6, 3)])
    rejects = c.rejects()
    same([line for line, _, _ in rejects], [3, 5])
    holds(rejects[0][1], "larger than 16 MiB")


@test
def many_fields(c):
    result = c.ingest("a,b\n1,2\n" + "," * 100000 + "\n3,4\n", "--header", status=3)
    same(result.sum, (3, 2, 0, 0, 1))
    same(c.ingest("," * 5000 + "\n", name="wide.csv", status=1, table="w").out, "")


@test
def rejects_are_one_line_each(c):
    c.ingest(b'a,b\n1,"x\ny\\z\tw"\n2,3,"\r\n"\n', "--header", "--columns", "a:i32,b:i32", status=3)
    rejects = c.rejects()
    same([(line, raw) for line, _, raw in rejects], [(2, b'1,"x\\ny\\\\z\tw"'), (4, b'2,3,"\\r\\n"')])
    holds(rejects[0][1], "x\\ny")


# ------------------------------------------------------------------------------------------- inference

@test
def guessed_types(c):
    c.ingest("i,f,b,d,s,z,u,t,e,lead,plus,serial\n"
             "1,1,true,2026-01-31,2026-01-31 10:20:30,2026-01-31T10:20:30+02:00,550e8400-e29b-41d4-a716-446655440000,x,,007,+1,12345678901234567890\n"
             "-2,2.5,FALSE,1999-12-31,2026-01-31T10:20:30.5,2026-01-31 10:20:30Z,550e8400-e29b-41d4-a716-446655440001,1,,1,2,1\n"
             ",,,,,,,,,,,\n", "--header")
    same(c.types(), {"id": "INTEGER", "i": "BIGINT", "f": "REAL", "b": "BOOLEAN", "d": "DATE_TEXT", "s": "TIMESTAMP_TEXT",
                     "z": "TIMESTAMPTZ_TEXT", "u": "UUID_TEXT", "t": "TEXT", "e": "TEXT", "lead": "TEXT", "plus": "TEXT", "serial": "TEXT"})
    rows = c.rows("SELECT i, f, b, d, t, e, lead, serial FROM t")
    same(rows, [(1, 1.0, 1, "2026-01-31", "x", "", "007", "12345678901234567890"), (-2, 2.5, 0, "1999-12-31", "1", "", "1", "1"),
                (None, None, None, None, "", "", "", "")])


@test
def zero_and_one_are_numbers(c):
    c.ingest("a\n0\n1\n", "--header")
    same(c.types()["a"], "BIGINT")


@test
def sample_decides_later_rows_are_rejected(c):
    result = c.ingest("a\n" + "1\n" * 1000 + "x\n2\n", "--header", status=3)
    same(result.sum, (1002, 1001, 0, 0, 1))
    same(c.rejects()[0][0], 1002)


@test
def header_with_types_by_name(c):
    c.ingest("a,b,c\n1,2,3\n", "--header", "--columns", "c:text,a:f64")
    same(c.rows("SELECT a, b, c FROM t"), [(1.0, 2, "3")])
    holds(c.ingest("a,b\n1,2\n", "--header", "--columns", "nope:text", name="b.csv", status=2).err, "nope")


@test
def wrong_columns(c):
    holds(c.ingest("1,2\n", "--columns", "a:int,b", status=2).err, '"int"', "i64")
    holds(c.ingest("1,2\n", "--columns", "a,,b", status=2).err, "name is missing")
    holds(c.ingest("1,2\n", "--columns", "a,A", status=2).err, "same name")


# ---------------------------------------------------------------------------------- keys and conflicts

@test
def key_names(c):
    c.ingest("a\n1\n", "--header", table="one")
    same(list(c.types("one")), ["id", "a"])
    c.ingest("ID,a\n7,1\n", "--header", table="two")
    same(c.rows("SELECT row_id, ID, a FROM two"), [(1, 7, 1)])
    c.ingest("id,row_id\n7,8\n", "--header", table="three")
    same(c.rows("SELECT row_id_2, id, row_id FROM three"), [(1, 7, 8)])
    c.ingest("id,a\n7,1\n", "--header", "--key", "id", table="four")
    same(c.rows("SELECT * FROM four"), [(7, 1)])
    holds(c.ingest("a\n1\n", "--header", "--key", "b", table="five", status=2).err, '"b"')


@test
def duplicate_key_is_rejected(c):
    result = c.ingest("k,v\na,1\nb,2\na,3\n", "--header", "--key", "k", status=3)
    same(result.sum, (3, 2, 0, 0, 1))
    same(c.rejects()[0][::2], (4, b"a,3"))
    same(c.rows(), [("a", 1), ("b", 2)])
    result = c.ingest("k,v\nb,9\nc,3\n", "--header", "--key", "k", status=3)
    same(result.sum, (2, 1, 0, 0, 1))
    same(c.rows(), [("a", 1), ("b", 2), ("c", 3)])


@test
def duplicate_key_is_ignored(c):
    result = c.ingest("k,v\na,1\nb,2\na,3\n", "--header", "--key", "k", "--on-conflict", "ignore")
    same(result.sum, (3, 2, 1, 0, 0))
    same(c.rows(), [("a", 1), ("b", 2)])


@test
def duplicate_key_updates(c):
    c.ingest("k,v,w\na,1,x\nb,2,y\n", "--header", "--key", "k")
    result = c.ingest("k,v,w\nb,7,z\nc,8,q\n", "--header", "--key", "k", "--on-conflict", "update", name="second.csv")
    same(result.sum, (2, 1, 0, 1, 0))
    same(c.rows(), [("a", 1, "x"), ("b", 7, "z"), ("c", 8, "q")])


@test
def update_of_the_key_alone(c):
    c.ingest("k\na\nb\na\n", "--header", "--key", "k", "--on-conflict", "update")
    same(c.rows(), [("a",), ("b",)])


@test
def composite_key(c):
    c.ingest("a,b,v\n1,1,x\n1,2,y\n1,1,z\n", "--header", "--key", "a,b", "--on-conflict", "update")
    same(c.rows(), [(1, 1, "z"), (1, 2, "y")])


@test
def conflict_rule_needs_a_key(c):
    holds(c.ingest("a\n1\n", "--header", "--on-conflict", "update", status=2).err, "--key")


@test
def empty_key(c):
    result = c.ingest("k,v\n1,a\n,b\n", "--header", "--key", "k", status=3)
    same(result.sum, (2, 1, 0, 0, 1))
    holds(c.rejects()[0][1], '"k"', "empty")


@test
def key_zero_is_a_key(c):
    c.ingest("k,v\n0,a\n-1,b\n", "--header", "--key", "k")
    same(c.rows(), [(-1, "b"), (0, "a")])


# --------------------------------------------------------------------------------------- existing tables

@test
def existing_table_keeps_its_columns(c):
    c.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL, n INTEGER, extra TEXT DEFAULT 'd')")
    c.ingest("N,NAME\n5,007\n", "--header")
    same(c.rows(), [(1, "007", 5, "d")])
    holds(c.ingest("name,nope\nx,1\n", "--header", name="b.csv", status=1).err, "nope", "t")
    holds(c.ingest("x,1\n", "--columns", "name,nope", name="b.csv", status=2).err, "nope")


@test
def existing_table_by_position(c):
    c.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b REAL)")
    c.ingest("x,1\n")
    c.ingest("9,y,2\n")
    same(c.rows(), [(1, "x", 1.0), (9, "y", 2.0)])
    holds(c.ingest("1,2,3,4\n", status=1).err, "4 fields", "3 columns")


@test
def existing_table_without_key(c):
    c.execute("CREATE TABLE t (a TEXT, b INTEGER)", "INSERT INTO t VALUES ('old', 0)")
    same(c.ingest("a,b\nx,1\ny,2\n", "--header").sum, (2, 2, 0, 0, 0))
    same(c.rows(), [("old", 0), ("x", 1), ("y", 2)])


@test
def existing_table_with_unique_column(c):
    c.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, mail TEXT UNIQUE, n INTEGER)", "INSERT INTO t VALUES (10, 'a@x', 1)")
    c.ingest("mail,n\na@x,2\nb@x,3\n", "--header", "--key", "mail", "--on-conflict", "update")
    same(c.rows("SELECT id, mail, n FROM t WHERE mail = 'a@x'"), [(10, "a@x", 2)])
    same(c.rows("SELECT count(*) FROM t"), [(2,)])


@test
def existing_table_key_has_to_be_unique(c):
    c.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a INT, b INT, m INT UNIQUE, n INT)",
              "CREATE UNIQUE INDEX ab ON t (a, b)", "CREATE UNIQUE INDEX part ON t (n) WHERE n > 0",
              "CREATE UNIQUE INDEX expression ON t (b, n + 1)", "CREATE INDEX plain ON t (n)",
              "INSERT INTO t VALUES (1, 2, 3, 4, 5)")
    content = "id,a,b,m,n\n1,2,3,4,6\n"
    # A row is not found again by columns that several rows may share, so no rule can hold.
    for key in ("a", "b", "n", "a,m", "a,b,m", "id,m", "b,n"):
        for rule in ("error", "ignore", "update"):
            result = c.ingest(content, "--header", "--key", key, "--on-conflict", rule, status=2)
            holds(result.err, "--key " + key, "table t", "UNIQUE")
            same(result.out, "")
    same(c.rows(), [(1, 2, 3, 4, 5)])
    for number, key in enumerate(("id", "ID", "b,a", "m"), 10):
        c.ingest("id,a,b,m,n\n1,2,3,4,%d\n" % number, "--header", "--key", key, "--on-conflict", "update")
        same(c.rows(), [(1, 2, 3, 4, number)], key)
    c.execute("CREATE TABLE w (k TEXT, l INT, v INT, PRIMARY KEY (k, l)) WITHOUT ROWID")
    c.ingest("k,l,v\nx,1,1\nx,1,2\n", "--header", "--key", "l,k", "--on-conflict", "update", table="w")
    same(c.rows("SELECT * FROM w"), [("x", 1, 2)])
    holds(c.ingest("k,l,v\nx,1,1\n", "--header", "--key", "k", table="w", status=2).err, "--key k", "table w")


@test
def existing_table_constraints_reject(c):
    c.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER NOT NULL CHECK (n < 10))")
    result = c.ingest("n\n1\n\"\"\n20\n3\n", "--header", status=3)
    same(result.sum, (4, 2, 0, 0, 2))
    same([line for line, _, _ in c.rejects()], [3, 4])


@test
def existing_table_without_types(c):
    c.execute("CREATE TABLE t (a, b, c)")
    c.ingest("a,b,c\n1,1.5,2026-01-31\n2,2,true\n", "--header")
    same(c.rows("SELECT a, b, c FROM t"), [(1, 1.5, "2026-01-31"), (2, 2.0, "true")])


@test
def existing_table_that_cannot_be_loaded(c):
    c.execute("CREATE TABLE a (x, y)", "CREATE VIEW v AS SELECT * FROM a",
              "CREATE TABLE g (id INTEGER PRIMARY KEY, x INT, y INT GENERATED ALWAYS AS (x + 1))")
    for table, text in (("v", "view"), ("g", '"y"'), ("sqlite_x", "sqlite_x")):
        holds(c.ingest("x,y\n1,2\n", "--header", table=table, status=1).err, text)
    same(c.rows("SELECT * FROM a"), [])


@test
def triggers_of_the_table(c):
    c.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, x INT)",
              "CREATE TRIGGER a BEFORE INSERT ON t WHEN new.x = 2 BEGIN SELECT raise(ABORT, 'no twos'); END",
              "CREATE TRIGGER b BEFORE INSERT ON t WHEN new.x = 3 BEGIN SELECT raise(FAIL, 'no threes'); END")
    result = c.ingest("x\n1\n2\n3\n4\n", "--header", status=3)
    same(result.sum, (4, 2, 0, 0, 2))
    same([(line, reason) for line, reason, _ in c.rejects()], [(3, "no twos"), (4, "no threes")])
    same(c.rows("SELECT x FROM t"), [(1,), (4,)])


@test
def load_twice_into_a_table_of_ours(c):
    content = "b,d,s,x\ntrue,2026-01-31,2026-01-31T10:20:30,1.5\n"
    c.ingest(content, "--header")
    c.ingest(content, "--header")
    rows = c.rows("SELECT b, d, s, x FROM t")
    same(rows[0], rows[1])
    same(len(rows), 2)


# ---------------------------------------------------------------------------------------------- NDJSON

@test
def ndjson(c):
    c.ingest('{"a": 1, "b": "x", "c": true, "d": 1.5, "e": [1, {"k": null}]}\n'
             '{"b": "\\u00e9", "a": null}\n\n  {"f": "2026-01-31"}  \r\n', name="in.ndjson")
    same(c.rows("SELECT a, b, c, d, e, f FROM t"), [(1, "x", 1, 1.5, '[1,{"k":null}]', None), (None, "\u00e9", None, None, None, None),
                                                  (None, None, None, None, None, "2026-01-31")])
    same(c.types(), {"id": "INTEGER", "a": "BIGINT", "b": "TEXT", "c": "BOOLEAN", "d": "REAL", "e": "JSON_TEXT", "f": "DATE_TEXT"})


@test
def ndjson_bad_lines(c):
    lines = ['{"a": 1}', "[1]", "7", '{"a": 1', '{"a": 1, "a": 2}', '{"a": "x\\u0000y"}', '{"a": 99999999999999999999}', "{'a': 1}",
             '{"a": 1} {"a": 2}', '{"a": "text"}', '{"a": 2.5}', '{"b": 1}', '{"a": "\ud800"}'.encode("utf-8", "surrogatepass"), '{"a": 2}']
    content = b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines)
    result = c.ingest(content, "--columns", "a:i64", name="in.jsonl", status=3)
    same(result.sum, (14, 2, 0, 0, 12))
    same([line for line, _, _ in c.rejects("in.jsonl.rejects")], list(range(2, 14)))
    reasons = [reason for _, reason, _ in c.rejects("in.jsonl.rejects")]
    holds(reasons[0], "not an object")
    holds(reasons[3], "uplicate")
    holds(reasons[10], '"b"')


@test
def ndjson_duplicate_key_of_the_table(c):
    result = c.ingest('{"k": 1, "v": "a"}\n{"k": 1, "v": "b"}\n', "--key", "k", name="in.ndjson", status=3)
    same(result.sum, (2, 1, 0, 0, 1))


@test
def ndjson_mixed_types(c):
    c.ingest('{"a": 1, "j": {"x": 1}, "n": 1}\n{"a": "x", "j": "s", "n": 2.5}\n{"a": true, "j": 3}\n', name="in.ndjson")
    same(c.rows("SELECT a, j, n FROM t"), [("1", '{"x":1}', 1.0), ("x", '"s"', 2.5), ("true", "3", None)])


@test
def ndjson_numbers_keep_their_digits(c):
    c.ingest('{"a": 0.1, "b": 12.5}\n{"a": 1e-7, "b": 1.05}\n', "--columns", "a:f64,b:decimal", name="in.ndjson")
    same(c.rows("SELECT a, b FROM t"), [(0.1, "12.5"), (1e-7, "1.05")])


@test
def ndjson_deep_nesting_and_long_lines(c):
    result = c.ingest('{"a": %s1%s}\n{"a": "%s"}\n{"a": 1}\n' % ("[" * 100000, "]" * 100000, "x" * (17 << 20)), "--columns", "a:json",
                      name="in.ndjson", status=3)
    same(result.sum, (3, 1, 0, 0, 2))


@test
def format_option(c):
    c.ingest('{"a": 1}\n', "--format", "ndjson", name="in.txt")
    same(c.rows("SELECT a FROM t"), [(1,)])


# ------------------------------------------------------------------------------- files, pipes, signals

@test
def standard_input(c):
    result = run("ingest", "-", "--to", "sqlite:t.db", "--table", "t", "--header", stdin=b"a,b\n1,x\n2\n", cwd=c.folder)
    same(result.status, 3)
    same(result.sum, (2, 1, 0, 0, 1))
    same(c.rejects("stdin.rejects"), [(3, "1 fields, expected 2", b"2")])


@test
def rejects_option(c):
    c.ingest("a,b\n1\n", "--header", "--rejects", c.path("bad.txt"), status=3)
    same(len(c.rejects("bad.txt")), 1)
    c.no_rejects()
    c.ingest("a,b\n1,2\n", "--header", "--rejects", c.path("bad.txt"))
    c.no_rejects("bad.txt")
    holds(c.ingest("a\n1\n", "--header", "--rejects", c.path("no/such/file"), status=1).err, "no/such/file")
    holds(c.ingest("a\n1\n", "--header", "--rejects", c.path("in.csv"), status=1).err, "is the input")
    with open(c.path("in.csv")) as file:
        same(file.read(), "a\n1\n", "the input is untouched")


@test
def rejects_on_a_full_disk(c):
    result = c.ingest("a,b\n1,2\n" + "3\n" * 10000, "--header", "--rejects", "/dev/full", status=1)
    holds(result.err, "/dev/full", "No space")
    result.sum


@test
def database_that_cannot_be_opened(c):
    path = c.write("in.csv", "a\n1\n")
    os.mkdir(c.path("folder"))
    for name in ("no/such/folder/t.db", "folder"):
        result = run("ingest", path, "--to", "sqlite:" + c.path(name), "--table", "t", "--header")
        same(result.status, 1, result.err)
        holds(result.err, name)
    c.write("broken.db", b"this is not a database, not even a little one" * 100)
    result = run("ingest", path, "--to", "sqlite:" + c.path("broken.db"), "--table", "t", "--header")
    same(result.status, 1)
    holds(result.err, "broken.db")


@test
def read_only_directory(c):
    folder = c.path("locked")
    os.mkdir(folder)
    path = os.path.join(folder, "in.csv")
    with open(path, "w") as file:
        file.write("a,b\n1,2\n3\n")
    os.chmod(c.folder, 0o755)
    work = c.path("work")
    os.mkdir(work)
    os.chmod(work, 0o777)
    os.chmod(folder, 0o555)

    def nobody():
        if os.getuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)

    base = ["ingest", path, "--table", "t", "--header", "--to"]
    result = run(*base, "sqlite:" + os.path.join(folder, "t.db"), cwd=work, preexec=nobody)
    same(result.status, 1, result.err)
    holds(result.err, "t.db")
    # The input lies where nothing may be written: the rejects go to the working directory.
    result = run(*base, "sqlite:t.db", cwd=work, preexec=nobody)
    same(result.status, 3, result.err)
    assert os.path.exists(os.path.join(work, "in.csv.rejects"))
    os.chmod(folder, 0o755)


@test
def full_disk(c):
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    content = "".join("%d,%s\n" % (i, "x" * 100) for i in range(30000))
    result = c.ingest(content, "--columns", "n:i64,s", "--batch", "1000", status=1, preexec=limit)
    loaded = result.sum[1]
    assert loaded % 1000 == 0 and loaded < 30000, result.out
    holds(result.out, "not loaded")
    same(c.rows("SELECT count(*) FROM t"), [(loaded,)])


@test
def locked_by_somebody_else(c):
    c.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER)")
    other = sqlite3.connect(c.db, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(1.0, lambda: other.execute("COMMIT"))
    timer.start()
    same(c.ingest("a\n1\n", "--header").sum, (1, 1, 0, 0, 0))
    timer.join()
    other.close()


@test
def closed_standard_output(c):
    read, write = os.pipe()
    os.close(read)
    path = c.write("in.csv", "a\n1\n2\n")
    result = run("ingest", path, "--to", "sqlite:" + c.db, "--table", "t", "--header", out=write)
    os.close(write)
    same(result.status, 1)
    holds(result.err, "standard output")
    same(c.rows("SELECT count(*) FROM t"), [(2,)])


@test
def interrupt_finishes_the_batch(c):
    for number in (signal.SIGINT, signal.SIGTERM):
        case = Case(tempfile.mkdtemp(dir=c.folder))
        process = subprocess.Popen([NEXTORM, "ingest", "-", "--to", "sqlite:" + case.db, "--table", "t", "--header", "--batch", "100"],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=case.folder)
        process.stdin.write(b"a\n" + b"1\n" * 5250)
        process.stdin.flush()
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            time.sleep(0.1)
            if os.path.exists(case.db) and case.rows("SELECT count(*) FROM sqlite_master") != [(0,)] and case.rows("SELECT count(*) FROM t")[0][0] >= 5000:
                break
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        result = Result(process.returncode, out.decode(), err.decode())
        same(result.status, 128 + number, result.err)
        same(result.sum, (5250, 5250, 0, 0, 0))
        same(case.rows("SELECT count(*) FROM t"), [(5250,)])


@test
def progress_lines_and_bar(c):
    path = c.write("in.csv", "a,b\n" + "1,some text\n" * 300000)
    result = run("ingest", path, "--to", "sqlite:" + c.db, "--table", "t", "--header")
    holds(result.err, "300,000 rows in", "rows/s")
    assert "\r" not in result.err and "\033" not in result.err
    same(run("ingest", path, "--to", "sqlite:" + c.db, "--table", "q", "--header", "--quiet").err, "")
    process_id, terminal = pty.fork()
    if process_id == 0:
        os.environ["TERM"] = "xterm"
        os.execv(NEXTORM, [NEXTORM, "ingest", path, "--to", "sqlite:" + c.db, "--table", "u", "--header"])
    shown = b""
    while select.select([terminal], [], [], 120)[0]:
        try:
            piece = os.read(terminal, 65536)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    same(os.waitstatus_to_exitcode(os.waitpid(process_id, 0)[1]), 0)
    os.close(terminal)
    holds(shown.decode(), "ETA", "rows/s", "#", "read 300000 = loaded 300000")


@test
def batches(c):
    content = "a\n" + "".join("%d\n" % i for i in range(2501))
    for batch in ("1000", "2501", "7"):
        same(c.ingest(content, "--header", "--batch", batch, table="t" + batch).sum, (2501, 2501, 0, 0, 0))
        same(c.rows("SELECT count(*), sum(a) FROM t" + batch), [(2501, 2500 * 2501 // 2)])


@test
def rejects_over_many_batches_keep_their_lines(c):
    content = "k,n\n" + "".join("%d,%s\n" % (i if i % 997 else 1, "x" if i % 101 == 0 else i) for i in range(1, 20001))
    result = c.ingest(content, "--columns", "k:i64,n:i64", "--header", "--key", "k", "--batch", "300", status=3)
    wanted = {i + 1: "%d,%s" % (i if i % 997 else 1, "x" if i % 101 == 0 else i) for i in range(1, 20001) if i % 101 == 0 or i % 997 == 0}
    got = {line: raw.decode() for line, _, raw in c.rejects()}
    same(got, wanted)
    same(result.sum, (20000, 20000 - len(wanted), 0, 0, len(wanted)))


def most_memory_kb(process):
    """The high-water mark of a running process; what wait4 tells includes the memory of the process that forked it."""
    with open("/proc/%d/status" % process.pid) as file:
        return int(re.search(r"^VmHWM:\s+(\d+) kB", file.read(), re.M).group(1))


def stream(c, size, row):
    """Run with `size` bytes on standard input: (result, rows)."""
    process = subprocess.Popen([NEXTORM, "ingest", "-", "--to", "sqlite:t.db", "--table", "t", "--header", "--quiet"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=c.folder)
    rows = size // len(row)
    in_block = max(1, (1 << 20) // len(row))
    process.stdin.write(b"a,b\n")
    for given in range(0, rows, in_block):
        process.stdin.write(row * min(in_block, rows - given))
    process.stdin.flush()
    memory_kb = most_memory_kb(process)
    out, err = process.communicate(timeout=240)
    return Result(process.returncode, out.decode(), err.decode(), memory_kb), rows


@test
def memory_is_bounded(c):
    # AddressSanitizer keeps freed memory back and a shadow of all of it.
    bound_kb = (64 << 10) * (6 if SANITIZED else 1)
    for row in (b"12345,some text of a row that is not long\n", b"1," + b"w" * 65536 + b"\n"):
        result, rows = stream(Case(tempfile.mkdtemp(dir=c.folder)), 50 << 20, row)
        same(result.status, 0, result.err)
        same(result.sum, (rows, rows, 0, 0, 0))
        assert result.memory_kb < bound_kb, "%d KiB of memory for rows of %d bytes" % (result.memory_kb, len(row))


def find_program(place):
    """A build folder, or the program itself."""
    global NEXTORM, SANITIZED
    NEXTORM = os.path.realpath(place)
    if os.path.isdir(NEXTORM):
        NEXTORM = os.path.join(NEXTORM, "api", "cli", "nextorm")
    libraries = subprocess.run(["ldd", NEXTORM], capture_output=True, text=True).stdout
    SANITIZED = "libasan" in libraries
    if SANITIZED:
        os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=8"


def run_tests(tests, case, names):
    """Those of these names, or all, each with a case of its own."""
    wanted = [t for t in tests if not names or t.__name__ in names]
    failed = 0
    print("1..%d" % len(wanted))
    for number, function in enumerate(wanted, 1):
        name = function.__name__.replace("_", " ")
        with tempfile.TemporaryDirectory() as folder:
            own = case(folder)
            try:
                function(own)
                print("ok %d - %s" % (number, name), flush=True)
            except Exception:
                failed += 1
                print("not ok %d - %s" % (number, name))
                print("    " + traceback.format_exc().replace("\n", "\n    "), flush=True)
            finally:
                own.drop()
    print("%d passed, %d failed" % (len(wanted) - failed, failed))
    return 1 if failed or not wanted else 0


def main():
    if len(sys.argv) < 2:
        print(__doc__)
        return 2
    find_program(sys.argv[1])
    return run_tests(TESTS, Case, sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
