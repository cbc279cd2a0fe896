/*
 * errors - PostgreSQL's ErrorResponse as an error of ours; the one place that knows SQLSTATEs.
 *
 * Facts: PostgreSQL 15 documentation, 55.8 "Error and Notice Message Fields", appendix A "Error Codes".
 */
#ifndef NXI_PG_ERRORS_H
#define NXI_PG_ERRORS_H

#include "drivers/driver.h"

/* What of an ErrorResponse the connection itself acts upon. */
typedef struct nxi_pg_trouble {
    char sqlstate[6];
    bool is_fatal;         /* severity (field V) FATAL or PANIC: the server closes the connection */
    bool plan_is_stale;    /* 0A000 of RevalidateCachedQuery, 26000, 42P05: prepare again */
    bool lacks_xmax;       /* the table is partitioned, or a view: an upsert cannot return xmax */
    bool may_be_interrupt; /* 57014: a cancel request, perhaps ours, or in another language than English a timeout */
    int64_t copy_line;     /* "COPY t, line 5" in the context: 5; 0: none */
} nxi_pg_trouble;

/*
 * The body of an ErrorResponse or NoticeResponse: bytes of field type and zero-terminated texts, ended by a zero byte. A
 * body that is malformed (unterminated text, missing SQLSTATE) still gives an error, NX_ESERVER, with what could be read.
 * Texts are cut, made valid UTF-8; table, column, constraint, detail, position (character of statement->sql; statement
 * may be NULL) and retryable are filled in. A violated constraint whose column is not named takes it from the statement's
 * table if it is of one column. 57014 is NX_EDEADLINE unless the server says in English that somebody has asked for it.
 */
void nxi_pg_describe(const uint8_t *body, size_t size, const nxi_statement *statement, nx_error *ret_error,
                     nxi_pg_trouble *ret_trouble);
/* The status of a SQLSTATE: exact codes before their class. */
nx_status nxi_pg_status_of(const char *sqlstate, bool *ret_retryable);

#endif
