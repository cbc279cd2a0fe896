/*
 * bulk - filling batches, writing them, and keeping account of every row.
 */
#include "engine/bulk.h"

enum {
    BATCH_ROWS_DEFAULT = 50000, /* a COPY of 10000 rows costs a server a third more per row */
    BATCH_ROWS_MAX = 1000000,
    BATCH_BYTES_DEFAULT = 8 * 1024 * 1024,
    REJECTS_MAX = 65536
};

/* Rows that have to be written by one statement. */
typedef struct lot {
    void **rows;
    uint64_t *numbers;
    void **sources;
    size_t count;
} lot;

struct nxi_bulk_batch {
    struct nxi_bulk_batch *next;
    nx_bulk *bulk;
    nxi_arena arena; /* rows, while it is filled; kept while it flies */
    lot lots[2];     /* automatic key to be made; key given */
    size_t count;
    nxi_op *op;
};

static void submit_batch(nx_bulk *bulk);

static bool is_full(const nx_bulk *bulk, const nxi_bulk_batch *batch)
{
    return batch->count >= bulk->options.batch_rows || (batch->arena.bytes > bulk->batch_bytes && batch->count > 0);
}

/* ------------------------------------------------------------------------------ life */

static bool copy_columns(nx_bulk *bulk, const nx_column *columns, size_t count, const nxi_column *const **ret_list,
                         size_t *ret_count)
{
    const nxi_table *table = bulk->table;
    const nxi_column **list = NXI_ARENA_ARRAY(&bulk->arena, const nxi_column *, table->column_count);
    size_t found = 0;

    if (list == NULL)
        return false;
    if (columns == NULL) {
        bulk->status = nxi_fail(&bulk->error, NX_EINVAL, "a number of columns is given, and no columns");
        count = 0;
    }
    for (size_t i = 0; i < count; i++) {
        size_t before = found;
        for (size_t c = 0; c < table->column_count; c++)
            if (columns[i].entity == table->entity && table->columns[c].field_index == columns[i].field &&
                found < table->column_count)
                list[found++] = &table->columns[c];
        if (found == before && bulk->status == NX_OK)
            bulk->status = nxi_fail(&bulk->error, NX_ENOFIELD,
                                    "column %zu of the load's options is no stored field of %s, or stands there twice", i + 1,
                                    table->entity->name);
    }
    *ret_list = list;
    *ret_count = found;
    return true;
}

static bool set_conflict(nx_bulk *bulk)
{
    const nx_bulk_options *options = &bulk->options;

    bulk->conflict.rule = options->conflict;
    if (options->conflict_key_count > 0 &&
        !copy_columns(bulk, options->conflict_key, options->conflict_key_count, &bulk->conflict.key, &bulk->conflict.key_count))
        return false;
    return options->update_count == 0 ||
           copy_columns(bulk, options->update, options->update_count, &bulk->conflict.update, &bulk->conflict.update_count);
}

/* By default two batches, one that is filled and one that is written, take a quarter of a loop's bounded memory at most. */
static void set_batch_size(nx_bulk *bulk)
{
    uint64_t bound = nxi_memory_bytes_max(bulk->loop->memory);

    bulk->batch_bytes = SIZE_MAX;
    if (bulk->options.batch_rows != 0)
        return;
    bulk->batch_bytes = bound == 0 || bound / 8 > BATCH_BYTES_DEFAULT ? BATCH_BYTES_DEFAULT : (size_t)(bound / 8);
    bulk->options.batch_rows = (uint32_t)(bulk->batch_bytes * BATCH_ROWS_DEFAULT / BATCH_BYTES_DEFAULT);
    if (bulk->options.batch_rows == 0)
        bulk->options.batch_rows = 1;
}

nx_bulk *nxi_bulk_new(nx_db *db, const nxi_table *table, const nx_bulk_options *options)
{
    nx_bulk *bulk = nxi_zalloc(db->loop->memory, sizeof(*bulk));

    if (bulk == NULL)
        return NULL;
    bulk->loop = db->loop;
    bulk->db = db;
    bulk->table = table;
    bulk->row_size = table->entity->row_size;
    if (options != NULL)
        bulk->options = *options;
    set_batch_size(bulk);
    if (bulk->options.batch_rows > BATCH_ROWS_MAX)
        bulk->options.batch_rows = BATCH_ROWS_MAX;
    if (bulk->options.batches_in_flight == 0)
        bulk->options.batches_in_flight = 1;
    nxi_arena_init(&bulk->arena, bulk->loop->memory);
    nxi_arena_init(&bulk->reject_arena, bulk->loop->memory);
    nxi_arena_init(&bulk->reject_arena_given, bulk->loop->memory);
    nxi_error_reset(&bulk->error);
    bulk->next = bulk->loop->bulks;
    bulk->loop->bulks = bulk;
    if (set_conflict(bulk))
        return bulk;
    nxi_bulk_free(bulk);
    return NULL;
}

static void batch_free(nxi_bulk_batch *batch)
{
    if (batch == NULL)
        return;
    nxi_arena_fini(&batch->arena);
    nxi_release(batch->arena.memory, batch);
}

void nxi_bulk_free(nx_bulk *bulk)
{
    if (bulk == NULL)
        return;
    nx_loop *loop = bulk->loop;
    if (bulk->end != NULL)
        nxi_op_failf(bulk->end, NX_ECANCELED, "the load was freed before it had ended");
    /* Batches in flight are finished by their own operation; they only lose their load. */
    for (nxi_bulk_batch *batch = bulk->flying; batch != NULL; batch = batch->next)
        batch->bulk = NULL;
    batch_free(bulk->filling);
    batch_free(bulk->spare);
    for (nx_bulk **link = &loop->bulks; *link != NULL; link = &(*link)->next)
        if (*link == bulk) {
            *link = bulk->next;
            break;
        }
    nxi_arena_fini(&bulk->reject_arena);
    nxi_arena_fini(&bulk->reject_arena_given);
    nxi_arena_fini(&bulk->arena);
    nxi_release(loop->memory, bulk);
}

void nxi_bulks_forget_db(nx_loop *loop, nx_db *db)
{
    for (nx_bulk *bulk = loop->bulks; bulk != NULL; bulk = bulk->next)
        if (bulk->db == db) {
            bulk->db = NULL;
            bulk->status = nxi_fail(&bulk->error, NX_ECLOSED, "the database of the load was freed");
        }
}

/* ------------------------------------------------------------------------------ account */

static nx_status fail_load(nx_bulk *bulk, nx_status status, const nx_error *error, uint64_t row)
{
    if (bulk->status != NX_OK)
        return bulk->status;
    bulk->status = status;
    bulk->error = *error;
    bulk->error.status = status;
    bulk->error.row = (int64_t)row;
    return status;
}

static nx_status add_reject(nx_bulk *bulk, uint64_t row, const nx_error *error)
{
    if (bulk->reject_count == bulk->reject_capacity) {
        size_t capacity = bulk->reject_capacity == 0 ? 16 : bulk->reject_capacity * 2;
        nx_reject *rejects = nxi_arena_get(&bulk->reject_arena, capacity * sizeof(*rejects), 16);
        if (rejects == NULL)
            return NX_ENOMEM;
        if (bulk->reject_count > 0)
            memcpy(rejects, bulk->rejects, bulk->reject_count * sizeof(*rejects));
        bulk->rejects = rejects;
        bulk->reject_capacity = capacity;
    }
    nx_reject *reject = &bulk->rejects[bulk->reject_count++];
    *reject = (nx_reject){ .row = row, .error = *error };
    reject->error.row = (int64_t)row;
    bulk->counts.rejected++;
    return NX_OK;
}

/* A row that does not fit: the load ends, or the row is set aside. */
static nx_status bad_row(nx_bulk *bulk, uint64_t row, const nx_error *error)
{
    if (error->status == NX_ENOMEM || bulk->options.bad_rows == NX_BAD_ROWS_FAIL)
        return fail_load(bulk, error->status, error, row);
    nx_status status = add_reject(bulk, row, error);
    return status == NX_OK ? NX_OK : fail_load(bulk, status, error, row);
}

const nx_reject *nxi_bulk_rejects(nx_bulk *bulk, size_t *ret_count)
{
    const nx_reject *rejects = bulk->rejects;

    *ret_count = bulk->reject_count;
    nxi_arena_reset(&bulk->reject_arena_given);
    nxi_arena_adopt(&bulk->reject_arena_given, &bulk->reject_arena);
    bulk->rejects = NULL;
    bulk->reject_count = bulk->reject_capacity = 0;
    return rejects;
}

/* ------------------------------------------------------------------------------ writing */

static void maybe_end(nx_bulk *bulk)
{
    nxi_op *op = bulk->end;

    if (op == NULL || bulk->flying_count > 0 || (bulk->status == NX_OK && bulk->filling != NULL && bulk->filling->count > 0))
        return;
    bulk->end = NULL;
    if (bulk->status != NX_OK) {
        nxi_op_fail(op, bulk->status, &bulk->error);
        return;
    }
    op->last.public.count = (int64_t)(bulk->counts.loaded + bulk->counts.updated);
    nxi_op_finish(op);
}

static void take_off(nx_bulk *bulk, nxi_bulk_batch *batch)
{
    for (nxi_bulk_batch **link = &bulk->flying; *link != NULL; link = &(*link)->next)
        if (*link == batch) {
            *link = batch->next;
            bulk->flying_count--;
            break;
        }
    batch->next = NULL;
}

/* Keys that the database made go into the caller's structs. */
static void hand_keys_back(const nx_bulk *bulk, const lot *part)
{
    const nxi_column *key = bulk->table->auto_key;

    if (part->sources == NULL || key == NULL)
        return;
    for (size_t i = 0; i < part->count; i++)
        if (part->sources[i] != NULL)
            memcpy((char *)part->sources[i] + key->offset, (const char *)part->rows[i] + key->offset, key->field->size);
}

static void account(nx_bulk *bulk, const nxi_bulk_batch *batch, const nxi_call *call, int64_t *ret_loaded)
{
    size_t step_at = 0;

    for (size_t l = 0; l < NXI_COUNT(batch->lots); l++) {
        const lot *part = &batch->lots[l];
        if (part->count == 0)
            continue;
        const nxi_step *step = &call->request.steps[step_at++];
        uint64_t loaded = part->count - step->reject_count - step->ignored - step->updated;
        bulk->counts.loaded += loaded;
        bulk->counts.updated += step->updated;
        bulk->counts.ignored += step->ignored;
        *ret_loaded += (int64_t)(loaded + step->updated);
        for (size_t i = 0; i < step->reject_count; i++)
            if (bad_row(bulk, part->numbers[step->rejects[i].row], &step->rejects[i].error) != NX_OK)
                break;
        hand_keys_back(bulk, part);
    }
}

static void batch_failed(nx_bulk *bulk, const nxi_bulk_batch *batch, const nxi_request *request)
{
    size_t index = batch->lots[0].count == 0 || request->failed_step == 1 ? 1 : 0;
    const lot *part = &batch->lots[index];
    int64_t row = request->error == NULL ? -1 : request->error->row;
    uint64_t number = row >= 0 && (size_t)row < part->count ? part->numbers[row] : part->count > 0 ? part->numbers[0] : 0;
    nx_error error;

    if (request->error == NULL)
        nxi_fail(&error, request->status, "%s", nx_status_text(request->status));
    else
        error = *request->error;
    (void)fail_load(bulk, request->status, &error, number);
    if (row < 0)
        bulk->error.row = -1;
}

static void batch_written(nxi_call *call)
{
    nxi_bulk_batch *batch = call->context;
    nx_bulk *bulk = batch->bulk;
    int64_t loaded = 0;

    if (bulk != NULL) {
        take_off(bulk, batch);
        if (call->request.status == NX_OK)
            account(bulk, batch, call, &loaded);
        else
            batch_failed(bulk, batch, &call->request);
    }
    if (nxi_call_is_ok(call)) {
        call->op->last.public.count = loaded;
        nxi_op_finish(call->op);
    }
    if (bulk == NULL) {
        batch_free(batch);
        return;
    }
    nxi_arena_reset(&batch->arena);
    if (bulk->spare == NULL)
        bulk->spare = batch;
    else
        batch_free(batch);
    /* The next one is full already, or the last: let it go without waiting for the caller. */
    if (bulk->status == NX_OK && bulk->filling != NULL &&
        (is_full(bulk, bulk->filling) || (bulk->end != NULL && bulk->filling->count > 0)))
        submit_batch(bulk);
    maybe_end(bulk);
}

/* The statement for rows with or without a key, made when it is first needed. */
static const nxi_statement *statement_for(nx_bulk *bulk, bool keyed)
{
    const nxi_statement **place = keyed ? &bulk->with_key : &bulk->without_key;
    const nxi_table *table = bulk->table;
    size_t count = 0;

    if (*place != NULL)
        return *place;
    const nxi_column **columns = NXI_ARENA_ARRAY(&bulk->arena, const nxi_column *, table->column_count);
    if (columns == NULL)
        return NULL;
    for (size_t i = 0; i < table->column_count; i++) {
        const nxi_column *column = &table->columns[i];
        bool made = column == table->auto_key && !keyed;
        bool defaulted = bulk->given != NULL && !bulk->given[i] && column->field->sql_default != NULL;
        if (!made && !defaulted)
            columns[count++] = column;
    }
    if (nxi_statement_insert(table, columns, count, bulk->options.conflict == NX_CONFLICT_ERROR ? NULL : &bulk->conflict,
                             bulk->db->driver->dialect, &bulk->db->statements, place) != NX_OK)
        return NULL;
    return *place;
}

static nxi_call *batch_call(nx_bulk *bulk, nxi_bulk_batch *batch)
{
    size_t steps = (size_t)(batch->lots[0].count > 0) + (batch->lots[1].count > 0), at = 0;
    nxi_call *call = nxi_call_new(batch->op, bulk->db, steps, batch_written);

    for (size_t l = 0; call != NULL && l < NXI_COUNT(batch->lots); l++) {
        const lot *part = &batch->lots[l];
        if (part->count == 0)
            continue;
        const nxi_statement *statement = statement_for(bulk, l == 1);
        if (statement == NULL)
            return NULL;
        call->request.steps[at++] = (nxi_step){ .kind = NXI_STEP_WRITE,
                                                .statement = statement,
                                                .rows = part->rows,
                                                .row_count = part->count,
                                                .keys_wanted = bulk->options.assign_keys,
                                                .keys_unread = !bulk->options.assign_keys,
                                                .set_aside = bulk->options.bad_rows == NX_BAD_ROWS_SET_ASIDE };
    }
    return call;
}

static void submit_batch(nx_bulk *bulk)
{
    nxi_bulk_batch *batch = bulk->filling;
    nx_error error;

    if (nxi_db_check(bulk->db, true, &error) != NX_OK) {
        (void)fail_load(bulk, error.status, &error, bulk->counts.given);
        return;
    }
    batch->op = nxi_op_new(bulk->loop, bulk->db, bulk->options.tag, nxi_pool_options(bulk->db->pool)->deadline_ms);
    if (batch->op == NULL) {
        (void)fail_load(bulk, bulk->loop->queue_error.status, &bulk->loop->queue_error, bulk->counts.given);
        return;
    }
    nxi_call *call = batch_call(bulk, batch);
    if (call == NULL) {
        nxi_fail(&error, NX_ENOMEM, "no memory for a batch");
        nxi_op_fail(batch->op, NX_ENOMEM, &error);
        (void)fail_load(bulk, NX_ENOMEM, &error, bulk->counts.given);
        return;
    }
    call->context = batch;
    call->request.writes = true;
    bulk->filling = NULL;
    nxi_bulk_batch **link = &bulk->flying;
    while (*link != NULL)
        link = &(*link)->next;
    *link = batch;
    bulk->flying_count++;
    nxi_call_submit(call);
}

/* ------------------------------------------------------------------------------ filling */

static nxi_bulk_batch *batch_new(nx_bulk *bulk)
{
    nxi_bulk_batch *batch = bulk->spare;
    size_t rows = bulk->options.batch_rows;

    bulk->spare = NULL;
    if (batch == NULL && (batch = nxi_zalloc(bulk->loop->memory, sizeof(*batch))) == NULL)
        return NULL;
    nxi_arena_init(&batch->arena, bulk->loop->memory);
    batch->bulk = bulk;
    batch->next = NULL;
    batch->op = NULL;
    batch->count = 0;
    for (size_t l = 0; l < NXI_COUNT(batch->lots); l++) {
        lot *part = &batch->lots[l];
        *part = (lot){ .count = 0 };
        if (l == 0 && bulk->table->auto_key == NULL)
            continue;
        part->rows = nxi_arena_get(&batch->arena, rows * sizeof(void *), 16);
        part->numbers = nxi_arena_get(&batch->arena, rows * sizeof(uint64_t), 16);
        part->sources = bulk->options.assign_keys ? nxi_arena_get(&batch->arena, rows * sizeof(void *), 16) : NULL;
        if (part->rows == NULL || part->numbers == NULL || (bulk->options.assign_keys && part->sources == NULL)) {
            batch_free(batch);
            return NULL;
        }
    }
    return batch;
}

/* A batch with room for a row: NX_EBUSY when all that may be in flight are. */
static nx_status make_room(nx_bulk *bulk)
{
    if (bulk->status != NX_OK)
        return bulk->status;
    if (bulk->ended)
        return nxi_fail(&bulk->error, NX_ESTATE, "the load is ended");
    if (bulk->reject_count >= REJECTS_MAX)
        return nxi_fail(&bulk->error, NX_ELIMIT, "%zu rejected rows were not read: call nx_bulk_rejects", bulk->reject_count);
    if (bulk->filling != NULL && is_full(bulk, bulk->filling)) {
        if (bulk->flying_count >= bulk->options.batches_in_flight)
            return NX_EBUSY;
        submit_batch(bulk);
        if (bulk->status != NX_OK)
            return bulk->status;
    }
    /* What was submitted, here or when the last batch was done, is handed over now: it is written while this one is filled. */
    if (bulk->filling == NULL && bulk->flying_count > 0) {
        nx_status status = nxi_core_turn(bulk->loop->core, 0);
        if (status != NX_OK || bulk->status != NX_OK)
            return status != NX_OK ? status : bulk->status;
    }
    if (bulk->filling == NULL && (bulk->filling = batch_new(bulk)) == NULL) {
        nx_error error;
        nxi_fail(&error, NX_ENOMEM, "no memory for a batch");
        return fail_load(bulk, NX_ENOMEM, &error, bulk->counts.given);
    }
    return NX_OK;
}

static void *new_row(nx_bulk *bulk)
{
    void *row = nxi_row_get(&bulk->filling->arena, bulk->table, NULL, false);

    if (row != NULL)
        nxi_row_of(row)->state = NXI_ROW_NEW;
    return row;
}

/* The filled row joins the batch, or is counted as bad. */
static nx_status add_row(nx_bulk *bulk, void *row, const void *source)
{
    nxi_bulk_batch *batch = bulk->filling;
    uint64_t number = bulk->counts.given++;
    nx_error error;

    nx_status status = nxi_row_prepare_insert(bulk->table, row, NULL, &error);
    if (status != NX_OK)
        return bad_row(bulk, number, &error);
    bool keyed = bulk->table->auto_key == NULL || nxi_row_has_key(bulk->table, row);
    lot *part = &batch->lots[keyed ? 1 : 0];
    part->rows[part->count] = row;
    part->numbers[part->count] = number;
    if (part->sources != NULL) {
        union {
            const void *constant;
            void *writable;
        } given = { .constant = source };
        part->sources[part->count] = given.writable;
    }
    part->count++;
    batch->count++;
    return NX_OK;
}

static bool owns_memory(nx_type type)
{
    return type == NX_TYPE_text || type == NX_TYPE_longtext || type == NX_TYPE_bytes || type == NX_TYPE_decimal ||
           type == NX_TYPE_json || type == NX_TYPE_vector;
}

nx_status nxi_bulk_struct(nx_bulk *bulk, const void *given)
{
    const nxi_table *table = bulk->table;
    nx_status status = make_room(bulk);

    if (status != NX_OK)
        return status;
    if (given == NULL)
        return nxi_fail(&bulk->error, NX_EINVAL, "no rows are given");
    nxi_arena *arena = &bulk->filling->arena;
    void *row = new_row(bulk);
    if (row == NULL)
        goto no_memory;
    memcpy(row, given, table->entity->row_size);
    for (size_t i = 0; i < table->column_count; i++) {
        const nxi_column *column = &table->columns[i];
        nx_value value;
        if (column->form != NXI_FORM_REFERENCE && !owns_memory(column->type))
            continue;
        nxi_column_get(column, given, &value);
        if (value.type == NX_TYPE_null && column->form != NXI_FORM_REFERENCE)
            continue;
        if (!nxi_value_copy(arena, &value, &value) || !nxi_column_set(column, row, value, arena))
            goto no_memory;
    }
    return add_row(bulk, row, bulk->options.assign_keys ? given : NULL);

no_memory:
    return fail_load(bulk, NX_ENOMEM, &(nx_error){ .message = "no memory for a row" }, bulk->counts.given);
}

nx_status nxi_bulk_columns(nx_bulk *bulk, const nx_column *columns, size_t count)
{
    const nxi_table *table = bulk->table;

    if (bulk->status != NX_OK)
        return bulk->status;
    if (columns == NULL && count > 0)
        return nxi_fail(&bulk->error, NX_EINVAL, "no columns are given");
    if (bulk->counts.given > 0 || bulk->columns != NULL)
        return nxi_fail(&bulk->error, NX_ESTATE, "the columns are set already, or rows were given");
    const nxi_column **list = NXI_ARENA_ARRAY(&bulk->arena, const nxi_column *, count == 0 ? 1 : count);
    bool *given = NXI_ARENA_ARRAY(&bulk->arena, bool, table->column_count);
    if (list == NULL || given == NULL)
        return NX_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        bool known = columns[i].entity == table->entity && columns[i].field < table->entity->field_count;
        uint16_t index = known ? table->field_column[columns[i].field] : UINT16_MAX;
        if (index == UINT16_MAX)
            return nxi_fail(&bulk->error, NX_ENOFIELD, "column %zu is no stored field of %s", i + 1, table->entity->name);
        list[i] = &table->columns[index];
        given[index] = true;
    }
    bulk->columns = list;
    bulk->column_count = count;
    bulk->given = given;
    return NX_OK;
}

/* Into the type of the column; what does not fit makes the row a bad one. */
static nx_status set_value(nx_bulk *bulk, void *row, const nxi_column *column, nx_value value, nx_error *error)
{
    nxi_arena *arena = &bulk->filling->arena;
    char shown[48];

    if (value.type != NX_TYPE_null && value.type != column->type) {
        nx_value before = value;
        nx_status status = nxi_value_convert(arena, column->type, column->field->labels, &value);
        if (status != NX_OK) {
            nx_value_format(before, shown, sizeof(shown));
            nxi_fail(error, status, "%s.%s: \"%s\" is no %s", column->table->entity->name, column->field->name, shown,
                     nx_type_name(column->type));
            nxi_error_name(error->column, column->field->name);
            nxi_error_name(error->table, column->table->name);
            return status;
        }
    }
    if (value.type == NX_TYPE_null && !column->nullable && column->form != NXI_FORM_REFERENCE && !owns_memory(column->type)) {
        if (column == bulk->table->auto_key)
            return NX_OK;
        nxi_fail(error, NX_EREQUIRED, "%s.%s is required", column->table->entity->name, column->field->name);
        nxi_error_name(error->column, column->field->name);
        nxi_error_name(error->table, column->table->name);
        return NX_EREQUIRED;
    }
    if (value.type == NX_TYPE_null && owns_memory(column->type) && column->form == NXI_FORM_PLAIN)
        return NX_OK; /* stays "no value": the row's check names it */
    if (!nxi_value_copy(arena, &value, &value) || !nxi_column_set(column, row, value, arena))
        return nxi_fail(error, NX_ENOMEM, "no memory for a row");
    return NX_OK;
}

nx_status nxi_bulk_values(nx_bulk *bulk, const nx_value *values)
{
    nx_error error;
    nx_status status = make_room(bulk);

    if (status != NX_OK)
        return status;
    if (values == NULL && bulk->column_count > 0)
        return nxi_fail(&bulk->error, NX_EINVAL, "no values are given");
    if (bulk->columns == NULL)
        return nxi_fail(&bulk->error, NX_ESTATE, "nx_bulk_columns was not called");
    void *row = new_row(bulk);
    if (row == NULL)
        return fail_load(bulk, NX_ENOMEM, &(nx_error){ .message = "no memory for a row" }, bulk->counts.given);
    memcpy(row, bulk->table->initial, bulk->table->row_size);
    for (size_t i = 0; i < bulk->column_count; i++) {
        status = set_value(bulk, row, bulk->columns[i], values[i], &error);
        if (status != NX_OK)
            return bad_row(bulk, bulk->counts.given++, &error);
    }
    return add_row(bulk, row, NULL);
}

nx_op nxi_bulk_op(const nx_bulk *bulk)
{
    return bulk->flying == NULL ? (nx_op){ 0, 0 } : nxi_op_handle(bulk->flying->op);
}

nx_op nxi_bulk_end(nx_bulk *bulk, void *tag)
{
    nxi_op *op = nxi_op_new(bulk->loop, bulk->db, tag, 0);

    if (op == NULL)
        return nxi_op_handle(op);
    if (bulk->ended) {
        nxi_op_failf(op, NX_ESTATE, "the load is ended");
        return nxi_op_handle(op);
    }
    bulk->ended = true;
    bulk->end = op;
    if (bulk->status == NX_OK && bulk->filling != NULL && bulk->filling->count > 0 &&
        bulk->flying_count < bulk->options.batches_in_flight)
        submit_batch(bulk);
    maybe_end(bulk);
    return nxi_op_handle(op);
}
