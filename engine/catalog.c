/*
 * catalog - read the catalogue's facts into the compiled mapping, and ask for them.
 *
 * Design notes: entities of one tree share a table, so what is known by table (facts, references, triggers) is kept at the root
 * and spread at the end; what is known by column is kept by entity, as each has columns of its own.
 */
#include "engine/catalog.h"

#include "engine/table_build.h"

typedef enum verb { VERB_INSERT, VERB_UPDATE, VERB_DELETE, VERB_COUNT } verb;
static const char verb_letters[] = { [VERB_INSERT] = 'i', [VERB_UPDATE] = 'u', [VERB_DELETE] = 'd' };

/* The columns of an answer. */
enum { FACT_KIND, FACT_TABLE, FACT_NAME, FACT_DETAIL, FACT_EXTRA, FACT_NUMBER, FACT_COLUMNS };

typedef struct fact {
    const char *kind, *name, *detail, *extra; /* NULL: none */
    size_t table;
    int64_t number;
} fact;

/* Sets of columns. */
typedef enum mark {
    MARK_DEFAULTED,
    MARK_ROUNDED,
    MARK_COMPUTED,
    MARK_WATCHED, /* something would see that the column is NULL */
    MARK_PASSABLE,
    MARK_MADE,
    MARK_UPDATE_MADE,
    MARK_COUNT
} mark;

typedef struct unique_item {
    struct unique_item *next;
    nxi_real_unique unique;
} unique_item;

/* What is found out about a table. */
typedef struct draft {
    uint64_t *marks[MARK_COUNT];
    uint64_t *touched[VERB_COUNT]; /* of a root: sets of roots */
    bool touches_all[VERB_COUNT];  /* of a root */
    bool is_there, is_view, is_foreign, is_watched, has_checks;
    unique_item *uniques, **last_unique;
    size_t unique_count;
} draft;

typedef struct reader {
    const nxi_tables *tables;
    const nxi_dialect *dialect;
    nxi_arena *arena, *scratch;
    draft *drafts; /* by table */
    bool no_memory;
} reader;

static void set_bit(uint64_t *bits, size_t index)
{
    bits[index / 64] |= UINT64_C(1) << (index % 64);
}

static bool has_bit(const uint64_t *bits, size_t index)
{
    return (bits[index / 64] >> (index % 64) & 1) != 0;
}

static size_t words_of(size_t bits)
{
    return (bits + 63) / 64;
}

static draft *root_draft(const reader *r, const nxi_table *table)
{
    return &r->drafts[table->root->index];
}

static bool drafts_make(reader *r)
{
    size_t table_words = words_of(r->tables->count);

    r->drafts = NXI_ARENA_ARRAY(r->scratch, draft, r->tables->count);
    for (size_t i = 0; r->drafts != NULL && i < r->tables->count; i++) {
        const nxi_table *table = &r->tables->list[i];
        draft *d = &r->drafts[i];
        size_t words = words_of(table->column_count);
        uint64_t *marks = NXI_ARENA_ARRAY(r->arena, uint64_t, words * MARK_COUNT);
        uint64_t *touched = table->root == table ? NXI_ARENA_ARRAY(r->scratch, uint64_t, table_words * VERB_COUNT) : marks;

        if (marks == NULL || touched == NULL)
            return false;
        for (size_t m = 0; m < MARK_COUNT; m++)
            d->marks[m] = &marks[m * words];
        for (size_t v = 0; table->root == table && v < VERB_COUNT; v++)
            d->touched[v] = &touched[v * table_words];
        d->last_unique = &d->uniques;
    }
    return r->drafts != NULL;
}

/* ------------------------------------------------------------------------------ uniques */

static void add_unique(reader *r, const nxi_table *table, const nxi_real_unique *unique)
{
    draft *d = &r->drafts[table->index];
    unique_item *item = NXI_ARENA_NEW(r->scratch, unique_item);

    if (item == NULL) {
        r->no_memory = true;
        return;
    }
    item->unique = *unique;
    *d->last_unique = item;
    d->last_unique = &item->next;
    d->unique_count++;
}

/* In the arena, with room for each column once. */
static uint16_t *new_columns(reader *r, const nxi_table *table)
{
    uint16_t *columns = NXI_ARENA_ARRAY(r->arena, uint16_t, nxi_max_size(table->column_count, 1));

    r->no_memory |= columns == NULL;
    return columns;
}

static bool is_mapped_key(const nxi_table *table, const nxi_real_unique *unique)
{
    if (unique->count != table->key_count)
        return false;
    for (size_t i = 0; i < unique->count; i++) {
        if (!table->columns[unique->columns[i]].is_key)
            return false;
    }
    return true;
}

/* ------------------------------------------------------------------------------ the mapping */

typedef struct edge {
    uint32_t from, to;
    bool deletes;
} edge;

static bool deletes_rows(const nx_field *field)
{
    return field->on_delete == NX_ON_DELETE_CASCADE || (field->on_delete == NX_ON_DELETE_DEFAULT && !field->optional);
}

/* One for each reference whose rows do not keep what they refer to from being deleted. */
static edge *list_edges(reader *r, size_t *ret_count)
{
    const nxi_tables *tables = r->tables;
    size_t most = 0;

    for (size_t i = 0; i < tables->count; i++)
        most += tables->list[i].column_count;
    edge *edges = NXI_ARENA_ARRAY(r->scratch, edge, most);
    *ret_count = 0;
    for (size_t i = 0; edges != NULL && i < tables->count; i++) {
        const nxi_table *table = &tables->list[i];

        for (size_t c = 0; c < table->column_count; c++) {
            const nxi_column *column = &table->columns[c];
            if (column->form != NXI_FORM_REFERENCE || column->field->on_delete == NX_ON_DELETE_RESTRICT)
                continue;
            edges[(*ret_count)++] = (edge){ column->target->root->index, table->root->index, deletes_rows(column->field) };
        }
    }
    return edges;
}

/* All that goes with a row of each root, by way of what goes with that. */
static void follow_references(reader *r)
{
    size_t edge_count, count = r->tables->count;
    const edge *edges = list_edges(r, &edge_count);
    uint32_t *stack = NXI_ARENA_ARRAY(r->scratch, uint32_t, count);
    uint64_t *gone = NXI_ARENA_ARRAY(r->scratch, uint64_t, words_of(count));

    r->no_memory |= edges == NULL || stack == NULL || gone == NULL;
    for (uint32_t start = 0; !r->no_memory && start < count; start++) {
        const nxi_table *table = &r->tables->list[start];
        size_t depth = 0;

        if (table->root != table)
            continue;
        memset(gone, 0, words_of(count) * sizeof(*gone));
        stack[depth++] = start;
        set_bit(gone, start);
        while (depth > 0) {
            uint32_t at = stack[--depth];
            for (size_t e = 0; e < edge_count; e++) {
                if (edges[e].from != at)
                    continue;
                set_bit(r->drafts[start].touched[VERB_DELETE], edges[e].to);
                if (!edges[e].deletes || has_bit(gone, edges[e].to))
                    continue;
                set_bit(gone, edges[e].to);
                stack[depth++] = edges[e].to;
            }
        }
    }
}

static void read_mapping(reader *r)
{
    for (size_t i = 0; i < r->tables->count; i++) {
        const nxi_table *table = &r->tables->list[i];

        for (size_t c = 0; c < table->column_count; c++) {
            if (table->columns[c].form != NXI_FORM_REFERENCE && table->columns[c].field->sql_default != NULL)
                set_bit(r->drafts[i].marks[MARK_DEFAULTED], c);
        }
    }
    follow_references(r);
}

/* ------------------------------------------------------------------------------ facts */

static const char *text_at(const nx_rows *rows, size_t row, size_t column)
{
    nx_value value = nx_rows_at(rows, row, column);

    return value.type == NX_TYPE_text || value.type == NX_TYPE_longtext ? value.text.data : NULL;
}

static bool number_at(const nx_rows *rows, size_t row, size_t column, int64_t *ret_number)
{
    nx_value value = nx_rows_at(rows, row, column);

    *ret_number = value.i64;
    return value.type == NX_TYPE_i16 || value.type == NX_TYPE_i32 || value.type == NX_TYPE_i64 || value.type == NX_TYPE_u32;
}

static bool fact_at(const reader *r, const nx_rows *rows, size_t row, fact *ret_fact)
{
    int64_t table;

    ret_fact->kind = text_at(rows, row, FACT_KIND);
    ret_fact->name = text_at(rows, row, FACT_NAME);
    ret_fact->detail = text_at(rows, row, FACT_DETAIL);
    ret_fact->extra = text_at(rows, row, FACT_EXTRA);
    if (!number_at(rows, row, FACT_TABLE, &table) || !number_at(rows, row, FACT_NUMBER, &ret_fact->number) ||
        ret_fact->kind == NULL || table < 0 || (uint64_t)table >= r->tables->count)
        return false;
    ret_fact->table = (size_t)table;
    return true;
}

static const nxi_column *find_column(const reader *r, const nxi_table *table, const char *name)
{
    const nxi_column *column = name == NULL ? NULL : nxi_table_column_named(table, nx_str(name));

    for (size_t i = 0; name != NULL && column == NULL && r->dialect->catalog->ignores_case && i < table->column_count; i++) {
        if (nxi_name_equal(table->columns[i].name, name))
            column = &table->columns[i];
    }
    return column;
}

/* Whether the mapping writes a CHECK of its own for that column. */
static bool has_own_check(reader *r, const nxi_column *column)
{
    nxi_buf sql;

    if (r->dialect->column_check == NULL)
        return false;
    nxi_buf_init(&sql, r->scratch->memory);
    r->dialect->column_check(column, "x", &sql);
    bool found = sql.size != 0;
    r->no_memory |= sql.failed;
    nxi_buf_fini(&sql);
    return found;
}

static void read_check(reader *r, const nxi_table *table, const fact *f)
{
    draft *d = &r->drafts[table->index];
    const nxi_column *column = find_column(r, table, f->detail);

    if (f->detail == NULL)
        d->is_watched = true;
    if (column != NULL)
        set_bit(d->marks[MARK_WATCHED], column->index);
    if (f->number != 0 && (column == NULL || !has_own_check(r, column)))
        d->has_checks = true;
}

static void read_create(reader *r, const nxi_table *table, const fact *f)
{
    const nxi_catalog_source *source = r->dialect->catalog;

    for (size_t i = 0; source->checks != NULL && f->detail != NULL && i < table->column_count; i++) {
        if (source->checks(f->detail, table->columns[i].name))
            read_check(r, table, &(fact){ .detail = table->columns[i].name, .number = 1 });
    }
    if (source->replaces != NULL && f->detail != NULL && source->replaces(f->detail)) {
        root_draft(r, table)->touches_all[VERB_INSERT] = true;
        root_draft(r, table)->touches_all[VERB_UPDATE] = true;
    }
}

static void read_column(reader *r, const nxi_table *table, const fact *f)
{
    const nxi_column *column = find_column(r, table, f->name);
    const nxi_catalog_source *source = r->dialect->catalog;

    if (column != NULL && (f->detail == NULL || source->rounds(column, f->detail, f->number)))
        set_bit(r->drafts[table->index].marks[MARK_ROUNDED], column->index);
}

static void read_table(reader *r, const nxi_table *table, const fact *f)
{
    draft *d = &r->drafts[table->index];

    d->is_there = true;
    d->is_view = f->detail != NULL && strcmp(f->detail, "view") == 0;
    d->is_foreign = f->detail != NULL && strcmp(f->detail, "foreign") == 0;
}

/* False: no such verb. */
static bool verb_of(const char *letter, verb *ret_verb)
{
    for (size_t v = 0; letter != NULL && v < VERB_COUNT; v++) {
        if (letter[0] == verb_letters[v] && letter[1] == '\0') {
            *ret_verb = (verb)v;
            return true;
        }
    }
    return false;
}

static void read_touch(reader *r, const nxi_table *table, const fact *f)
{
    draft *d = root_draft(r, table);
    verb v;

    if (!verb_of(f->name, &v))
        return;
    if (f->number >= 0 && (uint64_t)f->number < r->tables->count)
        set_bit(d->touched[v], r->tables->list[f->number].root->index);
    else
        d->touches_all[v] = true;
}

static void read_trigger(reader *r, const nxi_table *table, const fact *f)
{
    const nxi_catalog_source *source = r->dialect->catalog;
    verb done;

    if (f->detail == NULL || source->fires == NULL || !verb_of(f->extra, &done) || source->fires(f->detail, f->extra[0]))
        read_touch(r, table, &(fact){ .name = f->name, .number = -1 });
}

/* "schema"."name", in the arena; NULL: out of memory. */
static const char *constraint_name(reader *r, const fact *f)
{
    nxi_buf sql;

    nxi_buf_init(&sql, r->arena->memory);
    nxi_quote(r->dialect, f->extra, &sql);
    nxi_buf_putc(&sql, '.');
    nxi_quote(r->dialect, f->name, &sql);
    const char *name = sql.failed ? NULL : nxi_arena_text(r->arena, sql.data, sql.size);
    nxi_buf_fini(&sql);
    r->no_memory |= name == NULL;
    return name;
}

/* The facts of one unique are rows `from` to the one that is returned. */
static size_t read_unique(reader *r, const nx_rows *rows, size_t from)
{
    fact first, f;
    size_t row = from;

    if (!fact_at(r, rows, from, &first) || first.name == NULL)
        return from + 1;
    const nxi_table *table = &r->tables->list[first.table];
    nxi_real_unique unique = { .deferrable = first.extra != NULL };
    uint16_t *columns = new_columns(r, table);
    bool is_mapped = columns != NULL;

    for (; row < rows->row_count && fact_at(r, rows, row, &f); row++) {
        if (strcmp(f.kind, "unique") != 0 || f.table != first.table || f.name == NULL || strcmp(f.name, first.name) != 0)
            break;
        const nxi_column *column = find_column(r, table, f.detail);
        is_mapped = is_mapped && column != NULL && unique.count < table->column_count;
        if (is_mapped)
            columns[unique.count++] = column->index;
    }
    unique.columns = columns;
    if (!is_mapped || unique.count == 0 || is_mapped_key(table, &unique))
        return nxi_max_size(row, from + 1);
    unique.name = nxi_arena_str(r->arena, first.name);
    unique.constraint = unique.deferrable ? constraint_name(r, &first) : NULL;
    r->no_memory |= unique.name == NULL;
    if (!r->no_memory)
        add_unique(r, table, &unique);
    return row;
}

static void read_answer(reader *r, const nx_rows *rows)
{
    static const struct {
        const char *kind;
        void (*read)(reader *r, const nxi_table *table, const fact *f);
    } kinds[] = { { "table", read_table }, { "column", read_column },   { "check", read_check },
                  { "touch", read_touch }, { "trigger", read_trigger }, { "create", read_create } };
    fact f;

    for (size_t row = 0; row < rows->row_count && !r->no_memory;) {
        if (fact_at(r, rows, row, &f) && strcmp(f.kind, "unique") == 0) {
            row = read_unique(r, rows, row);
            continue;
        }
        if (!fact_at(r, rows, row++, &f))
            continue;
        const nxi_table *table = &r->tables->list[f.table];
        const nxi_column *made = strcmp(f.kind, "made") == 0 ? find_column(r, table, f.name) : NULL;
        if (made != NULL)
            set_bit(r->drafts[table->index].marks[MARK_COMPUTED], made->index);
        for (size_t i = 0; i < NXI_COUNT(kinds); i++) {
            if (strcmp(f.kind, kinds[i].kind) == 0)
                kinds[i].read(r, table, &f);
        }
    }
}

/* ------------------------------------------------------------------------------ conclusions */

/* Whoever writes a row does not know what a view over it shows. */
static void conclude_views(reader *r)
{
    for (size_t v = 0; v < r->tables->count; v++) {
        if (!r->drafts[v].is_view && !r->drafts[v].is_foreign)
            continue;
        draft *root = root_draft(r, &r->tables->list[v]);
        for (size_t k = 0; k < VERB_COUNT; k++)
            root->touches_all[k] = true;
        for (size_t i = 0; r->drafts[v].is_view && i < r->tables->count; i++) {
            draft *d = root_draft(r, &r->tables->list[i]);
            for (size_t k = 0; k < VERB_COUNT; k++)
                set_bit(d->touched[k], r->tables->list[v].root->index);
        }
    }
}

static void conclude_columns(const reader *r, const nxi_table *table)
{
    draft *d = &r->drafts[table->index];
    const draft *root = root_draft(r, table);
    bool computes = d->is_watched || root->touches_all[VERB_UPDATE];

    for (size_t c = 0; c < table->column_count; c++) {
        bool is_computed = has_bit(d->marks[MARK_COMPUTED], c);

        computes |= is_computed;
        if (table->columns[c].is_key)
            continue;
        if (d->is_foreign)
            set_bit(d->marks[MARK_ROUNDED], c);
        if (is_computed || root->touches_all[VERB_UPDATE])
            set_bit(d->marks[MARK_UPDATE_MADE], c);
        if (is_computed || root->touches_all[VERB_INSERT] || has_bit(d->marks[MARK_DEFAULTED], c) ||
            has_bit(d->marks[MARK_ROUNDED], c))
            set_bit(d->marks[MARK_MADE], c);
        if (is_computed || root->touches_all[VERB_INSERT])
            d->marks[MARK_DEFAULTED][c / 64] &= ~(UINT64_C(1) << (c % 64));
    }
    for (size_t c = 0; c < table->key_count; c++) {
        for (size_t m = 0; m < MARK_COUNT; m++)
            d->marks[m][c / 64] &= ~(UINT64_C(1) << (c % 64));
    }
    for (size_t c = table->key_count; d->is_there && !computes && c < table->column_count; c++) {
        if (!has_bit(d->marks[MARK_WATCHED], c))
            set_bit(d->marks[MARK_PASSABLE], c);
    }
}

/* ------------------------------------------------------------------------------ into the tables */

static const uint64_t *marks_or_null(const draft *d, const nxi_table *table, mark which)
{
    for (size_t w = 0; w < words_of(table->column_count); w++) {
        if (d->marks[which][w] != 0)
            return d->marks[which];
    }
    return NULL;
}

static void put_touched(reader *r, const nxi_table *table, verb v, nxi_touched *touched)
{
    const draft *d = root_draft(r, table);
    const nxi_tables *tables = r->tables;
    size_t count = 0;

    *touched = (nxi_touched){ .all = d->touches_all[v] };
    for (size_t i = 0; i < tables->count; i++)
        count += has_bit(d->touched[v], tables->list[i].root->index);
    if (count == 0)
        return;
    const nxi_table **list = NXI_ARENA_ARRAY(r->arena, const nxi_table *, count);
    for (size_t i = 0; list != NULL && i < tables->count; i++) {
        if (has_bit(d->touched[v], tables->list[i].root->index))
            list[touched->count++] = &tables->list[i];
    }
    r->no_memory |= list == NULL;
    touched->tables = list;
}

static void put_uniques(reader *r, const draft *d, nxi_table *table)
{
    nxi_real_unique *list = d->unique_count == 0 ? NULL : NXI_ARENA_ARRAY(r->arena, nxi_real_unique, d->unique_count);

    r->no_memory |= d->unique_count != 0 && list == NULL;
    table->real_uniques = list;
    table->real_unique_count = 0;
    for (const unique_item *item = d->uniques; list != NULL && item != NULL; item = item->next)
        list[table->real_unique_count++] = item->unique;
}

static void put_table(reader *r, nxi_table *table)
{
    draft *d = &r->drafts[table->index];

    conclude_columns(r, table);
    table->made = marks_or_null(d, table, MARK_MADE);
    table->defaulted = marks_or_null(d, table, MARK_DEFAULTED);
    table->rounded = marks_or_null(d, table, MARK_ROUNDED);
    table->update_made = marks_or_null(d, table, MARK_UPDATE_MADE);
    table->passable = marks_or_null(d, table, MARK_PASSABLE);
    put_touched(r, table, VERB_INSERT, &table->inserts_touch);
    put_touched(r, table, VERB_UPDATE, &table->updates_touch);
    put_touched(r, table, VERB_DELETE, &table->deletes_touch);
    put_uniques(r, d, table);
    table->is_catalogued = d->is_there;
    table->is_view = d->is_view;
    table->has_triggers = table->inserts_touch.all || table->updates_touch.all || table->deletes_touch.all;
    table->has_checks = d->has_checks;
}

bool nxi_catalog_read(const nxi_tables *tables, const nxi_dialect *dialect, const nx_rows *answer, nxi_arena *arena,
                      nxi_arena *scratch)
{
    reader r = { .tables = tables, .dialect = dialect, .arena = arena, .scratch = scratch };
    nxi_table *list = NXI_ARENA_ARRAY(scratch, nxi_table, tables->count);

    if (list == NULL || !drafts_make(&r))
        return false;
    memcpy(list, tables->list, tables->count * sizeof(*list));
    read_mapping(&r);
    if (answer != NULL && answer->column_count == FACT_COLUMNS && dialect->catalog != NULL)
        read_answer(&r, answer);
    conclude_views(&r);
    for (size_t i = 0; i < tables->count && !r.no_memory; i++)
        put_table(&r, &list[i]);
    if (!r.no_memory)
        memcpy(tables->list, list, tables->count * sizeof(*list));
    return !r.no_memory;
}
