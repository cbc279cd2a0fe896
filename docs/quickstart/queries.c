/* Three queries over the table that docs/quickstart/run loads: characters of Unicode. */
#include <nextorm.h>
#include <stdio.h>
#include <string.h>

#define GLYPH(FIELD, E)               \
    FIELD(E, PK,  text, code)         \
    FIELD(E, REQ, text, name)         \
    FIELD(E, REQ, text, general_category)
NX_ENTITY(Glyph, GLYPH, .table = "glyph")

int main(int argc, char **argv)
{
    nx_loop *loop = NULL;
    if (argc != 2 || nx_loop_open(NULL, &loop, NULL) != NX_OK)
        return 1;
    nx_db *db = nx_db_new(loop, NX_ENTITIES(Glyph));
    if (strncmp(argv[1], "postgres:", 9) == 0)
        nx_await(loop, nx_bind(db, "postgres", &(nx_bind_options){ .dsn = argv[1] }, NULL));
    else
        nx_await(loop, nx_bind(db, "sqlite", &(nx_bind_options){ .path = argv[1] }, NULL));
    nx_await(loop, nx_generate_mapping(db, 0, NULL));

    nx_query *query = nx_filter(nx_select(db, Glyph), nx_eq(Glyph_.general_category, "Sc"));
    nx_completion signs = nx_await(loop, nx_fetch_all(nx_limit(nx_order_by(query, nx_asc(Glyph_.name)), 5), NULL));
    for (int64_t i = 0; i < signs.count; i++)
        printf("U+%s  %s\n", ((Glyph *)signs.rows[i])->code.data, ((Glyph *)signs.rows[i])->name.data);

    nx_completion upper = nx_await(loop, nx_count(nx_where(nx_select(db, Glyph), "general_category = ?", nx_args("Lu")), NULL));
    nx_completion euro = nx_await(loop, nx_get(db, Glyph, nx_eq(Glyph_.code, "20AC"), NULL));
    if (euro.status == NX_OK && euro.count == 1)
        printf("%lld upper-case letters; U+20AC is %s\n", (long long)upper.count, ((Glyph *)euro.rows[0])->name.data);
    else
        fprintf(stderr, "%s\n", euro.error != NULL ? euro.error->message : "U+20AC is not there");
    nx_loop_close(loop);
    return euro.count == 1 ? 0 : 1;
}
