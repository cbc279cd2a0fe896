/*
 * test_kit - see the header.
 */
#include "tests/support/test_kit.h"

#include <stdint.h>
#include <stdlib.h>
#include <time.h>

bool tk_is_long(void)
{
    const char *text = getenv("NX_TEST_LONG");
    return text != NULL && text[0] == '1';
}

void tk_pause_ms(long ms)
{
    nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

unsigned tk_random_below(unsigned limit)
{
    static uint64_t state = 88172645463325252u; /* xorshift */

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)(state >> 33) % limit;
}
