/*
 * fuzz_textform - any text as a date, time, interval, uuid: what parses is written and parsed again to the same value.
 */
#include <stdint.h>
#include <stdlib.h>

#include "nextorm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ROUND_TRIP(type)                                                                           \
    do {                                                                                           \
        nx_##type value, again;                                                                    \
        char text[NX_TEXT_FORM_SIZE + 1];                                                          \
        memset(&value, 0, sizeof(value));                                                          \
        memset(&again, 0, sizeof(again));                                                          \
        if (nx_##type##_parse(input, &value) == NX_OK) {                                           \
            size_t length = nx_##type##_format(value, text);                                       \
            if (length >= sizeof(text) || strlen(text) != length)                                  \
                abort();                                                                           \
            if (nx_##type##_parse(nx_strn(text, length), &again) != NX_OK)                         \
                abort();                                                                           \
            if (memcmp(&value, &again, sizeof(value)) != 0)                                        \
                abort();                                                                           \
        }                                                                                          \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nx_text input = nx_strn((const char *)data, size);

    ROUND_TRIP(date);
    ROUND_TRIP(time);
    ROUND_TRIP(timestamp);
    ROUND_TRIP(timestamptz);
    ROUND_TRIP(interval);
    ROUND_TRIP(uuid);
    ROUND_TRIP(ulid);
    (void)nx_type_parse(input);
    return 0;
}
