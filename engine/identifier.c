/*
 * identifier - uuid and ulid: fresh ones, and their text forms.
 *
 * uuid7 and ulid begin with 48 bits of milliseconds. The 18 bits behind them (without version and variant) are the fraction
 * of the millisecond, so that one 64-bit word, time << 18 | fraction, orders all identifiers: it is process-wide and every new
 * one takes a larger word than the last (RFC 9562, section 6.2, methods 3 and 4). Up to 262144 identifiers fit in a
 * millisecond before they run ahead of the clock; when the clock steps back they go on from the last word. The rest, 56 bits
 * of a uuid7 and 62 of a ulid, is random.
 */
#include "engine/types.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/random.h>
#include <time.h>

/* -------------------------------------------------------------------------- randomness */

enum { RANDOM_BATCH = 4096 };

/* Sync: none, one per thread. A child of fork must not hand out its parent's bytes again: see forget_after_fork. */
static _Thread_local struct {
    size_t left;
    uint8_t bytes[RANDOM_BATCH];
} random_pool;

/* Runs in the only thread that the child has, whose pool is a copy of the parent's. */
static void forget_after_fork(void)
{
    random_pool.left = 0;
}

static void watch_fork(void)
{
    /* Failure means no memory at the first identifier of the process; then only a later fork is at risk. */
    (void)pthread_atfork(NULL, NULL, forget_after_fork);
}

static void refill(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    size_t size = 0;

    (void)pthread_once(&once, watch_fork);
    while (size < RANDOM_BATCH) {
        ssize_t got = getrandom(random_pool.bytes + size, RANDOM_BATCH - size, 0);

        NX_ASSERT(got > 0 || errno == EINTR); /* every kernel that has io_uring has getrandom */
        if (got > 0)
            size += (size_t)got;
    }
    random_pool.left = RANDOM_BATCH;
}

/* Bytes are wiped as they are taken, so that memory never holds an identifier that was given away. */
static void take_random(void *ret_bytes, size_t size)
{
    uint8_t *bytes;

    if (NXI_UNLIKELY(random_pool.left < size))
        refill();
    random_pool.left -= size;
    bytes = random_pool.bytes + random_pool.left;
    memcpy(ret_bytes, bytes, size);
    memset(bytes, 0, size);
}

/* ------------------------------------------------------------------------- generators */

enum { FRACTION_BITS = 18 };

static struct timespec now(void)
{
    struct timespec time;
    int failed = clock_gettime(CLOCK_REALTIME, &time);

    NX_ASSERT(failed == 0);
    return time;
}

nx_timestamptz nx_now(void)
{
    struct timespec time = now();

    return (nx_timestamptz){(int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000};
}

/* Milliseconds << 18 | fraction: larger than every word before. */
static uint64_t next_word(void)
{
    static _Atomic uint64_t last; /* Sync: atomic; relaxed, since the word itself is all that is shared */
    struct timespec time = now();
    uint64_t milliseconds = (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
    uint64_t fraction = (((uint64_t)time.tv_nsec % 1000000) << FRACTION_BITS) / 1000000;
    uint64_t current = milliseconds << FRACTION_BITS | fraction;
    uint64_t before = atomic_load_explicit(&last, memory_order_relaxed), next;

    do {
        next = current > before ? current : before + 1;
    } while (!atomic_compare_exchange_weak_explicit(&last, &before, next, memory_order_relaxed, memory_order_relaxed));
    return next;
}

static void put_milliseconds(uint8_t *byte, uint64_t milliseconds)
{
    for (int i = 0; i < 6; i++)
        byte[i] = (uint8_t)(milliseconds >> (40 - 8 * i));
}

nx_uuid nx_uuid4(void)
{
    nx_uuid id;

    take_random(id.byte, sizeof(id.byte));
    id.byte[6] = (uint8_t)(0x40 | (id.byte[6] & 0x0f));
    id.byte[8] = (uint8_t)(0x80 | (id.byte[8] & 0x3f));
    return id;
}

nx_uuid nx_uuid7(void)
{
    uint64_t word = next_word();
    nx_uuid id;

    put_milliseconds(id.byte, word >> FRACTION_BITS);
    id.byte[6] = (uint8_t)(0x70 | (word >> 14 & 0x0f));
    id.byte[7] = (uint8_t)(word >> 6);
    id.byte[8] = (uint8_t)(0x80 | (word & 0x3f));
    take_random(id.byte + 9, 7);
    return id;
}

nx_ulid nx_ulid_new(void)
{
    uint64_t word = next_word();
    nx_ulid id;

    put_milliseconds(id.byte, word >> FRACTION_BITS);
    id.byte[6] = (uint8_t)(word >> 10);
    id.byte[7] = (uint8_t)(word >> 2);
    take_random(id.byte + 8, 8);
    id.byte[8] = (uint8_t)((word & 3) << 6 | (id.byte[8] & 0x3f));
    return id;
}

/* -------------------------------------------------------------------------- text forms */

size_t nx_uuid_format(nx_uuid value, char *ret_text)
{
    static const char digits[] = "0123456789abcdef";
    char *p = ret_text;

    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *p++ = '-';
        *p++ = digits[value.byte[i] >> 4];
        *p++ = digits[value.byte[i] & 15];
    }
    *p = '\0';
    return (size_t)(p - ret_text);
}

/* The value of a hexadecimal digit; 16 and more: none. */
static unsigned hex_value(char c)
{
    unsigned digit = (unsigned char)c - (unsigned)'0';
    unsigned letter = ((unsigned char)c | 0x20u) - (unsigned)'a';

    if (digit <= 9)
        return digit;
    return letter <= 5 ? letter + 10 : 16;
}

/* Either letter case, with all four dashes or with none, in braces or not. */
nx_status nx_uuid_parse(nx_text text, nx_uuid *ret_value)
{
    const char *p = text.data;
    size_t size = text.data == NULL ? 0 : text.size;
    bool dashes;
    nx_uuid id;

    if (size >= 2 && p[0] == '{' && p[size - 1] == '}') {
        p++;
        size -= 2;
    }
    dashes = size == 36;
    if (!dashes && size != 32)
        return NX_ETYPE;
    for (int i = 0; i < 16; i++) {
        unsigned high, low;

        if (dashes && (i == 4 || i == 6 || i == 8 || i == 10) && *p++ != '-')
            return NX_ETYPE;
        high = hex_value(*p++);
        low = hex_value(*p++);
        if ((high | low) > 15)
            return NX_ETYPE;
        id.byte[i] = (uint8_t)(high << 4 | low);
    }
    *ret_value = id;
    return NX_OK;
}

enum { ULID_SIZE = 26 };

static void ulid_to_words(nx_ulid value, uint64_t ret_words[2])
{
    for (int half = 0; half < 2; half++) {
        ret_words[half] = 0;
        for (int i = 0; i < 8; i++)
            ret_words[half] = ret_words[half] << 8 | value.byte[half * 8 + i];
    }
}

/* 26 digits of five bits hold 130: the first one has the top three of 128. */
size_t nx_ulid_format(nx_ulid value, char *ret_text)
{
    static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    uint64_t words[2];

    ulid_to_words(value, words);
    for (int i = ULID_SIZE - 1; i >= 0; i--) {
        ret_text[i] = digits[words[1] & 31];
        words[1] = words[1] >> 5 | words[0] << 59;
        words[0] >>= 5;
    }
    ret_text[ULID_SIZE] = '\0';
    return ULID_SIZE;
}

/* Crockford's base 32: case does not matter, I and L read as 1, O as 0, U is no digit. 32: none. */
static unsigned crockford_value(char c)
{
    static const char letters[] = "ABCDEFGHJKMNPQRSTVWXYZ";
    const char *found;

    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'z')
        c = (char)(c - 'a' + 'A');
    if (c == 'I' || c == 'L')
        return 1;
    if (c == 'O')
        return 0;
    found = c == '\0' ? NULL : strchr(letters, c);
    return found == NULL ? 32 : (unsigned)(found - letters) + 10;
}

nx_status nx_ulid_parse(nx_text text, nx_ulid *ret_value)
{
    uint64_t words[2] = {0, 0};
    bool overflow = false;

    if (text.data == NULL || text.size != ULID_SIZE)
        return NX_ETYPE;
    for (int i = 0; i < ULID_SIZE; i++) {
        unsigned digit = crockford_value(text.data[i]);

        if (digit > 31)
            return NX_ETYPE;
        overflow |= i == 0 && digit > 7;
        words[0] = words[0] << 5 | words[1] >> 59;
        words[1] = words[1] << 5 | digit;
    }
    if (overflow)
        return NX_ERANGE;
    for (int i = 0; i < 16; i++)
        ret_value->byte[i] = (uint8_t)(words[i / 8] >> (56 - 8 * (i % 8)));
    return NX_OK;
}
