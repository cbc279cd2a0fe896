/*
 * open - connections: how they are opened, set up and closed.
 *
 * Design notes: a path is a path. SQLite may be built to read "file:..." as a URI, which could name another VFS or a memory
 * database per connection, so such a name is given a directory. A new file gets mode 0600 by mknod: opening
 * and closing it ourselves would drop the POSIX locks of every connection to it in this process.
 *
 * trusted_schema is off where SQLite allows: 3.40 (Debian 12) marks its own JSON functions as unsafe by mistake, so that any
 * schema with a CHECK (json_valid(...)) would count as malformed. There it stays on, which costs little: connections have no
 * functions but the built-in ones, cannot load any, and are defensive.
 */
#include "drivers/sqlite/sqlite.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

enum {
    PROGRESS_OPERATIONS = 4000,           /* of the virtual machine, between two looks at stop and deadline */
    WRITER_CACHE_KIB = 32768,
    READER_CACHE_KIB = 16384,
    SIDE_CACHE_KIB = 2048,
    JOURNAL_BYTES_MAX = 64 * 1024 * 1024, /* the log is cut to this after a checkpoint */
    SIDE_PREPARED_MAX = 16,
    BUSY_FIRST_NS = 1000000,
    BUSY_LAST_NS = 20000000
};

static const char *const own_sql[NXI_SQ_OWN_COUNT] = {
    [NXI_SQ_BEGIN] = "BEGIN",
    [NXI_SQ_BEGIN_IMMEDIATE] = "BEGIN IMMEDIATE",
    [NXI_SQ_COMMIT] = "COMMIT",
    [NXI_SQ_ROLLBACK] = "ROLLBACK",
    [NXI_SQ_GROUP_SAVE] = "SAVEPOINT nxi_group",
    [NXI_SQ_GROUP_RELEASE] = "RELEASE nxi_group",
    [NXI_SQ_GROUP_UNDO] = "ROLLBACK TO nxi_group",
    [NXI_SQ_BATCH_SAVE] = "SAVEPOINT nxi_rows",
    [NXI_SQ_BATCH_RELEASE] = "RELEASE nxi_rows",
    [NXI_SQ_BATCH_UNDO] = "ROLLBACK TO nxi_rows",
};

/* ------------------------------------------------------------------------------ hooks */

/* Not 0 ends the statement that runs. */
static int on_progress(void *context)
{
    nxi_sq_connection *connection = context;
    const nxi_request *request = connection->running;
    int stop;

    if (request == NULL)
        return 0;
    stop = atomic_load_explicit(&request->stop, memory_order_relaxed);
    if (stop != NX_OK)
        connection->stopped = (nx_status)stop;
    else if (request->deadline_ns != 0 && nxi_clock_ns() >= request->deadline_ns)
        connection->stopped = NX_EDEADLINE;
    else if (nxi_port_is_stopping(connection->port)) /* the database is freed: nobody waits for the answer */
        connection->stopped = NX_ECLOSED;
    return connection->stopped != NX_OK;
}

/* Replaces SQLite's automatic checkpoint: answers go out first, see group_commit.c. */
static int on_commit(void *context, sqlite3 *db, const char *name, int pages)
{
    nxi_sq_connection *connection = context;

    (void)db;
    (void)name;
    connection->wal_pages = pages;
    return SQLITE_OK;
}

/* ------------------------------------------------------------------------------ opening */

static bool json_is_unsafe; /* Sync: written under pthread_once, before any reader */

static void configure_library(void)
{
    sqlite3 *db = NULL;

    /* SQLite counts its memory under a global mutex otherwise. Too late when the program has used SQLite before: then it stays as
     * it is. */
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    (void)sqlite3_initialize();
    if (sqlite3_open_v2(":memory:", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK) {
        (void)sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
        json_is_unsafe = sqlite3_exec(db, "CREATE TABLE t (a CHECK (json_valid(a)))", NULL, NULL, NULL) != SQLITE_OK;
    }
    (void)sqlite3_close_v2(db);
}

/* Run a statement that sets something up; while somebody else holds the file, again until the time is over. */
static int set_up(sqlite3 *db, const char *sql, int64_t until_ns)
{
    int64_t pause_ns = BUSY_FIRST_NS;

    for (;;) {
        int code = sqlite3_exec(db, sql, NULL, NULL, NULL);
        int primary = code & 0xff;
        if ((primary != SQLITE_BUSY && primary != SQLITE_LOCKED) || nxi_clock_ns() >= until_ns)
            return code;
        nanosleep(&(struct timespec){ .tv_nsec = pause_ns }, NULL);
        pause_ns = pause_ns * 2 < BUSY_LAST_NS ? pause_ns * 2 : BUSY_LAST_NS;
    }
}

/* The order of decimals as numbers. What is no decimal comes after all that are, by its bytes. */
static int compare_decimals(void *context, int left_size, const void *left, int right_size, const void *right)
{
    nx_text a = { left, (size_t)left_size }, b = { right, (size_t)right_size };
    size_t whole, fraction;
    bool a_is = nxi_decimal_measure(a.data, a.size, &whole, &fraction),
         b_is = nxi_decimal_measure(b.data, b.size, &whole, &fraction);

    (void)context;
    if (a_is && b_is)
        return nxi_decimal_compare(a, b);
    if (a_is != b_is)
        return a_is ? -1 : 1;
    int order = memcmp(a.data, b.data, nxi_min_size(a.size, b.size));
    return order != 0 ? order : a.size < b.size ? -1 : a.size > b.size;
}

/* Switches that SQL alone cannot set, and limits. */
static void harden(sqlite3 *db)
{
    (void)sqlite3_extended_result_codes(db, 1);
    (void)sqlite3_create_collation_v2(db, "nx_decimal", SQLITE_UTF8, NULL, compare_decimals, NULL);
    (void)sqlite3_busy_timeout(db, 0);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, json_is_unsafe, NULL);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);
    /* "name" that is no column is a mistake, not a text. */
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    (void)sqlite3_limit(db, SQLITE_LIMIT_VARIABLE_NUMBER, NXI_SQ_PARAMETERS_MAX);
}

static int set_pragmas(sqlite3 *db, const nxi_sq_settings *settings, nxi_sq_use use, int64_t until_ns)
{
    char sql[512];
    int cache_kib = use == NXI_SQ_WRITES ? WRITER_CACHE_KIB : use == NXI_SQ_READS ? READER_CACHE_KIB : SIDE_CACHE_KIB;
    bool shared = use != NXI_SQ_SCRATCH && !settings->memory;
    int code;

    /* Touch the schema first: a file that is no database is found here, whatever it is opened for. */
    code = set_up(db, "SELECT count(*) FROM sqlite_master", until_ns);
    if (code == SQLITE_OK && shared && use == NXI_SQ_WRITES && !settings->read_only)
        code = set_up(db, "PRAGMA journal_mode=WAL", until_ns);
    if (code != SQLITE_OK)
        return code;
    /* Point selects of a reader profit from mapped pages; a cursor walks through all of the file and must stay small. */
    snprintf(sql, sizeof(sql),
             "PRAGMA synchronous=%s; PRAGMA secure_delete=OFF; PRAGMA temp_store=%s; PRAGMA case_sensitive_like=ON;"
             "PRAGMA cache_size=-%d; PRAGMA mmap_size=%d; PRAGMA journal_size_limit=%d;%s",
             use == NXI_SQ_SCRATCH ? "OFF" : settings->synchronous == NX_SYNCHRONOUS_FULL ? "FULL" : "NORMAL",
             use == NXI_SQ_SCRATCH ? "FILE" : "MEMORY", cache_kib, use == NXI_SQ_READS ? 1 << 30 : 0, (int)JOURNAL_BYTES_MAX,
             use == NXI_SQ_SCRATCH  ? "PRAGMA journal_mode=MEMORY"
             : use == NXI_SQ_WRITES ? ""
                                    : "PRAGMA query_only=ON");
    return set_up(db, sql, until_ns);
}

/* The file cannot be opened: say why, with its path. */
static nx_status cannot_open(sqlite3 *db, int code, const char *path, nx_error *error)
{
    int number = db == NULL ? 0 : sqlite3_system_errno(db);
    int primary = code & 0xff;
    nx_status status = NX_EOPEN;
    const char *why = db == NULL ? sqlite3_errstr(code) : sqlite3_errmsg(db);

    if (code == SQLITE_NOMEM || primary == SQLITE_NOMEM)
        status = NX_ENOMEM;
    else if (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB)
        status = NX_ECORRUPT;
    else if (primary == SQLITE_READONLY)
        status = NX_EREADONLY;
    else if (primary == SQLITE_BUSY || primary == SQLITE_LOCKED)
        status = NX_EBUSY;
    else if (primary == SQLITE_FULL || number == ENOSPC || number == EDQUOT || number == EFBIG)
        status = NX_EFULL;
    if (status == NX_EOPEN && number != 0)
        why = strerrordesc_np(number);
    nxi_fail(error, status, "cannot open database \"%s\": %s", path, why == NULL ? "unknown error" : why);
    error->server_code = code;
    error->retryable = status == NX_EBUSY;
    return status;
}

/* Make the file if it is not there. */
static nx_status make_file(const char *path, nx_error *error)
{
    struct stat info;

    if (mknod(path, S_IFREG | S_IRUSR | S_IWUSR, 0) == 0)
        return NX_OK;
    if (errno == EEXIST) {
        /* Opening a device or a pipe could block or worse. */
        if (stat(path, &info) == 0 && !S_ISREG(info.st_mode))
            return nxi_fail(error, NX_EOPEN, "cannot open database \"%s\": it is %s", path,
                            S_ISDIR(info.st_mode) ? "a directory" : "no regular file");
        return NX_OK;
    }
    return nxi_fail(error, errno == ENOSPC || errno == EDQUOT ? NX_EFULL : NX_EOPEN, "cannot create database \"%s\": %s", path,
                    strerrordesc_np(errno));
}

static nx_status open_file(const nxi_sq_settings *settings, nxi_sq_use use, sqlite3 **ret_db, nx_error *error)
{
    char relative[sizeof("./file:") + 4096];
    const char *path = use == NXI_SQ_SCRATCH ? "" : settings->path;
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
    bool shared = use != NXI_SQ_SCRATCH && !settings->memory;
    nx_status status = NX_OK;
    int code;

    if (strncmp(path, "file:", 5) == 0) {
        if (snprintf(relative, sizeof(relative), "./%s", path) >= (int)sizeof(relative))
            return nxi_fail(error, NX_EOPEN, "cannot open database \"%.200s...\": path too long", path);
        path = relative;
    }
    if (shared && !settings->read_only)
        status = make_file(path, error);
    if (status != NX_OK)
        return status;
    flags |= shared && settings->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    code = sqlite3_open_v2(path, ret_db, flags, NULL);
    if (code != SQLITE_OK)
        return cannot_open(*ret_db, code, path, error);
    /* SQLite opens a file that it may not write for reading, without a word. */
    if (shared && !settings->read_only && sqlite3_db_readonly(*ret_db, "main") == 1)
        return nxi_fail(error, NX_EREADONLY, "cannot open database \"%s\" for writing: the file or file system is read-only",
                        path);
    return NX_OK;
}

/* All at once, so that a ROLLBACK cannot fail later for want of memory. */
static bool prepare_own(nxi_sq_connection *connection)
{
    for (size_t i = 0; i < NXI_SQ_OWN_COUNT; i++) {
        if (sqlite3_prepare_v3(connection->db, own_sql[i], -1, SQLITE_PREPARE_PERSISTENT, &connection->own[i], NULL) != SQLITE_OK)
            return false;
    }
    return true;
}

nx_status nxi_sq_open(nxi_sq_connection *connection, const nxi_sq_settings *settings, nxi_sq_use use, nx_error *error)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT; /* Sync: pthread_once */
    sqlite3 *db = NULL;
    nx_status status;
    int code;

    pthread_once(&once, configure_library);
    status = open_file(settings, use, &db, error);
    if (status == NX_OK) {
        harden(db);
        code = set_pragmas(db, settings, use, nxi_clock_ns() + settings->wait_ns);
        if (code != SQLITE_OK)
            status = cannot_open(db, code, settings->path, error);
    }
    connection->db = db;
    if (status == NX_OK && !prepare_own(connection))
        status = nxi_fail(error, NX_ENOMEM, "no memory to open database \"%s\"", settings->path);
    if (status != NX_OK) {
        nxi_sq_close(connection);
        return status;
    }
    connection->path = settings->path;
    connection->prepared_max = use == NXI_SQ_WRITES || use == NXI_SQ_READS ? settings->statements_max : SIDE_PREPARED_MAX;
    sqlite3_progress_handler(db, PROGRESS_OPERATIONS, on_progress, connection);
    if (use == NXI_SQ_WRITES && !settings->memory)
        (void)sqlite3_wal_hook(db, on_commit, connection);
    return NX_OK;
}

void nxi_sq_close(nxi_sq_connection *connection)
{
    if (connection->db == NULL)
        return;
    nxi_sq_cache_clear(connection);
    for (size_t i = 0; i < NXI_SQ_OWN_COUNT; i++) {
        (void)sqlite3_finalize(connection->own[i]);
        connection->own[i] = NULL;
    }
    /* The last connection to a file checkpoints and removes its log. */
    (void)sqlite3_close_v2(connection->db);
    connection->db = NULL;
}

int nxi_sq_do(nxi_sq_connection *connection, nxi_sq_own own)
{
    (void)sqlite3_step(connection->own[own]);
    return sqlite3_reset(connection->own[own]);
}

void nxi_sq_rollback(nxi_sq_connection *connection)
{
    if (nxi_sq_in_transaction(connection))
        (void)nxi_sq_do(connection, NXI_SQ_ROLLBACK);
}
