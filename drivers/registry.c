/*
 * registry - the drivers there are; the only file that names them.
 */
#include "drivers/driver.h"

static const nxi_driver *const drivers[] = { &nxi_driver_postgres, &nxi_driver_sqlite };
static const char known[] = "postgres, sqlite";

const nxi_driver *nxi_driver_find(const char *name, const char **ret_known)
{
    if (ret_known != NULL)
        *ret_known = known;
    if (name == NULL)
        return NULL;
    for (size_t i = 0; i < NXI_COUNT(drivers); i++) {
        if (strcmp(drivers[i]->name, name) == 0)
            return drivers[i];
    }
    return NULL;
}
