#!/usr/bin/env python3
"""nextorm ingest into PostgreSQL: what test_ingest.py shows for SQLite, where a server may differ, and what only a server has.

Usage: test_ingest_postgres.py BUILD_FOLDER|NEXTORM [NAME...]. Prints TAP and "N passed, N failed". The server is the one of the
environment (NX_TEST_POSTGRES_*), see tests/servers.
"""
import csv
import io
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time

import test_ingest as base
from test_ingest import holds, run, same

SERVER = {}
TESTS = []


def test(function):
    TESTS.append(function)
    return function


def psql(*statements, output=()):
    """What the last statement prints. The server's own settings of forms are odd ones."""
    environment = dict(os.environ, PGOPTIONS=os.environ.get("PGOPTIONS", "") + " -c DateStyle=ISO -c IntervalStyle=postgres "
                       "-c extra_float_digits=1 -c bytea_output=hex", PGCLIENTENCODING="UTF8")
    command = [os.path.join(SERVER["BIN"], "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", *output]
    for statement in statements:
        command += ["-c", statement]
    done = subprocess.run(command, capture_output=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


class Case(base.Case):
    """A folder, and a schema of its own that the search path of all connections begins with."""

    def __init__(self, folder):
        super().__init__(folder)
        self.schema = "ingest_%s" % os.path.basename(folder).replace("-", "_").lower()
        os.environ["PGOPTIONS"] = "-c search_path=%s" % self.schema
        self.url = "postgres://%s@%s:%s/%s" % (SERVER["USER"], SERVER["HOST"], SERVER["PORT"], SERVER["DBNAME"])
        psql("CREATE SCHEMA %s" % self.schema)

    def drop(self):
        psql("SET client_min_messages = error", "DROP SCHEMA %s CASCADE" % self.schema)

    def ingest(self, content, *options, name="in.csv", table="t", status=0, url=None, **more):
        path = self.write(name, content) if content is not None else self.path(name)
        result = run("ingest", path, "--to", url or self.url, "--table", table, *options, **more)
        same(result.status, status, "exit status: %s %s" % (result.out, result.err))
        assert SERVER["PASSWORD"] not in result.out + result.err
        return result

    def rows(self, sql="SELECT * FROM t"):
        """Texts; None for NULL."""
        text = psql(sql, output=["--csv", "-t", "-P", "null=\x01"])
        return [tuple(None if v == "\x01" else v for v in row) for row in csv.reader(io.StringIO(text, newline=""))]

    def types(self, table="t"):
        return dict(self.rows("SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = '%s'::regclass "
                              "AND attnum > 0 ORDER BY attnum" % table))

    def execute(self, *statements):
        psql(*statements)


# ---------------------------------------------------------------------------------------- where to

@test
def forms_of_the_address(c):
    rest = c.url.split(":", 1)[1]
    words = "host=%s port=%s user=%s dbname=%s" % (SERVER["HOST"], SERVER["PORT"], SERVER["USER"], SERVER["DBNAME"])
    for number, url in enumerate([c.url, "postgresql:" + rest, "POSTGRES:" + rest, "postgres:" + words,
                                  "postgres:host=%s port=%s user=%s dbname=%s" % (SERVER["SOCKET"], SERVER["PORT"], SERVER["USER"],
                                                                                 SERVER["DBNAME"])], 1):
        same(c.ingest("a\n%d\n" % number, "--header", url=url).sum, (1, 1, 0, 0, 0), url)
    # All of it from the environment.
    same(c.ingest("a\n6\n", "--header", url="postgres:").sum, (1, 1, 0, 0, 0))
    same(c.rows("SELECT a FROM t ORDER BY a"), [(str(n),) for n in range(1, 7)])


@test
def password_file_and_service_file(c):
    password = os.environ.pop("PGPASSWORD")
    try:
        c.write("pgpass", "%s:%s:*:%s:%s\n" % (SERVER["HOST"], SERVER["PORT"], SERVER["USER"], password))
        os.chmod(c.path("pgpass"), 0o600)
        c.write("services", "[app]\nhost=%s\nport=%s\nuser=%s\ndbname=%s\npassword=%s\n" % (
            SERVER["HOST"], SERVER["PORT"], SERVER["USER"], SERVER["DBNAME"], password))
        os.environ["PGPASSFILE"] = c.path("pgpass")
        c.ingest("a\n1\n", "--header")
        del os.environ["PGPASSFILE"]
        os.environ["PGSERVICEFILE"] = c.path("services")
        c.ingest("a\n2\n", "--header", url="postgres:service=app")
        del os.environ["PGSERVICEFILE"]
        os.environ["PGPASSWORD"] = password
        same(c.rows("SELECT a FROM t ORDER BY a"), [("1",), ("2",)])
    finally:
        os.environ["PGPASSWORD"] = password
        for name in ("PGPASSFILE", "PGSERVICEFILE"):
            os.environ.pop(name, None)


@test
def wrong_addresses_and_no_password_in_any_message(c):
    secret = "hush-hush"
    host, port, user, dbname = SERVER["HOST"], SERVER["PORT"], SERVER["USER"], SERVER["DBNAME"]
    for url, status, text in [
            ("postgres://%s:%s@%s:%s/%s" % (user, secret, host, port, dbname), 1, "cannot connect"),
            ("postgres:host=%s port=%s user=%s dbname=%s password=%s" % (host, port, user, dbname, secret), 1, "cannot connect"),
            ("postgres://%s:%s@%s:1/%s" % (user, secret, host, dbname), 1, "refused"),
            ("postgres://%s:%s@%s:%s/%s?sslmode=sometimes" % (user, secret, host, port, dbname), None, "sslmode"),
            ("postgres://%s:%s@%s:%s/%s?nonsense=1" % (user, secret, host, port, dbname), 2, "dsn cannot be read"),
            ("postgres://%s:%s%%zz@%s:%s/%s" % (user, secret, host, port, dbname), 2, "percent sign"),
            ("postgres:host=%s password=my %s" % (host, secret), 2, "dsn cannot be read"),
            ("postgres:%s" % secret, 2, "dsn cannot be read"),
            ("postgress://%s:%s@%s/%s" % (user, secret, host, dbname), 2, "unknown provider"),
            ("%s:%s@%s/%s" % (user, secret, host, dbname), 2, "unknown provider"),
            ("//%s@%s" % (secret, host), 2, "no provider")]:
        result = run("ingest", c.write("in.csv", "a\n1\n"), "--to", url, "--table", "t", "--header")
        assert result.status == status if status is not None else result.status in (1, 2), (url, result.status, result.err)
        holds(result.err, text)
        assert secret not in result.out + result.err, result.err
        same(result.out, "")
    url = "postgres://%s@%s:%s/no_such_database" % (user, host, port)
    holds(c.ingest("a\n1\n", "--header", url=url, status=1).err, "no_such_database")
    same(c.rows("SELECT count(*) FROM pg_class WHERE relnamespace = '%s'::regnamespace" % c.schema), [("0",)])


@test
def help_tells_where_a_password_belongs(c):
    text = " ".join(run("ingest", "--help").out.split())
    holds(text, "postgres://", "PGPASSWORD", "~/.pgpass", "Other users of the machine can see the arguments")
    assert SERVER["PASSWORD"] not in text


@test
def certificate_is_verified_when_asked_for(c):
    url = c.url.replace(SERVER["HOST"], "localhost")
    for query, status in (("?sslmode=verify-full&sslrootcert=" + SERVER["CA"], 0), ("?sslmode=verify-full&sslrootcert=/nowhere", 1)):
        result = c.ingest("a\n1\n", "--header", url=url + query, status=status)
    holds(result.err, "cannot connect")
    same(c.rows("SELECT count(*) FROM t"), [("1",)])


@test
def quickstart(c):
    """What docs/quickstart/run --to does; also a second time."""
    folder = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..", "docs", "quickstart")
    with open(os.path.join(folder, "run")) as file:
        columns = "".join(line.split("=", 1)[1].strip() for line in file if line.startswith(("columns=", "columns+=")))
    source = "/usr/share/unicode/UnicodeData.txt"
    with open(source) as file:
        lines = sum(1 for _ in file)
    for counts in ((lines, lines, 0, 0, 0), (lines, 0, 0, lines, 0)):
        result = run("ingest", source, "--delimiter", ";", "--columns", columns, "--key", "code", "--to", c.url, "--on-conflict", "update",
                     "--table", "glyph", "--rejects", c.path("rejects"))
        same((result.status, result.sum), (0, counts), result.err)
    program = os.path.join(os.path.dirname(base.NEXTORM), "..", "..", "docs", "quickstart", "quickstart-queries")
    done = subprocess.run([program, c.url], capture_output=True, text=True)
    same(done.returncode, 0, done.stderr)
    holds(done.stdout, "U+060B  AFGHANI SIGN", "upper-case letters; U+20AC is EURO SIGN")


# ------------------------------------------------------------------------------------------- types

@test
def guessed_types(c):
    c.ingest("i,f,b,d,s,z,u,t,e,lead,serial\n"
             "1,1,true,2026-01-31,2026-01-31 10:20:30,2026-01-31T10:20:30+02:00,550e8400-e29b-41d4-a716-446655440000,x,,007,12345678901234567890\n"
             "-2,2.5,FALSE,1999-12-31,2026-01-31T10:20:30.5,2026-01-31 10:20:30Z,550e8400-e29b-41d4-a716-446655440001,1,,1,1\n"
             ",,,,,,,,,,\n", "--header")
    same(c.types(), {"id": "bigint", "i": "bigint", "f": "double precision", "b": "boolean", "d": "date",
                     "s": "timestamp without time zone", "z": "timestamp with time zone", "u": "uuid", "t": "text", "e": "text",
                     "lead": "text", "serial": "text"})
    same(c.rows("SELECT i, f, b, d, s, z AT TIME ZONE 'UTC', u, t, e, lead, serial FROM t ORDER BY id"),
         [("1", "1", "t", "2026-01-31", "2026-01-31 10:20:30", "2026-01-31 08:20:30", "550e8400-e29b-41d4-a716-446655440000", "x", "",
           "007", "12345678901234567890"),
          ("-2", "2.5", "f", "1999-12-31", "2026-01-31 10:20:30.5", "2026-01-31 10:20:30", "550e8400-e29b-41d4-a716-446655440001", "1",
           "", "1", "1"), (None,) * 7 + ("",) * 4])


@test
def every_type_that_can_be_given(c):
    columns = "b:boolean,h:i16,i:i32,l:i64,u:u32,f:f64,n:decimal,t:text,y:bytes,j:json,d:date,m:time,s:timestamp,z:timestamptz,v:interval,g:uuid,o:ulid"
    line = ('true,-32768,-2147483648,-9223372036854775808,4294967295,-5e-324,123456789012345678901234567890.50,"a ""b""",00ff,'
            '"{""k"": [1, null]}",2026-11-23,13:45:06.123456,2026-11-23 13:45:06,2026-11-23 13:45:06+02:00,P1M2DT3S,'
            '550e8400-e29b-41d4-a716-446655440000,01ARZ3NDEKTSV4RRFFQ69G5FAV\n')
    same(c.ingest(line * 2, "--columns", columns).sum, (2, 2, 0, 0, 0))
    wanted = ("t", "-32768", "-2147483648", "-9223372036854775808", "4294967295", "-5e-324", "123456789012345678901234567890.50", 'a "b"',
              "\\x00ff", '{"k": [1, null]}', "2026-11-23", "13:45:06.123456", "2026-11-23 13:45:06", "2026-11-23 11:45:06",
              "1 mon 2 days 00:00:03", "550e8400-e29b-41d4-a716-446655440000", "01ARZ3NDEKTSV4RRFFQ69G5FAV")
    same(c.rows("SELECT b, h, i, l, u, f, n, t, y, j, d, m, s, z AT TIME ZONE 'UTC', v, g, o FROM t"), [wanted] * 2)


@test
def values_of_the_wrong_type(c):
    bad = ["1x", "1,5", "maybe", "2026-13-01", "yesterday", "550e", "1.2.3", "{", "0af"]
    good = '1,1.5,true,2026-11-23,2026-11-23 10:00:00,550e8400-e29b-41d4-a716-446655440000,12.50,{},0aff'.split(",")
    lines = [",".join(good)] + [",".join(good[:i] + ['"%s"' % value] + good[i + 1:]) for i, value in enumerate(bad)]
    result = c.ingest("\n".join(lines), "--columns", "i:i64,f:f64,b:boolean,d:date,s:timestamp,u:uuid,x:decimal,j:json,y:bytes", status=3)
    same(result.sum, (10, 1, 0, 0, 9))
    for (line, reason, _), number, name, value in zip(c.rejects(), range(2, 11), "ifbdsuxjy", bad):
        same(line, number)
        holds(reason, 'column "%s"' % name, value)


@test
def bad_content_is_rejected(c):
    result = c.ingest(b"a,b\n1,good\n2,b\xff\xfed\n3,x\x00y\n4\n5,ok\n", "--header", status=3)
    same(result.sum, (5, 2, 0, 0, 3))
    same(sorted(line for line, _, _ in c.rejects()), [3, 4, 5])
    same(c.rows("SELECT a, b FROM t ORDER BY a"), [("1", "good"), ("5", "ok")])


@test
def json_that_the_server_does_not_take(c):
    """A jsonb knows no zero character; JSON does. Found by the server alone."""
    result = c.ingest("".join('{"k": %d, "j": {"v": "%s"}}\n' % (k, "a\\u0000b" if k == 700 else "ok") for k in range(1, 1001)),
                      "--key", "k", name="in.ndjson", status=3)
    same(result.sum, (1000, 999, 0, 0, 1))
    same(c.rejects("in.ndjson.rejects")[0][0], 700)


@test
def names_with_quotes_keywords_and_capitals(c):
    c.ingest('"select","a ""b""","Order By"\n1,2,3\n', "--header", table='My "Table"')
    same(c.rows('SELECT "select", "a ""b""", "Order By" FROM "My ""Table"""'), [("1", "2", "3")])


# ------------------------------------------------------------------------------- keys and conflicts

@test
def keys_of_new_tables(c):
    c.ingest("a\nx\ny\n", "--header", table="one")
    same(c.rows("SELECT * FROM one ORDER BY id"), [("1", "x"), ("2", "y")])
    c.ingest("ID,a\n7,1\n", "--header", table="two")
    same(c.rows('SELECT row_id, "ID", a FROM two'), [("1", "7", "1")])
    c.ingest("id,a\n7,1\n0,2\n", "--header", "--key", "id", table="three")
    same(c.rows("SELECT * FROM three ORDER BY id"), [("0", "2"), ("7", "1")])
    c.ingest("a,b,v\n1,1,x\n1,2,y\n1,1,z\n", "--header", "--key", "a,b", "--on-conflict", "update", table="four")
    same(c.rows("SELECT * FROM four ORDER BY a, b"), [("1", "1", "z"), ("1", "2", "y")])


@test
def conflict_rules(c):
    result = c.ingest("k,v\na,1\nb,2\na,3\n", "--header", "--key", "k", status=3)
    same(result.sum, (3, 2, 0, 0, 1))
    same(c.rejects()[0][::2], (4, b"a,3"))
    same(c.ingest("k,v\nb,9\nc,3\n", "--header", "--key", "k", "--on-conflict", "ignore").sum, (2, 1, 1, 0, 0))
    same(c.ingest("k,v\nb,7\nd,8\n", "--header", "--key", "k", "--on-conflict", "update").sum, (2, 1, 0, 1, 0))
    same(c.rows("SELECT * FROM t ORDER BY k"), [("a", "1"), ("b", "7"), ("c", "3"), ("d", "8")])
    holds(c.ingest("k\na\n", "--header", "--on-conflict", "update", table="new", status=2).err, "--key")


@test
def conflict_rules_over_many_rows(c):
    """Enough rows for every means of writing: each key three times, and once more in a second load."""
    lines = ["%d,%d" % (i % 5000, i) for i in range(15000)]
    content = "k,v\n" + "\n".join(lines) + "\n"
    for rule, counts, value in (("error", (15000, 5000, 0, 0, 10000), 0), ("ignore", (15000, 5000, 10000, 0, 0), 0),
                                ("update", (15000, 5000, 0, 10000, 0), 10000)):
        result = c.ingest(content, "--header", "--key", "k", "--on-conflict", rule, "--batch", "4000", table="t_" + rule,
                          status=3 if rule == "error" else 0)
        same(result.sum, counts, rule)
        same(c.rows("SELECT count(*), min(v - k), max(v - k) FROM t_" + rule), [("5000", str(value), str(value))], rule)
        if rule == "error":
            same([line for line, _, _ in c.rejects()], list(range(5002, 15002)))


@test
def empty_key(c):
    result = c.ingest("k,v\n1,a\n,b\n", "--header", "--key", "k", status=3)
    same(result.sum, (2, 1, 0, 0, 1))
    holds(c.rejects()[0][1], '"k"', "empty")


# ------------------------------------------------------------------------------------ existing tables

@test
def existing_table_keeps_its_columns(c):
    c.execute("CREATE TABLE t (id serial PRIMARY KEY, name varchar(3) NOT NULL, \"Number\" integer, extra text DEFAULT 'd')")
    # Capitals are found as the table has them.
    result = c.ingest("number,NAME\n5,007\n6,long\n99999999999,x\n", "--header", status=3)
    same(result.sum, (3, 1, 0, 0, 2))
    reasons = {line: reason for line, reason, _ in c.rejects()}
    holds(reasons[3], "character varying(3)")
    holds(reasons[4], '"Number"', "out of range")
    same([row[1:] for row in c.rows()], [("007", "5", "d")])  # the refused row has drawn a number, too
    holds(c.ingest("name,nope\nx,1\n", "--header", name="b.csv", status=1).err, "nope", "t")


@test
def existing_table_by_position(c):
    c.execute("CREATE TABLE t (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, a text, b real)")
    c.ingest("x,1\n")
    c.ingest("9,y,2.5\n")
    same(c.rows("SELECT * FROM t ORDER BY id"), [("1", "x", "1"), ("9", "y", "2.5")])
    holds(c.ingest("1,2,3,4\n", status=1).err, "4 fields", "3 columns")


@test
def existing_table_without_key(c):
    c.execute("CREATE TABLE t (a text, b integer)", "INSERT INTO t VALUES ('old', 0)")
    content = "a,b\n" + "".join("x,%d\n" % i for i in range(1, 2001)) + "y,oops\n"
    result = c.ingest(content, "--header", status=3)
    same(result.sum, (2001, 2000, 0, 0, 1))
    same(c.rows("SELECT count(*), sum(b) FROM t"), [("2001", str(2000 * 2001 // 2))])


@test
def existing_table_with_unique_columns(c):
    c.execute("CREATE TABLE t (id serial PRIMARY KEY, mail text UNIQUE, n integer, a integer, b integer, UNIQUE (a, b))",
              "CREATE UNIQUE INDEX part ON t (n) WHERE n > 0", "CREATE UNIQUE INDEX expression ON t (b, (n + 1))",
              "INSERT INTO t VALUES (10, 'a@x', 1, 1, 1)")
    c.ingest("mail,n\na@x,2\nb@x,3\n", "--header", "--key", "mail", "--on-conflict", "update")
    same(c.rows("SELECT id, n FROM t WHERE mail = 'a@x'"), [("10", "2")])
    same(c.rows("SELECT count(*) FROM t"), [("2",)])
    c.ingest("b,a,n\n1,1,5\n", "--header", "--key", "b,a", "--on-conflict", "update")
    same(c.rows("SELECT n FROM t WHERE id = 10"), [("5",)])
    for key in ("a", "n", "b,n", "mail,a"):
        result = c.ingest("mail,n,a,b\na@x,2,1,1\n", "--header", "--key", key, "--on-conflict", "update", status=2)
        holds(result.err, "--key " + key, "table t", "UNIQUE")
        same(result.out, "")


@test
def existing_table_constraints_reject(c):
    c.execute("CREATE TABLE parent (id integer PRIMARY KEY)", "INSERT INTO parent VALUES (1)",
              "CREATE TABLE t (id serial PRIMARY KEY, n integer NOT NULL CHECK (n < 10), p integer REFERENCES parent, u integer UNIQUE)")
    result = c.ingest("n,p,u\n1,1,1\n,1,2\n20,1,3\n3,1,4\n4,7,5\n5,1,1\n", "--header", status=3)
    same(result.sum, (6, 2, 0, 0, 4))
    rejects = c.rejects()
    same([line for line, _, _ in rejects], [3, 4, 6, 7])
    for (_, reason, _), text in zip(rejects, ('"n"', "t_n_check", "t_p_fkey", "t_u_key")):
        holds(reason, text)


@test
def existing_table_with_types_of_the_server(c):
    c.execute("CREATE TYPE mood AS ENUM ('sad', 'happy')", "CREATE DOMAIN small AS integer CHECK (VALUE < 10)",
              "CREATE TABLE t (id serial PRIMARY KEY, m mood, a inet, s small, l integer[], b bit(3), c char(3), w timestamp(0) with time zone, "
              "j json, n numeric(5,2))")
    content = ("m,a,s,l,b,c,w,j,n\nhappy,10.0.0.1/8,7,\"{1,2}\",101,abc,2026-11-23 13:45:06.7+00:00,{},1.235\n,,,,,,,,\n"
               "angry,,,,,,,,\n,10.0.0.300,,,,,,,\n,,11,,,,,,\n,,,,11,,,,\n")
    result = c.ingest(content, "--header", status=3)
    same(result.sum, (6, 2, 0, 0, 4))
    same([line for line, _, _ in c.rejects()], [4, 5, 6, 7])
    same(c.rows("SELECT m, a, s, l, b, c, w AT TIME ZONE 'UTC', j, n FROM t ORDER BY id"),
         [("happy", "10.0.0.1/8", "7", "{1,2}", "101", "abc", "2026-11-23 13:45:07", "{}", "1.24"),
          (None, None, None, None, None, "   ", None, None, None)])


@test
def types_given_for_an_existing_table(c):
    """A type of --columns says what is read; the table takes what fits its own."""
    c.execute("CREATE TABLE t (id serial PRIMARY KEY, n integer, x numeric, s text)")
    same(c.ingest("n,x,s\n1,2,3\n", "--header", "--columns", "n:text,x:i64,s:text").sum, (1, 1, 0, 0, 0))
    result = c.ingest("n,x,s\n1,2,3\nabc,2,3\n", "--header", "--columns", "n:text", status=3)
    same(result.sum, (2, 1, 0, 0, 1))
    same(c.rejects()[0][0], 3)


@test
def triggers_of_the_table(c):
    c.execute("CREATE TABLE t (id serial PRIMARY KEY, x integer)",
              "CREATE FUNCTION no_twos() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF new.x = 2 THEN RAISE ''no twos''; END IF; RETURN new; END'",
              "CREATE TRIGGER a BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION no_twos()")
    result = c.ingest("x\n1\n2\n3\n", "--header", status=3)
    same(result.sum, (3, 2, 0, 0, 1))
    same([(line, reason) for line, reason, _ in c.rejects()], [(3, "no twos")])
    same(c.rows("SELECT x FROM t ORDER BY x"), [("1",), ("3",)])


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
    same(c.types(), {"id": "bigint", "a": "bigint", "b": "text", "c": "boolean", "d": "double precision", "e": "jsonb", "f": "date"})
    same(c.rows("SELECT a, b, c, d, e, f FROM t ORDER BY id"), [("1", "x", "t", "1.5", '[1, {"k": null}]', None),
                                                              (None, "\u00e9", None, None, None, None),
                                                              (None, None, None, None, None, "2026-01-31")])


@test
def ndjson_bad_lines(c):
    lines = ['{"a": 1}', "[1]", '{"a": 1', '{"a": 1, "a": 2}', '{"a": "text"}', '{"b": 1}', '{"a": 2}']
    result = c.ingest("\n".join(lines), "--columns", "a:i64", name="in.jsonl", status=3)
    same(result.sum, (7, 2, 0, 0, 5))
    same([line for line, _, _ in c.rejects("in.jsonl.rejects")], [2, 3, 4, 5, 6])


# ------------------------------------------------------------------------------------------ large loads

@test
def a_hundred_thousand_rows(c):
    """Each row accounted for, bad ones by their lines, whatever the batch; good ones compared by the server."""
    random_ = random.Random(20261126)
    bad = set(random_.sample(range(100000), 50))
    content = io.StringIO()
    content.write("k,n,f,t,d\n")
    for i in range(100000):
        content.write("%d,%s,%r,text of row %d,2026-01-%02d\n" % (i, "x" if i in bad else i * 7, i / 8, i, i % 31 + 1))
    result = c.ingest(content.getvalue(), "--header", "--key", "k", "--columns", "n:i64", status=3)
    same(result.sum, (100000, 99950, 0, 0, 50))
    same([line for line, _, _ in c.rejects()], sorted(i + 2 for i in bad))
    same(c.rows("SELECT count(*), bool_and(n = k * 7 AND f = k / 8.0 AND t = 'text of row ' || k AND extract(day FROM d) = k % 31 + 1) FROM t"),
         [("99950", "t")])


@test
def rejects_of_the_server_keep_their_lines(c):
    """Duplicates are found by the server, in the middle of many rows."""
    content = "k,n\n" + "".join("%d,%s\n" % (i if i % 997 else 1, "x" if i % 101 == 0 else i) for i in range(1, 20001))
    result = c.ingest(content, "--columns", "k:i64,n:i64", "--header", "--key", "k", "--batch", "3000", status=3)
    wanted = {i + 1: "%d,%s" % (i if i % 997 else 1, "x" if i % 101 == 0 else i) for i in range(1, 20001) if i % 101 == 0 or i % 997 == 0}
    same({line: raw.decode() for line, _, raw in c.rejects()}, wanted)
    same(result.sum, (20000, 20000 - len(wanted), 0, 0, len(wanted)))


@test
def random_csv_round_trip(c):
    random_ = random.Random(20261123)
    alphabet = 'ab",;\t \r\n\'\\0\u00e9\u20ac\U0001f600'
    for number in range(6):
        delimiter = random_.choice(",;\t|")
        width = random_.randint(2, 6)
        rows = [["".join(random_.choices(alphabet, k=random_.choice([0, 1, 3, 20]))) for _ in range(width)] for _ in range(700)]
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=delimiter, lineterminator="\r\n").writerows(rows)
        columns = ",".join("c%d:text" % i for i in range(width))
        batch = random_.choice(["37", "600", "10000"])
        result = c.ingest(text.getvalue(), "--columns", columns, "--delimiter", delimiter, "--batch", batch, table="r%d" % number)
        same(result.sum, (700, 700, 0, 0, 0))
        same(c.rows("SELECT %s FROM r%d ORDER BY id" % (columns.replace(":text", ""), number)), [tuple(row) for row in rows])


@test
def memory_is_bounded(c):
    bound_kb = (80 << 10) * (6 if base.SANITIZED else 1)
    for number, row in enumerate((b"12345,some text of a row that is not long\n", b"1," + b"w" * 65536 + b"\n")):
        size = 50 << 20
        rows = size // len(row)
        process = subprocess.Popen([base.NEXTORM, "ingest", "-", "--to", c.url, "--table", "m%d" % number, "--header", "--quiet"],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=c.folder)
        in_block = max(1, (1 << 20) // len(row))
        process.stdin.write(b"a,b\n")
        for given in range(0, rows, in_block):
            process.stdin.write(row * min(in_block, rows - given))
        process.stdin.flush()
        memory_kb = base.most_memory_kb(process)
        out, err = process.communicate(timeout=240)
        result = base.Result(process.returncode, out.decode(), err.decode())
        same(result.status, 0, result.err)
        same(result.sum, (rows, rows, 0, 0, 0))
        assert memory_kb < bound_kb, "%d KiB of memory for rows of %d bytes" % (memory_kb, len(row))


# ---------------------------------------------------------------------------------- what goes on meanwhile

@test
def locked_by_somebody_else(c):
    c.execute("CREATE TABLE t (id serial PRIMARY KEY, a integer)")
    other = threading.Thread(target=psql, args=("BEGIN; LOCK TABLE t IN EXCLUSIVE MODE; SELECT pg_sleep(1); COMMIT",))
    other.start()
    time.sleep(0.3)
    same(c.ingest("a\n1\n", "--header").sum, (1, 1, 0, 0, 0))
    other.join()


@test
def killed_in_the_middle(c):
    """The connection is cut by the server's operator: what was written before stays, and the sum says how much is missing."""
    process = subprocess.Popen([base.NEXTORM, "ingest", "-", "--to", c.url, "--table", "t", "--header", "--batch", "100"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=c.folder)
    process.stdin.write(b"a\n" + b"1\n" * 5050)
    process.stdin.flush()
    wait_for_rows(c, 5000)
    psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%%%s%%' AND pid <> pg_backend_pid() "
         "AND backend_type = 'client backend' AND application_name <> 'psql' AND datname = current_database()" % c.schema)
    psql("DROP TABLE t")
    out, err = process.communicate(b"1\n" * 5000, timeout=60)
    result = base.Result(process.returncode, out.decode(), err.decode())
    same(result.status, 1, result.err)
    holds(result.err, "the load failed")
    holds(result.out, "not loaded")
    same(result.sum[0], result.sum[1] + int(base.SUM.match(result.out.splitlines()[-1]).group(6)))


def wait_for_rows(c, count):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        time.sleep(0.1)
        if c.rows("SELECT to_regclass('t') IS NOT NULL") == [("t",)] and int(c.rows("SELECT count(*) FROM t")[0][0]) >= count:
            return
    raise AssertionError("the rows do not come")


@test
def interrupt_finishes_the_batch(c):
    process = subprocess.Popen([base.NEXTORM, "ingest", "-", "--to", c.url, "--table", "t", "--header", "--batch", "100"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=c.folder)
    process.stdin.write(b"a\n" + b"1\n" * 5250)
    process.stdin.flush()
    wait_for_rows(c, 5000)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    result = base.Result(process.returncode, out.decode(), err.decode())
    same(result.status, 130, result.err)
    same(result.sum, (5250, 5250, 0, 0, 0))
    same(c.rows("SELECT count(*) FROM t"), [("5250",)])


def main():
    if len(sys.argv) < 2:
        print(__doc__)
        return 2
    for name in ("HOST", "PORT", "DBNAME", "USER", "PASSWORD", "SOCKET", "CA", "BIN"):
        SERVER[name] = os.environ.get("NX_TEST_POSTGRES_" + name, "")
        if not SERVER[name]:
            print("1..1\nnot ok 1 - NX_TEST_POSTGRES_%s is not set: tests/run starts a server and sets it" % name)
            return 1
    for name in list(os.environ):
        if name.startswith("PG"):
            del os.environ[name]
    os.environ.update(PGHOST=SERVER["HOST"], PGPORT=SERVER["PORT"], PGDATABASE=SERVER["DBNAME"], PGUSER=SERVER["USER"],
                      PGPASSWORD=SERVER["PASSWORD"])
    base.find_program(sys.argv[1])
    return base.run_tests(TESTS, Case, sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
