/*
 * token - the step that puts a transaction's row: which requests get it, and how it comes off again.
 *
 * It is the last step, not the first: a transaction of many requests pays nothing before its end and nothing at all when it is
 * rolled back, and SQL text that has to stand first (SET TRANSACTION) can. For the outcome it makes no difference: whoever puts
 * the id second fails or waits, wherever in its transaction that is.
 */
#include "engine/token.h"

#include "engine/db.h"
#include "engine/sql.h"
#include "engine/sqltext.h"

#include <strings.h>

/* ------------------------------------------------------------------------------ texts */

/* A dialect's text with the place where it has a %s. */
static nx_status intern(const char *format, const char *place, nxi_statements *statements, const nxi_statement **ret_statement)
{
    const char *gap = strstr(format, "%s");
    nxi_statement prototype = { .writes = true, .typed = true, .param_count = 1 };
    nxi_buf shape;

    NX_ASSERT(gap != NULL);
    nxi_buf_init(&shape, statements->arena.memory);
    nxi_buf_putc(&shape, NXI_SHAPE_TOKEN);
    nxi_buf_put(&shape, format, (size_t)(gap - format));
    nxi_buf_puts(&shape, place);
    nxi_buf_puts(&shape, gap + 2);
    *ret_statement = NULL;
    if (nxi_buf_str(&shape) != NULL) {
        prototype.sql = shape.data + 1;
        prototype.sql_size = shape.size - 1;
        *ret_statement = nxi_statements_find(statements, (const uint8_t *)shape.data, shape.size);
        if (*ret_statement == NULL)
            *ret_statement = nxi_statements_add(statements, (const uint8_t *)shape.data, shape.size, &prototype);
    }
    nxi_buf_fini(&shape);
    return *ret_statement == NULL ? NX_ENOMEM : NX_OK;
}

nx_status nxi_token_texts_make(const nxi_dialect *dialect, nxi_statements *statements, const char *place,
                               nxi_token_texts *ret_texts, nx_error *error)
{
    nxi_token_texts texts = { .insert = NULL };

    NX_ASSERT((dialect->token_insert == NULL) == (dialect->token_fence == NULL));
    if (dialect->token_insert != NULL && (intern(dialect->token_insert, place, statements, &texts.insert) != NX_OK ||
                                          intern(dialect->token_fence, place, statements, &texts.fence) != NX_OK))
        return nxi_fail(error, NX_ENOMEM, "no memory for the statements of commit_tokens");
    *ret_texts = texts;
    return NX_OK;
}

/* One row: where the table is. */
static void tokens_found(nxi_call *call)
{
    nx_db *db = call->db;
    const nxi_step *step = &call->request.steps[0];
    nx_error error;

    if (!nxi_call_is_ok(call))
        return;
    if (step->raw.row_count != 1 || step->raw.values[0].type != NX_TYPE_text)
        nxi_op_failf(call->op, NX_EUNDEFINED, "%s", NXI_TOKEN_MISSING);
    else if (nxi_token_texts_make(db->driver->dialect, &db->statements, step->raw.values[0].text.data, &db->token_texts,
                                  &error) != NX_OK)
        nxi_op_fail(call->op, error.status, &error);
    else
        nxi_op_finish(call->op);
}

void nxi_token_find(nx_db *db, nxi_op *op)
{
    const char *sql = db->driver->dialect->token_place;
    nxi_call *call = nxi_call_new(op, db, 1, tokens_found);
    nxi_statement *statement = NXI_ARENA_NEW(&op->arena, nxi_statement);

    if (call == NULL || statement == NULL) {
        nxi_op_fail(op, NX_ENOMEM, NULL);
        return;
    }
    *statement = (nxi_statement){ .sql = sql, .sql_size = strlen(sql) };
    call->request.steps[0] = (nxi_step){ .kind = NXI_STEP_RAW, .statement = statement };
    nxi_call_submit(call);
}

/* ------------------------------------------------------------------------------ SQL of the application */

static bool names_a_write(const char *sql)
{
    for (; *sql != '\0'; sql++) {
        if (strncasecmp(sql, "INSERT", 6) == 0 || strncasecmp(sql, "UPDATE", 6) == 0 || strncasecmp(sql, "DELETE", 6) == 0 ||
            strncasecmp(sql, "MERGE", 5) == 0)
            return true;
    }
    return false;
}

/*
 * Statements that run in anybody's transaction. Whose rows are wanted, and which begins with SELECT, is taken for a read: a row
 * for each would make writes of them. Everything else may have to be alone: VACUUM, CREATE DATABASE, a procedure that commits.
 */
static bool joins_transactions(const nxi_step *step)
{
    static const char *const writes[] = { "INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE" };
    static const char *const calls[] = { "SELECT", "VALUES", "WITH" };
    const char *word = nxi_sql_first_word(step->statement->sql);

    if (nxi_sql_begins_with_one_of(word, writes, NXI_COUNT(writes)))
        return true;
    if (step->kind == NXI_STEP_EXECUTE)
        return nxi_sql_begins_with_one_of(word, calls, NXI_COUNT(calls));
    return nxi_sql_begins_with(word, "WITH") && names_a_write(word);
}

bool nxi_token_is_needless(const nxi_request *request)
{
    for (size_t i = 0; i < request->step_count; i++) {
        const nxi_step *step = &request->steps[i];
        if (step->kind != NXI_STEP_RAW || step->statement->table != NULL || joins_transactions(step))
            return false;
    }
    return request->step_count > 0;
}

/* ------------------------------------------------------------------------------ on and off */

static bool is_token_of_use(const nxi_call *call)
{
    const nxi_request *request = &call->request;

    if (request->end == NXI_END_COMMIT)
        return call->wrote;
    if (request->transaction != 0 || request->begin != NXI_BEGIN_NONE || request->end != NXI_END_NONE || !request->writes)
        return false;
    for (size_t i = 0; i < request->step_count; i++) {
        const nxi_step *step = &request->steps[i];
        bool is_raw = step->statement != NULL && step->statement->table == NULL;
        if (step->kind == NXI_STEP_SCRIPT || (is_raw && !joins_transactions(step)))
            return false;
    }
    return request->step_count > 0;
}

void nxi_token_attach(nxi_call *call)
{
    nxi_request *request = &call->request;
    const nxi_token_texts *texts = &call->db->token_texts;

    if (!call->has_spare_step || !is_token_of_use(call))
        return;
    call->token = (nxi_token){ .id = nx_value_uuid(nx_uuid4()), .fence = texts->fence };
    request->token = &call->token;
    request->steps[request->step_count++] =
        (nxi_step){ .kind = NXI_STEP_EXECUTE, .statement = texts->insert, .values = &call->token.id, .value_count = 1 };
}

void nxi_token_detach(nxi_call *call)
{
    nxi_request *request = &call->request;

    request->token = NULL;
    request->step_count--;
    if (request->status != NX_EUNDEFINED || request->failed_step != request->step_count || !nxi_request_error_is_own(request))
        return;
    (void)nxi_fail(request->error, NX_EUNDEFINED, "%s", NXI_TOKEN_MISSING);
    request->error->outcome = request->outcome;
}
