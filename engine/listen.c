/*
 * listen - notifications: channels, who listens to them, and the requests that begin and end that.
 *
 * A channel is LISTENed to for its first listener and UNLISTENed after its last; its request is its own, so that listeners
 * may come and go while it is under way. What is wanted is compared with what is, whenever a request of it is done:
 *
 *   OFF --somebody listens--> BEGINNING --answered--> ON --nobody listens--> ENDING --answered--> OFF
 *
 * A notification may come in the same bytes as the answer to LISTEN, before its `done` is called: the first one tells that
 * listening has begun as well.
 */
#include "engine/db.h"

enum { UNSEEN_MAX = 1024 };

typedef enum stage { OFF, BEGINNING, ON, ENDING } stage;
typedef struct nxi_channel nxi_channel;

typedef struct listener {
    struct listener *next; /* of the channel, in order of arrival */
    nxi_channel *channel;
    nxi_op *op;
    bool begun; /* has been told */
} listener;

struct nxi_channel {
    nxi_channel *next;
    nx_db *db;
    stage stage;
    listener *listeners;
    nx_text name;
    nxi_arena arena;     /* of the request's error */
    nxi_request request; /* BEGINNING, ENDING: in flight */
    nxi_step step;
    nxi_statement statement;
    char text[]; /* the name, zero-terminated */
};

static void advance(nxi_channel *channel);

/* ------------------------------------------------------------------------------ channels */

static nxi_channel *find_channel(const nx_db *db, nx_text name)
{
    nxi_channel *channel = db->channels;

    while (channel != NULL && (channel->name.size != name.size || memcmp(channel->name.data, name.data, name.size) != 0))
        channel = channel->next;
    return channel;
}

static nxi_channel *new_channel(nx_db *db, nx_text name)
{
    nxi_channel *channel = nxi_zalloc(db->loop->memory, sizeof(*channel) + name.size + 1);

    if (channel == NULL)
        return NULL;
    memcpy(channel->text, name.data, name.size);
    channel->name = nx_strn(channel->text, name.size);
    channel->db = db;
    nxi_arena_init(&channel->arena, db->loop->memory);
    channel->next = db->channels;
    db->channels = channel;
    return channel;
}

static void free_channel(nxi_channel *channel)
{
    nx_db *db = channel->db;
    nxi_channel **link = &db->channels;

    while (*link != channel)
        link = &(*link)->next;
    *link = channel->next;
    nxi_arena_fini(&channel->arena);
    nxi_release(db->loop->memory, channel);
}

static void remove_listener(listener *gone)
{
    listener **link = &gone->channel->listeners;

    while (*link != gone)
        link = &(*link)->next;
    *link = gone->next;
    gone->op->stop = NULL;
    gone->op->context = NULL;
}

/* All of them, or those only that had begun to listen. */
static void end_listeners(nxi_channel *channel, const nx_error *error, bool begun_only)
{
    for (listener *at = channel->listeners, *next; at != NULL; at = next) {
        next = at->next;
        if (begun_only && !at->begun)
            continue;
        remove_listener(at);
        nxi_op_fail(at->op, error->status, error);
    }
}

/* ------------------------------------------------------------------------------ completions */

static uint32_t unseen_max(const nx_db *db)
{
    uint32_t max = nxi_pool_options(db->pool)->notifications_max;

    return max == 0 ? (uint32_t)UNSEEN_MAX : max;
}

/* False: the listener has ended. */
static bool emit(listener *to, const nx_text *payload)
{
    nxi_op *op = to->op;
    uint32_t max = unseen_max(op->db);
    nx_completion values = { .value = nx_null() };
    nxi_arena arena;
    bool done = true;

    if (op->emitted >= max) {
        remove_listener(to);
        nxi_op_failf(op, NX_ELIMIT, "%u notifications were not seen (notifications_max): further ones are lost", max);
        return false;
    }
    nxi_arena_init(&arena, op->loop->memory);
    if (payload != NULL) {
        const char *copy = nxi_arena_text(&arena, payload->data, payload->size);
        done = copy != NULL;
        if (done)
            values.value = nx_value_text(nx_strn(copy, payload->size));
    }
    done = done && nxi_op_emit(op, &values, &arena);
    nxi_arena_fini(&arena);
    if (!done) {
        remove_listener(to);
        nxi_op_failf(op, NX_ENOMEM, "no memory for a notification: it is lost");
    }
    return done;
}

/* False: it has ended instead. */
static bool tell_begun(listener *to)
{
    to->begun = true;
    return emit(to, NULL);
}

static void notified(void *context, nx_text name, nx_text payload)
{
    nx_db *db = context;
    nxi_channel *channel = find_channel(db, name);

    /* Of one that is ending, or that somebody began to listen to by raw SQL. */
    if (channel == NULL || (channel->stage != ON && channel->stage != BEGINNING))
        return;
    for (listener *at = channel->listeners, *next; at != NULL; at = next) {
        next = at->next;
        if (at->begun || tell_begun(at))
            (void)emit(at, &payload);
    }
    advance(channel);
}

static void lost(void *context, const nx_error *error)
{
    nx_db *db = context;

    for (nxi_channel *channel = db->channels, *next; channel != NULL; channel = next) {
        next = channel->next;
        if (channel->stage != ON)
            continue; /* its request is answered, too */
        channel->stage = OFF;
        end_listeners(channel, error, true);
        advance(channel);
    }
}

/* ------------------------------------------------------------------------------ requests */

static void request_done(nxi_request *request)
{
    nxi_channel *channel = NXI_CONTAINER(request, nxi_channel, request);
    bool began = channel->stage == BEGINNING;

    channel->db->calls--;
    channel->stage = began && request->status == NX_OK ? ON : OFF;
    if (began && request->status != NX_OK) {
        end_listeners(channel, request->error, false);
    } else if (began) {
        for (listener *at = channel->listeners, *next; at != NULL; at = next) {
            next = at->next;
            if (!at->begun)
                (void)tell_begun(at);
        }
    }
    advance(channel);
}

static const char *make_sql(nxi_channel *channel, const char *verb)
{
    const char *sql = NULL;
    nxi_buf text;

    nxi_buf_init(&text, channel->db->loop->memory);
    nxi_buf_puts(&text, verb);
    nxi_quote(channel->db->driver->dialect, channel->text, &text);
    if (nxi_buf_str(&text) != NULL)
        sql = nxi_arena_text(&channel->arena, text.data, text.size);
    nxi_buf_fini(&text);
    return sql;
}

static void send_request(nxi_channel *channel, stage next, const char *verb)
{
    nx_db *db = channel->db;
    nxi_pool_listener callbacks = { .notified = notified, .lost = lost, .context = db };
    static const nx_error no_memory = { .status = NX_ENOMEM, .row = -1, .message = "no memory to listen" };

    nxi_arena_reset(&channel->arena);
    const char *sql = make_sql(channel, verb);
    if (sql == NULL) {
        end_listeners(channel, &no_memory, false);
        return;
    }
    channel->statement = (nxi_statement){ .writes = true, .sql = sql, .sql_size = strlen(sql) };
    channel->step = (nxi_step){ .kind = NXI_STEP_SCRIPT, .statement = &channel->statement };
    channel->request = (nxi_request){ .steps = &channel->step,
                                      .step_count = 1,
                                      .writes = true,
                                      .listens = true,
                                      .arena = &channel->arena,
                                      .queued_ns = nxi_core_now(db->loop->core),
                                      .done = request_done };
    channel->stage = next;
    nxi_trace_sql(&db->trace, &channel->statement, NULL, 0);
    db->calls++;
    nxi_pool_listen(db->pool, &callbacks);
    nxi_pool_submit(db->pool, &channel->request);
}

/* Is it the only one? Then the end of the connection is simpler than that of the channel. */
static bool is_last_channel(const nxi_channel *channel)
{
    return channel->db->channels == channel && channel->next == NULL;
}

/* Bring what is closer to what is wanted; may free the channel. */
static void advance(nxi_channel *channel)
{
    nx_db *db = channel->db;
    bool is_usable = db->state == NXI_DB_BOUND && !db->freeing;

    if (channel->stage == BEGINNING || channel->stage == ENDING)
        return;
    if (channel->listeners != NULL) {
        if (channel->stage == OFF)
            send_request(channel, BEGINNING, "LISTEN ");
        if (channel->listeners != NULL)
            return;
    }
    if (is_usable && channel->stage == ON && !is_last_channel(channel)) {
        send_request(channel, ENDING, "UNLISTEN ");
        return;
    }
    if (is_usable && is_last_channel(channel))
        nxi_pool_unlisten(db->pool);
    free_channel(channel);
}

/* ------------------------------------------------------------------------------ from above */

static void listen_stop(nxi_op *op, nx_status why)
{
    listener *gone = op->context;
    nxi_channel *channel = gone->channel;

    remove_listener(gone);
    nxi_op_failf(op, why, "%s", why == NX_EDEADLINE ? "listening has ended: the deadline passed" : "listening was cancelled");
    advance(channel);
}

static nx_status check(const nx_db *db, const char *channel, bool listens, nx_error *error)
{
    nx_status status = nxi_db_check(db, false, error);

    if (status != NX_OK)
        return status;
    if (db->driver->wire == NULL || !db->driver->wire->notifies)
        return nxi_fail(error, NX_EUNSUPPORTED, "%s has no notifications", db->driver->name);
    if (listens && nxi_pool_options(db->pool)->pooler == NX_POOLER_TRANSACTION)
        return nxi_fail(error, NX_EUNSUPPORTED, "behind a pooler in transaction mode nothing can listen: connect to the server");
    if (channel == NULL || !nxi_identifier_is_valid(db->driver->dialect, channel))
        return nxi_fail(error, NX_EINVAL, "\"%.100s\" is no name of a channel: at most %zu bytes of UTF-8, not empty",
                        channel == NULL ? "" : channel, db->driver->dialect->identifier_bytes_max);
    return NX_OK;
}

void nxi_db_listen(nx_db *db, nxi_op *op, const char *name)
{
    nx_error error;

    if (check(db, name, true, &error) != NX_OK) {
        nxi_op_fail(op, error.status, &error);
        return;
    }
    nxi_channel *channel = find_channel(db, nx_str(name));
    listener *fresh = NXI_ARENA_NEW(&op->arena, listener);
    if (fresh != NULL && channel == NULL)
        channel = new_channel(db, nx_str(name));
    if (fresh == NULL || channel == NULL) {
        nxi_op_fail(op, NX_ENOMEM, NULL);
        return;
    }
    *fresh = (listener){ .channel = channel, .op = op };
    listener **link = &channel->listeners;
    while (*link != NULL)
        link = &(*link)->next;
    *link = fresh;
    op->context = fresh;
    op->stop = listen_stop;
    if (channel->stage == ON)
        (void)tell_begun(fresh);
    advance(channel);
}

void nxi_db_notify(nx_db *db, nxi_op *op, const char *channel, const char *payload)
{
    nx_value values[2] = { nx_value_text(nx_str(channel)), nx_value_text(nx_str(payload == NULL ? "" : payload)) };
    nx_error error;

    if (check(db, channel, false, &error) != NX_OK) {
        nxi_op_fail(op, error.status, &error);
        return;
    }
    nxi_db_raw(db, op, &(nxi_raw){ "SELECT pg_notify(?, ?)", values, NXI_COUNT(values) }, false);
}

void nxi_db_end_listening(nx_db *db)
{
    nx_error error;

    (void)nxi_fail(&error, NX_ECLOSED, "the database was closed");
    for (nxi_channel *channel = db->channels, *next; channel != NULL; channel = next) {
        next = channel->next;
        end_listeners(channel, &error, false);
        if (channel->stage == BEGINNING || channel->stage == ENDING)
            nxi_pool_stop(db->pool, &channel->request, NX_ECANCELED); /* nobody waits for it, perhaps not even a server */
        advance(channel);
    }
}
