/*
 * text - is it valid UTF-8, and how many characters has it.
 *
 * Nearly all text is ASCII, so blocks of 16 (8 elsewhere than x86) bytes that are all in 1..127 are passed over with one
 * comparison; only the rest is decoded.
 */
#include "engine/values.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define EVERY_BYTE(x) (UINT64_C(0x0101010101010101) * (x))

static inline uint64_t load8(const unsigned char *p)
{
    uint64_t word;

    memcpy(&word, p, sizeof(word));
    return word;
}

/* Without a high bit anywhere, subtracting 1 from every byte sets one exactly when some byte is zero. */
static inline bool is_plain8(uint64_t word)
{
    return ((word | (word - EVERY_BYTE(0x01))) & EVERY_BYTE(0x80)) == 0;
}

static inline bool is_plain16(const unsigned char *p)
{
#if defined(__SSE2__)
    __m128i block = _mm_loadu_si128((const __m128i_u *)(const void *)p);

    return _mm_movemask_epi8(_mm_cmpgt_epi8(block, _mm_setzero_si128())) == 0xffff;
#else
    return is_plain8(load8(p)) && is_plain8(load8(p + 8));
#endif
}

/* The length of the valid character at p that starts with a byte >= 0x80; 0: there is none. */
static size_t sequence_length(const unsigned char *p, size_t size)
{
    unsigned lead = p[0], low = 0x80, high = 0xbf;
    size_t length;

    if (lead < 0xc2 || lead > 0xf4)
        return 0;
    length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (size < length)
        return 0;
    if (lead == 0xe0)
        low = 0xa0; /* overlong below */
    else if (lead == 0xed)
        high = 0x9f; /* surrogates above */
    else if (lead == 0xf0)
        low = 0x90;
    else if (lead == 0xf4)
        high = 0x8f; /* U+10FFFF is the last */
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    return length;
}

/* Any text of at least 8 and less than 16 bytes, or the plain short ones: the two common cases of short columns. */
static inline bool is_plain_short(const unsigned char *p, size_t size)
{
    if (size >= 8)
        return is_plain8(load8(p)) && is_plain8(load8(p + size - 8));
    for (size_t i = 0; i < size; i++) {
        if (p[i] - 1u > 0x7eu)
            return false;
    }
    return true;
}

bool nxi_text_is_valid(const char *data, size_t size, size_t *ret_bad)
{
    const unsigned char *text = (const unsigned char *)data;
    size_t at = 0;

    if (size < 16 && is_plain_short(text, size))
        return true;
    while (at < size) {
        size_t left = size - at, block_end, length;

        if (left >= 16 && is_plain16(text + at)) {
            at += 16;
            continue;
        }
        if (left < 16 && size >= 16 && is_plain16(text + size - 16))
            return true; /* the block may reach back over bytes already seen */
        block_end = nxi_min_size(at + 16, size);
        while (at < block_end) {
            if (text[at] - 1u <= 0x7eu) {
                at++;
                continue;
            }
            length = text[at] == 0 ? 0 : sequence_length(text + at, size - at);
            if (length == 0) {
                if (ret_bad != NULL)
                    *ret_bad = at;
                return false;
            }
            at += length;
        }
    }
    return true;
}

size_t nxi_text_length(const char *data, size_t size)
{
    size_t length = 0, at = 0;

    /* A character is counted at its first byte: every byte but 10xxxxxx. */
#if defined(__SSE2__)
    for (; size - at >= 16; at += 16) {
        __m128i block = _mm_loadu_si128((const __m128i_u *)(const void *)(data + at));
        int starts = _mm_movemask_epi8(_mm_cmpgt_epi8(block, _mm_set1_epi8(-65)));

        length += (size_t)__builtin_popcount((unsigned)starts);
    }
#else
    for (; size - at >= 8; at += 8) {
        uint64_t word = load8((const unsigned char *)data + at);

        length += 8 - (size_t)__builtin_popcountll((word >> 7) & ~(word >> 6) & EVERY_BYTE(0x01));
    }
#endif
    for (; at < size; at++)
        length += ((unsigned char)data[at] & 0xc0) != 0x80;
    return length;
}
