/*
 * postgres_isolation - what a session sees of others, and a function that runs again when two of them were in each other's way.
 */
#include "server.h"

#define ACCOUNT(FIELD, E)                                                                                                        \
    FIELD(E, PK, text, name)                                                                                                     \
    FIELD(E, REQ, i64, cents)
NX_ENTITY(Account, ACCOUNT)

static int64_t sum(nx_loop *loop, nx_session *s)
{
    return must(loop, nx_sum(nx_select(s, Account), Account_.cents, NULL)).value.i64;
}

static void give(nx_loop *loop, nx_db *db, const char *name, int64_t cents)
{
    must(loop, nx_execute(db, "UPDATE account SET cents = cents + ? WHERE name = ?", nx_args(cents, name), NULL));
}

/* One snapshot for all that the session reads; a session without options reads what is committed at each statement. */
static void look(nx_loop *loop, nx_db *db)
{
    nx_session *frozen =
        nx_session_begin(loop, &(nx_session_options){ .isolation = NX_ISOLATION_REPEATABLE_READ, .read_only = true });
    nx_session *fresh = nx_session_begin(loop, &(nx_session_options){ .isolation = NX_ISOLATION_READ_COMMITTED });
    check(sum(loop, frozen) == 200 && sum(loop, fresh) == 200, "both begin alike");
    give(loop, db, "ada", 50);
    check(sum(loop, frozen) == 200, "as it was");
    check(sum(loop, fresh) == 250, "as it is");
    nx_session_free(frozen);
    nx_session_free(fresh);
    give(loop, db, "ada", -50);
}

typedef struct transfer {
    nx_loop *loop;
    nx_db *db;
    int calls;
} transfer;

/* Take 150 from ada if the two have enough together. The first time somebody else changes bob in between. */
static nx_status take(nx_session *s, void *context)
{
    transfer *about = context;
    nx_completion all = nx_await(about->loop, nx_fetch_all(nx_order_by(nx_select(s, Account), nx_asc(Account_.name)), NULL));
    if (all.status != NX_OK)
        return all.status;
    Account *ada = all.rows[0];
    const Account *bob = all.rows[1];
    bool enough = ada->cents + bob->cents >= 150;
    nx_seen(about->loop, &all);
    if (++about->calls == 1) {
        nx_session *other = nx_session_begin(about->loop, &(nx_session_options){ .isolation = NX_ISOLATION_SERIALIZABLE });
        check(sum(about->loop, other) == 200, "it looks at both, too");
        must(about->loop, nx_session_execute(other, about->db, "UPDATE account SET cents = cents - ? WHERE name = ?",
                                             nx_args(40, "bob"), NULL));
        must(about->loop, nx_session_end(other, NULL));
        nx_session_free(other);
    }
    if (enough)
        ada->cents -= 150;
    return NX_OK;
}

int main(void)
{
    nx_loop *loop = open_loop();
    nx_db *db = nx_db_new(loop, NX_ENTITIES(Account));
    bind_server(loop, db, "example_isolation", &(nx_bind_options){ .pool_max = 4 });
    must(loop, nx_generate_mapping(db, NX_CREATE_TABLES, NULL));
    nx_session *s;
    nx_with_session (s, loop) {
        Account *ada = nx_new(s, Account), *bob = nx_new(s, Account);
        ada->name = nx_str("ada");
        bob->name = nx_str("bob");
        ada->cents = bob->cents = 100;
    }
    check(nx_session_error(s)->status == NX_OK, "two accounts");
    nx_session_free(s);
    look(loop, db);

    transfer about = { .loop = loop, .db = db };
    nx_error error;
    nx_session_options serializable = { .isolation = NX_ISOLATION_SERIALIZABLE, .retry = 3 };
    nx_status status = nx_run_in_session(loop, &serializable, take, &about, &error);
    check(status == NX_OK && about.calls == 2, "the second attempt saw what the other one had done");
    nx_completion c = must(loop, nx_sum(nx_select(db, Account), Account_.cents, NULL));
    check(c.value.i64 == 200 - 40 - 150, "both have happened, one after the other");

    drop_schema(loop, db, "example_isolation");
    nx_db_free(db);
    nx_loop_close(loop);
    return 0;
}
