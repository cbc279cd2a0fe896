/*
 * convert - a field of a record as a value of a type, without loss or with the reason why not.
 */
#ifndef NEXTORM_CLI_CONVERT_H
#define NEXTORM_CLI_CONVERT_H

#include "api/cli/source.h"

/* Memory of converted values; zero-initialised, one for each column, so that the values of a row live side by side. */
typedef struct scratch {
    char *data;
    size_t capacity;
} scratch;

/*
 * NULL and *ret_value, or the problem: "is not an integer". An empty plain field is NULL for every type but text.
 * The value points into the field or into the scratch.
 */
const char *convert(nx_type type, const field *from, scratch *space, nx_value *ret_value);

/* Types that --columns may name, as one line of text; and the type of such a name, NX_TYPE_null for others. */
const char *convert_type_names(void);
nx_type convert_type_parse(nx_text name);

#endif
