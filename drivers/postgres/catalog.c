/*
 * catalog - the statement that asks PostgreSQL's catalogue, and which types round.
 *
 * Design notes: names are found as statements find them, by the search path (to_regclass). All that is read is in pg_catalog,
 * which every role may read. One statement, of no session's state: it works behind a pooler. to_jsonb gives a column of the
 * catalogue that older servers do not have.
 */
#include "drivers/postgres/catalog.h"

#include "drivers/postgres/sqltype.h"

/* ------------------------------------------------------------------------------ the statement */

/*
 * reach: which tables' rows change when a row of a mapped table is inserted, updated or deleted (verb), and how (mode): an upper
 * case letter is the statement's own doing; "x": another table that shows rows of this one. A foreign key goes on from deleted
 * rows by ON DELETE, and from updated ones by ON UPDATE, if the columns that may be updated are among those that it refers to.
 * The key of the table itself is not updated.
 */
#define MAPPED                                                                                                                   \
    "WITH RECURSIVE mapped AS MATERIALIZED (SELECT (n.place - 1)::integer AS owner, "                                            \
    "pg_catalog.to_regclass(pg_catalog.quote_ident(n.name))::oid AS oid "                                                        \
    "FROM pg_catalog.json_array_elements_text($1::text::json) WITH ORDINALITY AS n(name, place)), "                              \
    "columns AS MATERIALIZED (SELECT m.owner, m.oid, a.attnum, a.attname::text AS name, a.atttypid, a.atttypmod, a.attnotnull, " \
    "a.attgenerated <> '' OR a.attidentity = 'a' AS made FROM mapped AS m JOIN pg_catalog.pg_attribute AS a "                    \
    "ON a.attrelid = m.oid AND a.attnum > 0 AND NOT a.attisdropped), "
#define REACH                                                                                                                    \
    "keys AS MATERIALIZED (SELECT c.conrelid, c.conkey, c.confrelid, c.confkey, c.confdeltype, c.confupdtype "                   \
    "FROM pg_catalog.pg_constraint AS c WHERE c.contype = 'f' AND (c.confdeltype IN ('c', 'n', 'd') "                            \
    "OR c.confupdtype IN ('c', 'n', 'd'))), "                                                                                    \
    "heirs AS MATERIALIZED (SELECT i.inhrelid, i.inhparent FROM pg_catalog.pg_inherits AS i), "                                  \
    "reach(owner, verb, oid, mode, columns) AS ("                                                                                \
    "SELECT m.owner, v.verb, m.oid, pg_catalog.upper(v.verb), CASE WHEN v.verb = 'u' THEN ARRAY(SELECT c.attnum "                \
    "FROM columns AS c WHERE c.owner = m.owner AND NOT EXISTS (SELECT FROM pg_catalog.pg_index AS i WHERE i.indrelid = m.oid "   \
    "AND i.indisprimary AND c.attnum = ANY (i.indkey::smallint[]))) ELSE '{}'::smallint[] END "                                  \
    "FROM mapped AS m CROSS JOIN (VALUES ('i'), ('u'), ('d')) AS v(verb) WHERE m.oid IS NOT NULL "                               \
    "UNION SELECT r.owner, r.verb, e.oid, e.mode, e.columns FROM reach AS r CROSS JOIN LATERAL ("                                \
    "SELECT k.conrelid AS oid, CASE WHEN pg_catalog.lower(r.mode) = 'd' AND k.confdeltype = 'c' THEN 'd' ELSE 'u' END AS mode, " \
    "CASE WHEN pg_catalog.lower(r.mode) = 'd' AND k.confdeltype = 'c' THEN '{}'::smallint[] ELSE k.conkey END AS columns "       \
    "FROM keys AS k WHERE k.confrelid = r.oid AND CASE pg_catalog.lower(r.mode) WHEN 'd' THEN k.confdeltype IN ('c', 'n', 'd') " \
    "WHEN 'u' THEN k.confupdtype IN ('c', 'n', 'd') AND k.confkey && r.columns ELSE false END "                                  \
    "UNION ALL SELECT h.inhrelid, pg_catalog.lower(r.mode), CASE pg_catalog.lower(r.mode) WHEN 'u' THEN "                        \
    "ARRAY(SELECT a.attnum FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = h.inhrelid AND a.attnum > 0) "                   \
    "ELSE '{}'::smallint[] END FROM heirs AS h WHERE h.inhparent = r.oid AND r.mode <> 'x' "                                     \
    "UNION ALL SELECT h.inhparent, 'x', '{}'::smallint[] FROM heirs AS h WHERE h.inhrelid = r.oid) AS e), "
/* Types below their domains; a domain may want more than its type. */
#define TYPES                                                                                                                    \
    "types(owner, name, type, modifier, is_watched, is_checked) AS ("                                                            \
    "SELECT c.owner, c.name, c.atttypid, c.atttypmod, c.attnotnull, false FROM columns AS c "                                    \
    "UNION ALL SELECT b.owner, b.name, t.typbasetype, CASE WHEN b.modifier < 0 THEN t.typtypmod ELSE b.modifier END, "           \
    "b.is_watched OR t.typnotnull, b.is_checked OR EXISTS (SELECT FROM pg_catalog.pg_constraint AS k WHERE k.contypid = t.oid "  \
    "AND k.contype = 'c') FROM types AS b JOIN pg_catalog.pg_type AS t ON t.oid = b.type AND t.typtype = 'd'), "
/* What is fired: triggers of users, by row or by statement; rules; all that a view or a foreign table does. */
#define FIRED                                                                                                                    \
    "fired AS (SELECT DISTINCT r.owner, r.verb FROM reach AS r JOIN pg_catalog.pg_class AS c ON c.oid = r.oid "                  \
    "WHERE r.mode <> 'x' AND (c.relkind IN ('v', 'f') OR EXISTS (SELECT FROM pg_catalog.pg_trigger AS t WHERE t.tgrelid = "      \
    "r.oid "                                                                                                                     \
    "AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') AND t.tgtype & CASE pg_catalog.lower(r.mode) WHEN 'i' THEN 4 "         \
    "WHEN 'd' THEN 8 ELSE CASE WHEN c.relispartition THEN 28 ELSE 16 END END <> 0) OR EXISTS (SELECT "                           \
    "FROM pg_catalog.pg_rewrite AS w WHERE w.ev_class = r.oid AND w.ev_enabled IN ('O', 'A') AND w.ev_type::text = "             \
    "CASE pg_catalog.lower(r.mode) WHEN 'i' THEN '3' WHEN 'd' THEN '4' ELSE '2' END))), "
#define FACTS_OF_COLUMNS                                                                                                         \
    "SELECT 'table' AS kind, m.owner, NULL::text AS name, CASE c.relkind WHEN 'v' THEN 'view' WHEN 'f' THEN 'foreign' "          \
    "ELSE 'table' END AS detail, NULL::text AS extra, 0::bigint AS number, 0::bigint AS place "                                  \
    "FROM mapped AS m JOIN pg_catalog.pg_class AS c ON c.oid = m.oid "                                                           \
    "UNION ALL SELECT 'column', b.owner, b.name, CASE WHEN t.typtype = 'e' THEN 'enum' WHEN t.oid < 16384 "                      \
    "OR t.typname IN ('citext', 'vector') THEN t.typname::text ELSE 'other' END, NULL, b.modifier, 0 "                           \
    "FROM types AS b JOIN pg_catalog.pg_type AS t ON t.oid = b.type AND t.typtype <> 'd' "                                       \
    "UNION ALL SELECT 'check', b.owner, NULL, b.name, NULL, b.is_checked::integer, 0 FROM types AS b "                           \
    "JOIN pg_catalog.pg_type AS t ON t.oid = b.type AND t.typtype <> 'd' WHERE b.is_watched OR b.is_checked "                    \
    "UNION ALL SELECT 'made', c.owner, c.name, NULL, NULL, 0, 0 FROM columns AS c WHERE c.made "
/* All columns are watched by a row's policy, by an index that holds for some rows, and by one where a NULL is a value. */
#define FACTS_OF_CHECKS                                                                                                          \
    "UNION ALL SELECT 'check', m.owner, k.conname::text, c.name, NULL, (k.contype = 'c')::integer, 0 FROM mapped AS m "          \
    "JOIN pg_catalog.pg_constraint AS k ON k.conrelid = m.oid AND (k.contype = 'c' OR (k.contype = 'f' AND "                     \
    "k.confmatchtype = 'f')) LEFT JOIN LATERAL unnest(k.conkey) AS n(number) ON true "                                           \
    "LEFT JOIN columns AS c ON c.owner = m.owner AND c.attnum = n.number "                                                       \
    "UNION ALL SELECT 'check', m.owner, NULL, c.name, NULL, 0, 0 FROM mapped AS m JOIN pg_catalog.pg_constraint AS k "           \
    "ON k.confrelid = m.oid AND k.contype = 'f' JOIN columns AS c ON c.owner = m.owner AND c.attnum = ANY (k.confkey) "          \
    "UNION ALL SELECT 'check', m.owner, NULL, NULL, NULL, 0, 0 FROM mapped AS m JOIN pg_catalog.pg_class AS c ON c.oid = m.oid " \
    "AND c.relrowsecurity "                                                                                                      \
    "UNION ALL SELECT 'check', m.owner, NULL, NULL, NULL, 0, 0 FROM mapped AS m JOIN pg_catalog.pg_index AS i "                  \
    "ON i.indrelid = m.oid AND i.indisunique AND (i.indpred IS NOT NULL OR i.indexprs IS NOT NULL OR "                           \
    "coalesce((pg_catalog.to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false)) "
#define FACTS_OF_UNIQUES                                                                                                         \
    "UNION ALL SELECT 'unique', m.owner, x.relname::text, c.name, CASE WHEN k.condeferrable THEN n.nspname::text END, 0, "       \
    "p.place FROM mapped AS m JOIN pg_catalog.pg_index AS i ON i.indrelid = m.oid AND i.indisunique AND i.indisvalid "           \
    "AND i.indpred IS NULL AND i.indexprs IS NULL JOIN pg_catalog.pg_class AS x ON x.oid = i.indexrelid "                        \
    "JOIN pg_catalog.pg_namespace AS n ON n.oid = x.relnamespace LEFT JOIN pg_catalog.pg_constraint AS k "                       \
    "ON k.conindid = i.indexrelid AND k.conrelid = m.oid AND k.contype IN ('u', 'p') "                                           \
    "CROSS JOIN LATERAL unnest(i.indkey::smallint[]) WITH ORDINALITY AS p(number, place) "                                       \
    "JOIN columns AS c ON c.owner = m.owner AND c.attnum = p.number WHERE p.place <= i.indnkeyatts "
/* Rows that come into being touch none that are there. */
#define FACTS_OF_TOUCHES                                                                                                         \
    "UNION ALL SELECT DISTINCT 'touch', r.owner, r.verb, NULL, NULL, t.owner, 0 FROM reach AS r "                                \
    "JOIN mapped AS m ON m.owner = r.owner JOIN mapped AS t ON t.oid = r.oid WHERE r.verb <> 'i' AND r.mode NOT IN ('I', 'U', "  \
    "'D') "                                                                                                                      \
    "AND NOT (r.mode = 'x' AND t.oid = m.oid) "                                                                                  \
    "UNION ALL SELECT 'touch', f.owner, f.verb, NULL, NULL, -1, 0 FROM fired AS f"

static const char query[] = MAPPED REACH TYPES FIRED
    "facts AS (" FACTS_OF_COLUMNS FACTS_OF_CHECKS FACTS_OF_UNIQUES FACTS_OF_TOUCHES ") "
    "SELECT f.kind, f.owner, f.name, f.detail, f.extra, f.number FROM facts AS f ORDER BY f.owner, f.kind, f.name, f.place";

/* ------------------------------------------------------------------------------ types */

enum { MICROSECONDS = 6 /* digits of a second that are stored, and that a value has */ };

static bool is_one_of(const char *type, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(type, names[i]) == 0)
            return true;
    }
    return false;
}

static bool is_integer(nx_type type)
{
    return type == NX_TYPE_i16 || type == NX_TYPE_i32 || type == NX_TYPE_i64 || type == NX_TYPE_u32;
}

/* 8.1.2. The modifier is (precision << 16 | scale) + 4; a scale has 11 bits, since version 15 it may be below zero. */
static bool numeric_rounds(const nxi_column *column, int64_t modifier)
{
    const nx_field *field = nxi_pg_typed_column(column)->field;

    if (modifier < 4)
        return !is_integer(column->type) && column->type != NX_TYPE_decimal && column->type != NX_TYPE_f64;
    int64_t scale = (((modifier - 4) & 0x7ff) ^ 0x400) - 0x400;
    if (is_integer(column->type))
        return scale < 0;
    return column->type != NX_TYPE_decimal || field == NULL || field->precision == 0 || (int64_t)field->scale > scale;
}

/* 8.5. The modifier of an interval is (range << 16 | digits), 0x7fff and 0xffff: all. */
static bool interval_rounds(int64_t modifier)
{
    return modifier >= 0 && ((modifier >> 16 & 0x7fff) != 0x7fff || (modifier & 0xffff) < MICROSECONDS);
}

static bool text_rounds(const char *type, int64_t modifier)
{
    static const char *const exact[] = { "text", "varchar", "enum", "citext" };

    return !is_one_of(type, exact, NXI_COUNT(exact)) && !(strcmp(type, "bpchar") == 0 && modifier < 0);
}

/* Types other than those that are known here may store what they like. */
static bool rounds(const nxi_column *column, const char *type, int64_t modifier)
{
    static const char *const integers[] = { "int2", "int4", "int8" };
    static const char *const vectors[] = { "_float4", "_float8", "vector" };
    static const char *const uuids[] = { "uuid", "text", "varchar" };
    static const char *const jsons[] = { "jsonb", "json", "text", "varchar" }; /* jsonb: another text, the same value */
    bool is_rough = modifier >= 0 && modifier < MICROSECONDS;

    if (strcmp(type, "numeric") == 0)
        return numeric_rounds(column, modifier);
    switch (column->type) {
    case NX_TYPE_boolean: return strcmp(type, "bool") != 0;
    case NX_TYPE_i16:
    case NX_TYPE_i32:
    case NX_TYPE_i64:
    case NX_TYPE_u32: return !is_one_of(type, integers, NXI_COUNT(integers));
    case NX_TYPE_f64: return strcmp(type, "float8") != 0;
    case NX_TYPE_bytes: return strcmp(type, "bytea") != 0;
    case NX_TYPE_json: return !is_one_of(type, jsons, NXI_COUNT(jsons));
    case NX_TYPE_date: return strcmp(type, "date") != 0;
    case NX_TYPE_time: return strcmp(type, "time") != 0 || is_rough;
    case NX_TYPE_timestamp: return strcmp(type, "timestamp") != 0 || is_rough;
    case NX_TYPE_timestamptz: return strcmp(type, "timestamptz") != 0 || is_rough;
    case NX_TYPE_interval: return strcmp(type, "interval") != 0 || interval_rounds(modifier);
    case NX_TYPE_uuid: return !is_one_of(type, uuids, NXI_COUNT(uuids));
    case NX_TYPE_vector: return !is_one_of(type, vectors, NXI_COUNT(vectors));
    case NX_TYPE_text:
    case NX_TYPE_longtext:
    case NX_TYPE_enumeration:
    case NX_TYPE_ulid: return text_rounds(type, modifier);
    case NX_TYPE_decimal:
    case NX_TYPE_null:
    case NX_TYPE_key:
    case NX_TYPE_set:
    case NX_TYPE_count: break;
    }
    return true;
}

/*
 * Nothing is gained by compiling it: whatever the estimate of a recursion says, the rows are few. Compiling takes seconds.
 */
const nxi_catalog_source nxi_pg_catalog = { .before = "SELECT pg_catalog.set_config('jit', 'off', true)",
                                            .query = query,
                                            .rounds = rounds };
