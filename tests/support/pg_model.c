/*
 * pg_model - see the header.
 */
#include "tests/support/pg_model.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INT4 = 23, INT8 = 20, BOOLEAN = 16, TEXT = 25, OID = 26, NAME = 19 };

/* ------------------------------------------------------------------------------ bytes */

static void put_bytes(pgm_bytes *out, const void *data, size_t size)
{
    if (out->size + size > out->capacity) {
        out->capacity = (out->size + size) * 2;
        out->data = realloc(out->data, out->capacity);
        cr_assert_not_null(out->data);
    }
    if (size > 0)
        memcpy(out->data + out->size, data, size);
    out->size += size;
}

static void put_number(pgm_bytes *out, uint64_t x, size_t size)
{
    uint8_t bytes[8];

    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(x >> (8 * (size - 1 - i)));
    put_bytes(out, bytes, size);
}

void pgm_put(pgm_bytes *out, char type, const void *body, size_t size)
{
    put_bytes(out, &type, 1);
    put_number(out, size + 4, 4);
    put_bytes(out, body, size);
}

void pgm_put_error(pgm_bytes *out, bool fatal, const char *sqlstate, const char *message, const char *where)
{
    char body[512];
    int size = snprintf(body, sizeof(body), "S%s%cV%s%cC%s%cM%s%c%s%s%c", fatal ? "FATAL" : "ERROR", 0, fatal ? "FATAL" : "ERROR",
                        0, sqlstate, 0, message, 0, where == NULL ? "" : "W", where == NULL ? "" : where, 0);

    cr_assert(size > 0 && (size_t)size < sizeof(body));
    pgm_put(out, 'E', body, (size_t)size + (where == NULL ? 0 : 1)); /* snprintf has put the last zero */
}

void pgm_put_ready(pgm_bytes *out, char status)
{
    pgm_put(out, 'Z', &status, 1);
}

void pgm_put_tag(pgm_bytes *out, const char *tag)
{
    pgm_put(out, 'C', tag, strlen(tag) + 1);
}

static void put_noise(pg_model *m)
{
    static const char notice[] = "SNOTICE\0VNOTICE\0C00000\0Mnothing\0";
    static const char parameter[] = "application_name\0model";
    static const char notification[] = "\0\0\0\7bell\0rings";

    if (!m->noise)
        return;
    pgm_put(&m->out, 'N', notice, sizeof(notice));
    pgm_put(&m->out, 'S', parameter, sizeof(parameter));
    pgm_put(&m->out, 'A', notification, sizeof(notification));
}

static void say(pg_model *m, char type, const pgm_bytes *body)
{
    put_noise(m);
    pgm_put(&m->out, type, body == NULL ? NULL : body->data, body == NULL ? 0 : body->size);
}

static void say_tag(pg_model *m, const char *tag)
{
    put_noise(m);
    pgm_put_tag(&m->out, tag);
}

static uint32_t get32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static uint16_t get16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

/* ------------------------------------------------------------------------------ transactions */

static void undo(pg_model *m, size_t rows)
{
    cr_assert_leq(rows, m->row_count);
    m->row_count = rows;
}

static void end_block(pg_model *m, bool commit)
{
    if (commit)
        m->committed = m->row_count;
    undo(m, m->committed);
    m->in_block = m->aborted = false;
    m->savepoint_count = 0;
}

static void fail_with(pg_model *m, const char *sqlstate, const char *message, const char *where)
{
    put_noise(m);
    pgm_put_error(&m->out, false, sqlstate, message, where);
    m->skipping = true;
    m->copying = false;
    m->copied.size = 0;
    if (m->in_block)
        m->aborted = true;
    else
        undo(m, m->committed);
}

static size_t find_savepoint(const pg_model *m, const char *name)
{
    for (size_t i = m->savepoint_count; i > 0; i--) {
        if (strcmp(m->savepoints[i - 1].name, name) == 0)
            return i - 1;
    }
    return SIZE_MAX;
}

static const char *behind(const char *sql, const char *words)
{
    size_t size = strlen(words);

    return strncmp(sql, words, size) == 0 ? sql + size : NULL;
}

static void savepoint(pg_model *m, const char *name, char what)
{
    size_t at = what == 'S' ? 0 : find_savepoint(m, name);

    if (!m->in_block) {
        fail_with(m, "25P01", "savepoints are for transaction blocks", NULL);
        return;
    }
    if (at == SIZE_MAX) {
        fail_with(m, "3B001", "savepoint does not exist", NULL);
        return;
    }
    if (what == 'S') {
        cr_assert_lt(m->savepoint_count, PGM_SAVEPOINTS_MAX);
        snprintf(m->savepoints[m->savepoint_count].name, sizeof(m->savepoints[0].name), "%s", name);
        m->savepoints[m->savepoint_count++].rows = m->row_count;
    } else if (what == 'L') {
        m->savepoint_count = at;
    } else {
        undo(m, m->savepoints[at].rows);
        m->savepoint_count = at + 1;
        m->aborted = false;
    }
    say_tag(m, what == 'S' ? "SAVEPOINT" : what == 'L' ? "RELEASE" : "ROLLBACK");
}

/* False: it is no text of transactions. */
static bool execute_transaction(pg_model *m, const char *sql)
{
    const char *name;

    if (behind(sql, "do ") != NULL) /* what hides behind another text */
        sql = behind(sql, "do ");
    if (behind(sql, "COMMIT PREPARED") != NULL) {
        say_tag(m, "COMMIT PREPARED");
    } else if (behind(sql, "BEGIN") != NULL) {
        m->in_block = true;
        say_tag(m, "BEGIN");
    } else if (strcmp(sql, "COMMIT") == 0) {
        bool good = !m->aborted && !m->fails_commit;
        end_block(m, good);
        say_tag(m, good ? "COMMIT" : "ROLLBACK");
    } else if (strcmp(sql, "ROLLBACK") == 0) {
        end_block(m, false);
        say_tag(m, "ROLLBACK");
    } else if ((name = behind(sql, "ROLLBACK TO SAVEPOINT ")) != NULL)
        savepoint(m, name, 'R');
    else if (m->aborted)
        fail_with(m, "25P02", "current transaction is aborted", NULL);
    else if ((name = behind(sql, "SAVEPOINT ")) != NULL)
        savepoint(m, name, 'S');
    else if ((name = behind(sql, "RELEASE SAVEPOINT ")) != NULL)
        savepoint(m, name, 'L');
    else
        return false;
    return true;
}

/* ------------------------------------------------------------------------------ the table */

/* False: it was refused. */
static bool insert_rows(pg_model *m, const int32_t *numbers, size_t count, bool copy)
{
    for (size_t i = 0; i < count; i++) {
        char where[64];
        snprintf(where, sizeof(where), "COPY item, line %zu", i + 1);
        if (m->bad != 0 && numbers[i] == m->bad) {
            fail_with(m, "23514", "it is bad", copy && m->names_line ? where : NULL);
            return false;
        }
        cr_assert_lt(m->row_count, PGM_ROWS_MAX);
        m->rows[m->row_count++] = numbers[i];
        m->sequence++;
    }
    return true;
}

static void put_row(pg_model *m, uint64_t number, size_t size)
{
    pgm_bytes row = { .size = 0 };

    put_number(&row, 1, 2);
    put_number(&row, size, 4);
    put_number(&row, number, size);
    say(m, 'D', &row);
    free(row.data);
}

static void execute_insert(pg_model *m)
{
    char tag[32];
    int64_t next = m->sequence + 1;

    if (!insert_rows(m, m->values, m->value_count, false))
        return;
    for (size_t i = 0; i < m->value_count; i++)
        put_row(m, (uint64_t)next++, 8);
    snprintf(tag, sizeof(tag), "INSERT 0 %zu", m->value_count);
    say_tag(m, tag);
}

static void put_column(pgm_bytes *row, const char *text, uint64_t number, size_t size)
{
    put_number(row, text == NULL ? size : strlen(text), 4);
    if (text == NULL)
        put_number(row, number, size);
    else
        put_bytes(row, text, strlen(text));
}

/* What a COPY into a table has to know: see copy.c. */
static void execute_target(pg_model *m)
{
    static const struct {
        const char *name;
        uint32_t type;
    } columns[] = { { "id", INT8 }, { "number", INT4 } };

    for (size_t i = 0; i < 2; i++) {
        pgm_bytes row = { .size = 0 };
        put_number(&row, 7, 2);
        put_column(&row, NULL, 4711, 4);
        put_column(&row, NULL, 1, 1);
        put_column(&row, NULL, 1, 1);
        put_column(&row, NULL, 1, 1);
        put_column(&row, "item_id_seq", 0, 0);
        put_column(&row, columns[i].name, 0, 0);
        put_column(&row, NULL, columns[i].type, 4);
        say(m, 'D', &row);
        free(row.data);
    }
    say_tag(m, "SELECT 2");
}

static void execute_last(pg_model *m)
{
    if (m->sequence - m->first != m->values[0]) {
        fail_with(m, "22P02", "invalid input syntax for type bigint: \"nextorm:keys 1\"", NULL);
        return;
    }
    put_row(m, (uint64_t)m->sequence, 8);
    say_tag(m, "SELECT 1");
}

static void execute_update(pg_model *m)
{
    for (size_t i = 0; i < m->row_count; i++) {
        if (m->rows[i] == m->values[1])
            m->rows[i] = m->values[0];
    }
    say_tag(m, "UPDATE 1");
}

/*
 * "read N": one int4 column with that number. "two": two rows. "fail CODE". "write N": a row with that number, without a result.
 * "nothing": no statement. And what the driver itself says.
 */
static void execute(pg_model *m)
{
    const char *sql = m->bound.sql, *rest;

    if (execute_transaction(m, sql))
        return;
    if ((rest = behind(sql, "read ")) != NULL && m->interrupts > 0) {
        m->interrupts--;
        fail_with(m, "57014", "canceling statement due to user request", NULL);
    } else if (rest != NULL) {
        put_row(m, strtoul(rest, NULL, 10), 4);
        say_tag(m, "SELECT 1");
    } else if (strcmp(sql, "two") == 0) {
        put_row(m, 1, 4);
        put_row(m, 2, 4);
        say_tag(m, "SELECT 2");
    } else if ((rest = behind(sql, "fail ")) != NULL) {
        fail_with(m, rest, "as was wished", NULL);
    } else if ((rest = behind(sql, "write ")) != NULL) {
        int32_t number = (int32_t)strtol(rest, NULL, 10);
        if (insert_rows(m, &number, 1, false))
            say_tag(m, "INSERT 0 1");
    } else if (strcmp(sql, "nothing") == 0) {
        say(m, 'I', NULL);
    } else if (behind(sql, "INSERT INTO \"item\"") != NULL) {
        execute_insert(m);
    } else if (behind(sql, "UPDATE \"item\"") != NULL) {
        execute_update(m);
    } else if (behind(sql, "COPY \"item\"") != NULL) {
        m->copying = true;
        m->copies++;
        put_noise(m);
        pgm_put(&m->out, 'G', "\1\0\1\0\1", 5);
    } else if (behind(sql, "SELECT c.oid") != NULL) {
        execute_target(m);
    } else if (behind(sql, "SELECT pg_catalog.set_config") != NULL) {
        m->first = ++m->sequence;
        say_tag(m, "SELECT 1");
    } else if (behind(sql, "SELECT CASE WHEN k.last") != NULL) {
        execute_last(m);
    } else {
        cr_assert_fail("the model does not know this text: %s", sql);
    }
}

/* ------------------------------------------------------------------------------ COPY */

static void end_copy(pg_model *m)
{
    const uint8_t *at = m->copied.data + 19;
    static int32_t numbers[PGM_ROWS_MAX];
    size_t count = 0;
    char tag[32];

    cr_assert_geq(m->copied.size, 21u);
    cr_assert_eq(memcmp(m->copied.data, "PGCOPY\n\377\r\n\0", 11), 0);
    while (get16(at) != UINT16_MAX) {
        cr_assert_eq(get16(at), 1);
        cr_assert_eq(get32(at + 2), 4u);
        numbers[count++] = (int32_t)get32(at + 6);
        at += 10;
        cr_assert_leq(at + 2, m->copied.data + m->copied.size);
    }
    m->copying = false;
    m->copied.size = 0;
    if (!insert_rows(m, numbers, count, true))
        return;
    if (m->steals > 0) {
        m->steals--;
        m->sequence++;
    }
    snprintf(tag, sizeof(tag), "COPY %zu", count);
    say_tag(m, tag);
}

/* ------------------------------------------------------------------------------ messages */

static pgm_statement *find(pg_model *m, const char *name)
{
    for (size_t i = 0; i < m->statement_count; i++) {
        if (strcmp(m->statements[i].name, name) == 0)
            return &m->statements[i];
    }
    return NULL;
}

static void remove_statement(pg_model *m, const char *name)
{
    pgm_statement *s = find(m, name);

    if (s != NULL)
        *s = m->statements[--m->statement_count];
}

void pgm_forget(pg_model *m)
{
    m->statement_count = 0;
}

static void parse(pg_model *m, const char *body)
{
    const char *sql = body + strlen(body) + 1;
    pgm_statement *s;

    m->parses++;
    if (*body == '\0')
        remove_statement(m, "");
    if (find(m, body) != NULL) {
        fail_with(m, "42P05", "prepared statement already exists", NULL);
        return;
    }
    if (strcmp(sql, "syntax") == 0) {
        fail_with(m, "42601", "syntax error", NULL);
        return;
    }
    if (m->aborted && behind(sql, "ROLLBACK") == NULL && strcmp(sql, "COMMIT") != 0) {
        fail_with(m, "25P02", "current transaction is aborted", NULL);
        return;
    }
    cr_assert_lt(m->statement_count, PGM_STATEMENTS_MAX);
    s = &m->statements[m->statement_count++];
    cr_assert_lt(strlen(sql), sizeof(s->sql), "%s", sql);
    memcpy(s->name, body, strlen(body) + 1);
    memcpy(s->sql, sql, strlen(sql) + 1);
    s->params = get16((const uint8_t *)sql + strlen(sql) + 1);
    say(m, '1', NULL);
}

static bool has_number(const char *sql)
{
    return behind(sql, "read ") != NULL || strcmp(sql, "two") == 0 || behind(sql, "fail ") != NULL;
}

static void describe(pg_model *m, const char *body)
{
    static const uint8_t row[] = { 0, 1, 'a', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, INT4, 0, 4, 0xff, 0xff, 0xff, 0xff, 0, 0 };
    const pgm_statement *s = find(m, body + 1);
    pgm_bytes params = { .size = 0 };

    cr_assert_eq(body[0], 'S');
    if (s == NULL) {
        fail_with(m, "26000", "prepared statement does not exist", NULL);
        return;
    }
    put_number(&params, s->params, 2);
    for (unsigned i = 0; i < s->params; i++)
        put_number(&params, INT4, 4);
    say(m, 't', &params);
    free(params.data);
    put_noise(m);
    pgm_put(&m->out, has_number(s->sql) ? 'T' : 'n', row, has_number(s->sql) ? sizeof(row) : 0);
}

/* An int, or the ints of an array. */
static void take_value(pg_model *m, const uint8_t *data, uint32_t size)
{
    if (size == 4)
        m->values[m->value_count++] = (int32_t)get32(data);
    else if (size == 8)
        m->values[m->value_count++] = (int32_t)get32(data + 4);
    for (uint32_t at = 20; size > 8 && get32(data + 8) == INT4 && at + 8 <= size; at += 8)
        m->values[m->value_count++] = (int32_t)get32(data + at + 4);
}

static void bind_portal(pg_model *m, const char *body)
{
    const char *name = body + strlen(body) + 1;
    const pgm_statement *s = find(m, name);
    const uint8_t *at = (const uint8_t *)name + strlen(name) + 1;
    unsigned count;

    m->is_bound = false;
    if (s == NULL) {
        fail_with(m, "26000", "prepared statement does not exist", NULL);
        return;
    }
    if (m->aborted && behind(s->sql, "ROLLBACK") == NULL && strcmp(s->sql, "COMMIT") != 0) {
        fail_with(m, "25P02", "current transaction is aborted", NULL);
        return;
    }
    m->bound = *s;
    m->is_bound = true;
    m->value_count = 0;
    at += 2 + 2 * (size_t)get16(at); /* formats */
    count = get16(at);
    at += 2;
    cr_assert_eq(count, s->params, "%s: %u parameters", s->sql, count);
    for (unsigned i = 0; i < count; i++) {
        uint32_t size = get32(at);
        at += 4;
        if (size == UINT32_MAX)
            continue;
        take_value(m, at, size);
        at += size;
    }
    say(m, '2', NULL);
}

static void sync_session(pg_model *m)
{
    m->skipping = false;
    m->syncs++;
    if (!m->in_block)
        end_block(m, true);
    m->status = !m->in_block ? 'I' : m->aborted ? 'E' : 'T';
    put_noise(m);
    pgm_put_ready(&m->out, m->status);
}

static void close_statement(pg_model *m, const char *body)
{
    m->closes++;
    if (body[0] == 'S')
        remove_statement(m, body + 1);
    say(m, '3', NULL);
}

static void message(pg_model *m, char type, const uint8_t *body, size_t size)
{
    cr_assert_lt(m->log_size + 1, sizeof(m->log));
    m->log[m->log_size++] = type;
    m->log[m->log_size] = '\0';
    if (type == 'S') {
        cr_assert_not(m->copying, "a Sync in a COPY");
        sync_session(m);
        return;
    }
    if (m->skipping)
        return;
    if (m->copying) {
        if (type == 'd')
            put_bytes(&m->copied, body, size);
        else if (type == 'c')
            end_copy(m);
        else if (type == 'f')
            fail_with(m, "57014", "COPY from stdin failed", NULL);
        else
            cr_assert_fail("a message of type %c in a COPY", type);
        return;
    }
    switch (type) {
    case 'P': parse(m, (const char *)body); break;
    case 'D': describe(m, (const char *)body); break;
    case 'B': bind_portal(m, (const char *)body); break;
    case 'C': close_statement(m, (const char *)body); break;
    case 'H':
    case 'd':
    case 'c':
    case 'f': break; /* behind a COPY that has failed they are dropped */
    case 'E':
        if (body[0] != '\0' || !m->is_bound)
            fail_with(m, "34000", "portal does not exist", NULL);
        else
            execute(m);
        break;
    default: cr_assert_fail("a message of type %c", type);
    }
}

void pgm_take(pg_model *m, const void *data, size_t size)
{
    size_t at = 0;

    put_bytes(&m->in, data, size);
    while (m->in.size - at >= 5 && m->in.size - at >= 1 + (size_t)get32(m->in.data + at + 1)) {
        size_t whole = 1 + (size_t)get32(m->in.data + at + 1);
        message(m, (char)m->in.data[at], m->in.data + at + 5, whole - 5);
        at += whole;
    }
    m->in.size -= at;
    memmove(m->in.data, m->in.data + at, m->in.size);
}

/* ------------------------------------------------------------------------------ life */

void pgm_open(pg_model *m)
{
    memset(m, 0, sizeof(*m));
    m->status = 'I';
}

void pgm_close(pg_model *m)
{
    free(m->in.data);
    free(m->out.data);
    free(m->copied.data);
}

size_t pgm_count(const pg_model *m, int32_t number)
{
    size_t count = 0;

    for (size_t i = 0; i < m->committed; i++)
        count += m->rows[i] == number;
    return count;
}
