/*
 * token - rows that tell whether a transaction was committed when the answer to its COMMIT is lost.
 *
 * With the bind option commit_tokens, every request that commits writes gets one more step, its last: it puts a row of a fresh
 * id. When the connection is lost behind the commit, the pool puts a row of the same id that says "not committed", a fence, in a
 * transaction of its own (pool_outcome.c). The key lets one of the two in. So it is known which, and the other one can never
 * come: a late commit fails at the fence.
 *
 * Memory: a token is part of the call; statements live as long as the database. Threads: the loop's.
 */
#ifndef NXI_TOKEN_H
#define NXI_TOKEN_H

#include "drivers/dialect.h"
#include "drivers/driver.h"
#include "engine/statement.h"

/* nxi_request.token. */
typedef struct nxi_token {
    nx_value id;                /* the one parameter of both statements */
    const nxi_statement *fence; /* see nxi_dialect.token_fence */
} nxi_token;

/* The statements of a database; both NULL: transactions leave no rows. */
typedef struct nxi_token_texts {
    const nxi_statement *insert, *fence;
} nxi_token_texts;

/*
 * `place`: what stands in front of the table's name, a schema and a dot, so that one table is meant whatever a transaction does
 * to its search path; "": not known yet. NX_ENOMEM. A dialect without them: both are NULL.
 */
NX_MUST_CHECK nx_status nxi_token_texts_make(const nxi_dialect *dialect, nxi_statements *statements, const char *place,
                                             nxi_token_texts *ret_texts, nx_error *error);

struct nxi_op;
/* Find out where the table is, before a transaction needs it, and finish the operation. NX_EUNDEFINED: it is not there. */
void nxi_token_find(nx_db *db, struct nxi_op *op);

#define NXI_TOKEN_MISSING "the table nextorm_token, which commit_tokens needs, is not there: nx_create_tables makes it"

/* It only reads rows for SQL text, as far as the text tells. */
bool nxi_token_is_needless(const nxi_request *request);

struct nxi_call;
/*
 * The call is about to be submitted: when it commits writes it gets a fresh id and the step that puts it. Not so SQL text that
 * may refuse to share a transaction (VACUUM, CALL ..) and DDL.
 */
void nxi_token_attach(struct nxi_call *call);
/* It is over: the step is gone. A failure in it counts as one of the commit: failed_step is step_count. */
void nxi_token_detach(struct nxi_call *call);

#endif
