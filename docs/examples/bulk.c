/*
 * bulk - many rows by the best means of the provider, in bounded memory; rows that do not fit are set aside, not lost.
 */
#include "blog.h"

#define CITY(FIELD, E)                                                                             \
    FIELD(E, PK, text, code, .max_len = 3)                                                         \
    FIELD(E, REQ, text, name)                                                                      \
    FIELD(E, REQ, i32, people, .min = "0")
NX_ENTITY(City, CITY)

/* All rows of an array; a full batch in flight is waited for. */
static void load(nx_loop *loop, nx_bulk *bulk, const City *rows, size_t count)
{
    for (size_t given = 0; given < count;) {
        size_t taken = 0;
        nx_status status = nx_bulk_rows(bulk, rows + given, count - given, &taken);
        check(status == NX_OK || status == NX_EBUSY, nx_status_name(status));
        given += taken;
        if (status == NX_EBUSY)
            must(loop, nx_bulk_op(bulk));
    }
}

int main(void)
{
    nx_loop *loop = open_loop();
    nx_db *db = nx_db_new(loop, NX_ENTITIES(City));
    must(loop, nx_bind(db, "sqlite", &(nx_bind_options){ .path = ":memory:" }, NULL));
    must(loop, nx_generate_mapping(db, NX_CREATE_TABLES, NULL));

    /* Plain structs: no session, no row made by the library. */
    City cities[] = {
        { .code = nx_str("BER"), .name = nx_str("Berlin"), .people = 3700000 },
        { .code = nx_str("TOOLONG"), .name = nx_str("Nowhere"), .people = 1 },
        { .code = nx_str("PAR"), .name = nx_str("Paris"), .people = 2100000 },
        { .code = nx_str("ROM"), .name = nx_str("Rome"), .people = -1 },
        { .code = nx_str("BER"), .name = nx_str("Berlin, again"), .people = 5 },
    };
    nx_bulk *bulk = nx_bulk_begin(db, &City_entity, &(nx_bulk_options){ .bad_rows = NX_BAD_ROWS_SET_ASIDE });
    check(bulk != NULL, "a load");
    load(loop, bulk, cities, 5);
    nx_completion c = must(loop, nx_bulk_end(bulk, NULL));
    check(c.count == 2, "two rows are loaded");

    size_t count;
    const nx_reject *rejects = nx_bulk_rejects(bulk, &count);
    check(count == 3, "three are set aside");
    for (size_t i = 0; i < count; i++)
        printf("row %llu: %s\n", (unsigned long long)rejects[i].row, rejects[i].error.message);
    nx_bulk_counts n = nx_bulk_count(bulk);
    check(n.given == n.loaded + n.ignored + n.rejected, "nothing is lost");
    nx_bulk_free(bulk);

    /* Rows as values, as a program reads them from a file; rows that are there already are updated. */
    bulk = nx_bulk_begin(db, &City_entity, &(nx_bulk_options){ .conflict = NX_CONFLICT_UPDATE });
    check(nx_bulk_columns(bulk, (nx_column[]){ City_.code, City_.name, City_.people }, 3) == NX_OK, "three columns");
    check(nx_bulk_values(bulk, nx_args("BER", "Berlin", "3800000")) == NX_OK, "a text is made a number");
    check(nx_bulk_values(bulk, nx_args("OSL", "Oslo", 700000)) == NX_OK, "a new row");
    must(loop, nx_bulk_end(bulk, NULL));
    nx_bulk_free(bulk);
    c = must(loop, nx_sum(nx_select(db, City), City_.people, NULL));
    check(c.value.i64 == 3800000 + 2100000 + 700000, "Berlin was updated, Oslo is new");

    nx_db_free(db);
    nx_loop_close(loop);
    return 0;
}
