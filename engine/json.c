/*
 * json - is a text JSON (RFC 8259)?
 *
 * One pass without recursion: what is open is one bit each, so that a hostile text costs no stack. The characters of a text are
 * not looked at one by one where they are plain; that they are UTF-8 is checked elsewhere.
 */
#include "engine/values.h"

enum { WORD_BITS = 64 };

typedef struct scan {
    const char *p, *end;
    size_t depth;
    uint64_t objects[NXI_JSON_DEPTH_MAX / WORD_BITS]; /* per level: an object, else an array */
} scan;

static inline void skip_space(scan *s)
{
    while (s->p != s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\t' || *s->p == '\r'))
        s->p++;
}

static inline bool take(scan *s, char c)
{
    if (s->p == s->end || *s->p != c)
        return false;
    s->p++;
    return true;
}

static bool take_word(scan *s, const char *word, size_t size)
{
    if ((size_t)(s->end - s->p) < size || memcmp(s->p, word, size) != 0)
        return false;
    s->p += size;
    return true;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* Behind a backslash. */
static bool take_escape(scan *s)
{
    char c = s->p == s->end ? '\0' : *s->p++;

    if (c != 'u')
        return c != '\0' && strchr("\"\\/bfnrt", c) != NULL;
    for (int i = 0; i < 4; i++) {
        if (s->p == s->end || !is_hex(*s->p++))
            return false;
    }
    return true;
}

static bool take_string(scan *s)
{
    if (!take(s, '"'))
        return false;
    while (s->p != s->end) {
        unsigned char c = (unsigned char)*s->p++;

        if (c == '"')
            return true;
        if (c < 0x20 || (c == '\\' && !take_escape(s)))
            return false;
    }
    return false;
}

static bool take_digits(scan *s)
{
    const char *start = s->p;

    while (s->p != s->end && *s->p >= '0' && *s->p <= '9')
        s->p++;
    return s->p != start;
}

static bool take_number(scan *s)
{
    (void)take(s, '-');
    if (!take(s, '0') && !take_digits(s))
        return false;
    if (take(s, '.') && !take_digits(s))
        return false;
    if (!take(s, 'e') && !take(s, 'E'))
        return true;
    if (!take(s, '-'))
        (void)take(s, '+');
    return take_digits(s);
}

static bool take_plain(scan *s)
{
    switch (s->p == s->end ? '\0' : *s->p) {
    case '"': return take_string(s);
    case 't': return take_word(s, "true", 4);
    case 'f': return take_word(s, "false", 5);
    case 'n': return take_word(s, "null", 4);
    default: return take_number(s);
    }
}

static bool in_object(const scan *s)
{
    size_t level = s->depth - 1;

    return (s->objects[level / WORD_BITS] >> (level % WORD_BITS) & 1) != 0;
}

static bool open_level(scan *s, bool object)
{
    uint64_t bit;

    if (s->depth == NXI_JSON_DEPTH_MAX)
        return false;
    bit = UINT64_C(1) << (s->depth % WORD_BITS);
    if (object)
        s->objects[s->depth / WORD_BITS] |= bit;
    else
        s->objects[s->depth / WORD_BITS] &= ~bit;
    s->depth++;
    return true;
}

static bool take_name(scan *s)
{
    skip_space(s);
    if (!take_string(s))
        return false;
    skip_space(s);
    return take(s, ':');
}

/* Everything up to the end of one plain value or empty array or object. */
static bool take_value(scan *s)
{
    for (;;) {
        bool object;

        skip_space(s);
        object = s->p != s->end && *s->p == '{';
        if (!object && (s->p == s->end || *s->p != '['))
            return take_plain(s);
        s->p++;
        skip_space(s);
        if (take(s, object ? '}' : ']'))
            return true;
        if (!open_level(s, object) || (object && !take_name(s)))
            return false;
    }
}

bool nxi_json_is_valid(const char *data, size_t size)
{
    scan s;

    s.p = data;
    s.end = data + size;
    s.depth = 0;
    for (;;) {
        if (!take_value(&s))
            return false;
        skip_space(&s);
        while (s.depth != 0 && take(&s, in_object(&s) ? '}' : ']')) {
            s.depth--;
            skip_space(&s);
        }
        if (s.depth == 0)
            return s.p == s.end;
        if (!take(&s, ',') || (in_object(&s) && !take_name(&s)))
            return false;
    }
}
