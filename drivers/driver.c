/*
 * driver - how a request fails.
 */
#include "drivers/driver.h"

#include <stdarg.h>
#include <stdio.h>

/* Shared by all requests that fail for want of memory; never written. */
static nx_error out_of_memory = {
    .status = NX_ENOMEM, .row = -1, .retryable = false, .sqlstate = "53200", .message = "out of memory"};

nx_status nxi_set_made_key(const nxi_column *column, void *row, int64_t key, nx_error *error)
{
    if (NXI_LIKELY(nxi_row_set_made_key(column, row, key)))
        return NX_OK;
    (void)nxi_fail(error, NX_ERANGE, "%s.%s: the database gave the row the key %lld, out of the range of %s", column->table->name,
                   column->name, (long long)key, nx_type_name(column->type));
    nxi_error_name(error->table, column->table->name);
    nxi_error_name(error->column, column->name);
    return NX_ERANGE;
}

void nxi_step_take_back_keys(const nxi_step *step)
{
    if (step->kind != NXI_STEP_WRITE || step->statement->key_column == NULL)
        return;
    for (size_t i = 0; i < step->row_count; i++)
        nxi_row_take_back_key(step->rows[i]);
}

bool nxi_is_about_row(nx_status status)
{
    switch ((int)status) {
    case NX_EUNIQUE:
    case NX_EFOREIGNKEY:
    case NX_ENOTNULL:
    case NX_ECHECK:
    case NX_ECONSTRAINT:
    case NX_EOPTIMISTIC:
    case NX_ETYPE:
    case NX_ERANGE:
    case NX_EVALUE:
    case NX_EREQUIRED:
    case NX_ETOOLONG:
    case NX_EENCODING:
    case NX_ELIMIT: return true;
    default: return false;
    }
}

nx_status nxi_request_fail(nxi_request *request, size_t step, nx_status status, const char *format, ...)
{
    char message[NX_ERROR_MESSAGE_SIZE * 2]; /* longer than the field: nxi_fail cuts it at a character */
    nx_error *error = NULL;
    va_list arguments;

    NX_ASSERT(status != NX_OK);
    if (request->status != NX_OK)
        return request->status;
    request->failed_step = step;
    if (status != NX_ENOMEM)
        error = nxi_arena_get(request->arena, sizeof(*error), 16);
    if (error == NULL) {
        request->status = NX_ENOMEM;
        request->error = &out_of_memory;
        return NX_ENOMEM;
    }
    va_start(arguments, format);
    (void)vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    request->status = nxi_fail(error, status, "%s", message);
    request->error = error;
    return status;
}

void nxi_request_not_run(nxi_request *request, bool open)
{
    request->in_transaction =
        open && request->transaction != 0 && request->begin == NXI_BEGIN_NONE && request->end == NXI_END_NONE;
    request->steps_done = 0;
    request->outcome = NX_OUTCOME_NONE;
    if (!request->in_transaction && (request->transaction != 0 || request->end != NXI_END_NONE || nxi_request_commits(request)))
        request->outcome = NX_OUTCOME_ROLLED_BACK;
    if (nxi_request_error_is_own(request))
        request->error->outcome = request->outcome;
}

void nxi_request_too_late(nxi_request *request, nx_status status, const char *message)
{
    if (request->end != NXI_END_ROLLBACK)
        (void)nxi_request_fail(request, 0, status, "%s", message);
    nxi_request_not_run(request, false);
}

bool nxi_request_error_is_own(const nxi_request *request)
{
    return request->error != NULL && request->error != &out_of_memory;
}
