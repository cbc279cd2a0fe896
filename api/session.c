/*
 * session - the public face of sessions.
 */
#include "nextorm/session.h"

#include "engine/session.h"

#include <sys/random.h>

nx_session *nx_session_begin(nx_loop *loop, const nx_session_options *options)
{
    return nxi_session_new(loop, NULL, options);
}

nx_session *nx_session_nested(nx_session *outer, const nx_session_options *options)
{
    return outer == NULL ? NULL : nxi_session_nested(outer, options);
}

nx_status nx_row_set(void *row, nx_column column, nx_value value)
{
    nx_status status = nxi_row_set(row, column, value);

    if (status == NX_OK)
        nxi_session_touch(row);
    return status;
}

nx_op nx_session_end(nx_session *s, void *tag)
{
    return nxi_session_finish_op(s, NXI_FINISH_END, tag);
}

/* The ROLLBACK leaves at once: who waits for the session's locks does not wait until the application looks at its loop again. */
void nx_session_free(nx_session *s)
{
    nx_loop *loop = s == NULL ? NULL : s->loop;
    bool open = false;

    for (size_t i = 0; s != NULL && i < s->part_count; i++)
        open = open || s->parts[i].transaction != 0;
    nxi_session_free(s);
    if (open)
        (void)!nx_run_once(loop, 0);
}

nx_op nx_flush(nx_session *s, void *tag)
{
    return nxi_session_finish_op(s, NXI_FINISH_FLUSH, tag);
}

nx_op nx_commit(nx_session *s, void *tag)
{
    return nxi_session_finish_op(s, NXI_FINISH_COMMIT, tag);
}

nx_op nx_rollback(nx_session *s, void *tag)
{
    return nxi_session_finish_op(s, NXI_FINISH_ROLLBACK, tag);
}

bool nx_session_is_ended(const nx_session *s)
{
    return s->ended || s->root->ended;
}

nx_outcome nx_session_outcome(const nx_session *s)
{
    return s->outcome;
}

nx_outcome nx_session_outcome_of(const nx_session *s, const nx_db *db)
{
    const nxi_part *part = db == NULL ? NULL : nxi_session_part_of(s, db);

    return part == NULL ? NX_OUTCOME_NONE : part->outcome;
}

void nx_touch(void *row)
{
    if (row != NULL)
        nxi_session_touch(row);
}

void *nx_new_row(nx_session *s, const nx_entity *entity)
{
    return nxi_session_new_row(s, entity);
}

const nx_error *nx_session_error(const nx_session *s)
{
    return &s->error;
}

nx_status nx_session_delete(nx_session *s, void *row)
{
    if (row == NULL)
        return nxi_fail(&s->error, NX_EINVAL, "no row is given");
    return nxi_session_delete_row(s, row);
}

void *nx_session_add(nx_session *s, void *row)
{
    if (row == NULL) {
        nxi_fail(&s->error, NX_EINVAL, "no row is given");
        return NULL;
    }
    return nxi_session_add_row(s, row);
}

void *nx_session_find(nx_session *s, const nx_entity *entity, const nx_value *values, size_t count)
{
    const nxi_table *table = nxi_loop_table(s->loop, entity);
    nx_value key[16];
    nxi_arena scratch;
    void *row = NULL;

    if (table == NULL || values == NULL || count != table->key_count || count > NXI_COUNT(key) ||
        !nxi_workset_settle(&s->root->rows))
        return NULL;
    nxi_arena_init(&scratch, s->loop->memory);
    for (size_t i = 0; i < count; i++) {
        key[i] = values[i];
        if (nxi_value_convert(&scratch, table->columns[i].type, table->columns[i].field->labels, &key[i]) != NX_OK)
            goto done;
    }
    row = nxi_identity_find(&s->root->rows.identity, table, key);
done:
    nxi_arena_fini(&scratch);
    return row;
}

nx_op nx_refresh(nx_session *s, void *row, void *tag)
{
    nx_error error;

    if (row == NULL || nxi_row_of(row)->owner != s->root) {
        nxi_fail(&error, NX_EINVAL, "the row does not belong to this session");
        return nxi_op_refuse(s->loop, NULL, tag, NX_EINVAL, &error);
    }
    return nxi_session_load(s, row, NULL, tag);
}

nx_op nx_load_lazy(void *row, nx_column column, void *tag)
{
    if (row == NULL)
        return (nx_op){ 0, 0 };
    const nxi_table *table = nxi_row_of(row)->table;
    nx_db *db = table->db;
    nx_error error;
    bool known = column.entity == table->entity && column.field < table->entity->field_count &&
                 table->field_column[column.field] != UINT16_MAX;

    if (!known) {
        nxi_fail(&error, NX_ENOFIELD, "no such stored field of %s", table->entity->name);
        return nxi_op_refuse(db->loop, db, tag, NX_ENOFIELD, &error);
    }
    nx_session *s = nxi_row_of(row)->owner;
    while (s != NULL && s->inner != NULL)
        s = s->inner;
    return nxi_session_load(s, row, &table->columns[table->field_column[column.field]], tag);
}

static nx_op refuse_db(nx_session *s, void *tag)
{
    nx_error error;

    nxi_fail(&error, NX_EINVAL, "no database of the session's loop is given");
    return nxi_op_refuse(s->loop, NULL, tag, NX_EINVAL, &error);
}

nx_op nx_session_execute(nx_session *s, nx_db *db, const char *sql, const nx_value *values, size_t count, void *tag)
{
    if (db == NULL || db->loop != s->loop)
        return refuse_db(s, tag);
    return nxi_session_raw(s, db, &(nxi_raw){ sql, values, count }, false, tag);
}

nx_op nx_session_select_raw(nx_session *s, nx_db *db, const char *sql, const nx_value *values, size_t count, void *tag)
{
    if (db == NULL || db->loop != s->loop)
        return refuse_db(s, tag);
    return nxi_session_raw(s, db, &(nxi_raw){ sql, values, count }, true, tag);
}

nx_status nx_session_finish(nx_session *s)
{
    nx_completion done = nx_await(s->loop, nx_session_end(s, NULL));

    if (done.error != NULL)
        s->error = *done.error;
    return done.status;
}

/* ------------------------------------------------------------------------------ retry */

/* Full jitter over 10 ms, 20 ms ... 2 s, so that those who collided do not meet again. */
static void pause_before_retry(nx_loop *loop, int attempt)
{
    uint32_t random = 0;
    int64_t most_ns = INT64_C(10000000) << (attempt < 8 ? attempt : 8);

    if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
        random = UINT32_MAX / 2;
    if (most_ns > INT64_C(2000000000))
        most_ns = INT64_C(2000000000);
    int64_t until = nxi_clock_ns() + most_ns / 1000 * (int64_t)(random % 1000);
    for (int64_t now = nxi_clock_ns(); now < until; now = nxi_clock_ns())
        if (nxi_core_turn(loop->core, until - now) != NX_OK)
            return;
}

static nx_status run_once(nx_loop *loop, const nx_session_options *options, nx_session_function function, void *context,
                          nx_error *error)
{
    nx_session *s = nx_session_begin(loop, options);
    nx_status status;

    if (s == NULL)
        return nxi_fail(error, NX_ENOMEM, "no memory for a session");
    status = function(s, context);
    if (status == NX_OK && !s->ended) {
        status = nx_session_finish(s);
        *error = s->error;
        if (status == NX_ELOST && s->outcome == NX_OUTCOME_COMMITTED)
            status = NX_OK; /* only what the rows would have got is lost, and they go now */
    } else if (status != NX_OK) {
        /* The function saw the completion that failed; the session or the loop still has its error. */
        const nx_error *last = s->error.status == status            ? &s->error
                               : loop->await_error.status == status ? &loop->await_error
                                                                    : NULL;
        if (last != NULL)
            *error = *last;
        else
            nxi_fail(error, status, "%s", nx_status_text(status));
    }
    error->status = status;
    nxi_session_free(s);
    return status;
}

nx_status nx_run_in_session(nx_loop *loop, const nx_session_options *options, nx_session_function function, void *context,
                            nx_error *ret_error)
{
    int retries = options == NULL || options->retry < 0 ? 0 : options->retry;
    nx_error error;
    nx_status status;

    nxi_error_reset(&error);
    for (int attempt = 0;; attempt++) {
        nxi_error_reset(&loop->await_error);
        status = run_once(loop, options, function, context, &error);
        bool again = status == NX_ESERIALIZATION || status == NX_EDEADLOCK || status == NX_EBUSY || status == NX_ELOCKED ||
                     error.retryable;
        if (status == NX_OK || !again || error.outcome == NX_OUTCOME_UNKNOWN || attempt >= retries)
            break;
        pause_before_retry(loop, attempt);
    }
    error.object = NULL; /* it went with the session */
    if (ret_error != NULL)
        *ret_error = error;
    return status;
}
