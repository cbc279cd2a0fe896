/*
 * result - rows of a query into its step: entities, named values, or one value.
 */
#include "drivers/postgres/postgres.h"

enum { ROWS_FIRST = 16 };

static bool make_reader(nxi_pg *pg, const nxi_pg_unit *unit)
{
    const nxi_request *request = unit->job->request;
    const nxi_pg_prepared *p = unit->prepared;

    pg->reader = (nxi_pg_reader){ .statement = p->statement,
                                  .table = p->statement->table,
                                  .ins = p->ins,
                                  .count = p->result_count,
                                  .tracked = request->tracked,
                                  .owner = request->row_owner };
    pg->fetched_capacity = 0;
    return p->ins != NULL;
}

static nx_status begin(nxi_pg *pg, nxi_pg_unit *unit, nx_error *error)
{
    const nxi_pg_prepared *p = unit->prepared;

    unit->is_begun = true;
    pg->fetched_capacity = 0;
    if (!p->has_result)
        return NX_EPROTOCOL; /* its description comes before its rows */
    if (p->statement->results == NULL)
        return NX_OK;
    if (p->mismatch.status != NX_OK) {
        *error = p->mismatch;
        return error->status;
    }
    return make_reader(pg, unit) ? NX_OK : NX_EPROTOCOL;
}

static nx_status add_entity(nxi_pg *pg, nxi_step *step, nxi_arena *arena, void *row)
{
    size_t count = (size_t)step->affected;

    if (count == pg->fetched_capacity) {
        size_t capacity = count == 0 ? ROWS_FIRST : count * 2;
        void **list = nxi_arena_get(arena, capacity * sizeof(void *), 16);
        if (list == NULL)
            return NX_ENOMEM;
        if (count > 0)
            memcpy(list, step->fetched, count * sizeof(void *));
        step->fetched = list;
        pg->fetched_capacity = capacity;
    }
    step->fetched[count] = row;
    step->affected++;
    return NX_OK;
}

static nx_status entity_row(nxi_pg *pg, const nxi_pg_unit *unit, nxi_step *step, const uint8_t *body, size_t size,
                            nx_error *error)
{
    nxi_arena *arena = unit->job->request->arena;
    void *row;
    nx_status status = nxi_pg_get_row(&pg->reader, arena, body, size, &row, error);

    return status == NX_OK ? add_entity(pg, step, arena, row) : status;
}

/* The step of the unit in front, if its rows are entities and one has come already. */
static nxi_step *entities_step(const nxi_pg_unit *unit)
{
    nxi_step *step;

    if (unit == NULL || !unit->is_begun || unit->kind != NXI_PG_UNIT_EXECUTE || unit->use != NXI_PG_FOR_STEP ||
        unit->job == NULL || unit->job->request == NULL || unit->job->dead || unit->job->has_error)
        return NULL;
    step = nxi_pg_step(unit->job, unit->step);
    return step != NULL && (step->kind == NXI_STEP_FETCH || step->kind == NXI_STEP_CURSOR_FETCH) ? step : NULL;
}

size_t nxi_pg_result_rows(nxi_pg *pg, const uint8_t *data, size_t size)
{
    const nxi_pg_unit *unit = nxi_pg_front(pg);
    nxi_step *step = entities_step(unit);
    size_t taken = 0;
    nx_error error;
    void *row;

    while (step != NULL && taken < size && data[taken] == 'D') {
        const uint8_t *message = data + taken;
        size_t whole = nxi_pg_message_size(message, size - taken);

        if (whole == 0 || whole > size - taken ||
            nxi_pg_get_row(&pg->reader, unit->job->request->arena, message + NXI_PG_HEAD, whole - NXI_PG_HEAD, &row, &error) !=
                NX_OK ||
            add_entity(pg, step, unit->job->request->arena, row) != NX_OK)
            break;
        taken += whole;
    }
    return taken;
}

/* ------------------------------------------------------------------------------ named values */

static bool name_columns(const nxi_pg_prepared *p, nxi_step *step, nxi_arena *arena)
{
    const char **names = NXI_ARENA_ARRAY(arena, const char *, nxi_max_size(p->result_count, 1));

    if (names == NULL)
        return false;
    for (size_t i = 0; i < p->result_count; i++) {
        names[i] = nxi_arena_str(arena, p->result_names[i]);
        if (names[i] == NULL)
            return false;
    }
    step->raw.names = names;
    step->raw.column_count = p->result_count;
    return true;
}

static nx_value *raw_space(nxi_pg *pg, nxi_step *step, nxi_arena *arena)
{
    size_t columns = step->raw.column_count, used = step->raw.row_count * columns, bytes;
    union {
        const nx_value *constant;
        nx_value *values;
    } held = { .constant = step->raw.values };

    if (step->raw.row_count == pg->fetched_capacity) {
        size_t capacity = step->raw.row_count == 0 ? ROWS_FIRST : step->raw.row_count * 2;
        nx_value *values;
        if (!nxi_mul_size(capacity, columns * sizeof(nx_value), &bytes) || (values = nxi_arena_get(arena, bytes, 16)) == NULL)
            return NULL;
        if (used > 0)
            memcpy(values, held.values, used * sizeof(nx_value));
        step->raw.values = held.values = values;
        pg->fetched_capacity = capacity;
    }
    return held.values + used;
}

/* The values of a DataRow, one by one. */
typedef struct walk {
    const uint8_t *at, *end;
} walk;

static nx_status walk_begin(walk *w, const nxi_pg_prepared *p, const uint8_t *body, size_t size)
{
    *w = (walk){ body + 2, body + size };
    return size < 2 || nxi_pg_load16(body) != p->result_count ? NX_EPROTOCOL : NX_OK;
}

static nx_status raw_row(nxi_pg *pg, const nxi_pg_unit *unit, nxi_step *step, const uint8_t *body, size_t size, nx_error *error)
{
    const nxi_pg_prepared *p = unit->prepared;
    nxi_arena *arena = unit->job->request->arena;
    nx_status status;
    walk w;

    if (step->raw.names == NULL && !name_columns(p, step, arena))
        return NX_ENOMEM;
    nx_value *values = raw_space(pg, step, arena);
    if (values == NULL)
        return NX_ENOMEM;
    status = walk_begin(&w, p, body, size);
    for (size_t i = 0; i < p->result_count && status == NX_OK; i++) {
        const uint8_t *data;
        uint32_t bytes;
        if (!nxi_pg_next_value(&w.at, w.end, &data, &bytes))
            return NX_EPROTOCOL;
        status = nxi_pg_get_value(arena, p->result_types[i], unit->as_text ? NXI_PG_AS_TEXT : p->result_formats[i], data, bytes,
                                  &values[i], error);
    }
    if (status != NX_OK)
        return status;
    step->raw.row_count++;
    step->affected++;
    return w.at == w.end ? NX_OK : NX_EPROTOCOL;
}

static nx_status scalar_row(const nxi_pg_unit *unit, nxi_step *step, const uint8_t *body, size_t size, nx_error *error)
{
    const nxi_pg_prepared *p = unit->prepared;
    const uint8_t *data;
    uint32_t bytes;
    walk w;

    if (step->affected > 0)
        return NX_OK;
    if (walk_begin(&w, p, body, size) != NX_OK || p->result_count == 0 || !nxi_pg_next_value(&w.at, w.end, &data, &bytes))
        return NX_EPROTOCOL;
    step->affected = 1;
    return nxi_pg_get_value(unit->job->request->arena, p->result_types[0], unit->as_text ? NXI_PG_AS_TEXT : p->result_formats[0],
                            data, bytes, &step->scalar, error);
}

nx_status nxi_pg_result_row(nxi_pg *pg, nxi_pg_unit *unit, const uint8_t *body, size_t size, nx_error *error)
{
    nxi_step *step = nxi_pg_step(unit->job, unit->step);

    if (step == NULL || step->kind == NXI_STEP_EXECUTE)
        return NX_OK; /* rows nobody asked for */
    if (NXI_UNLIKELY(!unit->is_begun)) {
        nx_status status = begin(pg, unit, error);
        if (status != NX_OK)
            return status;
    }
    switch ((int)step->kind) {
    case NXI_STEP_FETCH:
    case NXI_STEP_CURSOR_FETCH: return entity_row(pg, unit, step, body, size, error);
    case NXI_STEP_RAW: return raw_row(pg, unit, step, body, size, error);
    default: return scalar_row(unit, step, body, size, error);
    }
}

void nxi_pg_result_done(nxi_pg *pg, nxi_pg_unit *unit, int64_t count, bool suspended)
{
    nxi_step *step = nxi_pg_step(unit->job, unit->step);

    if (step == NULL || unit->job->has_error)
        return;
    if (step->kind == NXI_STEP_EXECUTE)
        step->affected = count;
    if (step->kind == NXI_STEP_CURSOR_FETCH) {
        step->cursor_ended = !suspended;
        if (!suspended)
            nxi_pg_cursor_drop(pg, step->cursor);
    }
    if (step->kind == NXI_STEP_RAW && step->raw.names == NULL && unit->prepared->has_result &&
        !name_columns(unit->prepared, step, unit->job->request->arena)) {
        unit->job->has_error = true;
        unit->job->failed_step = unit->step;
        (void)nxi_fail(&unit->job->error, NX_ENOMEM, "out of memory");
    }
}
