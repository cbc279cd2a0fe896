/*
 * options - the arguments of `nextorm ingest`.
 */
#include "api/cli/options.h"

#include <argp.h>
#include <stdlib.h>
#include <strings.h>

enum { BATCH_DEFAULT = 50000, BATCH_MAX = 1000000 };

/* clang-format off */
static const char description[] =
    "Load a CSV or NDJSON file into a table.\n\n"
    "FILE is a path, or - for standard input. The table is created when it does not exist. Rows that do not fit are "
    "written to a rejects file with their line number and the reason; the others are loaded."
    "\v"
    "Formats\n"
    "  CSV: RFC 4180 quoting with \"; records end with LF, CRLF or CR; a UTF-8 byte order mark is dropped; blank lines "
    "are skipped; white space is kept. A record with more or fewer fields than there are columns is rejected.\n"
    "  NDJSON: one object per line; members go to columns by name, a missing member or null is NULL, nested values go to "
    "columns of type json. A member without a column, or given twice, rejects the record.\n"
    "  A record may have 16 MiB.\n\n"
    "Columns\n"
    "  Names come from --columns, from the first line with --header, from the members of an NDJSON sample, from the "
    "existing table, or are column_1, column_2 ... With --header, --columns gives types by name and may leave columns out; "
    "without it, it names all fields of the file in their order.\n"
    "  Types: boolean, i16, i32, i64, u32, f64, decimal, text, bytes (hexadecimal), json, date, time, timestamp, "
    "timestamptz, interval, uuid, ulid. A type that is not given is the existing table's, or is guessed from the first 1000 "
    "records: boolean (true, false), i64, f64, date, timestamp, timestamptz, uuid, json, else text. Numbers that would "
    "lose something, such as 007, stay text.\n"
    "  An empty field is NULL, in a text column the empty string. All columns but the key may be NULL.\n\n"
    "Keys\n"
    "  A new table gets the columns of --key as its primary key. Without --key it gets a number as key of its own, in a column "
    "id (row_id if the file has an id).\n"
    "  An existing table keeps its key; --key then names the columns, unique in the table, by which a row is found "
    "again.\n\n"
    "Rejects\n"
    "  Each line of the rejects file is the line number, a tab, the reason, a tab and the record, in which backslash, LF, CR "
    "and NUL are written as \\\\ \\n \\r \\0. The default is FILE.rejects, beside FILE or, where nothing may be written "
    "there, in the working directory (stdin.rejects for -). An older file of that name is replaced; no file is left when "
    "nothing was rejected.\n\n"
    "Result\n"
    "  The last line: read R = loaded L + ignored I + updated U + rejected J\n"
    "  (+ not loaded N after a failure)\n"
    "  Exit status: 0 all rows were loaded, ignored or updated; 1 the load failed, what earlier batches wrote stays; 2 wrong "
    "arguments; 3 some rows were rejected; 130 interrupted (the batch is finished first).\n\n"
    "Databases\n"
    "  sqlite:PATH: a file, which is made when it does not exist.\n"
    "  postgres://USER@HOST:PORT/DBNAME (also postgresql:) is a URI of libpq, postgres:host=... dbname=... a connection "
    "string; what is not said comes from libpq's environment variables (PGHOST, PGSERVICE ...) and files. Other users of "
    "the machine can see the arguments of a command: keep a password out of them, in PGPASSWORD or ~/.pgpass. The server's "
    "certificate is verified unless the server is on this machine or sslmode says otherwise. The table's name is taken as "
    "it is written, capitals too.\n\n"
    "Examples\n"
    "  nextorm ingest people.csv --header --to sqlite:app.db --table people\n"
    "  nextorm ingest people.csv --header --to postgres://me@db.example/app --table people\n"
    "  nextorm ingest x.txt --delimiter ';' --columns code:text,name,width:i32 \\\n"
    "      --key code --on-conflict update --to sqlite:app.db --table chars\n"
    "  zcat e.ndjson.gz | nextorm ingest - --format ndjson --to sqlite:e.db \\\n"
    "      --table event";

/* Beyond the characters: long options only. */
enum { OPTION_TO = 256, OPTION_TABLE, OPTION_DELIMITER, OPTION_HEADER, OPTION_COLUMNS, OPTION_KEY, OPTION_CONFLICT,
       OPTION_BATCH, OPTION_REJECTS, OPTION_FORMAT, OPTION_QUIET };

static const struct argp_option option_list[] = {
    { .name = "to", .key = OPTION_TO, .arg = "URL",
      .doc = "Database to load into: sqlite:PATH or postgres:...; required", .group = 1 },
    { .name = "table", .key = OPTION_TABLE, .arg = "TABLE", .doc = "Table to load into; required", .group = 1 },
    { .name = "format", .key = OPTION_FORMAT, .arg = "csv|ndjson",
      .doc = "Format of FILE; default: ndjson for .ndjson and .jsonl, else csv", .group = 2 },
    { .name = "delimiter", .key = OPTION_DELIMITER, .arg = "C",
      .doc = "Byte between CSV fields: one character, \\t, or \\xNN; default: a comma", .group = 2 },
    { .name = "header", .key = OPTION_HEADER, .doc = "The first CSV record holds the column names", .group = 2 },
    { .name = "columns", .key = OPTION_COLUMNS, .arg = "NAME[:TYPE],...", .doc = "Column names and types", .group = 2 },
    { .name = "key", .key = OPTION_KEY, .arg = "COLUMN[,...]", .doc = "Columns that identify a row", .group = 3 },
    { .name = "on-conflict", .key = OPTION_CONFLICT, .arg = "error|ignore|update",
      .doc = "A row whose key is there already is rejected (default), left out, or written over the old one", .group = 3 },
    { .name = "batch", .key = OPTION_BATCH, .arg = "N",
      .doc = "Rows per transaction, 1 to 1000000, fewer when they are wide; default: 50000", .group = 3 },
    { .name = "rejects", .key = OPTION_REJECTS, .arg = "FILE", .doc = "Where rejected records go; default: FILE.rejects",
      .group = 3 },
    { .name = "quiet", .key = OPTION_QUIET, .doc = "No progress", .group = 3 },
    { 0 },
};
/* clang-format on */

static int hex_value(char byte)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = byte == '\0' ? NULL : strchr(digits, byte | 0x20);

    return found == NULL ? -1 : (int)(found - digits);
}

bool options_delimiter(const char *text, char *ret_delimiter)
{
    char byte = text[0];

    if (strcmp(text, "\\t") == 0) {
        byte = '\t';
    } else if (strlen(text) == 4 && strncmp(text, "\\x", 2) == 0 && hex_value(text[2]) >= 0 && hex_value(text[3]) >= 0) {
        byte = (char)(hex_value(text[2]) * 16 + hex_value(text[3]));
    } else if (strlen(text) != 1) {
        return false;
    }
    if (byte == '\0' || byte == '"' || byte == '\n' || byte == '\r')
        return false;
    *ret_delimiter = byte;
    return true;
}

bool options_batch(const char *text, uint32_t *ret_rows)
{
    uint32_t rows = 0;

    for (const char *at = text; *at != '\0'; at++) {
        if (*at < '0' || *at > '9' || rows > BATCH_MAX)
            return false;
        rows = rows * 10 + (uint32_t)(*at - '0');
    }
    if (rows == 0 || rows > BATCH_MAX)
        return false;
    *ret_rows = rows;
    return true;
}

const char *options_url(const char *url, const char **ret_provider, const char **ret_path)
{
    const char *colon = strchr(url, ':');
    nx_text name = { url, colon == NULL ? 0 : (size_t)(colon - url) };

    if (name.size == 0)
        return "no provider; write sqlite:PATH or postgres://...";
    if (same_name(name, nx_str("postgres")) || same_name(name, nx_str("postgresql"))) {
        *ret_provider = "postgres";
        *ret_path = colon + 1;
        return NULL;
    }
    if (!same_name(name, nx_str("sqlite")))
        return "unknown provider; known: sqlite (write sqlite:PATH), postgres (write postgres://...)";
    if (colon[1] == '\0')
        return "no path; write sqlite:PATH";
    /* Programs disagree about what the slashes of sqlite:// mean. */
    if (strncmp(colon + 1, "//", 2) == 0)
        return "write sqlite:PATH, with a plain path and without //";
    if (strcmp(colon + 1, ":memory:") == 0)
        return "a database in memory would be gone at once; give a file";
    *ret_provider = "sqlite";
    *ret_path = colon + 1;
    return NULL;
}

static void parse_url(ingest_options *options, const char *url, const struct argp_state *state)
{
    const char *problem = options_url(url, &options->provider, &options->path);

    if (problem != NULL)
        argp_error(state, "--to: %s", problem);
}

static void parse_format(ingest_options *options, const char *text, const struct argp_state *state)
{
    if (strcmp(text, "csv") == 0)
        options->format = FORMAT_CSV;
    else if (strcmp(text, "ndjson") == 0 || strcmp(text, "jsonl") == 0)
        options->format = FORMAT_NDJSON;
    else
        argp_error(state, "--format %s: unknown; known: csv, ndjson", text);
}

static void parse_conflict(ingest_options *options, const char *text, const struct argp_state *state)
{
    if (strcmp(text, "error") == 0)
        options->on_conflict = NX_CONFLICT_ERROR;
    else if (strcmp(text, "ignore") == 0)
        options->on_conflict = NX_CONFLICT_IGNORE;
    else if (strcmp(text, "update") == 0)
        options->on_conflict = NX_CONFLICT_UPDATE;
    else
        argp_error(state, "--on-conflict %s: unknown; known: error, ignore, update", text);
}

static bool ends_with(const char *text, const char *end)
{
    size_t size = strlen(text);
    size_t end_size = strlen(end);

    return size >= end_size && strcasecmp(text + size - end_size, end) == 0;
}

static void check_whole(ingest_options *options, const struct argp_state *state)
{
    if (options->input == NULL)
        argp_error(state, "no FILE given (- for standard input)");
    if (options->provider == NULL)
        argp_error(state, "--to is missing: where to load, for example --to sqlite:app.db");
    if (options->table == NULL || options->table[0] == '\0')
        argp_error(state, "--table is missing");
    if (options->format == FORMAT_BY_NAME) {
        bool ndjson = ends_with(options->input, ".ndjson") || ends_with(options->input, ".jsonl");

        options->format = ndjson ? FORMAT_NDJSON : FORMAT_CSV;
    }
    if (options->format == FORMAT_NDJSON && options->header)
        argp_error(state, "--header is for CSV; NDJSON names its members");
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    ingest_options *options = state->input;

    switch (key) {
    case OPTION_TO: parse_url(options, argument, state); break;
    case OPTION_TABLE: options->table = argument; break;
    case OPTION_FORMAT: parse_format(options, argument, state); break;
    case OPTION_DELIMITER:
        if (!options_delimiter(argument, &options->delimiter))
            argp_error(state, "--delimiter %s: give one byte (not a quote or line end), \\t, or \\xNN", argument);
        break;
    case OPTION_HEADER: options->header = true; break;
    case OPTION_COLUMNS: options->columns = argument; break;
    case OPTION_KEY: options->key = argument; break;
    case OPTION_CONFLICT: parse_conflict(options, argument, state); break;
    case OPTION_BATCH:
        if (!options_batch(argument, &options->batch_rows))
            argp_error(state, "--batch %s: give a number from 1 to %d", argument, BATCH_MAX);
        break;
    case OPTION_REJECTS: options->rejects = argument; break;
    case OPTION_QUIET: options->quiet = true; break;
    case ARGP_KEY_ARG:
        if (options->input != NULL)
            argp_error(state, "one FILE at a time; %s is the second", argument);
        options->input = argument;
        break;
    case ARGP_KEY_END: check_whole(options, state); break;
    default: return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

void options_parse(int argc, char **argv, ingest_options *ret_options)
{
    const struct argp parser = { .options = option_list, .parser = parse_option, .args_doc = "FILE", .doc = description };

    *ret_options = (ingest_options){ .delimiter = ',', .batch_rows = BATCH_DEFAULT };
    argp_err_exit_status = STATUS_USAGE;
    if (argp_parse(&parser, argc, argv, 0, NULL, ret_options) != 0)
        exit(STATUS_USAGE);
}
