/*
 * where - conditions written as text.
 *
 *     or    := and { OR and }
 *     and   := not { AND not }
 *     not   := NOT not | "(" or ")" | test
 *     test  := path op (value | path) | path IS [NOT] NULL | path [NOT] IN "(" [value { "," value }] ")"
 *            | path [NOT] BETWEEN value AND value | path [NOT] (LIKE | ILIKE) value
 *     path  := name { "." name }           name: letters, digits, _
 *     value := ? | number | 'text' | TRUE | FALSE | NULL
 *     op    := = | != | <> | < | <= | > | >=
 *
 * Words are keywords in any case, but a field may be called by one other than NOT. All of the text is read twice: first for its
 * tokens and the number of values that it wants, then for its meaning; nothing in it gets into SQL but through names of the
 * mapping.
 */
#include "engine/condition.h"
#include "engine/types.h"

typedef enum kind {
    TOKEN_END, TOKEN_NAME, TOKEN_NUMBER, TOKEN_TEXT, TOKEN_PARAM, TOKEN_VERB, TOKEN_OPEN, TOKEN_CLOSE, TOKEN_COMMA, TOKEN_DOT
} kind;

typedef struct token {
    kind kind;
    nx_verb verb;     /* TOKEN_VERB */
    const char *data; /* as it stands in the text, quotes included */
    size_t size;
    int32_t position; /* of its first character, from 1 */
} token;

typedef struct parser {
    nxi_resolver resolver;
    const char *next, *end;
    const char *counted; /* characters before it: */
    int32_t characters;
    token token;         /* the one to look at */
    size_t depth;
    const nx_value *values;
    size_t value_count, values_used;
} parser;

/* A list that grows in the arena. */
typedef struct list {
    void *items;
    size_t count, capacity;
} list;

enum { SHOWN_BYTES = 48 /* of a text in messages */ };

static nx_status no_memory(const parser *p)
{
    return nxi_fail(p->resolver.error, NX_ENOMEM, "out of memory for a condition");
}

/* Room for one more; false: no memory. */
static bool list_reserve(nxi_arena *arena, list *l, size_t item_size)
{
    if (l->count < l->capacity)
        return true;
    size_t capacity = l->capacity == 0 ? 8 : l->capacity * 2;
    void *items = nxi_arena_array(arena, capacity, item_size);
    if (items == NULL)
        return false;
    if (l->count != 0)
        memcpy(items, l->items, l->count * item_size);
    l->items = items;
    l->capacity = capacity;
    return true;
}

/* ------------------------------------------------------------------------------------ tokens */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The text is valid UTF-8: other scripts' letters are all bytes from 0x80. */
static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

static char peek(const parser *p, size_t ahead)
{
    return ahead < (size_t)(p->end - p->next) ? p->next[ahead] : '\0';
}

/* Positions count characters; each byte is looked at once. */
static int32_t position_of(parser *p, const char *place)
{
    for (; p->counted < place; p->counted++)
        p->characters += ((unsigned char)*p->counted & 0xc0) != 0x80 && p->characters < INT32_MAX;
    return p->characters;
}

/* Length that does not cut a character. */
static int shown(const char *data, size_t size)
{
    if (size <= SHOWN_BYTES)
        return (int)size;
    size = SHOWN_BYTES;
    while (size > 0 && ((unsigned char)data[size] & 0xc0) == 0x80)
        size--;
    return (int)size;
}

static nx_status unexpected(parser *p, const char *wanted)
{
    const token *t = &p->token;
    p->resolver.position = t->position;
    if (t->kind == TOKEN_END)
        return nxi_resolver_fail(&p->resolver, NX_ESYNTAX, "syntax error: the condition ends where %s is expected", wanted);
    return nxi_resolver_fail(&p->resolver, NX_ESYNTAX, "syntax error at \"%.*s\": %s is expected", shown(t->data, t->size),
                             t->data, wanted);
}

static nx_status bad_token(parser *p, const char *what)
{
    p->resolver.position = p->token.position;
    return nxi_resolver_fail(&p->resolver, NX_ESYNTAX, "syntax error: %s", what);
}

/* Length of the 'text' that begins here, quotes doubled inside; 0: it does not end. */
static size_t quoted_size(const parser *p)
{
    size_t size = (size_t)(p->end - p->next);
    for (size_t i = 1; i < size; i++) {
        if (p->next[i] != '\'')
            continue;
        if (peek(p, i + 1) != '\'')
            return i + 1;
        i++;
    }
    return 0;
}

/* Length of a number that begins here; 0: none does. */
static size_t number_size(const parser *p)
{
    size_t i = peek(p, 0) == '-' || peek(p, 0) == '+';
    size_t start = i;
    while (is_digit(peek(p, i)))
        i++;
    size_t digits = i - start;
    if (peek(p, i) == '.') {
        start = ++i;
        while (is_digit(peek(p, i)))
            i++;
        digits += i - start;
    }
    if (digits == 0)
        return 0;
    if (peek(p, i) == 'e' || peek(p, i) == 'E') {
        size_t exponent = i + 1 + (peek(p, i + 1) == '-' || peek(p, i + 1) == '+');
        start = exponent;
        while (is_digit(peek(p, exponent)))
            exponent++;
        i = exponent > start ? exponent : i;
    }
    return i;
}

static kind symbol(const parser *p, nx_verb *ret_verb, size_t *ret_size)
{
    static const struct { const char *text; kind kind; nx_verb verb; } symbols[] = {
        { "!=", TOKEN_VERB, NX_VERB_NE }, { "<>", TOKEN_VERB, NX_VERB_NE }, { "<=", TOKEN_VERB, NX_VERB_LE },
        { ">=", TOKEN_VERB, NX_VERB_GE }, { "=", TOKEN_VERB, NX_VERB_EQ },  { "<", TOKEN_VERB, NX_VERB_LT },
        { ">", TOKEN_VERB, NX_VERB_GT },  { "(", TOKEN_OPEN, 0 },           { ")", TOKEN_CLOSE, 0 },
        { ",", TOKEN_COMMA, 0 },          { ".", TOKEN_DOT, 0 },            { "?", TOKEN_PARAM, 0 },
    };
    for (size_t i = 0; i < NXI_COUNT(symbols); i++) {
        size_t size = strlen(symbols[i].text);
        if (size > (size_t)(p->end - p->next) || memcmp(p->next, symbols[i].text, size) != 0)
            continue;
        *ret_verb = symbols[i].verb;
        *ret_size = size;
        return symbols[i].kind;
    }
    return TOKEN_END;
}

static nx_status token_end(parser *p, kind found, size_t size)
{
    p->token.kind = found;
    p->token.size = size;
    p->next += size;
    return NX_OK;
}

/* Look at the next token. */
static nx_status advance(parser *p)
{
    while (p->next < p->end && (*p->next == ' ' || (*p->next >= '\t' && *p->next <= '\r')))
        p->next++;
    p->token = (token){ .data = p->next, .position = position_of(p, p->next) + 1 };
    if (p->next == p->end)
        return token_end(p, TOKEN_END, 0);
    size_t size = 0;
    if (is_letter(*p->next)) {
        while (is_letter(peek(p, size)) || is_digit(peek(p, size)))
            size++;
        return token_end(p, TOKEN_NAME, size);
    }
    if (*p->next == '\'') {
        size = quoted_size(p);
        return size == 0 ? bad_token(p, "a text does not end") : token_end(p, TOKEN_TEXT, size);
    }
    size = number_size(p);
    if (size != 0 && is_letter(peek(p, size)))
        return bad_token(p, "a number goes on with letters");
    if (size != 0)
        return token_end(p, TOKEN_NUMBER, size);
    kind found = symbol(p, &p->token.verb, &size);
    return found == TOKEN_END ? bad_token(p, "a character that means nothing here") : token_end(p, found, size);
}

static bool is_word(const parser *p, const char *lower_case)
{
    return p->token.kind == TOKEN_NAME && nxi_text_is_word(p->token.data, p->token.size, lower_case);
}

/* Step over a keyword if it is there. */
static nx_status accept(parser *p, const char *lower_case, bool *ret_found)
{
    *ret_found = is_word(p, lower_case);
    return *ret_found ? advance(p) : NX_OK;
}

/* Words with a meaning: names only where a field is called so. */
static bool is_keyword(const parser *p)
{
    static const char *const words[] = { "and", "or", "not", "is", "in", "between", "like", "ilike", "null", "true", "false" };
    for (size_t i = 0; i < NXI_COUNT(words); i++) {
        if (is_word(p, words[i]))
            return true;
    }
    return false;
}

/* What a 'text' says. */
static nx_status unquote(const parser *p, nx_text *ret_text)
{
    const token *t = &p->token;
    size_t inner = t->size - 2;
    nx_text text = nx_strn(t->data + 1, inner);
    if (memchr(text.data, '\'', inner) != NULL) {
        char *out = nxi_arena_get(p->resolver.arena, inner, 1);
        size_t size = 0;
        if (out == NULL)
            return no_memory(p);
        for (size_t i = 0; i < inner; i++) {
            out[size++] = text.data[i];
            i += text.data[i] == '\''; /* its double */
        }
        text = nx_strn(out, size);
    }
    *ret_text = text;
    return NX_OK;
}

/* ------------------------------------------------------------------------------------- paths */

static nx_status parse_name(parser *p, const nxi_table *table, const nxi_column **ret_column)
{
    nx_text name = nx_strn(p->token.data, p->token.size);
    if (p->token.kind != TOKEN_NAME)
        return unexpected(p, "a field");
    const nxi_column *column = nxi_table_column(table, name);
    p->resolver.position = p->token.position;
    if (column == NULL && is_keyword(p))
        return unexpected(p, "a field");
    if (column == NULL)
        return nxi_resolver_fail(&p->resolver, NX_ENOFIELD, "%s has no field \"%.*s\" with a column", table->entity->name,
                                 shown(name.data, name.size), name.data);
    *ret_column = column;
    return advance(p);
}

static nx_status parse_path(parser *p, nxi_path *ret_path)
{
    const nxi_table *table = p->resolver.select->table;
    nxi_path path = { .count = 0 };
    for (;;) {
        const nxi_column *column = NULL;
        if (path.count == NX_PATH_MAX)
            return nxi_resolver_fail(&p->resolver, NX_ELIMIT, "a path has at most %d fields", (int)NX_PATH_MAX);
        nx_status status = parse_name(p, table, &column);
        if (status != NX_OK)
            return status;
        path.hop[path.count++] = column;
        if (p->token.kind != TOKEN_DOT)
            break;
        if (column->form != NXI_FORM_REFERENCE)
            return nxi_resolver_fail(&p->resolver, NX_ENOFIELD, "%s.%s is no reference", table->entity->name,
                                     column->field->name);
        table = column->target;
        status = advance(p);
        if (status != NX_OK)
            return status;
    }
    *ret_path = path;
    return NX_OK;
}

/* ------------------------------------------------------------------------------------ values */

/* Numbers with a point or exponent keep their digits: a decimal is exact. */
static nx_status parse_number(parser *p, const nxi_column *column, nx_value *ret_value)
{
    const token *t = &p->token;
    int64_t whole;
    if (nxi_integer_parse(t->data, t->size, &whole) == NX_OK) {
        *ret_value = nx_value_i64(whole);
        return NX_OK;
    }
    if (column->type != NX_TYPE_f64 && column->type != NX_TYPE_decimal) {
        p->resolver.position = t->position;
        return nxi_resolver_fail(&p->resolver, NX_ETYPE, "%s.%s: the number %.*s is no %s", column->table->entity->name,
                                 column->field->name, shown(t->data, t->size), t->data, nx_type_name(column->type));
    }
    *ret_value = nx_value_text(nx_strn(t->data, t->size));
    return NX_OK;
}

static nx_status parse_value(parser *p, const nxi_column *column, nx_value *ret_value)
{
    nx_status status = NX_OK;
    nx_text text = { .data = NULL };
    if (p->token.kind == TOKEN_PARAM) {
        NX_ASSERT(p->values_used < p->value_count); /* they were counted */
        *ret_value = p->values[p->values_used++];
    } else if (p->token.kind == TOKEN_NUMBER) {
        status = parse_number(p, column, ret_value);
    } else if (p->token.kind == TOKEN_TEXT) {
        status = unquote(p, &text);
        if (status == NX_OK)
            *ret_value = nx_value_text(text);
    } else if (is_word(p, "null")) {
        *ret_value = nx_null();
    } else if (is_word(p, "true") || is_word(p, "false")) {
        *ret_value = nx_value_boolean(is_word(p, "true"));
    } else {
        return unexpected(p, "a value");
    }
    return status == NX_OK ? advance(p) : status;
}

static nx_status parse_values(parser *p, const nxi_column *column, list *values)
{
    if (p->token.kind != TOKEN_OPEN)
        return unexpected(p, "\"(\"");
    nx_status status = advance(p);
    while (status == NX_OK && p->token.kind != TOKEN_CLOSE) {
        if (!list_reserve(p->resolver.arena, values, sizeof(nx_value)))
            return no_memory(p);
        status = parse_value(p, column, (nx_value *)values->items + values->count);
        if (status != NX_OK)
            return status;
        values->count++;
        if (p->token.kind == TOKEN_CLOSE)
            break;
        if (p->token.kind != TOKEN_COMMA)
            return unexpected(p, "\",\" or \")\"");
        status = advance(p);
        if (status == NX_OK && p->token.kind == TOKEN_CLOSE)
            return unexpected(p, "a value");
    }
    return status == NX_OK ? advance(p) : status;
}

/* ------------------------------------------------------------------------------------- tests */

/* A test of one field, once its path is read; errors about it stand where it began. */
typedef struct test {
    nxi_path path;
    int32_t position;
    const nxi_column *column; /* that the path ends at */
} test;

static nx_status test_values(parser *p, const test *t, nx_verb verb, const nx_value *values, size_t count,
                             nxi_condition **ret_made)
{
    nxi_target target;
    p->resolver.position = t->position;
    nx_status status = nxi_resolve_target(&p->resolver, &t->path, true, &target);
    return status != NX_OK ? status : nxi_condition_leaf(&p->resolver, verb, &target, values, count, ret_made);
}

/* Field to field: both at the end of the same references. */
static nx_status test_columns(parser *p, const test *t, nx_verb verb, nxi_condition **ret_made)
{
    nxi_path other;
    nxi_target target;
    int32_t position = p->token.position;
    nx_status status = parse_path(p, &other);
    if (status != NX_OK)
        return status;
    size_t before = t->path.count - 1;
    p->resolver.position = position;
    if (other.count != t->path.count || memcmp(other.hop, t->path.hop, before * sizeof(other.hop[0])) != 0)
        return nxi_resolver_fail(&p->resolver, NX_EINVAL, "only fields of the same row can be compared");
    p->resolver.position = t->position;
    status = nxi_resolve_target(&p->resolver, &t->path, false, &target);
    return status != NX_OK ? status : nxi_condition_columns(&p->resolver, verb, &target, other.hop[before], ret_made);
}

static nx_status test_compare(parser *p, const test *t, nxi_condition **ret_made)
{
    nx_verb verb = p->token.verb;
    nx_value value = nx_null();
    nx_status status = advance(p);
    if (status != NX_OK)
        return status;
    if (p->token.kind == TOKEN_NAME && !is_word(p, "null") && !is_word(p, "true") && !is_word(p, "false"))
        return test_columns(p, t, verb, ret_made);
    status = parse_value(p, t->column, &value);
    return status != NX_OK ? status : test_values(p, t, verb, &value, 1, ret_made);
}

static nx_status test_is(parser *p, const test *t, nxi_condition **ret_made)
{
    bool is_not, is_null = false;
    nx_status status = accept(p, "not", &is_not);
    if (status == NX_OK)
        status = accept(p, "null", &is_null);
    if (status != NX_OK)
        return status;
    if (!is_null)
        return unexpected(p, is_not ? "NULL" : "NULL or NOT NULL");
    return test_values(p, t, is_not ? NX_VERB_IS_NOT_NULL : NX_VERB_IS_NULL, NULL, 0, ret_made);
}

static nx_status test_between(parser *p, const test *t, nxi_condition **ret_made)
{
    nx_value bounds[2];
    bool is_and = false;
    nx_status status = parse_value(p, t->column, &bounds[0]);
    if (status == NX_OK)
        status = accept(p, "and", &is_and);
    if (status != NX_OK)
        return status;
    if (!is_and)
        return unexpected(p, "AND");
    status = parse_value(p, t->column, &bounds[1]);
    return status != NX_OK ? status : test_values(p, t, NX_VERB_BETWEEN, bounds, 2, ret_made);
}

/* [NOT] IN, BETWEEN, LIKE, ILIKE. */
static nx_status test_word(parser *p, const test *t, nxi_condition **ret_made)
{
    bool is_not;
    nx_value pattern = nx_null();
    nx_status status = accept(p, "not", &is_not);
    if (status != NX_OK)
        return status;
    bool is_in = is_word(p, "in"), is_between = is_word(p, "between"), is_like = is_word(p, "like");
    if (!is_in && !is_between && !is_like && !is_word(p, "ilike"))
        return unexpected(p, is_not ? "IN, BETWEEN, LIKE or ILIKE" : "an operator");
    status = advance(p);
    if (status != NX_OK)
        return status;
    if (is_in) {
        list values = { .items = NULL };
        status = parse_values(p, t->column, &values);
        nx_verb verb = is_not ? NX_VERB_NOT_IN : NX_VERB_IN;
        return status != NX_OK ? status : test_values(p, t, verb, values.items, values.count, ret_made);
    }
    nxi_condition *made = NULL;
    if (is_between) {
        status = test_between(p, t, &made);
    } else {
        status = parse_value(p, t->column, &pattern);
        if (status == NX_OK)
            status = test_values(p, t, is_like ? NX_VERB_LIKE : NX_VERB_ILIKE, &pattern, 1, &made);
    }
    if (status != NX_OK || !is_not) {
        *ret_made = made;
        return status;
    }
    return nxi_condition_node(&p->resolver, NX_VERB_NOT, &made, 1, ret_made);
}

static nx_status parse_test(parser *p, nxi_condition **ret_made)
{
    test t = { .position = p->token.position };
    bool is_is;
    nx_status status = parse_path(p, &t.path);
    if (status != NX_OK)
        return status;
    t.column = t.path.hop[t.path.count - 1];
    if (p->token.kind == TOKEN_VERB)
        return test_compare(p, &t, ret_made);
    status = accept(p, "is", &is_is);
    if (status != NX_OK)
        return status;
    return is_is ? test_is(p, &t, ret_made) : test_word(p, &t, ret_made);
}

/* -------------------------------------------------------------------------------- structure */

static nx_status parse_list(parser *p, nx_verb verb, nxi_condition **ret_made);

static nx_status deeper(parser *p)
{
    if (++p->depth <= NXI_CONDITION_DEPTH_MAX)
        return advance(p);
    p->resolver.position = p->token.position;
    return nxi_resolver_fail(&p->resolver, NX_ELIMIT, "a condition is nested deeper than %d", (int)NXI_CONDITION_DEPTH_MAX);
}

static nx_status parse_not(parser *p, nxi_condition **ret_made)
{
    nxi_condition *inside = NULL;
    bool is_not = is_word(p, "not");
    if (!is_not && p->token.kind != TOKEN_OPEN)
        return parse_test(p, ret_made);
    nx_status status = deeper(p);
    if (status == NX_OK)
        status = is_not ? parse_not(p, &inside) : parse_list(p, NX_VERB_OR, &inside);
    if (status != NX_OK)
        return status;
    p->depth--;
    if (is_not)
        return nxi_condition_node(&p->resolver, NX_VERB_NOT, &inside, 1, ret_made);
    *ret_made = inside;
    return p->token.kind == TOKEN_CLOSE ? advance(p) : unexpected(p, "AND, OR or \")\"");
}

/* One or more parts with the verb's word between them. */
static nx_status parse_list(parser *p, nx_verb verb, nxi_condition **ret_made)
{
    list parts = { .items = NULL };
    bool is_and = verb == NX_VERB_AND, more = false;
    do {
        nxi_condition *part = NULL;
        nx_status status = is_and ? parse_not(p, &part) : parse_list(p, NX_VERB_AND, &part);
        if (status != NX_OK)
            return status;
        if (!list_reserve(p->resolver.arena, &parts, sizeof(nxi_condition *)))
            return no_memory(p);
        ((nxi_condition **)parts.items)[parts.count++] = part;
        status = accept(p, is_and ? "and" : "or", &more);
        if (status != NX_OK)
            return status;
    } while (more);
    nxi_condition **items = parts.items;
    *ret_made = items[0];
    return parts.count == 1 ? NX_OK : nxi_condition_node(&p->resolver, verb, items, parts.count, ret_made);
}

/* ------------------------------------------------------------------------------------- start */

static void rewind_to(parser *p, const char *text)
{
    p->next = p->counted = text;
    p->characters = 0;
}

/* The first reading: every token is one, and there are as many values as it wants. */
static nx_status check_text(parser *p, const char *text)
{
    size_t bad, size = strlen(text), wanted = 0;
    p->end = text + size;
    rewind_to(p, text);
    if (!nxi_text_is_valid(text, size, &bad)) {
        p->resolver.position = position_of(p, text + bad) + 1;
        return nxi_resolver_fail(&p->resolver, NX_EENCODING, "the condition is not UTF-8");
    }
    do {
        nx_status status = advance(p);
        if (status != NX_OK)
            return status;
        wanted += p->token.kind == TOKEN_PARAM;
    } while (p->token.kind != TOKEN_END);
    if (wanted != p->value_count)
        return nxi_resolver_fail(&p->resolver, NX_EINVAL, "%zu `?` in the condition and %zu values given", wanted,
                                 p->value_count);
    rewind_to(p, text);
    return NX_OK;
}

nx_status nxi_select_where(nxi_select *select, nxi_arena *arena, const char *text, const nx_value *values, size_t count,
                           nx_error *error)
{
    parser p = { .values = values, .value_count = count };
    nxi_condition *condition = NULL;
    if (text == NULL || (values == NULL && count != 0))
        return nxi_fail(error, NX_EINVAL, text == NULL ? "the condition is NULL" : "a count of values without values");
    nxi_resolver_begin(&p.resolver, select, arena, error);
    nx_status status = check_text(&p, text);
    if (status == NX_OK)
        status = advance(&p);
    if (status == NX_OK)
        status = parse_list(&p, NX_VERB_OR, &condition);
    if (status == NX_OK && p.token.kind != TOKEN_END)
        status = unexpected(&p, "AND, OR or the end");
    return status == NX_OK ? nxi_resolver_end(&p.resolver, condition) : nxi_resolver_undo(&p.resolver, status);
}
