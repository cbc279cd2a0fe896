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

#include <strings.h>

/* ------------------------------------------------------------------------------ texts */

static nx_status intern(const char *sql, unsigned which, nxi_statements *statements, const nxi_statement **ret_statement)
{
    nxi_statement prototype = { .writes = true, .typed = true, .sql = sql, .sql_size = strlen(sql), .param_count = 1 };
    const uint8_t shape[] = { NXI_SHAPE_TOKEN, (uint8_t)which };

    *ret_statement = nxi_statements_find(statements, shape, sizeof(shape));
    if (*ret_statement == NULL)
        *ret_statement = nxi_statements_add(statements, shape, sizeof(shape), &prototype);
    return *ret_statement == NULL ? NX_ENOMEM : NX_OK;
}

nx_status nxi_token_texts_make(const nxi_dialect *dialect, nxi_statements *statements, nxi_token_texts *ret_texts,
                               nx_error *error)
{
    nxi_token_texts texts = { .insert = NULL };

    NX_ASSERT((dialect->token_insert == NULL) == (dialect->token_fence == NULL));
    if (dialect->token_insert != NULL && (intern(dialect->token_insert, 0, statements, &texts.insert) != NX_OK ||
                                          intern(dialect->token_fence, 1, statements, &texts.fence) != NX_OK))
        return nxi_fail(error, NX_ENOMEM, "no memory for the statements of commit_tokens");
    *ret_texts = texts;
    return NX_OK;
}

/* ------------------------------------------------------------------------------ SQL of the application */

/* Behind white space, parentheses and comments, which nest at most (PostgreSQL, 4.1.5). */
static const char *first_word(const char *sql)
{
    unsigned depth = 0;

    for (;; sql++) {
        if (sql[0] == '/' && sql[1] == '*') {
            depth++;
            sql++;
        } else if (depth > 0 && sql[0] == '*' && sql[1] == '/') {
            depth--;
            sql++;
        } else if (depth == 0 && sql[0] == '-' && sql[1] == '-') {
            sql += strcspn(sql, "\n");
        } else if (depth == 0 && sql[0] != '(' && !((unsigned char)sql[0] <= ' ' && sql[0] != '\0')) {
            return sql;
        }
        if (sql[0] == '\0')
            return sql;
    }
}

static bool begins_with(const char *text, const char *word)
{
    size_t size = strlen(word);
    unsigned char next;

    if (strncasecmp(text, word, size) != 0)
        return false;
    next = (unsigned char)text[size];
    return !(next == '_' || next >= 0x80 || (next >= '0' && next <= '9') || ((next | 0x20) >= 'a' && (next | 0x20) <= 'z'));
}

static bool begins_with_one_of(const char *text, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (begins_with(text, words[i]))
            return true;
    }
    return false;
}

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
    const char *word = first_word(step->statement->sql);

    if (begins_with_one_of(word, writes, NXI_COUNT(writes)))
        return true;
    if (step->kind == NXI_STEP_EXECUTE)
        return begins_with_one_of(word, calls, NXI_COUNT(calls));
    return begins_with(word, "WITH") && names_a_write(word);
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
