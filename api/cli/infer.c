/*
 * infer - the type of a column, guessed from a sample of its fields.
 */
#include "api/cli/infer.h"

#include "api/cli/convert.h"

/* Digits that every double keeps. */
enum { DOUBLE_DIGITS = 17 };

/* The first that fits all fields is the type. */
static const nx_type candidates[] = { NX_TYPE_boolean,   NX_TYPE_i64,         NX_TYPE_f64, NX_TYPE_date,
                                      NX_TYPE_timestamp, NX_TYPE_timestamptz, NX_TYPE_uuid };
enum { CANDIDATE_COUNT = sizeof(candidates) / sizeof(candidates[0]) };

/* The form in which a number would be written back: no plus, no leading zero, not more digits than can be kept. */
static bool is_number_form(nx_text text)
{
    size_t i = text.data[0] == '-' ? 1 : 0;
    size_t digits = 0;

    if (i == text.size || text.data[i] == '+')
        return false;
    if (text.data[i] == '0' && i + 1 < text.size && text.data[i + 1] >= '0' && text.data[i + 1] <= '9')
        return false;
    for (; i < text.size && text.data[i] != 'e' && text.data[i] != 'E'; i++)
        digits += text.data[i] >= '0' && text.data[i] <= '9' ? 1 : 0;
    return digits > 0 && digits <= DOUBLE_DIGITS + 2;
}

static bool fits_plain(nx_type type, const field *example)
{
    scratch unused = { NULL, 0 };
    nx_value value;

    if (convert(type, example, &unused, &value) != NULL)
        return false;
    if (type == NX_TYPE_boolean)
        return example->text.size > 1; /* 0 and 1 are numbers first */
    if (type == NX_TYPE_i64)
        return is_number_form(example->text);
    if (type == NX_TYPE_f64) {
        nx_value integer;
        field copy = *example;

        /* An integer beyond i64, a long serial number say, would lose its last digits. */
        if (strpbrk(example->text.data, ".eE") == NULL)
            return is_number_form(example->text) && convert(NX_TYPE_i64, &copy, &unused, &integer) == NULL;
        return is_number_form(example->text);
    }
    return true;
}

static bool fits(nx_type type, const field *example)
{
    bool is_moment = type != NX_TYPE_boolean && type != NX_TYPE_i64 && type != NX_TYPE_f64;

    switch (example->kind) {
    case FIELD_PLAIN:
        return fits_plain(type, example);
    case FIELD_STRING:
        return is_moment && fits_plain(type, example);
    case FIELD_INTEGER:
        return type == NX_TYPE_i64 || type == NX_TYPE_f64;
    case FIELD_REAL:
        return type == NX_TYPE_f64;
    case FIELD_BOOLEAN:
        return type == NX_TYPE_boolean;
    case FIELD_JSON:
    case FIELD_NULL:
    default:
        return false;
    }
}

void guess_add(guess *about, const field *example)
{
    if (example->kind == FIELD_NULL || (example->kind == FIELD_PLAIN && example->text.size == 0))
        return;
    about->seen = true;
    about->nested = about->nested || example->kind == FIELD_JSON;
    for (unsigned i = 0; i < CANDIDATE_COUNT; i++) {
        if ((about->excluded & (1U << i)) == 0 && !fits(candidates[i], example))
            about->excluded |= 1U << i;
    }
}

nx_type guess_type(const guess *about)
{
    if (about->nested)
        return NX_TYPE_json;
    for (unsigned i = 0; about->seen && i < CANDIDATE_COUNT; i++) {
        if ((about->excluded & (1U << i)) == 0)
            return candidates[i];
    }
    return NX_TYPE_text;
}
