/*
 * settings - with which parameters libpq is to connect, and where to.
 *
 * Facts: PostgreSQL 15 documentation, 34.1.2 "Parameter Key Words", 34.15 "Environment Variables", 34.17 "The Connection Service
 * File". Ownership: everything lives in the settings' arena.
 */
#ifndef NXI_PG_SETTINGS_H
#define NXI_PG_SETTINGS_H

#include "drivers/driver.h"

enum { NXI_PG_KEYWORDS_MAX = 96, NXI_PG_TARGETS_MAX = 64 };

/* One address to try: what libpq calls a host. Never NULL, maybe empty. */
typedef struct nxi_pg_target_host {
    const char *host, *address, *port;
    bool tried; /* it did not answer in time */
} nxi_pg_target_host;

typedef struct nxi_pg_settings {
    nxi_arena arena;
    const char *keywords[NXI_PG_KEYWORDS_MAX + 1]; /* ended by NULL, as PQconnectStartParams takes them */
    const char *values[NXI_PG_KEYWORDS_MAX + 1];
    size_t count;
    nxi_pg_target_host targets[NXI_PG_TARGETS_MAX];
    size_t target_count;
    int64_t timeout_ns;        /* for each target */
    bool has_own_user_timeout; /* tcp_user_timeout was given: it stays */
    const char *user, *dbname; /* for messages; maybe empty */
    bool failed;               /* out of memory, or too many keywords: sticky */
} nxi_pg_settings;

/* Whether the options make sense; reads no file and asks no server. */
NX_MUST_CHECK nx_status nxi_pg_settings_check(const nx_bind_options *options, nx_error *error);
/*
 * Everything but the targets' addresses: dsn, then the fields, then environment and service file, then what the engine needs.
 * NX_EINVAL, NX_EUNSUPPORTED, NX_ECONNECT (no certificates to verify against), NX_ENOMEM. fini accepts a failed one.
 */
NX_MUST_CHECK nx_status nxi_pg_settings_make(nxi_pg_settings *settings, const nx_bind_options *options, nxi_memory *memory,
                                             nx_error *error);
/*
 * Blocking: look up the names, so that each target is one address, and a silent one costs its own time only. A name without an
 * address is left out; NX_ECONNECT: none is left.
 */
NX_MUST_CHECK nx_status nxi_pg_settings_resolve(nxi_pg_settings *settings, nx_error *error);
/* Write the targets that were not tried into host, hostaddr and port. False: none is left, or no memory (failed). */
NX_MUST_CHECK bool nxi_pg_settings_aim(nxi_pg_settings *settings);
/* NULL: not set. */
const char *nxi_pg_settings_get(const nxi_pg_settings *settings, const char *keyword);
void nxi_pg_settings_set(nxi_pg_settings *settings, const char *keyword, const char *value);
void nxi_pg_settings_fini(nxi_pg_settings *settings);

#endif
