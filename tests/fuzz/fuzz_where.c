/*
 * fuzz_where - conditions as text: any bytes give an answer; what is accepted can be rendered, and a refusal leaves the query as
 * it was.
 *
 * The first byte gives the number of values, the rest is the text.
 */
#include <stdint.h>

#include "engine/select.h"
#include "nextorm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define AUTHOR(FIELD, E)                                                                           \
    FIELD(E, PK, i64, id)                                                                          \
    FIELD(E, REQ, text, name)                                                                      \
    FIELD(E, SINGLE, Author, friend, .optional = true)
#define POST(FIELD, E)                                                                             \
    FIELD(E, PK, i64, id)                                                                          \
    FIELD(E, REQ, text, title)                                                                     \
    FIELD(E, OPT, i32, score)                                                                      \
    FIELD(E, OPT, f64, weight)                                                                     \
    FIELD(E, OPT, decimal, price)                                                                  \
    FIELD(E, OPT, timestamptz, at)                                                                 \
    FIELD(E, OPT, uuid, like)                                                                      \
    FIELD(E, REQ, boolean, draft)                                                                  \
    FIELD(E, SINGLE, Author, author, .optional = true)
NX_ENTITY(Author, AUTHOR)
NX_ENTITY(Post, POST)

static size_t in_list(nx_type type, size_t count)
{
    (void)type;
    return count;
}

static void in_render(const nxi_column *column, const char *lhs, bool negated, size_t parameters, nxi_buf *sql,
                      void (*placeholder)(void *context, nxi_buf *sql), void *context)
{
    (void)column;
    nxi_buf_printf(sql, "%s %sIN (", lhs, negated ? "NOT " : "");
    for (size_t i = 0; i < parameters; i++)
        placeholder(context, sql);
    nxi_buf_putc(sql, ')');
}

static const nx_value *in_values(nx_type type, const nx_value *values, size_t count, size_t parameters, nxi_arena *arena)
{
    (void)type;
    (void)count;
    return nxi_arena_copy(arena, values, parameters * sizeof(*values));
}

static void like(const char *lhs, bool ignore_case, nxi_buf *sql, void (*placeholder)(void *context, nxi_buf *sql), void *context)
{
    nxi_buf_printf(sql, "%s %s ", lhs, ignore_case ? "ILIKE" : "LIKE");
    placeholder(context, sql);
}

static const nxi_dialect dialect = {
    .name = "fuzz", .quote = '"', .numbered_parameters = true, .identifier_bytes_max = 63, .parameters_max = 1000,
    .null_safe_equal = "IS", .random = "RANDOM()", .on_conflict = true, .in_list = in_list, .in_render = in_render,
    .in_values = in_values, .like = like,
};

static void check(const nxi_tables *tables, const nxi_table *table, nxi_memory *memory, const char *text, size_t value_count)
{
    static const nx_value values[] = { { .type = NX_TYPE_i64, .i64 = 1 },
                                       { .type = NX_TYPE_null },
                                       { .type = NX_TYPE_text, .text = { "x", 1 } },
                                       { .type = NX_TYPE_boolean, .boolean = true } };
    nxi_statements statements;
    nxi_arena arena;
    nxi_select select;
    nx_error error;
    nxi_bound bound;
    nx_column none = { .field = UINT16_MAX };

    nxi_arena_init(&arena, memory);
    nxi_statements_init(&statements, memory);
    nxi_select_init(&select, tables, table);
    nx_status status = nxi_select_where(&select, &arena, text, values, value_count, &error);
    if (status == NX_OK) {
        status = nxi_select_bind(&select, NXI_VERB_FETCH, none, NULL, 0, &dialect, &statements, &arena, &bound, &error);
        NX_ASSERT(status == NX_OK || status == NX_ELIMIT);
        NX_ASSERT(status != NX_OK || bound.statement->param_count == bound.count);
    } else {
        NX_ASSERT(error.status == status && select.where == NULL && select.join_count == 0);
        NX_ASSERT(error.position >= 0 && (size_t)error.position <= strlen(text) + 1);
    }
    nxi_statements_fini(&statements);
    nxi_arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const nx_entity *const entities[] = { &Author_entity, &Post_entity };
    static nxi_memory *memory;
    static nxi_arena mapping;
    static nxi_tables tables;
    nx_error error;

    if (memory == NULL) {
        memory = nxi_memory_new(0);
        nxi_arena_init(&mapping, memory);
        nx_status status = nxi_tables_build(&mapping, &dialect, entities, NXI_COUNT(entities), &tables, &error);
        NX_ASSERT(status == NX_OK);
    }
    if (size == 0)
        return 0;
    size_t text_size;
    char *text = nxi_chunk_get(memory, size, &text_size);
    NX_ASSERT(text != NULL);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    check(&tables, nxi_tables_find(&tables, &Post_entity), memory, text, data[0] % 5);
    nxi_chunk_put(memory, text, text_size);
    return 0;
}
