/*
 * catalog_ask - the statement that asks the catalogue, and what becomes of its answer.
 */
#include "engine/catalog.h"

#include <inttypes.h>

bool nxi_catalog_begin(nx_db *db)
{
    nxi_arena scratch;

    nxi_arena_init(&scratch, db->loop->memory);
    bool done = nxi_catalog_read(&db->tables, db->driver->dialect, NULL, &db->arena, &scratch);
    nxi_arena_fini(&scratch);
    return done;
}

typedef struct question {
    void (*then)(nx_db *db, nxi_op *op);
    nx_value names;
} question;

static bool make_names(const nx_db *db, nxi_arena *arena, nx_value *ret_names)
{
    const char *text = NULL;
    nxi_buf json;

    nxi_buf_init(&json, arena->memory);
    for (size_t i = 0; i < db->tables.count; i++) {
        nxi_buf_putc(&json, i == 0 ? '[' : ',');
        nxi_put_json(nx_str(db->tables.list[i].name), &json);
    }
    nxi_buf_putc(&json, ']');
    if (!json.failed)
        text = nxi_arena_text(arena, json.data, json.size);
    if (text != NULL)
        *ret_names = nx_value_text((nx_text){ text, json.size });
    nxi_buf_fini(&json);
    return text != NULL;
}

/* All that an answer says; *ret_text failed: no memory. */
static void flatten(const nx_rows *rows, nxi_buf *text)
{
    for (size_t i = 0; i < rows->row_count * rows->column_count; i++) {
        const nx_value *value = &rows->values[i];

        if (value->type == NX_TYPE_null)
            nxi_buf_puts(text, "-");
        else if (value->type == NX_TYPE_text || value->type == NX_TYPE_longtext)
            nxi_put_json(value->text, text);
        else
            nxi_buf_printf(text, "%" PRId64, value->i64);
        nxi_buf_putc(text, ',');
    }
}

/* An answer like the last one changes nothing, so that a program may create its tables as often as it likes. */
static bool take_answer(nx_db *db, const nx_rows *rows, nxi_arena *scratch)
{
    nxi_buf text;

    nxi_buf_init(&text, scratch->memory);
    flatten(rows, &text);
    bool is_known = !text.failed && text.size == db->catalog_answer.size &&
                    (text.size == 0 || memcmp(text.data, db->catalog_answer.data, text.size) == 0);
    bool done = !text.failed && (is_known || nxi_catalog_read(&db->tables, db->driver->dialect, rows, &db->arena, scratch));
    if (done && !is_known) {
        nxi_buf_fini(&db->catalog_answer);
        db->catalog_answer = text;
    } else {
        nxi_buf_fini(&text);
    }
    return done;
}

/* The server has not said no: it was not reached, or the caller does not want to wait. */
static bool is_told(nx_status status)
{
    switch ((int)status) {
    case NX_ENOMEM:
    case NX_ECLOSED:
    case NX_ECANCELED:
    case NX_EDEADLINE:
    case NX_ECONNECT:
    case NX_EAUTH:
    case NX_ELOST:
    case NX_EPOOLTIMEOUT:
    case NX_EQUEUEFULL: return true;
    default: return false;
    }
}

static void answered(nxi_call *call)
{
    const question *asked = call->context;
    const nxi_request *request = &call->request;

    if (is_told(request->status))
        nxi_op_fail(call->op, request->status, request->error);
    else if (request->status == NX_OK && !take_answer(call->db, &request->steps[request->step_count - 1].raw, &call->op->arena))
        nxi_op_fail(call->op, NX_ENOMEM, NULL);
    else
        asked->then(call->db, call->op);
}

/* One request, so that it is one round trip, with a transaction of its own where the dialect wants to set something first. */
static nxi_call *make_call(nx_db *db, nxi_op *op, question *asked)
{
    const nxi_catalog_source *source = db->driver->dialect->catalog;
    size_t count = source->before == NULL ? 1 : 2;
    nxi_call *call = nxi_call_new(op, db, count, answered);
    nxi_statement *statements = NXI_ARENA_ARRAY(&op->arena, nxi_statement, count);

    if (call == NULL || statements == NULL)
        return NULL;
    nxi_step *step = call->request.steps;
    if (source->before != NULL) {
        *statements = (nxi_statement){ .typed = true, .sql = source->before, .sql_size = strlen(source->before) };
        *step++ = (nxi_step){ .kind = NXI_STEP_RAW, .statement = statements++ };
        call->request.transaction = ++op->loop->last_transaction;
        call->request.begin = NXI_BEGIN_SNAPSHOT;
        call->request.end = NXI_END_COMMIT;
    }
    *statements = (nxi_statement){ .typed = true, .sql = source->query, .sql_size = strlen(source->query), .param_count = 1 };
    *step = (nxi_step){ .kind = NXI_STEP_RAW, .statement = statements, .values = &asked->names, .value_count = 1 };
    call->context = asked;
    call->is_internal = true;
    return call;
}

void nxi_catalog_ask(nx_db *db, nxi_op *op, void (*then)(nx_db *db, nxi_op *op))
{
    if (db->driver->dialect->catalog == NULL) {
        then(db, op);
        return;
    }
    question *asked = NXI_ARENA_NEW(&op->arena, question);
    nxi_call *call = asked == NULL || !make_names(db, &op->arena, &asked->names) ? NULL : make_call(db, op, asked);
    if (call == NULL) {
        nxi_op_fail(op, NX_ENOMEM, NULL);
        return;
    }
    asked->then = then;
    nxi_call_submit(call);
}
