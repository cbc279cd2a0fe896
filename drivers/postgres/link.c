/*
 * link - see the header.
 *
 * Design notes: libpq is driven by its own steps (PQconnectPoll) instead of one blocking call for two reasons. Its messages then
 * name the SQLSTATE, without which a wrong password and a missing database cannot be told apart in a server's language; and every
 * wait has an end. What PQconnectdb would do about a silent address, going on with the next one, has no equivalent among the
 * steps: the silent address is taken off the list, and the attempt begins again with the rest. So every address gets its time
 * once, and rules that look at several hosts (target_session_attrs=prefer-standby) hold.
 *
 * Between the last byte that libpq has read and the first one that the engine reads nothing may be lost. A server that has said
 * ReadyForQuery speaks only when something happens (a parameter changes, it shuts down), in whole messages; those that libpq has
 * read by then it is made to parse.
 */
#include "drivers/postgres/link.h"

#include "drivers/postgres/errors.h"
#include "drivers/postgres/settings.h"
#include "drivers/tls.h"

#include <libpq-fe.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    SERVER_VERSION_MIN = 120000,
    PROTOCOL_VERSION = 3,
    /*
     * Bytes that are not acknowledged for that long end the connection. Not shorter: the kernel counts a server that does not
     * read because it waits for a lock, too.
     */
    UNACKNOWLEDGED_MS_MAX = 120000,
    SILENT_TEXT_SIZE = 160
};

static const int64_t CANCEL_NS_MAX = 5000000000;

typedef struct attempt {
    nxi_pg_settings settings;
    PGconn *conn;
    size_t target; /* that libpq is at */
    int64_t until_ns;
    char silent[SILENT_TEXT_SIZE]; /* the first one that did not answer; "": none */
    size_t silent_count;
} attempt;

typedef enum progress { READY, REFUSED, SILENT } progress;

/* ------------------------------------------------------------------------------ why not */

/* Here begins the SQLSTATE of "FATAL:  28P01: ..." as PQERRORS_VERBOSE has it, whatever the language of the severity. */
static bool is_sqlstate(const char *text, const char *at)
{
    return at - text >= 3 && memcmp(at - 3, ":  ", 3) == 0 && strspn(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == 5 &&
           at[5] == ':' && at[6] == ' ';
}

/* The last one decides; NULL: there is none. */
static const char *find_sqlstate(const char *text)
{
    const char *found = NULL;

    for (const char *at = text; *at != '\0'; at++) {
        if (is_sqlstate(text, at))
            found = at;
    }
    return found;
}

/* One line of libpq's without the SQLSTATE, and without the address when there is one only, which the message names anyway. */
static void put_line(nxi_buf *out, const char *line, size_t size, bool only_one)
{
    static const char where[] = "connection to server ", so[] = " failed: ";
    const char *end = line + size, *reason;

    while (line < end && (*line == ' ' || *line == '\t'))
        line++;
    if (only_one && (size_t)(end - line) > sizeof(where) && memcmp(line, where, sizeof(where) - 1) == 0) {
        reason = memmem(line, (size_t)(end - line), so, sizeof(so) - 1);
        line = reason == NULL ? line : reason + sizeof(so) - 1;
    }
    for (const char *at = line; at + 7 <= end; at++) {
        if (is_sqlstate(line, at)) {
            nxi_buf_put(out, line, (size_t)(at - line) - 1);
            line = at + 7;
            break;
        }
    }
    nxi_buf_put(out, line, (size_t)(end - line));
}

/* libpq's lines as one text, without the places in the server's source, and each once: TLS and plain often fail alike. */
static void put_reason(nxi_buf *out, const char *text, bool only_one)
{
    nxi_buf line, before;

    nxi_buf_init(&line, out->memory);
    nxi_buf_init(&before, out->memory);
    while (*text != '\0') {
        size_t size = strcspn(text, "\n");
        nxi_buf_clear(&line);
        put_line(&line, text, size, only_one);
        if (line.size > 0 && strncmp(text, "LOCATION:", 9) != 0 &&
            (line.size != before.size || memcmp(line.data, before.data, line.size) != 0)) {
            nxi_buf spare = before;
            nxi_buf_puts(out, out->size == 0 ? "" : "; ");
            nxi_buf_put(out, line.data, line.size);
            before = line;
            line = spare;
        }
        text += size + (text[size] != '\0');
    }
    out->failed = out->failed || line.failed || before.failed;
    nxi_buf_fini(&line);
    nxi_buf_fini(&before);
}

/* Of what libpq could not do. */
static nx_status classify(const attempt *a, const char *sqlstate, bool *ret_retryable)
{
    nx_status status = NX_ECONNECT;

    *ret_retryable = false;
    if (sqlstate[0] != '\0') {
        status = nxi_pg_status_of(sqlstate, ret_retryable);
        return status == NX_ELOST ? NX_ECONNECT : status;
    }
    if (PQconnectionNeedsPassword(a->conn))
        return NX_EAUTH;
    return status;
}

/* "host:port", or the socket's folder. */
static void put_target(nxi_buf *out, const nxi_pg_target_host *target)
{
    const char *host = target->host[0] != '\0' ? target->host : target->address;

    nxi_buf_puts(out, host[0] == '\0' ? "the default Unix socket" : host);
    if (target->address[0] != '\0' && strcmp(target->address, host) != 0)
        nxi_buf_printf(out, " (%s)", target->address);
    if (target->port[0] != '\0')
        nxi_buf_printf(out, ":%s", target->port);
}

static nx_status refuse(attempt *a, nx_status status, const char *sqlstate, bool retryable, const char *reason, nx_error *error)
{
    nxi_buf where;

    nxi_buf_init(&where, a->settings.arena.memory);
    for (size_t i = 0; i < a->settings.target_count && i < 3; i++) {
        nxi_buf_puts(&where, i == 0 ? "" : ", ");
        put_target(&where, &a->settings.targets[i]);
    }
    if (a->settings.target_count > 3)
        nxi_buf_puts(&where, ", ...");
    (void)nxi_fail(error, status, "cannot connect to %s, database \"%s\", as user \"%s\": %s",
                   nxi_buf_str(&where) == NULL ? "?" : where.data, a->settings.dbname, a->settings.user, reason);
    if (error != NULL) {
        memcpy(error->sqlstate, sqlstate, strlen(sqlstate) + 1);
        error->retryable = retryable;
    }
    nxi_buf_fini(&where);
    return status;
}

static nx_status refuse_libpq(attempt *a, nx_error *error)
{
    const char *text = PQerrorMessage(a->conn), *code = find_sqlstate(text);
    char sqlstate[6] = "";
    bool retryable;
    nxi_buf reason;
    nx_status status;

    if (code != NULL)
        memcpy(sqlstate, code, 5);
    status = classify(a, sqlstate, &retryable);
    nxi_buf_init(&reason, a->settings.arena.memory);
    if (a->silent_count > 0)
        nxi_buf_puts(&reason, a->silent);
    put_reason(&reason, text, a->settings.target_count == 1);
    text = nxi_buf_str(&reason);
    status =
        text == NULL ? nxi_fail(error, NX_ENOMEM, "no memory to connect") : refuse(a, status, sqlstate, retryable, text, error);
    nxi_buf_fini(&reason);
    return status;
}

static nx_status refuse_words(attempt *a, nx_status status, const char *reason, nx_error *error)
{
    return refuse(a, status, "", false, reason, error);
}

/* ------------------------------------------------------------------------------ connecting */

static void ignore_notice(void *context, const PGresult *notice)
{
    (void)context;
    (void)notice;
}

static bool same(const char *a, const char *b)
{
    return strcmp(a == NULL ? "" : a, b) == 0;
}

/* Which target libpq is at; the one before when it cannot be told. */
static size_t target_of(const attempt *a)
{
    const nxi_pg_target_host *targets = a->settings.targets;

    for (size_t i = 0; i < a->settings.target_count; i++) {
        if (!targets[i].tried && same(PQhostaddr(a->conn), targets[i].address) &&
            (targets[i].host[0] == '\0' || same(PQhost(a->conn), targets[i].host)) &&
            (targets[i].port[0] == '\0' || same(PQport(a->conn), targets[i].port)))
            return i;
    }
    return a->target;
}

/* Until the socket is ready or the time is over. False: it is over. */
static bool wait_for(const PGconn *conn, short events, int64_t until_ns)
{
    struct pollfd one = { .fd = PQsocket(conn), .events = events };

    for (;;) {
        int64_t left = until_ns - nxi_clock_ns();
        if (left <= 0)
            return false;
        if (one.fd < 0 || poll(&one, 1, (int)(left / 1000000) + 1) > 0)
            return true; /* what is wrong with it, libpq will say */
    }
}

static progress connect_once(attempt *a)
{
    PostgresPollingStatusType wanted = PGRES_POLLING_WRITING;

    a->target = SIZE_MAX;
    while (wanted != PGRES_POLLING_OK && wanted != PGRES_POLLING_FAILED) {
        size_t target = target_of(a);
        if (a->target == SIZE_MAX || target != a->target)
            a->until_ns = nxi_clock_ns() + a->settings.timeout_ns;
        a->target = target == SIZE_MAX ? 0 : target;
        if (!wait_for(a->conn, wanted == PGRES_POLLING_READING ? POLLIN : POLLOUT, a->until_ns))
            return SILENT;
        wanted = PQconnectPoll(a->conn);
    }
    return wanted == PGRES_POLLING_OK ? READY : REFUSED;
}

static void note_silence(attempt *a)
{
    nxi_pg_target_host *target = &a->settings.targets[a->target];
    nxi_buf text;

    nxi_buf_init(&text, a->settings.arena.memory);
    put_target(&text, target);
    if (a->silent_count++ == 0)
        snprintf(a->silent, sizeof(a->silent), "%s does not answer within %lld ms", nxi_buf_str(&text) == NULL ? "?" : text.data,
                 (long long)(a->settings.timeout_ns / 1000000));
    nxi_buf_fini(&text);
    target->tried = true;
}

static nx_status connect_any(attempt *a, nx_error *error)
{
    while (nxi_pg_settings_aim(&a->settings)) {
        a->conn = PQconnectStartParams(a->settings.keywords, a->settings.values, 0);
        if (a->conn == NULL)
            break;
        (void)PQsetErrorVerbosity(a->conn, PQERRORS_VERBOSE);
        (void)PQsetNoticeReceiver(a->conn, ignore_notice, NULL); /* the default prints */
        if (PQstatus(a->conn) == CONNECTION_BAD)
            return refuse_libpq(a, error);
        switch (connect_once(a)) {
        case READY: return NX_OK;
        case REFUSED: return refuse_libpq(a, error);
        case SILENT:
            note_silence(a);
            PQfinish(a->conn);
            a->conn = NULL;
            break;
        }
    }
    if (a->silent_count == 0 || a->settings.failed)
        return nxi_fail(error, NX_ENOMEM, "no memory to connect");
    return refuse(a, NX_ECONNECT, "", true, a->silent, error);
}

/* ------------------------------------------------------------------------------ is it what we need */

static nx_status check_server(attempt *a, nx_error *error)
{
    static const struct {
        const char *name, *value;
    } needed[] = {
        { "client_encoding", "UTF8" },
        { "standard_conforming_strings", "on" }, /* a backslash in a literal is a backslash */
        { "integer_datetimes", "on" },           /* the binary formats of times */
    };
    char words[160];

    if (PQgssEncInUse(a->conn))
        return refuse_words(a, NX_EUNSUPPORTED, "encryption by GSSAPI is not supported; TLS is", error);
    if (PQprotocolVersion(a->conn) != PROTOCOL_VERSION)
        return refuse_words(a, NX_EUNSUPPORTED, "the server does not speak protocol 3", error);
    if (PQserverVersion(a->conn) < SERVER_VERSION_MIN) {
        snprintf(words, sizeof(words), "the server's version is %d; PostgreSQL 12 is the oldest that is supported",
                 PQserverVersion(a->conn));
        return refuse_words(a, NX_EUNSUPPORTED, words, error);
    }
    for (size_t i = 0; i < NXI_COUNT(needed); i++) {
        const char *value = PQparameterStatus(a->conn, needed[i].name);
        if (same(value, needed[i].value))
            continue;
        snprintf(words, sizeof(words), "the server says that %s is \"%.40s\"; it must be \"%s\"", needed[i].name,
                 value == NULL ? "" : value, needed[i].value);
        return refuse_words(a, NX_EUNSUPPORTED, words, error);
    }
    return NX_OK;
}

/*
 * A pooler in transaction mode gives the session to others between two transactions, and takes no command-line options. It keeps
 * these two for each of its clients, as it sees their ParameterStatus; of what else is set for other servers nothing is needed
 * but by texts.
 */
static nx_status set_up_session(attempt *a, nx_error *error)
{
    PGresult *result;
    bool good = true;

    a->until_ns = nxi_clock_ns() + a->settings.timeout_ns;
    if (!PQsendQuery(a->conn, "SET TimeZone TO 'UTC'; SET DateStyle TO 'ISO'"))
        return refuse_libpq(a, error);
    while (PQisBusy(a->conn)) {
        if (!wait_for(a->conn, POLLIN, a->until_ns))
            return refuse(a, NX_ECONNECT, "", true, "the server does not answer", error);
        if (!PQconsumeInput(a->conn))
            return refuse_libpq(a, error);
    }
    while ((result = PQgetResult(a->conn)) != NULL) {
        good = good && PQresultStatus(result) == PGRES_COMMAND_OK;
        PQclear(result);
    }
    return good ? NX_OK : refuse_libpq(a, error);
}

/* What the server has said since it was ready; see the design notes. */
static nx_status drain(attempt *a, nx_error *error)
{
    PGnotify *notification;

    if (!PQconsumeInput(a->conn))
        return refuse_libpq(a, error);
    if (PQisBusy(a->conn) || PQtransactionStatus(a->conn) != PQTRANS_IDLE)
        return refuse_words(a, NX_EPROTOCOL, "the server is not ready after it has said so", error);
    while ((notification = PQnotifies(a->conn)) != NULL)
        PQfreemem(notification);
    return NX_OK;
}

/* libpq has made it non-blocking, without delays, and with keepalive. Best effort: an old kernel lacks the option. */
static void set_up_socket(const attempt *a, int fd)
{
    unsigned ms = UNACKNOWLEDGED_MS_MAX;
    int domain = AF_UNIX;
    socklen_t size = sizeof(domain);

    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain != AF_UNIX && !a->settings.has_own_user_timeout)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
}

static nx_status adopt(nxi_pg_link *link, attempt *a, nxi_memory *memory, int *ret_fd, nx_error *error)
{
    nx_status status = drain(a, error);

    if (status == NX_OK)
        status = check_server(a, error); /* after drain: of the values that hold now */
    if (status != NX_OK)
        return status;
    if (PQsslInUse(a->conn)) {
        void *ssl = PQsslStruct(a->conn, "OpenSSL");
        if (ssl == NULL)
            return refuse_words(a, NX_EUNSUPPORTED, "this libpq does its TLS by another library than OpenSSL", error);
        status = nxi_tls_adopt(memory, ssl, &link->tls, error);
        if (status != NX_OK)
            return status;
    }
    link->cancel = PQgetCancel(a->conn);
    if (link->cancel == NULL)
        return nxi_fail(error, NX_ENOMEM, "no memory to connect");
    set_up_socket(a, PQsocket(a->conn));
    link->timeout_ns = a->settings.timeout_ns;
    link->server_version = PQserverVersion(a->conn);
    *ret_fd = PQsocket(a->conn);
    return NX_OK;
}

/* ------------------------------------------------------------------------------ life */

nx_status nxi_pg_check_options(const nx_bind_options *options, nx_error *error)
{
    return nxi_pg_settings_check(options, error);
}

nx_status nxi_pg_link_open(nxi_pg_link *link, const nx_bind_options *options, nxi_memory *memory, int *ret_fd, nx_error *error)
{
    attempt a = { .conn = NULL };
    nx_status status = nxi_pg_settings_make(&a.settings, options, memory, error);

    *link = (nxi_pg_link){ .conn = NULL };
    if (status == NX_OK)
        status = nxi_pg_settings_resolve(&a.settings, error);
    if (status == NX_OK)
        status = connect_any(&a, error);
    link->conn = a.conn;
    if (status == NX_OK && options->pooler == NX_POOLER_TRANSACTION)
        status = set_up_session(&a, error);
    if (status == NX_OK)
        status = adopt(link, &a, memory, ret_fd, error);
    nxi_pg_settings_fini(&a.settings);
    return status;
}

/* 55.7, Terminate; then the end of the TLS session. As far as the socket takes it at once: the other end learns it anyway. */
static void say_goodbye(const nxi_pg_link *link, nxi_memory *memory)
{
    static const char terminate[] = { 'X', 0, 0, 0, 4 };
    nxi_buf out;

    nxi_buf_init(&out, memory);
    if (link->tls == NULL)
        nxi_buf_put(&out, terminate, sizeof(terminate));
    else if (link->tls->seal(link->tls, terminate, sizeof(terminate), &out, NULL) == NX_OK)
        nxi_tls_end(link->tls, &out);
    if (!out.failed && out.size > 0)
        (void)send(PQsocket(link->conn), out.data, out.size, MSG_DONTWAIT | MSG_NOSIGNAL);
    nxi_buf_fini(&out);
}

void nxi_pg_link_close(nxi_pg_link *link, nxi_memory *memory)
{
    if (link->conn != NULL && PQstatus(link->conn) == CONNECTION_OK) {
        if (link->is_quiet)
            say_goodbye(link, memory);
        /* PQfinish would say Terminate in plain, in the middle of whatever was being sent: let it reach nobody. */
        (void)shutdown(PQsocket(link->conn), SHUT_WR);
    }
    nxi_tls_free(link->tls);
    PQfreeCancel(link->cancel);
    PQfinish(link->conn);
    *link = (nxi_pg_link){ .conn = NULL };
}

/*
 * PQcancel connects, sends and waits for the end without a time limit, by a socket that it shows to nobody. So it runs on a
 * thread that is cancelled: connect, send and recv are where POSIX lets that happen, and libpq holds nothing there but the
 * socket. That one is the thread's own, as its table of descriptors is, and is closed with it.
 */
typedef struct cancel_call {
    PGcancel *cancel;
    char words[256]; /* not on the thread's stack, which nobody cleans up when it is cancelled */
} cancel_call;

static void *send_cancel(void *context)
{
    cancel_call *call = context;

    if (close_range(STDERR_FILENO + 1, UINT_MAX, CLOSE_RANGE_UNSHARE) != 0)
        (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL); /* the socket would stay open: better wait */
    /* That it failed shows in the answer not coming, which has its own time limit. */
    (void)PQcancel(call->cancel, call->words, sizeof(call->words));
    return NULL;
}

bool nxi_pg_link_interrupt(nxi_pg_link *link)
{
    int64_t until_ns = nxi_clock_ns() + (link->timeout_ns < CANCEL_NS_MAX ? link->timeout_ns : CANCEL_NS_MAX);
    struct timespec until = { .tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000 };
    cancel_call call = { .cancel = link->cancel };
    void *result;
    pthread_t thread;

    if (pthread_create(&thread, NULL, send_cancel, &call) != 0)
        return true; /* as if it had come too late */
    if (pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &until) == 0)
        return true;
    (void)pthread_cancel(thread);
    return pthread_join(thread, &result) == 0 && result != PTHREAD_CANCELED;
}
