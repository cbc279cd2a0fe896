/*
 * error - what an operation ended with.
 *
 * Every fallible call returns an nx_status or completes with one; details stand in an nx_error.
 * The kinds are a closed set on all providers: a server's SQLSTATE or error number is mapped once,
 * by the driver that saw it.
 */
#ifndef NEXTORM_ERROR_H
#define NEXTORM_ERROR_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NX_API __attribute__((visibility("default")))
#define NX_MUST_CHECK __attribute__((warn_unused_result))
#define NX_PRINTF(text_, first_) __attribute__((__format__(__printf__, text_, first_)))

/* name, number, text. Numbers never change and are never used again for another kind. */
#define NX_STATUS_LIST(X)                                                                          \
    X(OK, 0, "ok")                                                                                 \
    /* the caller */                                                                               \
    X(EINVAL, -1, "invalid argument")                                                              \
    X(ENOMEM, -2, "out of memory")                                                                 \
    X(ESTALE, -3, "stale operation handle")                                                        \
    X(ECLOSED, -4, "closed")                                                                       \
    X(ESTATE, -5, "not possible in this state")                                                    \
    X(ELIMIT, -6, "limit exceeded")                                                                \
    X(ECANCELED, -7, "cancelled")                                                                  \
    X(EDEADLINE, -8, "deadline exceeded")                                                          \
    X(EUNSUPPORTED, -9, "not supported by this system or provider")                                \
    /* binding and mapping */                                                                      \
    X(EPROVIDER, -20, "unknown provider")                                                          \
    X(ENOTBOUND, -21, "database not bound")                                                        \
    X(EMAPPING, -22, "mapping error")                                                              \
    X(ENOTMAPPED, -23, "entity not mapped")                                                        \
    X(ENOFIELD, -24, "no such field")                                                              \
    /* values, found on the client before anything is sent */                                      \
    X(EREQUIRED, -30, "required field missing")                                                    \
    X(ETOOLONG, -31, "value too long")                                                             \
    X(EENCODING, -32, "invalid text encoding")                                                     \
    X(ERANGE, -33, "value out of range")                                                           \
    X(EVALUE, -34, "value refused by a check")                                                     \
    X(ETYPE, -35, "value of the wrong type")                                                       \
    /* results */                                                                                  \
    X(ENOTFOUND, -40, "not found")                                                                 \
    X(EMULTIPLE, -41, "more than one row found")                                                   \
    X(EOPTIMISTIC, -42, "row was changed or deleted by somebody else")                             \
    /* constraints */                                                                              \
    X(EUNIQUE, -50, "unique constraint violated")                                                  \
    X(EFOREIGNKEY, -51, "foreign key constraint violated")                                         \
    X(ENOTNULL, -52, "not-null constraint violated")                                               \
    X(ECHECK, -53, "check constraint violated")                                                    \
    X(ECONSTRAINT, -54, "constraint violated")                                                     \
    /* transactions */                                                                             \
    X(ESERIALIZATION, -60, "serialization failure")                                                \
    X(EDEADLOCK, -61, "deadlock")                                                                  \
    X(ELOCKED, -62, "lock not available")                                                          \
    X(EBUSY, -63, "database busy")                                                                 \
    X(ECOMMIT, -64, "commit failed")                                                               \
    X(EPARTIAL, -65, "committed on some databases only")                                           \
    X(EABORTED, -66, "transaction rolled back")                                                    \
    /* statements */                                                                               \
    X(ESYNTAX, -70, "syntax error")                                                                \
    X(EUNDEFINED, -71, "undefined table or column")                                                \
    X(EPERMISSION, -72, "permission denied")                                                       \
    X(ESERVER, -73, "server error")                                                                \
    /* connections and storage */                                                                  \
    X(ECONNECT, -80, "cannot connect")                                                             \
    X(EAUTH, -81, "authentication failed")                                                         \
    X(ELOST, -82, "connection lost")                                                               \
    X(EPROTOCOL, -83, "protocol error")                                                            \
    X(EPOOLTIMEOUT, -84, "no connection became free in time")                                      \
    X(EQUEUEFULL, -85, "wait queue full")                                                          \
    X(EOPEN, -86, "cannot open database")                                                          \
    X(EREADONLY, -87, "database is read-only")                                                     \
    X(EFULL, -88, "disk full")                                                                     \
    X(EIO, -89, "input/output error")                                                              \
    X(ECORRUPT, -90, "database file is damaged or not a database")

#define NX_STATUS_ENUM(name, number, text) NX_##name = (number),
typedef enum nx_status { NX_STATUS_LIST(NX_STATUS_ENUM) } nx_status;
#undef NX_STATUS_ENUM

/* What became of a transaction. */
typedef enum nx_outcome {
    NX_OUTCOME_NONE,        /* the operation was no transaction's end, or left it open */
    NX_OUTCOME_COMMITTED,
    NX_OUTCOME_ROLLED_BACK, /* nothing of it remains */
    NX_OUTCOME_UNKNOWN,     /* connection lost between COMMIT and its answer; see session.h. The option commit_tokens finds out */
    NX_OUTCOME_PARTIAL      /* committed on some of the session's databases only: nx_session_outcome_of tells of each */
} nx_outcome;

enum { NX_ERROR_MESSAGE_SIZE = 384, NX_ERROR_DETAIL_SIZE = 256, NX_ERROR_NAME_SIZE = 128 };

typedef struct nx_error {
    nx_status status;
    nx_outcome outcome;
    int32_t server_code;  /* SQLite extended code, MariaDB errno; 0: none */
    int32_t position;     /* 1-based character in the query text; 0: not known */
    int64_t row;          /* of a bulk load: 0-based number of the row; else -1 */
    void *object;         /* of a flush, commit or save: the row that could not be written, while it lives */
    bool retryable;       /* the same unit of work, run again from its start, may succeed */
    char sqlstate[6];     /* five characters, or empty */
    char message[NX_ERROR_MESSAGE_SIZE]; /* names the culprit; UTF-8, cut when too long */
    char detail[NX_ERROR_DETAIL_SIZE];
    char table[NX_ERROR_NAME_SIZE];
    char column[NX_ERROR_NAME_SIZE];
    char constraint[NX_ERROR_NAME_SIZE];
} nx_error;

/* "NX_EUNIQUE", and "unique constraint violated". Never NULL; static storage. */
NX_API const char *nx_status_name(nx_status status);
NX_API const char *nx_status_text(nx_status status);

/* "1.2.3" of the library that is loaded; static storage. */
NX_API const char *nx_version(void);

#ifdef __cplusplus
}
#endif
#endif
