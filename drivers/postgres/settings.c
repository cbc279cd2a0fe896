/*
 * settings - see the header.
 *
 * Design notes: libpq knows what environment and service file say, but tells only of a connection that it was given. So it is
 * given one that cannot be (target_session_attrs has a value that there is not): it merges everything, refuses, and goes nowhere.
 *
 * libpq's own messages about a connection string quote pieces of it, and where quotes or spaces are missing such a piece is a
 * password. Nothing of them is passed on but the words before the first quotation mark.
 */
#include "drivers/postgres/settings.h"

#include <arpa/inet.h>
#include <libpq-fe.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

enum {
    TIMEOUT_DEFAULT_MS = 10000,
    TIMEOUT_MAX_S = 3600,
    TIMEOUT_LEAST_MS = 100 /* nobody answers in less */
};

/* What a session needs, by command-line options, so that a SET of the user's comes after it. */
static const char session_options[] = "-c TimeZone=UTC -c DateStyle=ISO -c IntervalStyle=iso_8601 -c extra_float_digits=1 "
                                      "-c bytea_output=hex";
static const char read_only_option[] = "-c default_transaction_read_only=on";

/* ------------------------------------------------------------------------------ keywords */

const char *nxi_pg_settings_get(const nxi_pg_settings *settings, const char *keyword)
{
    for (size_t i = 0; i < settings->count; i++) {
        if (strcmp(settings->keywords[i], keyword) == 0)
            return settings->values[i];
    }
    return NULL;
}

/* "" for what is not set. */
static const char *text_of(const nxi_pg_settings *settings, const char *keyword)
{
    const char *value = nxi_pg_settings_get(settings, keyword);

    return value == NULL ? "" : value;
}

void nxi_pg_settings_set(nxi_pg_settings *settings, const char *keyword, const char *value)
{
    size_t at = 0;

    while (at < settings->count && strcmp(settings->keywords[at], keyword) != 0)
        at++;
    if (at == settings->count) {
        if (settings->count == NXI_PG_KEYWORDS_MAX) {
            settings->failed = true;
            return;
        }
        settings->keywords[at] = nxi_arena_str(&settings->arena, keyword);
        settings->count++;
    }
    settings->values[at] = nxi_arena_str(&settings->arena, value);
    if (settings->keywords[at] == NULL || settings->values[at] == NULL) {
        settings->count = at; /* what follows is forgotten, too; nobody uses failed settings */
        settings->failed = true;
    }
    settings->keywords[settings->count] = settings->values[settings->count] = NULL;
}

/* Unless the user, the environment or the service file says something. */
static void set_default(nxi_pg_settings *settings, const nxi_pg_settings *known, const char *keyword, const char *value)
{
    if (text_of(known, keyword)[0] == '\0')
        nxi_pg_settings_set(settings, keyword, value);
}

static void set_options(nxi_pg_settings *settings, const PQconninfoOption *options)
{
    for (; options != NULL && options->keyword != NULL; options++) {
        if (options->val != NULL)
            nxi_pg_settings_set(settings, options->keyword, options->val);
    }
}

/* ------------------------------------------------------------------------------ the connection string */

/* A URI whose percent sign begins no byte: its 1-based place; 0: none. */
static int bad_percent(const char *dsn)
{
    static const char hex[] = "0123456789abcdefABCDEF";

    for (const char *at = strchr(dsn, '%'); at != NULL; at = strchr(at + 1, '%')) {
        if (at[1] == '\0' || strchr(hex, at[1]) == NULL || at[2] == '\0' || strchr(hex, at[2]) == NULL)
            return (int)(at - dsn) + 1;
    }
    return 0;
}

static bool is_uri(const char *dsn)
{
    return strncmp(dsn, "postgres://", 11) == 0 || strncmp(dsn, "postgresql://", 13) == 0;
}

/* Say what is wrong without a byte of what stands there. */
static nx_status refuse_dsn(const char *dsn, const char *words, nx_error *error)
{
    int place = is_uri(dsn) ? bad_percent(dsn) : 0;
    size_t size = words == NULL ? 0 : strcspn(words, "\"\n");

    while (size > 0 && (words[size - 1] == ' ' || words[size - 1] == ':' || words[size - 1] == '('))
        size--;
    if (place != 0)
        return nxi_fail(error, NX_EINVAL, "dsn cannot be read: no hexadecimal digits after the percent sign at character %d",
                        place);
    if (size > 0 && size < 100)
        return nxi_fail(error, NX_EINVAL, "dsn cannot be read: %.*s (not quoted here, as it may hold a password)", (int)size,
                        words);
    return nxi_fail(error, NX_EINVAL, "dsn cannot be read (not quoted here, as it may hold a password)");
}

static nx_status parse_dsn(const char *dsn, PQconninfoOption **ret_options, nx_error *error)
{
    char *words = NULL;
    nx_status status = NX_OK;

    *ret_options = NULL;
    if (dsn == NULL)
        return NX_OK;
    *ret_options = PQconninfoParse(dsn, &words);
    if (*ret_options == NULL)
        status = words == NULL ? nxi_fail(error, NX_ENOMEM, "no memory for the connection's parameters")
                               : refuse_dsn(dsn, words, error);
    PQfreemem(words);
    return status;
}

nx_status nxi_pg_settings_check(const nx_bind_options *options, nx_error *error)
{
    PQconninfoOption *parsed = NULL;
    nx_status status;

    if (options->path != NULL)
        return nxi_fail(error, NX_EINVAL, "postgres takes no path: host, port, dbname, user, password, or a dsn");
    if (options->readers != 0 || options->group_commit_us != 0 || options->synchronous != NX_SYNCHRONOUS_NORMAL)
        return nxi_fail(error, NX_EINVAL, "readers, synchronous and group_commit_us are for sqlite");
    if (options->pool_max != 0 && options->pool_min > options->pool_max)
        return nxi_fail(error, NX_EINVAL, "pool_min (%u) is more than pool_max (%u)", (unsigned)options->pool_min,
                        (unsigned)options->pool_max);
    if (options->pooler != NX_POOLER_NONE && options->pooler != NX_POOLER_TRANSACTION)
        return nxi_fail(error, NX_EINVAL, "pooler is neither NX_POOLER_NONE nor NX_POOLER_TRANSACTION");
    if (options->pooler == NX_POOLER_TRANSACTION && options->read_only)
        return nxi_fail(error, NX_EUNSUPPORTED,
                        "read_only needs a session of its own, which a pooler in transaction mode does not give");
    if (!PQisthreadsafe())
        return nxi_fail(error, NX_EUNSUPPORTED, "this libpq is not made for programs with threads");
    status = parse_dsn(options->dsn, &parsed, error);
    PQconninfoFree(parsed);
    return status;
}

/* ------------------------------------------------------------------------------ merging */

static nx_status add_dsn(nxi_pg_settings *settings, const nx_bind_options *options, nx_error *error)
{
    PQconninfoOption *parsed = NULL;
    nx_status status = parse_dsn(options->dsn, &parsed, error);

    if (status == NX_OK)
        set_options(settings, parsed);
    PQconninfoFree(parsed);
    return status;
}

/* What is given by a field wins over the same in the dsn. */
static void add_fields(nxi_pg_settings *settings, const nx_bind_options *options)
{
    char port[8];

    if (options->host != NULL) {
        nxi_pg_settings_set(settings, "host", options->host);
        if (nxi_pg_settings_get(settings, "hostaddr") != NULL)
            nxi_pg_settings_set(settings, "hostaddr", ""); /* it was the other host's */
    }
    if (options->port != 0) {
        snprintf(port, sizeof(port), "%u", (unsigned)options->port);
        nxi_pg_settings_set(settings, "port", port);
    }
    if (options->dbname != NULL)
        nxi_pg_settings_set(settings, "dbname", options->dbname);
    if (options->user != NULL)
        nxi_pg_settings_set(settings, "user", options->user);
    if (options->password != NULL)
        nxi_pg_settings_set(settings, "password", options->password);
}

/* What libpq makes of the settings with environment and service file; see the design notes. */
static bool learn(const nxi_pg_settings *settings, nxi_pg_settings *known)
{
    const char *keywords[NXI_PG_KEYWORDS_MAX + 2], *values[NXI_PG_KEYWORDS_MAX + 2];
    PQconninfoOption *all;
    size_t count = 0;
    PGconn *conn;

    for (size_t i = 0; i < settings->count; i++) {
        if (strcmp(settings->keywords[i], "target_session_attrs") == 0)
            continue;
        keywords[count] = settings->keywords[i];
        values[count++] = settings->values[i];
    }
    keywords[count] = "target_session_attrs";
    values[count++] = "nowhere";
    keywords[count] = values[count] = NULL;
    conn = PQconnectStartParams(keywords, values, 0);
    all = conn == NULL ? NULL : PQconninfo(conn);
    set_options(known, all);
    PQconninfoFree(all);
    PQfinish(conn);
    return all != NULL && !known->failed;
}

/* ------------------------------------------------------------------------------ where to */

/* The next piece of a list with commas, copied; *list is then behind it, or NULL at the end. NULL: out of memory. */
static const char *next_of(nxi_arena *arena, const char **list)
{
    const char *start = *list, *comma = strchr(start, ',');

    *list = comma == NULL ? NULL : comma + 1;
    return nxi_arena_text(arena, start, comma == NULL ? strlen(start) : (size_t)(comma - start));
}

static size_t pieces_in(const char *list)
{
    size_t count = 1;

    for (; *list != '\0'; list++)
        count += *list == ',';
    return count;
}

/* host, hostaddr and port as libpq reads them (34.1.1.3): lists of the same length, but one port is for all. */
static nx_status find_targets(nxi_pg_settings *settings, const nxi_pg_settings *known, nx_error *error)
{
    const char *hosts = text_of(known, "host"), *addresses = text_of(known, "hostaddr"), *ports = text_of(known, "port");
    size_t count = addresses[0] != '\0' ? pieces_in(addresses) : pieces_in(hosts), port_count = pieces_in(ports);
    const char *port = "";

    if (addresses[0] != '\0' && hosts[0] != '\0' && pieces_in(hosts) != count)
        return nxi_fail(error, NX_EINVAL, "%zu hosts, and %zu addresses (hostaddr) of them", pieces_in(hosts), count);
    if (port_count != 1 && port_count != count)
        return nxi_fail(error, NX_EINVAL, "%zu ports for %zu hosts", port_count, count);
    if (count > NXI_PG_TARGETS_MAX)
        return nxi_fail(error, NX_ELIMIT, "%zu hosts; the most is %d", count, (int)NXI_PG_TARGETS_MAX);
    for (size_t i = 0; i < count; i++) {
        nxi_pg_target_host *target = &settings->targets[i];
        target->host = hosts[0] == '\0' ? "" : next_of(&settings->arena, &hosts);
        target->address = addresses[0] == '\0' ? "" : next_of(&settings->arena, &addresses);
        if (i == 0 || port_count > 1)
            port = next_of(&settings->arena, &ports);
        target->port = port;
        if (target->host == NULL || target->address == NULL || port == NULL)
            return nxi_fail(error, NX_ENOMEM, "no memory for the connection's parameters");
        hosts = hosts == NULL ? "" : hosts;
        addresses = addresses == NULL ? "" : addresses;
        ports = ports == NULL ? "" : ports;
    }
    settings->target_count = count;
    return NX_OK;
}

static bool is_socket(const nxi_pg_target_host *target)
{
    return target->address[0] == '\0' && (target->host[0] == '\0' || target->host[0] == '/' || target->host[0] == '@');
}

static bool is_loopback(const char *text)
{
    struct in6_addr six;
    struct in_addr four;

    if (inet_pton(AF_INET, text, &four) == 1)
        return (ntohl(four.s_addr) >> 24) == 127;
    return inet_pton(AF_INET6, text, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

/* Nobody on the way can listen or answer in its place. A name is what its owner says, but localhost is always here (RFC
 * 6761, 6.3). */
static bool is_local(const nxi_pg_target_host *target)
{
    if (target->address[0] != '\0')
        return is_loopback(target->address);
    return is_socket(target) || strcasecmp(target->host, "localhost") == 0 || is_loopback(target->host);
}

/* ------------------------------------------------------------------------------ TLS */

/* The system's list of authorities, as the distributions keep it; NULL: none is there. */
static const char *system_roots(void)
{
    static const char *const places[] = { "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
                                          "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem" };
    const char *wanted = getenv("SSL_CERT_FILE");

    if (wanted != NULL && wanted[0] != '\0')
        return wanted;
    for (size_t i = 0; i < NXI_COUNT(places); i++) {
        if (access(places[i], R_OK) == 0)
            return places[i];
    }
    return NULL;
}

/* libpq's own place for the authorities that its user trusts. */
static bool has_own_roots(void)
{
    char path[4096];
    const char *home = getenv("HOME");
    int size = home == NULL ? 0 : snprintf(path, sizeof(path), "%s/.postgresql/root.crt", home);

    return size > 0 && (size_t)size < sizeof(path) && access(path, R_OK) == 0;
}

/*
 * libpq's default, prefer, encrypts for whoever answers. Where somebody else could, the default here is that the server proves
 * its name; any sslmode that somebody wrote down is taken as it is. One that a service file names as prefer counts as the
 * default.
 */
static nx_status decide_tls(nxi_pg_settings *settings, const nxi_pg_settings *known, bool is_explicit, nx_error *error)
{
    const char *mode = text_of(known, "sslmode"), *roots = text_of(known, "sslrootcert");
    bool remote = false;

    for (size_t i = 0; i < settings->target_count; i++)
        remote = remote || !is_local(&settings->targets[i]);
    if (remote && !is_explicit && getenv("PGSSLMODE") == NULL && getenv("PGREQUIRESSL") == NULL && strcmp(mode, "prefer") == 0) {
        mode = "verify-full";
        nxi_pg_settings_set(settings, "sslmode", mode);
    }
    if (strcmp(mode, "verify-full") != 0 || roots[0] != '\0' || has_own_roots())
        return NX_OK;
    roots = system_roots();
    if (roots == NULL)
        return nxi_fail(
            error, NX_ECONNECT,
            "the server's certificate cannot be verified: no list of authorities is found; sslrootcert in dsn names one");
    nxi_pg_settings_set(settings, "sslrootcert", roots);
    return NX_OK;
}

/* ------------------------------------------------------------------------------ the rest */

static void decide_options(nxi_pg_settings *settings, const nxi_pg_settings *known, const nx_bind_options *options)
{
    const char *theirs = text_of(known, "options");
    nxi_buf text;

    nxi_buf_init(&text, settings->arena.memory);
    if (options->pooler == NX_POOLER_TRANSACTION)
        return; /* it knows no options; link.c does it otherwise */
    nxi_buf_puts(&text, session_options);
    if (theirs[0] != '\0') /* what comes later wins */
        nxi_buf_printf(&text, " %s", theirs);
    if (options->read_only)
        nxi_buf_printf(&text, " %s", read_only_option);
    if (nxi_buf_str(&text) == NULL)
        settings->failed = true;
    else
        nxi_pg_settings_set(settings, "options", nxi_buf_str(&text));
    nxi_buf_fini(&text);
}

/* A decimal number of seconds, as libpq takes it; 0: none, or nonsense that libpq itself refuses. */
static int64_t seconds_of(const char *text)
{
    int64_t seconds = 0;

    if (text[0] == '\0')
        return 0;
    for (; *text >= '0' && *text <= '9'; text++)
        seconds = seconds < TIMEOUT_MAX_S ? seconds * 10 + (*text - '0') : TIMEOUT_MAX_S;
    return *text != '\0' ? 0 : seconds < TIMEOUT_MAX_S ? seconds : TIMEOUT_MAX_S;
}

/*
 * For each address. Waiting for ever, which 0 means to libpq, would be a hang that nobody can end: it is the default here.
 * tcp_user_timeout concerns the attempt, and the connection that a cancel request goes by; link.c gives the open connection its
 * own.
 */
static void decide_times(nxi_pg_settings *settings, const nxi_pg_settings *known, const nx_bind_options *options)
{
    int64_t ms = seconds_of(text_of(known, "connect_timeout")) * 1000;
    char text[24];

    if (ms == 0) {
        ms = TIMEOUT_DEFAULT_MS;
        if (options->deadline_ms != 0 && options->deadline_ms < ms)
            ms = options->deadline_ms > TIMEOUT_LEAST_MS ? options->deadline_ms : TIMEOUT_LEAST_MS;
    }
    settings->timeout_ns = ms * 1000000;
    snprintf(text, sizeof(text), "%lld", (long long)ms);
    settings->has_own_user_timeout = text_of(known, "tcp_user_timeout")[0] != '\0';
    set_default(settings, known, "tcp_user_timeout", text);
    set_default(settings, known, "keepalives_idle", "30");
    set_default(settings, known, "keepalives_interval", "10");
    set_default(settings, known, "keepalives_count", "3");
}

static nx_status decide(nxi_pg_settings *settings, const nxi_pg_settings *known, const nx_bind_options *options, nx_error *error)
{
    bool tls_is_explicit = nxi_pg_settings_get(settings, "sslmode") != NULL;
    nx_status status = find_targets(settings, known, error);

    if (status == NX_OK && strcmp(text_of(known, "gssencmode"), "require") == 0)
        status = nxi_fail(error, NX_EUNSUPPORTED, "encryption by GSSAPI (gssencmode=require) is not supported; TLS is");
    if (status == NX_OK)
        status = decide_tls(settings, known, tls_is_explicit, error);
    if (status != NX_OK)
        return status;
    settings->user = nxi_arena_str(&settings->arena, text_of(known, "user"));
    settings->dbname = nxi_arena_str(&settings->arena, text_of(known, "dbname"));
    decide_options(settings, known, options);
    decide_times(settings, known, options);
    set_default(settings, known, "fallback_application_name", "nextorm");
    nxi_pg_settings_set(settings, "gssencmode", "disable");
    nxi_pg_settings_set(settings, "client_encoding", "UTF8");
    if (settings->failed || settings->user == NULL || settings->dbname == NULL)
        return nxi_fail(error, NX_ENOMEM, "no memory for the connection's parameters");
    return NX_OK;
}

nx_status nxi_pg_settings_make(nxi_pg_settings *settings, const nx_bind_options *options, nxi_memory *memory, nx_error *error)
{
    nxi_pg_settings known = { .count = 0 };
    nx_status status;

    *settings = (nxi_pg_settings){ .user = "", .dbname = "" };
    nxi_arena_init(&settings->arena, memory);
    nxi_arena_init(&known.arena, memory);
    status = add_dsn(settings, options, error);
    if (status == NX_OK) {
        add_fields(settings, options);
        if (settings->failed || !learn(settings, &known))
            status = nxi_fail(error, NX_ENOMEM, "no memory for the connection's parameters");
    }
    if (status == NX_OK)
        status = decide(settings, &known, options, error);
    nxi_pg_settings_fini(&known);
    return status;
}

void nxi_pg_settings_fini(nxi_pg_settings *settings)
{
    nxi_arena_fini(&settings->arena);
    settings->count = settings->target_count = 0;
}

/* ------------------------------------------------------------------------------ addresses */

/* One more of `into` for each address of the name. False: out of memory. */
static bool add_addresses(nxi_pg_settings *settings, const nxi_pg_target_host *target, const struct addrinfo *found,
                          nxi_pg_target_host *into, size_t *count)
{
    char text[NI_MAXHOST];

    for (; found != NULL && *count < NXI_PG_TARGETS_MAX; found = found->ai_next) {
        if (getnameinfo(found->ai_addr, found->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST) != 0)
            continue;
        into[*count] = *target;
        into[*count].address = nxi_arena_str(&settings->arena, text);
        if (into[(*count)++].address == NULL)
            return false;
    }
    return true;
}

nx_status nxi_pg_settings_resolve(nxi_pg_settings *settings, nx_error *error)
{
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    nxi_pg_target_host targets[NXI_PG_TARGETS_MAX];
    const char *unknown = NULL;
    size_t count = 0;
    int why = 0;

    for (size_t i = 0; i < settings->target_count && count < NXI_PG_TARGETS_MAX; i++) {
        const nxi_pg_target_host *target = &settings->targets[i];
        struct addrinfo *found = NULL;
        bool enough_memory = true;
        int result;

        if (is_socket(target) || target->address[0] != '\0') {
            targets[count++] = *target;
            continue;
        }
        result = getaddrinfo(target->host, NULL, &hints, &found);
        if (result == 0) {
            enough_memory = add_addresses(settings, target, found, targets, &count);
            freeaddrinfo(found);
        } else {
            unknown = target->host;
            why = result;
        }
        if (!enough_memory || result == EAI_MEMORY)
            return nxi_fail(error, NX_ENOMEM, "no memory for the addresses of \"%s\"", target->host);
    }
    if (count == 0)
        return nxi_fail(error, NX_ECONNECT, "no address of host \"%s\" is known: %s", unknown == NULL ? "" : unknown,
                        why == 0 ? "it has none" : gai_strerror(why));
    memcpy(settings->targets, targets, count * sizeof(targets[0]));
    settings->target_count = count;
    return NX_OK;
}

bool nxi_pg_settings_aim(nxi_pg_settings *settings)
{
    nxi_buf hosts, addresses, ports;
    size_t count = 0;

    nxi_buf_init(&hosts, settings->arena.memory);
    nxi_buf_init(&addresses, settings->arena.memory);
    nxi_buf_init(&ports, settings->arena.memory);
    for (size_t i = 0; i < settings->target_count; i++) {
        const nxi_pg_target_host *target = &settings->targets[i];
        const char *comma = count == 0 ? "" : ",";
        if (target->tried)
            continue;
        nxi_buf_printf(&hosts, "%s%s", comma, target->host);
        nxi_buf_printf(&addresses, "%s%s", comma, target->address);
        nxi_buf_printf(&ports, "%s%s", comma, target->port);
        count++;
    }
    if (nxi_buf_str(&hosts) == NULL || nxi_buf_str(&addresses) == NULL || nxi_buf_str(&ports) == NULL) {
        settings->failed = true;
    } else {
        nxi_pg_settings_set(settings, "host", nxi_buf_str(&hosts));
        nxi_pg_settings_set(settings, "hostaddr", nxi_buf_str(&addresses));
        nxi_pg_settings_set(settings, "port", nxi_buf_str(&ports));
    }
    nxi_buf_fini(&hosts);
    nxi_buf_fini(&addresses);
    nxi_buf_fini(&ports);
    return count > 0 && !settings->failed;
}
