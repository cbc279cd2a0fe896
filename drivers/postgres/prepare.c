/*
 * prepare - the prepared statements of a connection.
 *
 * A statement is known to the server under a name made of its content (text and parameter types), because behind a pooler two
 * clients may meet on one server connection: the same name then means the same statement. Parse and Describe ride in front of the
 * first Bind. What was used least is closed when there are too many. With a pooler in transaction mode nothing keeps a name:
 * every use is parsed, as the unnamed statement.
 */
#include "drivers/postgres/postgres.h"

#include <stdio.h>

/* ------------------------------------------------------------------------------ the list by use */

static void unlink_use(nxi_pg *pg, nxi_pg_prepared *p)
{
    if (p->previous != NULL)
        p->previous->next = p->next;
    else
        pg->latest = p->next;
    if (p->next != NULL)
        p->next->previous = p->previous;
    else
        pg->oldest = p->previous;
}

static void link_latest(nxi_pg *pg, nxi_pg_prepared *p)
{
    p->previous = NULL;
    p->next = pg->latest;
    if (pg->latest != NULL)
        pg->latest->previous = p;
    else
        pg->oldest = p;
    pg->latest = p;
}

static void free_prepared(nxi_pg *pg, nxi_pg_prepared *p)
{
    nxi_release(pg->memory, p->params);
    nxi_release(pg->memory, p->types);
    nxi_arena_fini(&p->arena);
    nxi_release(pg->memory, p);
}

void nxi_pg_prepared_init(nxi_pg *pg)
{
    nxi_map_init(&pg->prepared, pg->memory);
}

void nxi_pg_prepared_fini(nxi_pg *pg)
{
    for (nxi_pg_prepared *p = pg->latest, *next; p != NULL; p = next) {
        next = p->next;
        free_prepared(pg, p);
    }
    for (nxi_pg_prepared *p = pg->unkept, *next; p != NULL; p = next) {
        next = p->next;
        free_prepared(pg, p);
    }
    pg->latest = pg->oldest = pg->unkept = NULL;
    nxi_map_fini(&pg->prepared);
}

/* ------------------------------------------------------------------------------ finding and making */

typedef struct wanted {
    uint64_t key;
    const nxi_pg_oid *types;
    size_t count;
    bool asks; /* raw SQL */
} wanted;

/* The first of those alike stands in the map. */
static bool has_key(const void *item, const void *key)
{
    return ((const nxi_pg_prepared *)item)->key == ((const wanted *)key)->key;
}

static bool fits(const nxi_pg_prepared *p, const wanted *w)
{
    if (p->param_count != w->count)
        return false;
    for (size_t i = 0; i < w->count; i++) {
        if (w->types[i] != p->params[i] && w->types[i] != NXI_PG_INFER)
            return false;
    }
    return true;
}

static nxi_pg_prepared *find(const nxi_pg *pg, const wanted *w)
{
    nxi_pg_prepared *p = nxi_map_find(&pg->prepared, nxi_hash_u64(w->key), has_key, w);

    while (p != NULL && !fits(p, w))
        p = p->next_alike;
    return p;
}

static bool is_taken(const nxi_pg *pg, const nxi_pg_prepared *by)
{
    for (const nxi_pg_prepared *p = pg->latest; p != NULL; p = p->next) {
        if (p != by && strcmp(p->name, by->name) == 0)
            return true;
    }
    return false;
}

/* Two statements that are not alike to the engine may have one text: the second one gets a name of its own. */
static void make_name(const nxi_pg *pg, nxi_pg_prepared *p, const char *sql)
{
    uint64_t types = nxi_hash_bytes(p->types, p->param_count * sizeof(nxi_pg_oid), p->param_count);

    do {
        (void)snprintf(p->name, sizeof(p->name), "nx_%016llx%016llx",
                       (unsigned long long)nxi_hash_bytes(sql, strlen(sql), types ^ UINT64_C(0x9e3779b97f4a7c15)),
                       (unsigned long long)nxi_hash_bytes(sql, strlen(sql), types ^ UINT64_C(0xc2b2ae3d27d4eb4f)));
        types++;
    } while (is_taken(pg, p));
}

static nxi_pg_prepared *make(nxi_pg *pg, const wanted *w)
{
    nxi_pg_prepared *p = nxi_zalloc(pg->memory, sizeof(*p));

    if (p == NULL)
        return NULL;
    nxi_arena_init(&p->arena, pg->memory);
    p->key = w->key;
    p->param_count = w->count;
    p->params = nxi_zalloc(pg->memory, nxi_max_size(w->count, 1) * sizeof(*p->params));
    p->types = nxi_zalloc(pg->memory, nxi_max_size(w->count, 1) * sizeof(*p->types));
    if (p->params == NULL || p->types == NULL) {
        free_prepared(pg, p);
        return NULL;
    }
    for (size_t i = 0; i < w->count; i++) {
        p->params[i] = w->types[i];
        /* Raw SQL: bytes and arrays are what they are, the rest is the server's choice. */
        bool is_fixed = w->types[i] == NXI_PG_BYTEA || nxi_pg_element_of(w->types[i]) != 0;
        p->types[i] = w->asks && !is_fixed ? NXI_PG_INFER : w->types[i];
    }
    p->is_asking = w->asks;
    return p;
}

static void take_out(nxi_pg *pg, nxi_pg_prepared *p)
{
    wanted w = { .key = p->key };
    nxi_pg_prepared *first = nxi_map_find(&pg->prepared, nxi_hash_u64(p->key), has_key, &w);

    unlink_use(pg, p);
    pg->prepared_count--;
    if (first != p) {
        while (first->next_alike != p)
            first = first->next_alike;
        first->next_alike = p->next_alike;
        return;
    }
    nxi_map_remove(&pg->prepared, nxi_hash_u64(p->key), p);
    if (p->next_alike != NULL) {
        bool added = nxi_map_add(&pg->prepared, nxi_hash_u64(p->key), p->next_alike);
        NX_ASSERT(added); /* its own place has become free just now */
    }
}

static bool enter(nxi_pg *pg, nxi_pg_prepared *p)
{
    wanted w = { .key = p->key };
    nxi_pg_prepared *first = nxi_map_find(&pg->prepared, nxi_hash_u64(p->key), has_key, &w);

    if (first != NULL) {
        p->next_alike = first->next_alike;
        first->next_alike = p;
    } else if (!nxi_map_add(&pg->prepared, nxi_hash_u64(p->key), p)) {
        return false;
    }
    link_latest(pg, p);
    pg->prepared_count++;
    p->is_kept = true;
    return true;
}

/* Close what was used least, unless it is in use: then there is one more for a while. */
static bool make_room(nxi_pg *pg, nxi_buf *out)
{
    nxi_pg_prepared *p = pg->oldest;

    while (p != NULL && p->uses > 0)
        p = p->previous;
    if (pg->prepared_count < pg->statements_max || p == NULL)
        return true;
    if (p->known != NXI_PG_UNPARSED || p->must_close) {
        if (nxi_pg_expect(pg, NXI_PG_UNIT_CLOSE, NULL, NULL) == NULL)
            return false;
        nxi_pg_put_close(out, 'S', p->name);
    }
    take_out(pg, p);
    free_prepared(pg, p);
    return true;
}

/* For one use: nothing of it is kept. */
static void enter_unkept(nxi_pg *pg, nxi_pg_prepared *p)
{
    p->previous = NULL;
    p->next = pg->unkept;
    if (pg->unkept != NULL)
        pg->unkept->previous = p;
    pg->unkept = p;
}

void nxi_pg_prepared_done(nxi_pg *pg, nxi_pg_prepared *p)
{
    if (p == NULL)
        return;
    NX_ASSERT(p->uses > 0);
    p->uses--;
    if (p->uses > 0 || p->is_kept)
        return;
    if (p->previous != NULL)
        p->previous->next = p->next;
    else
        pg->unkept = p->next;
    if (p->next != NULL)
        p->next->previous = p->previous;
    free_prepared(pg, p);
}

void nxi_pg_prepared_forget(nxi_pg_prepared *p)
{
    p->known = NXI_PG_UNPARSED;
    p->must_close = p->is_kept;
    p->has_result = false;
}

/* ------------------------------------------------------------------------------ Parse and Describe */

static bool put_parse(nxi_pg *pg, const nxi_pg_prepared *p, const char *sql, nxi_buf *out)
{
    size_t start = nxi_pg_begin(out, 'P');

    (void)pg;
    nxi_pg_put_text(out, p->name);
    nxi_pg_put_text(out, sql);
    nxi_pg_put16(out, (uint16_t)p->param_count);
    for (size_t i = 0; i < p->param_count; i++)
        nxi_pg_put32(out, p->types[i]);
    return nxi_pg_end(out, start);
}

static bool put_describe(const nxi_pg_prepared *p, nxi_buf *out)
{
    size_t start = nxi_pg_begin(out, 'D');

    nxi_buf_putc(out, 'S');
    nxi_pg_put_text(out, p->name);
    return nxi_pg_end(out, start);
}

static bool needs_result(const nxi_statement *statement, nxi_pg_variant variant)
{
    return statement != NULL && variant == NXI_PG_ONE && statement->write == NULL && statement->params == NULL;
}

static bool teach(nxi_pg *pg, nxi_pg_job *job, nxi_pg_prepared *p, const char *sql, nxi_buf *out)
{
    if (p->must_close) {
        if (nxi_pg_expect(pg, NXI_PG_UNIT_CLOSE, job, NULL) == NULL)
            return false;
        nxi_pg_put_close(out, 'S', p->name);
        p->must_close = false;
    }
    if (!put_parse(pg, p, sql, out) || nxi_pg_expect(pg, NXI_PG_UNIT_PARSE, job, p) == NULL)
        return false;
    p->uses++;
    p->known = NXI_PG_PARSING;
    if (!needs_result(p->statement, p->variant))
        return true;
    if (!put_describe(p, out) || nxi_pg_expect(pg, NXI_PG_UNIT_DESCRIBE, job, p) == NULL)
        return false;
    p->uses++;
    return true;
}

static bool make_outs(nxi_pg_prepared *p)
{
    const nxi_statement *s = p->statement;

    if (s == NULL || s->params == NULL)
        return true;
    p->outs = NXI_ARENA_ARRAY(&p->arena, nxi_pg_out, nxi_max_size(s->param_count, 1));
    if (p->outs == NULL)
        return false;
    if (p->variant == NXI_PG_ONE || p->variant == NXI_PG_ONE_CHECKED) {
        nxi_pg_outs_make(s->params, p->params, s->param_count, p->outs);
        return true;
    }
    nxi_pg_oid *types = NXI_ARENA_ARRAY(&p->arena, nxi_pg_oid, nxi_max_size(s->param_count, 1));
    if (types == NULL)
        return false;
    for (size_t i = 0; i < s->param_count; i++)
        types[i] = nxi_pg_variant_element(&s->params[i]);
    nxi_pg_outs_make(s->params, types, s->param_count, p->outs);
    return true;
}

bool nxi_pg_lacks_xmax(const nxi_pg *pg, const nxi_table *table)
{
    for (size_t i = 0; i < pg->without_xmax_count; i++) {
        if (pg->without_xmax[i] == table)
            return true;
    }
    return false;
}

bool nxi_pg_learn_without_xmax(nxi_pg *pg, const nxi_table *table)
{
    const nxi_table **list;

    if (nxi_pg_lacks_xmax(pg, table))
        return true;
    list = nxi_resize(pg->memory, pg->without_xmax, (pg->without_xmax_count + 1) * sizeof(*list));
    if (list == NULL)
        return false;
    pg->without_xmax = list;
    list[pg->without_xmax_count++] = table;
    return true;
}

/* The text of a variant; NULL: out of memory. */
static const char *text_of(const nxi_statement *statement, nxi_pg_variant variant, bool by_lookup, nxi_buf *scratch)
{
    if (statement->write == NULL)
        return statement->sql;
    if (!nxi_pg_variant_render(statement, variant, by_lookup, scratch) || scratch->failed)
        return NULL;
    return nxi_buf_str(scratch);
}

static nxi_pg_prepared *prepare_new(nxi_pg *pg, const wanted *w, bool keep, const nxi_statement *statement,
                                    nxi_pg_variant variant, const char *sql, nxi_buf *out)
{
    nxi_pg_prepared *p;

    if (keep && !make_room(pg, out))
        return NULL;
    p = make(pg, w);
    if (p == NULL)
        return NULL;
    p->statement = statement;
    p->variant = variant;
    if (keep)
        make_name(pg, p, sql);
    p->must_close = keep && pg->has_strays;
    if (!make_outs(p) || (keep && !enter(pg, p))) {
        free_prepared(pg, p);
        return NULL;
    }
    if (!keep)
        enter_unkept(pg, p);
    return p;
}

static nxi_pg_prepared *find_kept(nxi_pg *pg, const wanted *w)
{
    nxi_pg_prepared *p = find(pg, w);

    if (p != NULL && p != pg->latest) {
        unlink_use(pg, p);
        link_latest(pg, p);
    }
    return p;
}

nxi_pg_prepared *nxi_pg_prepare(nxi_pg *pg, nxi_pg_job *job, const nxi_statement *statement, nxi_pg_variant variant,
                                const nxi_pg_oid *types, size_t type_count, nxi_buf *out)
{
    bool by_lookup = statement->upserts && nxi_pg_lacks_xmax(pg, statement->table);
    unsigned text = (unsigned)by_lookup << 7 | (unsigned)variant;
    wanted w = { .key = (uint64_t)statement->id << 8 | text, .types = types, .count = type_count };
    bool keep = !pg->unnamed && statement->id != 0;
    nxi_pg_prepared *p = keep ? find_kept(pg, &w) : NULL;

    if (NXI_LIKELY(p != NULL && p->known != NXI_PG_UNPARSED)) {
        p->uses++;
        return p;
    }
    nxi_buf scratch;
    nxi_buf_init(&scratch, pg->memory);
    const char *sql = text_of(statement, variant, by_lookup, &scratch);
    if (p == NULL && sql != NULL)
        p = prepare_new(pg, &w, keep, statement, variant, sql, out);
    if (p != NULL)
        p->by_lookup = by_lookup;
    if (p != NULL && (sql == NULL || !teach(pg, job, p, sql, out)))
        p = NULL; /* the connection has no memory and will be closed */
    nxi_buf_fini(&scratch);
    if (p != NULL)
        p->uses++;
    return p;
}

nxi_pg_prepared *nxi_pg_prepare_text(nxi_pg *pg, nxi_pg_job *job, uint64_t key, const char *sql, const nxi_pg_oid *types,
                                     size_t type_count, nxi_buf *out)
{
    wanted w = { .key = UINT64_C(1) << 63 | key, .types = types, .count = type_count };
    bool keep = !pg->unnamed && key != 0;
    nxi_pg_prepared *p = keep ? find_kept(pg, &w) : NULL;

    if (p == NULL)
        p = prepare_new(pg, &w, keep, NULL, NXI_PG_ONE, sql, out);
    if (p == NULL || (p->known == NXI_PG_UNPARSED && !teach(pg, job, p, sql, out)))
        return NULL;
    p->uses++;
    return p;
}

/* ------------------------------------------------------------------------------ raw SQL */

static bool is_text_like(nxi_pg_oid type)
{
    return type == NXI_PG_TEXT || type == NXI_PG_UNKNOWN || type == NXI_PG_VARCHAR || type == NXI_PG_BPCHAR ||
           type == NXI_PG_NAME;
}

/*
 * A number, date .. that the server takes for a text only because nothing tells it better is declared as what it is, and the
 * statement is parsed once more. One that the server takes for another type is sent as text, which that type reads.
 */
nx_status nxi_pg_prepared_types(nxi_pg_prepared *p, const uint8_t *body, size_t size)
{
    bool changed = false;

    if (size < 2 || nxi_pg_load16(body) != p->param_count || size != 2 + 4 * p->param_count)
        return NX_EPROTOCOL;
    if (!p->is_asking)
        return NX_OK;
    for (size_t i = 0; i < p->param_count; i++) {
        nxi_pg_oid inferred = nxi_pg_load32(body + 2 + 4 * i), natural = p->params[i];

        if (p->types[i] != NXI_PG_INFER || natural == NXI_PG_INFER)
            continue;
        if (inferred == natural || is_text_like(inferred))
            p->types[i] = natural;
        changed = changed || is_text_like(inferred);
    }
    p->is_asking = false;
    p->is_settled = !changed;
    return NX_OK;
}

/* Parse and Describe, and no Bind before the answer. */
static bool ask(nxi_pg *pg, nxi_pg_job *job, nxi_pg_prepared *p, nxi_buf *out)
{
    if (p->is_kept)
        make_name(pg, p, p->statement->sql);
    if (!teach(pg, job, p, p->statement->sql, out))
        return false;
    nxi_pg_put_flush(out);
    return true;
}

nxi_pg_prepared *nxi_pg_prepare_raw(nxi_pg *pg, nxi_pg_job *job, const nxi_statement *statement, const nxi_pg_oid *types,
                                    size_t type_count, nxi_buf *out, bool *ret_waits)
{
    wanted w = { .key = (uint64_t)statement->id << 8, .types = types, .count = type_count, .asks = true };
    bool keep = !pg->unnamed && statement->id != 0;
    nxi_pg_prepared *p = job->asked;

    *ret_waits = false;
    if (p == NULL && keep)
        p = find_kept(pg, &w);
    if (p == NULL)
        p = prepare_new(pg, &w, keep, statement, NXI_PG_ONE, statement->sql, out);
    if (p == NULL)
        return NULL;
    if (p->is_settled && p->has_result && p->known != NXI_PG_UNPARSED) {
        if (job->asked == NULL)
            p->uses++;
        job->asked = NULL;
        return p;
    }
    *ret_waits = true;
    if (job->asked == NULL)
        p->uses++; /* the job's, until it binds */
    job->asked = p;
    if (p->known == NXI_PG_PARSING || (p->known == NXI_PG_READY && p->is_asking))
        return p;                   /* on its way */
    if (p->known == NXI_PG_READY) { /* described, and to be parsed once more with the types that were found */
        /* Its types are part of its name: under the old one the server would keep it for good. */
        if (p->is_kept && nxi_pg_expect(pg, NXI_PG_UNIT_CLOSE, job, NULL) == NULL)
            return NULL;
        if (p->is_kept)
            nxi_pg_put_close(out, 'S', p->name);
        p->must_close = false;
        p->is_settled = true;
        p->has_result = false;
    }
    return ask(pg, job, p, out) ? p : NULL;
}

/* ------------------------------------------------------------------------------ what the server says of it */

typedef struct fields {
    const uint8_t *at, *end;
} fields;

/* One field of a RowDescription: name, table (4), column (2), type (4), size (2), modifier (4), format (2). */
static bool next_field(fields *f, const char **ret_name, nxi_pg_oid *ret_type)
{
    const uint8_t *zero = memchr(f->at, 0, (size_t)(f->end - f->at));

    if (zero == NULL || f->end - zero < 1 + 18)
        return false;
    *ret_name = (const char *)f->at;
    *ret_type = nxi_pg_load32(zero + 7);
    f->at = zero + 19;
    return true;
}

static nx_status learn_entity(nxi_pg_prepared *p)
{
    const nxi_statement *s = p->statement;
    nx_status status;

    p->ins = NXI_ARENA_ARRAY(&p->arena, nxi_pg_in, nxi_max_size(p->result_count, 1));
    if (p->ins == NULL)
        return NX_ENOMEM;
    nxi_error_reset(&p->mismatch);
    if (p->result_count != s->result_count)
        (void)nxi_fail(&p->mismatch, NX_ETYPE, "the query gives %zu columns, %zu are expected", p->result_count, s->result_count);
    else {
        status = nxi_pg_ins_make(s->results, p->result_types, p->result_formats, p->result_count, p->ins, &p->mismatch);
        if (status == NX_ENOMEM)
            return status;
        p->mismatch.status = status;
    }
    return NX_OK;
}

nx_status nxi_pg_prepared_describe(nxi_pg *pg, nxi_pg_prepared *p, const uint8_t *body, size_t size)
{
    fields f = { body + 2, body + size };
    size_t count;

    (void)pg;
    if (size < 2 || (count = nxi_pg_load16(body)) > NXI_PG_COLUMNS_MAX)
        return NX_EPROTOCOL;
    p->result_count = count;
    p->result_types = NXI_ARENA_ARRAY(&p->arena, nxi_pg_oid, nxi_max_size(count, 1));
    p->result_formats = NXI_ARENA_ARRAY(&p->arena, nxi_pg_format, nxi_max_size(count, 1));
    p->result_names = NXI_ARENA_ARRAY(&p->arena, const char *, nxi_max_size(count, 1));
    if (p->result_types == NULL || p->result_formats == NULL || p->result_names == NULL)
        return NX_ENOMEM;
    bool entity = p->statement != NULL && p->statement->results != NULL;
    for (size_t i = 0; i < count; i++) {
        const char *name;
        if (!next_field(&f, &name, &p->result_types[i]))
            return NX_EPROTOCOL;
        p->result_names[i] = nxi_arena_str(&p->arena, name);
        if (p->result_names[i] == NULL)
            return NX_ENOMEM;
        if (entity && i < p->statement->result_count)
            p->result_formats[i] = nxi_pg_column_format(p->statement->results[i]);
        else if ((p->statement != NULL && p->statement->of_intervals) || nxi_pg_is_known(p->result_types[i]))
            p->result_formats[i] = NXI_PG_AS_BINARY;
        else
            p->result_formats[i] = NXI_PG_AS_TEXT;
    }
    if (f.at != f.end)
        return NX_EPROTOCOL;
    p->has_result = true;
    return entity ? learn_entity(p) : NX_OK;
}
