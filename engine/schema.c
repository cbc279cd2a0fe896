/*
 * schema - CREATE and DROP statements.
 *
 * Tables are created in flush order, so that references find their targets; a reference that closes a cycle names a table that
 * comes later, which SQLite allows; elsewhere its constraint is added when all tables are there.
 * All entities of an inheritance tree are one table with the columns of all; those that
 * are not the root's are nullable, because rows of the other entities have none.
 */
#include "engine/table_build.h"

typedef struct writer {
    const nxi_tables *tables;
    const nxi_dialect *dialect;
    nxi_arena *arena;
    nx_error *error;
    nxi_buf sql;     /* the statement being written */
    nxi_buf scratch; /* names and checks */
    const char **list, **names;
    size_t list_size, list_capacity;
    size_t names_size, names_capacity; /* of indexes and constraints, to find two alike */
    const nxi_table *root;             /* the table being written: those of a smaller order are there */
    const char **later;                /* constraints to be added when all tables are there */
    size_t later_size, later_capacity;
} writer;

/* ------------------------------------------------------------------------------- lists */

static nx_status out_of_memory(const writer *w)
{
    return nxi_fail(w->error, NX_ENOMEM, "out of memory while writing the schema");
}

/* The entries are few and their number is not known before, so the list moves when it grows. */
static bool append(nxi_arena *arena, const char ***list, size_t *size, size_t *capacity, const char *text)
{
    if (*size == *capacity) {
        size_t larger = *capacity == 0 ? 32 : *capacity * 2;
        const char **moved = NXI_ARENA_ARRAY(arena, const char *, larger);

        if (moved == NULL)
            return false;
        if (*size != 0)
            memcpy(moved, *list, *size * sizeof(*moved));
        *list = moved;
        *capacity = larger;
    }
    (*list)[(*size)++] = text;
    return true;
}

/* What a buffer holds, in the arena; the buffer is empty then. NULL: out of memory. */
static const char *take_text(const writer *w, nxi_buf *buf)
{
    const char *text = buf->failed ? NULL : nxi_arena_text(w->arena, buf->data, buf->size);

    nxi_buf_clear(buf);
    return text;
}

/* Takes the statement out of the buffer. */
static nx_status finish_statement(writer *w)
{
    const char *text = take_text(w, &w->sql);

    if (text == NULL || !append(w->arena, &w->list, &w->list_size, &w->list_capacity, text))
        return out_of_memory(w);
    return NX_OK;
}

/* ---------------------------------------------------------------------- sets of columns */

/* Columns in an order of their own: of an index, a constraint, a reference. */
typedef struct column_list {
    const nxi_column **items;
    size_t count;
} column_list;

/* All columns of a field: one, or the parts of a key. */
static size_t columns_of(const nxi_table *table, uint16_t field_index)
{
    size_t first = table->field_column[field_index];
    const nxi_column *column = &table->columns[first];

    return column->form == NXI_FORM_REFERENCE ? column->target->key_count : 1;
}

static void put_field(const nxi_table *table, uint16_t field_index, column_list *list)
{
    for (size_t i = 0; i < columns_of(table, field_index); i++)
        list->items[list->count++] = &table->columns[table->field_column[field_index] + i];
}

static column_list list_new(const writer *w, const nxi_table *table)
{
    return (column_list){.items = NXI_ARENA_ARRAY(w->arena, const nxi_column *, table->column_count)};
}

/* The columns of "a, b"; the names were checked when the entity was mapped. items NULL: out of memory. */
static column_list list_of_names(const writer *w, const nxi_table *table, const char *names)
{
    column_list list = list_new(w, table);
    nx_text name;

    while (list.items != NULL && nxi_list_next(&names, &name)) {
        const nxi_column *column = nxi_table_column(table, name);

        NX_ASSERT(column != NULL);
        put_field(table, column->field_index, &list);
    }
    return list;
}

static column_list list_of_field(const writer *w, const nxi_table *table, uint16_t field_index)
{
    column_list list = list_new(w, table);

    if (list.items != NULL)
        put_field(table, field_index, &list);
    return list;
}

/* An index in the order in which queries put their NULLs: read backwards, it is that of a descending one. */
static void put_index_columns(const writer *w, const column_list *list, nxi_buf *sql)
{
    bool is_told = w->dialect->nulls_clause && !w->dialect->nulls_first;

    nxi_buf_puts(sql, " (");
    for (size_t i = 0; i < list->count; i++) {
        nxi_buf_puts(sql, i == 0 ? "" : ", ");
        nxi_quote(w->dialect, list->items[i]->name, sql);
        nxi_buf_puts(sql, is_told && list->items[i]->nullable ? " NULLS FIRST" : "");
    }
    nxi_buf_putc(sql, ')');
}

static void put_columns(const writer *w, const column_list *list, nxi_buf *sql)
{
    nxi_buf_puts(sql, " (");
    for (size_t i = 0; i < list->count; i++) {
        nxi_buf_puts(sql, i == 0 ? "" : ", ");
        nxi_quote(w->dialect, list->items[i]->name, sql);
    }
    nxi_buf_putc(sql, ')');
}

/* "<prefix>_<table>__<column>__<column>", shortened if need be. */
static nx_status make_name(writer *w, const char *prefix, const nxi_table *table, const column_list *list, const char **ret_name)
{
    const char *name;

    nxi_buf_clear(&w->scratch);
    nxi_buf_printf(&w->scratch, "%s_%s", prefix, table->name);
    for (size_t i = 0; i < list->count; i++)
        nxi_buf_printf(&w->scratch, "__%s", list->items[i]->name);
    if (!w->scratch.failed)
        w->scratch.size = nxi_shorten_name(w->dialect, w->scratch.data, w->scratch.size);
    name = w->scratch.failed ? NULL : nxi_arena_text(w->arena, w->scratch.data, w->scratch.size);
    if (name == NULL)
        return out_of_memory(w);
    /* IF NOT EXISTS would silently leave out the second of two indexes of one name. */
    for (size_t i = 0; i < w->names_size; i++) {
        if (strcmp(w->names[i], name) == 0)
            return nxi_mapping_fail(w->error, table->entity, list->items[0]->field,
                                    "two indexes or constraints have the name '%s'", name);
    }
    if (!append(w->arena, &w->names, &w->names_size, &w->names_capacity, name))
        return out_of_memory(w);
    *ret_name = name;
    return NX_OK;
}

/* ----------------------------------------------------------------------- CREATE TABLE */

static void start_clause(writer *w, bool *is_first)
{
    nxi_buf_puts(&w->sql, *is_first ? "\n    " : ",\n    ");
    *is_first = false;
}

static bool is_auto_key(const nxi_table *table, const nxi_column *column)
{
    return column == table->auto_key && column->field->sql_type == NULL;
}

static void write_column(writer *w, const nxi_table *table, const nxi_column *column, bool *is_first)
{
    const nx_field *field = column->field;

    start_clause(w, is_first);
    nxi_quote(w->dialect, column->name, &w->sql);
    nxi_buf_putc(&w->sql, ' ');
    if (is_auto_key(table, column)) {
        w->dialect->auto_key(column, &w->sql);
        return;
    }
    if (column->form != NXI_FORM_REFERENCE && field->sql_type != NULL)
        nxi_buf_puts(&w->sql, field->sql_type);
    else
        w->dialect->column_type(column, &w->sql);
    if (!column->nullable && table == table->root)
        nxi_buf_puts(&w->sql, " NOT NULL");
    if (column->form != NXI_FORM_REFERENCE && field->sql_default != NULL)
        nxi_buf_printf(&w->sql, " DEFAULT %s", field->sql_default);
}

/* The clause goes through a buffer of its own, because only its length tells whether there is one. */
static void write_column_check(writer *w, const nxi_column *column, bool *is_first)
{
    const char *quoted;
    nxi_buf clause;

    if (w->dialect->column_check == NULL)
        return;
    nxi_buf_init(&clause, w->arena->memory);
    nxi_buf_clear(&w->scratch);
    nxi_quote(w->dialect, column->name, &w->scratch);
    quoted = nxi_buf_str(&w->scratch);
    if (quoted != NULL)
        w->dialect->column_check(column, quoted, &clause);
    if (clause.size != 0) {
        start_clause(w, is_first);
        nxi_buf_put(&w->sql, clause.data, clause.size);
    }
    w->sql.failed |= clause.failed || quoted == NULL;
    nxi_buf_fini(&clause);
}

static const char *on_delete_action(const nx_field *field)
{
    switch (field->on_delete) {
    case NX_ON_DELETE_CASCADE:
        return "CASCADE";
    case NX_ON_DELETE_SET_NULL:
        return "SET NULL";
    case NX_ON_DELETE_RESTRICT:
        return "RESTRICT";
    case NX_ON_DELETE_DEFAULT:
        break;
    }
    return field->optional ? "SET NULL" : "CASCADE";
}

static void put_foreign_key(const writer *w, const nxi_column *column, const char *name, const column_list *list,
                            const column_list *target, nxi_buf *sql)
{
    nxi_buf_puts(sql, "CONSTRAINT ");
    nxi_quote(w->dialect, name, sql);
    nxi_buf_puts(sql, " FOREIGN KEY");
    put_columns(w, list, sql);
    nxi_buf_puts(sql, " REFERENCES ");
    nxi_quote(w->dialect, column->target->name, sql);
    put_columns(w, target, sql);
    nxi_buf_printf(sql, " ON DELETE %s", on_delete_action(column->field));
}

/* The table that is referred to is made after this one, and the dialect wants it to be there. */
static bool is_later(const writer *w, const nxi_table *target)
{
    return w->dialect->add_constraint != NULL && target->root != w->root && target->root->order > w->root->order;
}

static nx_status add_later(writer *w, const nxi_column *column, const char *name, const column_list *list,
                           const column_list *target)
{
    nxi_buf sql;
    const char *definition, *text = NULL;

    nxi_buf_init(&sql, w->arena->memory);
    put_foreign_key(w, column, name, list, target, &sql);
    definition = take_text(w, &sql);
    if (definition != NULL) {
        w->dialect->add_constraint(w->root->name, name, definition, &sql);
        text = take_text(w, &sql);
    }
    nxi_buf_fini(&sql);
    if (text == NULL || !append(w->arena, &w->later, &w->later_size, &w->later_capacity, text))
        return out_of_memory(w);
    return NX_OK;
}

static nx_status write_foreign_key(writer *w, const nxi_table *table, const nxi_column *column, bool *is_first)
{
    column_list list = list_of_field(w, table, column->field_index), target = {0};
    const char *name = column->field->fk_name;
    nx_status status = NX_OK;

    target.items = NXI_ARENA_ARRAY(w->arena, const nxi_column *, column->target->key_count);
    if (list.items == NULL || target.items == NULL)
        return out_of_memory(w);
    for (size_t i = 0; i < column->target->key_count; i++)
        target.items[target.count++] = &column->target->columns[i];
    if (name == NULL)
        status = make_name(w, "fk", table, &list, &name);
    else if (!nxi_identifier_is_valid(w->dialect, name))
        status = nxi_mapping_fail(w->error, table->entity, column->field, "%s cannot hold the name fk_name", w->dialect->name);
    if (status != NX_OK)
        return status;
    if (is_later(w, column->target))
        return add_later(w, column, name, &list, &target);
    start_clause(w, is_first);
    put_foreign_key(w, column, name, &list, &target, &w->sql);
    return NX_OK;
}

static nx_status write_unique(writer *w, const nxi_table *table, const column_list *list, bool *is_first)
{
    const char *name = NULL;
    nx_status status;

    if (list->items == NULL)
        return out_of_memory(w);
    status = make_name(w, "unq", table, list, &name);
    if (status != NX_OK)
        return status;
    start_clause(w, is_first);
    nxi_buf_puts(&w->sql, "CONSTRAINT ");
    nxi_quote(w->dialect, name, &w->sql);
    nxi_buf_puts(&w->sql, " UNIQUE");
    put_columns(w, list, &w->sql);
    return NX_OK;
}

static bool has_column(const nxi_table *table, const char *name)
{
    for (size_t i = 0; i < table->column_count; i++) {
        if (nxi_name_equal(table->columns[i].name, name))
            return true;
    }
    return false;
}

/* A derived entity may declare columns of its tree again: the root writes them, else the first entity that has them. */
static bool is_written_before(const writer *w, const nxi_table *table, const nxi_column *column)
{
    if (table == table->root)
        return false;
    for (const nxi_table *other = w->tables->list; other != table; other++) {
        if (other->root == table->root && has_column(other, column->name))
            return true;
    }
    return has_column(table->root, column->name);
}

/* Constraints of one entity of the tree. */
static nx_status write_constraints(writer *w, const nxi_table *table, bool *is_first)
{
    nx_status status = NX_OK;

    for (size_t i = 0; i < table->column_count && status == NX_OK; i++) {
        const nxi_column *column = &table->columns[i];

        if (is_written_before(w, table, column))
            continue;
        write_column_check(w, column, is_first);
        if (column->key_part != 0 && column->form == NXI_FORM_REFERENCE)
            continue;
        if (column->field->unique) {
            column_list list = list_of_field(w, table, column->field_index);

            status = write_unique(w, table, &list, is_first);
        }
        if (column->form == NXI_FORM_REFERENCE && status == NX_OK)
            status = write_foreign_key(w, table, column, is_first);
    }
    for (size_t i = 0; table->entity->uniques != NULL && table->entity->uniques[i] != NULL && status == NX_OK; i++) {
        column_list list = list_of_names(w, table, table->entity->uniques[i]);

        status = write_unique(w, table, &list, is_first);
    }
    return status;
}

static void write_primary_key(writer *w, const nxi_table *root, bool *is_first)
{
    if (root->auto_key != NULL && is_auto_key(root, root->auto_key))
        return;
    start_clause(w, is_first);
    nxi_buf_puts(&w->sql, "PRIMARY KEY (");
    for (size_t i = 0; i < root->key_count; i++) {
        nxi_buf_puts(&w->sql, i == 0 ? "" : ", ");
        nxi_quote(w->dialect, root->columns[i].name, &w->sql);
    }
    nxi_buf_putc(&w->sql, ')');
}

/* The column that names the entity of a row is made unless a field stands for it. */
static void write_discriminator(writer *w, const nxi_table *root, bool *is_first)
{
    static const nx_field field = {.name = "discriminator", .kind = NX_KIND_OPT, .type = NX_TYPE_text};
    nxi_column column = {.name = root->entity->discriminator,
                         .field = &field,
                         .table = root,
                         .type = NX_TYPE_text,
                         .form = NXI_FORM_OPTIONAL,
                         .nullable = true};
    bool has_children = false;

    for (size_t i = 0; i < w->tables->count; i++) {
        const nxi_table *table = &w->tables->list[i];

        if (table->root != root)
            continue;
        has_children |= table != root;
        if (column.name != NULL && has_column(table, column.name))
            return;
    }
    if (has_children)
        write_column(w, root, &column, is_first);
}

static nx_status write_table(writer *w, const nxi_table *root)
{
    bool is_first = true;
    nx_status status = NX_OK;

    w->root = root;
    nxi_buf_puts(&w->sql, "CREATE TABLE IF NOT EXISTS ");
    nxi_quote(w->dialect, root->name, &w->sql);
    nxi_buf_puts(&w->sql, " (");
    for (size_t c = 0; c < root->column_count; c++)
        write_column(w, root, &root->columns[c], &is_first);
    write_discriminator(w, root, &is_first);
    for (size_t i = 0; i < w->tables->count; i++) {
        const nxi_table *table = &w->tables->list[i];

        for (size_t c = 0; table->root == root && table != root && c < table->column_count; c++) {
            if (!is_written_before(w, table, &table->columns[c]))
                write_column(w, table, &table->columns[c], &is_first);
        }
    }
    write_primary_key(w, root, &is_first);
    status = write_constraints(w, root, &is_first);
    for (size_t i = 0; i < w->tables->count && status == NX_OK; i++) {
        if (w->tables->list[i].root == root && &w->tables->list[i] != root)
            status = write_constraints(w, &w->tables->list[i], &is_first);
    }
    if (status != NX_OK)
        return status;
    nxi_buf_puts(&w->sql, "\n)");
    nxi_buf_puts(&w->sql, w->dialect->table_suffix == NULL ? "" : w->dialect->table_suffix);
    return finish_statement(w);
}

/* ---------------------------------------------------------------------------- indexes */

static nx_status write_index(writer *w, const nxi_table *table, const column_list *list)
{
    const char *name = NULL;
    nx_status status;

    if (list->items == NULL)
        return out_of_memory(w);
    status = make_name(w, "idx", table, list, &name);
    if (status != NX_OK)
        return status;
    nxi_buf_puts(&w->sql, "CREATE INDEX IF NOT EXISTS ");
    nxi_quote(w->dialect, name, &w->sql);
    nxi_buf_puts(&w->sql, " ON ");
    nxi_quote(w->dialect, table->name, &w->sql);
    put_index_columns(w, list, &w->sql);
    return finish_statement(w);
}

static bool is_prefix(const column_list *prefix, const column_list *list)
{
    if (prefix->count > list->count)
        return false;
    for (size_t i = 0; i < prefix->count; i++) {
        if (prefix->items[i] != list->items[i])
            return false;
    }
    return true;
}

/* Whether one of "a, b" begins with these columns. */
static bool is_covered_by(const writer *w, const nxi_table *table, const char *const *lists, const column_list *columns)
{
    for (size_t i = 0; lists != NULL && lists[i] != NULL; i++) {
        column_list list = list_of_names(w, table, lists[i]);

        if (list.items != NULL && is_prefix(columns, &list))
            return true;
    }
    return false;
}

/* Single-column ones first, then the lists; a reference gets one of its own unless another index begins with it. */
static nx_status write_indexes(writer *w, const nxi_table *table)
{
    const nx_entity *entity = table->entity;
    nx_status status = NX_OK;

    for (size_t i = 0; i < entity->field_count && status == NX_OK; i++) {
        const nx_field *field = &entity->fields[i];
        column_list list;

        if (table->field_column[i] == UINT16_MAX || is_written_before(w, table, &table->columns[table->field_column[i]]))
            continue;
        if (!field->index && (field->kind != NX_KIND_SINGLE || field->unique))
            continue;
        list = list_of_field(w, table, (uint16_t)i);
        if (list.items != NULL && !field->index &&
            (is_covered_by(w, table, entity->indexes, &list) || is_covered_by(w, table, entity->uniques, &list)))
            continue;
        status = write_index(w, table, &list);
    }
    for (size_t i = 0; entity->indexes != NULL && entity->indexes[i] != NULL && status == NX_OK; i++) {
        column_list list = list_of_names(w, table, entity->indexes[i]);

        status = write_index(w, table, &list);
    }
    return status;
}

nx_status nxi_schema_create(const nxi_tables *tables, const struct nxi_dialect *dialect, nxi_arena *arena,
                            const char *const **ret_list, nx_error *error)
{
    writer w = {.tables = tables, .dialect = dialect, .arena = arena, .error = error};
    nx_status status = NX_OK;

    nxi_buf_init(&w.sql, arena->memory);
    nxi_buf_init(&w.scratch, arena->memory);
    for (size_t i = 0; i < tables->count && status == NX_OK; i++) {
        if (tables->by_order[i]->root == tables->by_order[i])
            status = write_table(&w, tables->by_order[i]);
    }
    for (size_t i = 0; i < w.later_size && status == NX_OK; i++) {
        if (!append(arena, &w.list, &w.list_size, &w.list_capacity, w.later[i]))
            status = out_of_memory(&w);
    }
    for (size_t i = 0; i < tables->count && status == NX_OK; i++)
        status = write_indexes(&w, tables->by_order[i]);
    if (status == NX_OK && !append(arena, &w.list, &w.list_size, &w.list_capacity, NULL))
        status = out_of_memory(&w);
    nxi_buf_fini(&w.sql);
    nxi_buf_fini(&w.scratch);
    if (status == NX_OK)
        *ret_list = w.list;
    return status;
}

size_t nxi_schema_drops(const struct nxi_dialect *dialect, size_t count)
{
    return dialect->drops_together && count != 0 ? 1 : count;
}

const char *nxi_schema_drop(const struct nxi_dialect *dialect, const char *const *tables, size_t count, bool if_exists,
                            nxi_arena *arena)
{
    const char *text = NULL;
    nxi_buf sql;

    NX_ASSERT(count == 1 || dialect->drops_together);
    nxi_buf_init(&sql, arena->memory);
    nxi_buf_puts(&sql, if_exists ? "DROP TABLE IF EXISTS " : "DROP TABLE ");
    for (size_t i = 0; i < count; i++) {
        nxi_buf_puts(&sql, i == 0 ? "" : ", ");
        nxi_quote(dialect, tables[i], &sql);
    }
    if (!sql.failed)
        text = nxi_arena_text(arena, sql.data, sql.size);
    nxi_buf_fini(&sql);
    return text;
}
