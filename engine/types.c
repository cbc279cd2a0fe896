/*
 * types - the table of type layouts, and type names.
 */
#include "engine/types.h"

#include <stdalign.h>

#define TYPE_INFO(type)                                                                                                          \
    [NX_TYPE_##type] = {.name = #type,                                                                                           \
                        .size = sizeof(nx_##type),                                                                               \
                        .align = alignof(nx_##type),                                                                             \
                        .optional_size = sizeof(nx_opt_##type),                                                                  \
                        .optional_align = alignof(nx_opt_##type),                                                                \
                        .present = offsetof(nx_opt_##type, present)},

const nxi_type_info nxi_types[NX_TYPE_count] = {
    [NX_TYPE_null] = {.name = "null"},
    NX_TYPE_LIST(TYPE_INFO)[NX_TYPE_key] = {.name = "key"},
    [NX_TYPE_set] = {.name = "set"},
};

/* Rows are compared and copied as raw bytes of these sizes. */
_Static_assert(sizeof(nx_interval) == 16, "no padding");
_Static_assert(sizeof(nx_uuid) == 16 && sizeof(nx_ulid) == 16, "no padding");
_Static_assert(sizeof(nx_text) == sizeof(nx_bytes) && sizeof(nx_text) == sizeof(nx_vector), "one pointer form");
_Static_assert(sizeof(nx_decimal) == sizeof(nx_text) && sizeof(nx_json) == sizeof(nx_text), "one pointer form");

const char *nx_type_name(nx_type type)
{
    if ((unsigned)type >= NX_TYPE_count)
        return "unknown";
    return nxi_types[type].name;
}

nx_type nx_type_parse(nx_text name)
{
    if (name.data == NULL)
        return NX_TYPE_null;
    for (int type = NX_TYPE_null + 1; type < NX_TYPE_key; type++) {
        if (strlen(nxi_types[type].name) == name.size && memcmp(nxi_types[type].name, name.data, name.size) == 0)
            return (nx_type)type;
    }
    return NX_TYPE_null;
}
