/*
 * postgres_bulk - many rows into PostgreSQL, by COPY where that can be, with rules for keys that are there already.
 */
#include "server.h"

enum { PRODUCTS = 20000 };

#define PRODUCT(FIELD, E)                                                                                                        \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, text, code, .unique = true, .max_len = 12)                                                                     \
    FIELD(E, REQ, i32, stock, .min = "0")
NX_ENTITY(Product, PRODUCT)

static nx_bulk_counts load(nx_loop *loop, nx_db *db, const Product *rows, size_t count, const nx_bulk_options *options)
{
    nx_bulk *bulk = nx_bulk_begin(db, &Product_entity, options);
    check(bulk != NULL, "a load");
    for (size_t given = 0; given < count;) {
        size_t taken = 0;
        nx_status status = nx_bulk_rows(bulk, rows + given, count - given, &taken);
        check(status == NX_OK || status == NX_EBUSY, nx_bulk_error(bulk)->message);
        given += taken;
        if (status == NX_EBUSY)
            must(loop, nx_bulk_op(bulk));
        nx_for_each_completion (loop, done) /* of batches that were not waited for */
            check(done->status == NX_OK, nx_status_name(done->status));
    }
    must(loop, nx_bulk_end(bulk, NULL));
    nx_for_each_completion (loop, done)
        check(done->status == NX_OK, nx_status_name(done->status));
    nx_bulk_counts counts = nx_bulk_count(bulk);
    nx_bulk_free(bulk);
    return counts;
}

int main(void)
{
    nx_loop *loop = open_loop();
    nx_db *db = nx_db_new(loop, NX_ENTITIES(Product));
    bind_server(loop, db, "example_bulk", NULL);
    must(loop, nx_generate_mapping(db, NX_CREATE_TABLES, NULL));

    Product *products = calloc(PRODUCTS, sizeof(*products));
    char(*codes)[16] = calloc(PRODUCTS, sizeof(*codes));
    check(products != NULL && codes != NULL, "memory");
    for (int i = 0; i < PRODUCTS; i++) {
        snprintf(codes[i], sizeof(codes[i]), "P%06d", i);
        products[i] = (Product){ .code = nx_str(codes[i]), .stock = i };
    }

    /* New rows, and their numbers written back into the array. */
    nx_bulk_counts n = load(loop, db, products, PRODUCTS, &(nx_bulk_options){ .assign_keys = true, .batch_rows = 5000 });
    check(n.loaded == PRODUCTS, "all are loaded");
    for (int i = 1; i < PRODUCTS; i++)
        check(products[i].id > products[i - 1].id, "numbered in order");

    /* The code identifies a product; the stock is written over, all else stays. */
    nx_column key[] = { Product_.code }, stock[] = { Product_.stock };
    for (int i = 0; i < PRODUCTS; i++) {
        products[i].id = 0;
        products[i].stock += 1;
    }
    snprintf(codes[0], sizeof(codes[0]), "NEW");
    products[0].code = nx_str(codes[0]);
    n = load(
        loop, db, products, PRODUCTS,
        &(nx_bulk_options){
            .conflict = NX_CONFLICT_UPDATE, .conflict_key = key, .conflict_key_count = 1, .update = stock, .update_count = 1 });
    check(n.loaded == 1 && n.updated == PRODUCTS - 1, "one is new");

    /* Those that are there stay as they are. */
    n = load(loop, db, products, PRODUCTS,
             &(nx_bulk_options){ .conflict = NX_CONFLICT_IGNORE, .conflict_key = key, .conflict_key_count = 1 });
    check(n.loaded == 0 && n.ignored == PRODUCTS, "all are left out");

    /* No rule: they are bad rows, which the server refuses and which are set aside one by one. */
    snprintf(codes[1], sizeof(codes[1]), "NEWER");
    products[1].code = nx_str(codes[1]);
    n = load(loop, db, products, 1000, &(nx_bulk_options){ .bad_rows = NX_BAD_ROWS_SET_ASIDE });
    check(n.loaded == 1 && n.rejected == 999, "one is loaded");

    check(must(loop, nx_count(nx_select(db, Product), NULL)).count == PRODUCTS + 2, "as many as there should be");
    free(products);
    free(codes);
    drop_schema(loop, db, "example_bulk");
    nx_db_free(db);
    nx_loop_close(loop);
    return 0;
}
