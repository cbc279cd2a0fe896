/*
 * model_judge - what is stored, seen by a connection of our own: SQLite's library, libpq, and for a database in memory raw SQL
 * while no session has a transaction.
 */
#include <libpq-fe.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "model_world.h"
#include "tests/support/pg_kit.h"

struct judge {
    sqlite3 *file;
    PGconn *server;
};

enum { CELLS_MAX = 16, SQL_SIZE = 512, LOOKS = 10, LOOK_US = 20000 };

typedef struct reading {
    world *w;
    int entity;
    const tables *names; /* the rows that keys of the database stand for */
    tables *t;
} reading;

static int32_t number_of(const char *text)
{
    if (text == NULL)
        return NONE;
    return text[0] == 't' || text[0] == 'w' || text[0] == 'r' ? atoi(text + 1) : atoi(text);
}

static int32_t uid_of(world *w, const tables *t, int entity, const char *const *cell)
{
    if (cell[0] == NULL)
        return NONE;
    switch ((int)entities[entity].key) {
    case KEY_AUTO: return model_uid_of_key(&w->m, t, entity, atoll(cell[0]));
    case KEY_NUMBER: return model_uid(&w->m, entity, number_of(cell[0]) - 100);
    case KEY_TEXT: return model_uid(&w->m, entity, number_of(cell[0]));
    default: return cell[1] == NULL ? NONE : model_uid(&w->m, entity, 2 * number_of(cell[0]) + number_of(cell[1]));
    }
}

static void take_row(reading *to, const char *const *cell)
{
    const model_entity *e = &entities[to->entity];
    int32_t uid = uid_of(to->w, to->names, to->entity, cell);
    int at = e->key == KEY_PAIR ? 2 : 1;

    if (uid < 0)
        model_fail(to->w, "tables", "%s: a row is stored that was never made: %s", e->table, cell[0]);
    to->t->present[uid] = true;
    for (int c = 0; c < e->column_count; c++) {
        const model_column *column = &e->columns[c];
        if (column->kind == COL_LOCAL)
            continue;
        to->t->row[uid].c[c] =
            column->kind == COL_REF ? uid_of(to->w, to->names, column->target, cell + at) : number_of(cell[at]);
        at += column->kind == COL_REF && entities[column->target].key == KEY_PAIR ? 2 : 1;
    }
}

static void select_sql(int entity, char *sql)
{
    const model_entity *e = &entities[entity];
    int size = snprintf(sql, SQL_SIZE, "SELECT %s%s%s", e->key_sql[0], e->key_sql[1] != NULL ? ", " : "",
                        e->key_sql[1] != NULL ? e->key_sql[1] : "");

    for (int c = 0; c < e->column_count; c++)
        for (int k = 0; k < 2 && e->columns[c].sql[k] != NULL && e->columns[c].kind != COL_LOCAL; k++)
            size += snprintf(sql + size, (size_t)(SQL_SIZE - size), ", %s", e->columns[c].sql[k]);
    snprintf(sql + size, (size_t)(SQL_SIZE - size), " FROM %s", e->table);
}

static void read_file(reading *to, sqlite3 *file, const char *sql)
{
    const char *cell[CELLS_MAX];
    sqlite3_stmt *statement = NULL;
    int status = sqlite3_prepare_v2(file, sql, -1, &statement, NULL);

    if (status != SQLITE_OK)
        model_fail(to->w, "judge", "%s: %s", sql, sqlite3_errmsg(file));
    while ((status = sqlite3_step(statement)) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(statement); i++)
            cell[i] = (const char *)sqlite3_column_text(statement, i);
        take_row(to, cell);
    }
    if (status != SQLITE_DONE)
        model_fail(to->w, "judge", "%s: %s", sql, sqlite3_errmsg(file));
    sqlite3_finalize(statement);
}

static void read_server(reading *to, PGconn *server, const char *sql)
{
    const char *cell[CELLS_MAX];
    PGresult *result = PQexec(server, sql);

    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        model_fail(to->w, "judge", "%s: %s", sql, PQerrorMessage(server));
    for (int i = 0; i < PQntuples(result); i++) {
        for (int k = 0; k < PQnfields(result); k++)
            cell[k] = PQgetisnull(result, i, k) ? NULL : PQgetvalue(result, i, k);
        take_row(to, cell);
    }
    PQclear(result);
}

static void read_memory(reading *to, nx_db *db, const char *sql)
{
    nx_completion c = nx_await(to->w->loop, nx_select_raw(db, sql, nx_no_args, NULL));

    if (c.status != NX_OK)
        model_fail(to->w, "judge", "%s: %s", sql, c.error->message);
    for (size_t i = 0; i < c.raw->row_count; i++) {
        char text[CELLS_MAX][32];
        const char *cell[CELLS_MAX];
        for (size_t k = 0; k < c.raw->column_count; k++) {
            nx_value value = nx_rows_at(c.raw, i, k);
            nx_value_format(value, text[k], sizeof(text[k]));
            cell[k] = value.type == NX_TYPE_null ? NULL : text[k];
        }
        take_row(to, cell);
    }
    nx_seen(to->w->loop, &c);
}

void model_judges_open(world *w)
{
    for (int d = 0; d < DATABASES; d++) {
        judge *j = w->judge[d] = calloc(1, sizeof(*j));
        if (d == 0 && w->place->kit != NULL)
            j->server = pgk_connect(w->place->kit);
        else if (d > 0 || !w->place->in_memory) {
            if (sqlite3_open_v2(w->place->options[d].path, &j->file, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
                model_fail(w, "judge", "%s: %s", w->place->options[d].path, sqlite3_errmsg(j->file));
            sqlite3_busy_timeout(j->file, 3000);
            model_judge_do(w, d, "PRAGMA foreign_keys = ON");
        }
    }
}

void model_judges_close(world *w)
{
    for (int d = 0; d < DATABASES; d++) {
        sqlite3_close(w->judge[d]->file);
        if (w->judge[d]->server != NULL)
            PQfinish(w->judge[d]->server);
        free(w->judge[d]);
    }
}

void model_judge_do(world *w, int database, const char *sql)
{
    judge *j = w->judge[database];

    if (j->server != NULL) {
        PGresult *result = PQexec(j->server, sql);
        if (PQresultStatus(result) != PGRES_COMMAND_OK)
            model_fail(w, "others", "%s: %s", sql, PQerrorMessage(j->server));
        PQclear(result);
    } else if (j->file != NULL) {
        if (sqlite3_exec(j->file, sql, NULL, NULL, NULL) != SQLITE_OK)
            model_fail(w, "others", "%s: %s", sql, sqlite3_errmsg(j->file));
    } else {
        nx_completion c = nx_await(w->loop, nx_execute(w->db[database], sql, nx_no_args, NULL));
        if (c.status != NX_OK)
            model_fail(w, "others", "%s: %s", sql, c.error->message);
    }
}

/* The first difference, as a text; whether there is one. */
static bool differs(const world *w, const tables *is, const tables *should, char *text, size_t size)
{
    for (int u = 0; u < w->m.uid_count; u++) {
        const model_entity *e = model_entity_of(&w->m, u);
        if (is->present[u] != should->present[u]) {
            snprintf(text, size, "%s %d (slot %d) is %s", e->name, u, w->m.slot_of[u],
                     is->present[u] ? "stored and should not be" : "not stored");
            return true;
        }
        for (int c = 0; is->present[u] && c < e->column_count; c++) {
            if (e->columns[c].kind == COL_LOCAL || is->row[u].c[c] == should->row[u].c[c])
                continue;
            snprintf(text, size, "%s %d: %s is stored as %d, not %d", e->name, u, e->columns[c].name, is->row[u].c[c],
                     should->row[u].c[c]);
            return true;
        }
    }
    return false;
}

static void read_tables(world *w, const tables *names, tables *is)
{
    char sql[SQL_SIZE];

    for (int e = 0; e < ENTITIES; e++) {
        reading to = { .w = w, .entity = e, .names = names, .t = is };
        int d = entities[e].database;
        select_sql(e, sql);
        if (w->judge[d]->server != NULL) {
            read_server(&to, w->judge[d]->server, sql);
        } else if (w->judge[d]->file != NULL) {
            read_file(&to, w->judge[d]->file, sql);
        } else if (w->behind == 0 && model_writer_is_free(w, NULL, d)) {
            read_memory(&to, w->db[d], sql);
        } else {
            for (int u = 0; u < w->m.uid_count; u++) /* nobody can look */
                if (w->m.entity_of[u] == e) {
                    is->present[u] = w->m.committed.present[u];
                    is->row[u] = w->m.committed.row[u];
                }
        }
    }
}

bool model_judge_tables(world *w, const tables *either)
{
    tables *is = calloc(1, sizeof(*is));
    char text[256];
    bool is_other = false;

    read_tables(w, &w->m.committed, is);
    if (differs(w, is, &w->m.committed, text, sizeof(text))) {
        if (either == NULL)
            model_fail(w, "tables", "%s", text);
        memset(is, 0, sizeof(*is));
        read_tables(w, either, is);
        if (differs(w, is, either, text, sizeof(text)))
            model_fail(w, "tables", "%s", text);
        is_other = true;
    }
    free(is);
    return is_other;
}

bool model_judge_late(world *w, const tables *either)
{
    bool is_other = model_judge_tables(w, either);

    for (int i = 0; i < LOOKS && !is_other && either != NULL && w->place->kit != NULL; i++) {
        usleep(LOOK_US);
        is_other = model_judge_tables(w, either);
    }
    return is_other;
}
