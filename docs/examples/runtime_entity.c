/*
 * runtime_entity - an entity that is not known when the program is compiled: its fields come from somewhere else.
 */
#include "blog.h"

int main(void)
{
    /* As a program would make it of a file's header line. */
    static const char *const header[][2] = { { "id", "i64" }, { "name", "text" }, { "price", "f64" }, { "made", "date" } };
    nx_field fields[4] = { { 0 } };
    for (int i = 0; i < 4; i++) {
        fields[i].name = header[i][0];
        fields[i].kind = i == 0 ? NX_KIND_PK : NX_KIND_OPT;
        fields[i].type = nx_type_parse(nx_str(header[i][1]));
    }
    nx_entity *product = NULL;
    check(nx_entity_new("Product", fields, 4, NULL, &product) == NX_OK, "an entity");

    nx_loop *loop = open_loop();
    nx_db *db = nx_db_new(loop, (const nx_entity *const[]){ product, NULL });
    must(loop, nx_bind(db, "sqlite", &(nx_bind_options){ .path = ":memory:" }, NULL));
    must(loop, nx_generate_mapping(db, NX_CREATE_TABLES, NULL));

    /* Members are set by column; texts are converted to the column's type. */
    void *row = nx_make_row(db, product);
    check(nx_row_set(row, nx_column_of(product, "name"), nx_value_str("lamp")) == NX_OK, "a name");
    check(nx_row_set(row, nx_column_of(product, "price"), nx_value_str("12.50")) == NX_OK, "a price");
    check(nx_row_set(row, nx_column_of(product, "made"), nx_value_str("2026-11-23")) == NX_OK, "a day");
    check(nx_row_set(row, nx_column_of(product, "price"), nx_value_str("cheap")) == NX_ETYPE, "that is no number");
    must(loop, nx_save(db, row, NULL));

    nx_completion c = must(loop, nx_fetch_all(nx_where(nx_select_entity(db, product), "price > ?", nx_args(10)), NULL));
    check(c.count == 1, "one product");
    for (int i = 0; i < 4; i++) {
        nx_value value;
        char text[64];
        check(nx_row_get(c.rows[0], nx_column_of(product, header[i][0]), &value) == NX_OK, "a value");
        nx_value_format(value, text, sizeof(text));
        printf("%s: %s\n", header[i][0], text);
    }
    nx_seen(loop, &c);

    nx_db_free(db);
    nx_entity_free(product); /* after every database that maps it */
    nx_loop_close(loop);
    return 0;
}
