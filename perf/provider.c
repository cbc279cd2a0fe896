/* provider - the list of providers that can be measured. */
#include "provider.h"

static const perf_provider *const providers[] = {
    &perf_sqlite,
#ifdef PERF_POSTGRES
    &perf_postgres_provider,
#endif
};

const perf_provider *perf_provider_find(const char *name)
{
    for (size_t i = 0; i < sizeof(providers) / sizeof(providers[0]); i++)
        if (strcmp(providers[i]->name, name) == 0)
            return providers[i];
    return NULL;
}

const char *perf_provider_names(void)
{
#ifdef PERF_POSTGRES
    return "sqlite, postgres";
#else
    return "sqlite (built without libpq: not postgres)";
#endif
}
