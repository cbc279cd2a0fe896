/*
 * mapping_kit - tables mapped for a small dialect of its own, without any database.
 */
#ifndef MAPPING_KIT_H
#define MAPPING_KIT_H

#include "drivers/dialect.h"
#include "engine/table.h"

enum { KIT_IDENTIFIER_BYTES = 40 };

extern const nxi_dialect kit_dialect; /* types are the library's names in capitals; identifiers have at most 40 bytes */
extern nxi_memory *kit_memory;
extern nxi_arena kit_arena;
extern nxi_tables kit_tables;
extern nx_error kit_error;

/* To be a suite's .init and .fini. */
void kit_open(void);
void kit_close(void);

/* Maps and keeps the result in kit_tables and kit_error. */
nx_status kit_map_list(const nx_entity *const *entities, size_t count);
#define kit_map(...)                                                                                                             \
    kit_map_list((const nx_entity *const[]){__VA_ARGS__}, sizeof((const nx_entity *const[]){__VA_ARGS__}) / sizeof(void *))
/* The table of an entity that was mapped. */
const nxi_table *kit_table(const nx_entity *entity);
/* A new row of that entity; and its column by field name. */
void *kit_row(const nx_entity *entity);
const nxi_column *kit_column(const nx_entity *entity, const char *field_name);
/* The index-th statement of the schema; NULL behind the last. The test fails when there is no schema. */
const char *kit_statement(size_t index);

#endif
