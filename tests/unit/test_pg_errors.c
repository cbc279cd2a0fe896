/*
 * errors: ErrorResponse of PostgreSQL as an error of ours, whole, cut at every byte, and malformed in every way.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "drivers/postgres/errors.h"

/* Bodies are written as text in which '|' stands for the zero byte. */
typedef struct body {
    uint8_t bytes[2048];
    size_t size;
} body;

static body make(const char *text)
{
    body b = { .size = strlen(text) };

    cr_assert_leq(b.size, sizeof(b.bytes));
    for (size_t i = 0; i < b.size; i++)
        b.bytes[i] = text[i] == '|' ? 0 : (uint8_t)text[i];
    return b;
}

static nx_error error;
static nxi_pg_trouble trouble;

/* From memory of exactly that size: the sanitizer sees every byte read beyond it. */
static void describe_bytes(const uint8_t *bytes, size_t size, const nxi_statement *statement)
{
    uint8_t *exact = malloc(size == 0 ? 1 : size);

    cr_assert_not_null(exact);
    memcpy(exact, bytes, size);
    memset(&error, 0xa5, sizeof(error));
    memset(&trouble, 0xa5, sizeof(trouble));
    nxi_pg_describe(exact, size, statement, &error, &trouble);
    free(exact);
    cr_assert_neq(error.status, NX_OK);
    cr_assert(nxi_text_is_valid(error.message, strlen(error.message), NULL));
    cr_assert(nxi_text_is_valid(error.detail, strlen(error.detail), NULL));
    cr_assert(nxi_text_is_valid(error.table, strlen(error.table), NULL));
    cr_assert(nxi_text_is_valid(error.column, strlen(error.column), NULL));
    cr_assert(nxi_text_is_valid(error.constraint, strlen(error.constraint), NULL));
    cr_assert_str_eq(error.sqlstate, trouble.sqlstate);
}

static void describe(const char *text, const nxi_statement *statement)
{
    body b = make(text);
    describe_bytes(b.bytes, b.size, statement);
}

/* ------------------------------------------------------------------------------ a table to speak of */

static const nx_field plain_field = { .name = "f" };
static const nx_field named_field = { .name = "f", .fk_name = "my_reference" };
static const nxi_table other_table = { .name = "author", .key_count = 1 };
static nxi_column columns[] = {
    { .name = "id", .field = &plain_field, .is_key = true },
    { .name = "title", .field = &plain_field },
    { .name = "title_two", .field = &plain_field },
    { .name = "author_id", .field = &plain_field, .form = NXI_FORM_REFERENCE, .target = &other_table },
    { .name = "editor_id", .field = &named_field, .form = NXI_FORM_REFERENCE, .target = &other_table },
};
static const nxi_table table = { .name = "post", .columns = columns, .column_count = NXI_COUNT(columns), .key_count = 1 };
static const nxi_statement statement = { .table = &table, .sql = "INSERT", .sql_size = 6 };

static void set_up(void)
{
    for (size_t i = 0; i < NXI_COUNT(columns); i++)
        columns[i].table = &table;
}

TestSuite(pg_errors, .init = set_up);

/* ------------------------------------------------------------------------------ fields */

static const char unique[] =
    "SFEHLER|VERROR|C23505|Mduplicate key value violates unique constraint \"unq_post__title\"|"
    "DKey (title)=(x) already exists.|HChange it.|P3|p9|qSELECT 1|WCOPY post, line 5, column title: \"x\"|"
    "spublic|tpost|dinteger|nunq_post__title|Fnbtinsert.c|L663|R_bt_check_unique||";

Test(pg_errors, every_field)
{
    describe(unique, &statement);
    cr_expect_eq(error.status, NX_EUNIQUE);
    cr_expect_str_eq(error.sqlstate, "23505");
    cr_expect_str_eq(error.message, "duplicate key value violates unique constraint \"unq_post__title\""
                                    " (at character 3 of the SQL text)");
    cr_expect_str_eq(error.detail, "Key (title)=(x) already exists. Hint: Change it.");
    cr_expect_str_eq(error.table, "post");
    cr_expect_str_eq(error.column, "title");
    cr_expect_str_eq(error.constraint, "unq_post__title");
    cr_expect_eq(error.position, 3);
    cr_expect_eq(error.row, -1);
    cr_expect_eq(error.server_code, 0);
    cr_expect_not(error.retryable);
    cr_expect_eq(error.outcome, NX_OUTCOME_NONE);
    cr_expect_eq(trouble.copy_line, 5);
    cr_expect_not(trouble.is_fatal);
    cr_expect_not(trouble.plan_is_stale);
}

/* Goal: whatever is cut off, what was whole before it is there, and nothing is read beyond the end. */
Test(pg_errors, cut_at_every_byte)
{
    body b = make(unique);

    for (size_t size = 0; size < b.size; size++) {
        describe_bytes(b.bytes, size, &statement);
        cr_expect_eq(error.status, NX_ESERVER, "cut at %zu", size);
        cr_expect_not(error.retryable);
        cr_expect_str_eq(error.sqlstate, size >= 21 ? "23505" : "", "cut at %zu", size);
        if (size > 100)
            cr_expect_eq(strncmp(error.message, "duplicate key value violates unique constraint", 46), 0, "cut at %zu", size);
    }
    describe_bytes(b.bytes, b.size, &statement);
    cr_expect_eq(error.status, NX_EUNIQUE);
}

Test(pg_errors, nothing_at_all)
{
    describe_bytes((const uint8_t *)"", 0, NULL);
    cr_expect_eq(error.status, NX_ESERVER);
    cr_expect_str_eq(error.message, "the server reported an error without a message");
    describe("|", NULL);
    cr_expect_eq(error.status, NX_ESERVER);
}

Test(pg_errors, sqlstate_missing_or_wrong)
{
    static const char *const bodies[] = {
        "SERROR|VERROR|Mboom||",  "VERROR|C|Mboom||",      "VERROR|C2350|Mboom||",
        "VERROR|C235055|Mboom||", "VERROR|C2350a|Mboom||", "VERROR|C2350\xff|Mboom||",
    };

    for (size_t i = 0; i < NXI_COUNT(bodies); i++) {
        describe(bodies[i], &statement);
        cr_expect_eq(error.status, NX_ESERVER, "%s", bodies[i]);
        cr_expect_str_eq(error.sqlstate, "");
        cr_expect_str_eq(error.message, "boom");
    }
}

Test(pg_errors, bytes_behind_the_end_make_it_malformed)
{
    describe("VERROR|C23505|Mboom||Mmore||", &statement);
    cr_expect_eq(error.status, NX_ESERVER);
    cr_expect_str_eq(error.message, "boom");
}

Test(pg_errors, the_first_of_two_fields_counts)
{
    describe("VERROR|C23505|C40001|Mfirst|Msecond|tpost|tother||", NULL);
    cr_expect_eq(error.status, NX_EUNIQUE);
    cr_expect_str_eq(error.message, "first");
    cr_expect_str_eq(error.table, "post");
}

Test(pg_errors, unknown_fields_are_passed_over)
{
    describe("VERROR|C23502|Mboom|zwhatever|cscore|tpost||", NULL);
    cr_expect_eq(error.status, NX_ENOTNULL);
    cr_expect_str_eq(error.column, "score");
}

Test(pg_errors, invalid_utf8_becomes_question_marks)
{
    describe("VERROR|C22000|Ma\xff\xfe"
             "b\xc3\xa4\xed\xa0\x80|D\x80|t\xf8t||",
             NULL);
    cr_expect_str_eq(error.message, "a??b\xc3\xa4???");
    cr_expect_str_eq(error.detail, "?");
    cr_expect_str_eq(error.table, "?t");
}

/* Goal: long texts are cut between characters, whatever their offset; with and without a position behind them. */
Test(pg_errors, long_texts_are_cut_at_a_character)
{
    for (size_t shift = 0; shift < 4; shift++) {
        for (int with_position = 0; with_position < 2; with_position++) {
            char text[2048] = "VERROR|C42601|M";
            size_t at = strlen(text);

            memset(text + at, 'a', shift);
            at += shift;
            for (; at + 4 < 1200; at += 4)
                memcpy(text + at, "\xf0\x9f\x98\x80", 4);
            strncpy(text + at, with_position ? "|P7|Dx||" : "|Dx||", 16);
            describe(text, NULL);
            cr_expect_gt(strlen(error.message), NX_ERROR_MESSAGE_SIZE - 20u);
            cr_expect_eq(strstr(error.message, "(at character 7 of the SQL text)") != NULL, with_position);
        }
    }
}

/* ------------------------------------------------------------------------------ positions */

Test(pg_errors, positions_are_characters_of_the_text)
{
    static const nxi_statement umlauts = { .sql = "s\xc3\xa4\xc3\xa4x", .sql_size = 6 };
    static const struct {
        const char *field;
        int32_t wanted;
    } positions[] = {
        { "1", 1 },  { "4", 4 },          { "5", 5 /* its end */ },      { "6", 0 },  { "0", 0 }, { "", 0 }, { "x", 0 },
        { "-1", 0 }, { "2147483648", 0 }, { "99999999999999999999", 0 }, { "3x", 3 },
    };

    for (size_t i = 0; i < NXI_COUNT(positions); i++) {
        char text[128];
        snprintf(text, sizeof(text), "VERROR|C42601|Mboom|P%s||", positions[i].field);
        describe(text, &umlauts);
        cr_expect_eq(error.position, positions[i].wanted, "P%s", positions[i].field);
        cr_expect_eq(error.status, NX_ESYNTAX);
    }
    describe("VERROR|C42601|Mboom|P77||", NULL);
    cr_expect_eq(error.position, 77);
}

/* ------------------------------------------------------------------------------ names */

Test(pg_errors, constraints_of_one_column_name_it)
{
    static const struct {
        const char *constraint, *column;
    } names[] = {
        { "unq_post__title", "title" },
        { "unq_post__title_two", "title_two" },
        { "post_title_key", "title" },
        { "fk_post__author_id", "author_id" },
        { "post_author_id_fkey", "author_id" },
        { "my_reference", "editor_id" },
        { "post_title_check", "title" },
        { "post_pkey", "id" },
        { "unq_post__title__title_two", "" },
        { "unq_other__title", "" },
        { "title", "" },
    };

    for (size_t i = 0; i < NXI_COUNT(names); i++) {
        char text[128];
        snprintf(text, sizeof(text), "VERROR|C23505|Mboom|tpost|n%s||", names[i].constraint);
        describe(text, &statement);
        cr_expect_str_eq(error.column, names[i].column, "%s", names[i].constraint);
    }
    describe("VERROR|C23503|Mboom|tcomment|nunq_post__title||", &statement);
    cr_expect_str_eq(error.column, "", "the constraint is another table's");
    describe("VERROR|C23502|Mboom|tpost|cscore|nunq_post__title||", &statement);
    cr_expect_str_eq(error.column, "score", "what the server says comes first");
}

Test(pg_errors, the_table_of_the_statement_is_named_when_the_server_names_none)
{
    describe("VERROR|C22003|Minteger out of range||", &statement);
    cr_expect_str_eq(error.table, "post");
    describe("VERROR|C40P01|Mdeadlock detected||", &statement);
    cr_expect_str_eq(error.table, "");
    describe("VERROR|C22003|Minteger out of range||", NULL);
    cr_expect_str_eq(error.table, "");
}

Test(pg_errors, undefined_names_are_read_from_the_message)
{
    describe("VERROR|C42P01|Mrelation \"x y\" does not exist|P15||", NULL);
    cr_expect_eq(error.status, NX_EUNDEFINED);
    cr_expect_str_eq(error.table, "x y");
    describe("VERROR|C42703|Mcolumn \"a\" of relation \"t\" does not exist||", NULL);
    cr_expect_str_eq(error.column, "a");
    cr_expect_str_eq(error.table, "t");
    describe("VERROR|C42703|Mcolumn \"a\" does not exist||", NULL);
    cr_expect_str_eq(error.column, "a");
    describe("VERROR|C42703|MSpalte \xc2\xbb"
             "a\xc2\xab existiert nicht||",
             NULL);
    cr_expect_str_eq(error.column, "");
    describe("VERROR|C42P01|Mrelation \"x||", NULL);
    cr_expect_str_eq(error.table, "");
}

Test(pg_errors, the_line_of_a_copy)
{
    static const struct {
        const char *where;
        int64_t line;
        const char *column;
    } contexts[] = {
        { "COPY post, line 5", 5, "" },
        { "COPY post, line 12, column title_two", 12, "title_two" },
        { "COPY post, line 12, column title", 12, "title" },
        { "COPY post, line 12, column title: \"COPY post, line 3\"", 12, "title" },
        { "COPY nx_merge_1, line 7, column title", 7, "title" },
        { "COPY post, line 99999999999999", 0, "" },
        { "COPY post, line ", 0, "" },
        { "COPY post, lin", 0, "" },
        { "COPY ", 0, "" },
        { "SQL statement \"COPY post, line 5\"", 0, "" },
    };

    for (size_t i = 0; i < NXI_COUNT(contexts); i++) {
        char text[256];
        snprintf(text, sizeof(text), "VERROR|C22000|Mboom|W%s||", contexts[i].where);
        describe(text, &statement);
        cr_expect_eq(trouble.copy_line, contexts[i].line, "%s", contexts[i].where);
        cr_expect_str_eq(error.column, contexts[i].column, "%s", contexts[i].where);
    }
    describe("VERROR|C22000|Mboom|WCOPY post, line 5, column x||", NULL);
    cr_expect_eq(trouble.copy_line, 5);
}

/* ------------------------------------------------------------------------------ what the connection does */

Test(pg_errors, severity_decides_about_the_connection)
{
    describe("SFATAL|VFATAL|C57P01|Mterminating connection due to administrator command||", NULL);
    cr_expect(trouble.is_fatal);
    cr_expect_eq(error.status, NX_ELOST);
    cr_expect(error.retryable);
    describe("VPANIC|CXX000|Mboom||", NULL);
    cr_expect(trouble.is_fatal);
    describe("SFATAL|VERROR|CXX000|Mboom||", NULL);
    cr_expect_not(trouble.is_fatal, "S may be in any language");
    describe("VFATAL|C57P01|Mcut", NULL);
    cr_expect(trouble.is_fatal, "malformed, but the server closes all the same");
}

Test(pg_errors, stale_plans)
{
    describe("VERROR|C0A000|Mcached plan must not change result type|RRevalidateCachedQuery||", NULL);
    cr_expect(trouble.plan_is_stale);
    cr_expect(error.retryable);
    describe("VERROR|C0A000|Mnot supported|RtransformInsertStmt||", NULL);
    cr_expect_not(trouble.plan_is_stale);
    cr_expect_not(error.retryable);
    cr_expect_eq(error.status, NX_EUNSUPPORTED);
    describe("VERROR|C26000|Mprepared statement \"x\" does not exist||", NULL);
    cr_expect(trouble.plan_is_stale);
    describe("VERROR|C42P05|Mprepared statement \"x\" already exists||", NULL);
    cr_expect(trouble.plan_is_stale);
}

Test(pg_errors, a_timeout_is_no_cancel)
{
    describe("VERROR|C57014|Mcanceling statement due to user request||", NULL);
    cr_expect_eq(error.status, NX_ECANCELED);
    cr_expect(trouble.may_be_interrupt);
    describe("VERROR|C57014|Mcanceling statement due to statement timeout||", NULL);
    cr_expect_eq(error.status, NX_EDEADLINE);
    cr_expect_not(trouble.may_be_interrupt);
}

/* What was not asked for by us is a timeout, whatever the words; and an interrupt of ours is recognised by the connection. */
Test(pg_errors, a_timeout_in_another_language)
{
    describe("VERROR|C57014|Mstorniere Anfrage wegen Zeit\xc3\xbc" "berschreitung der Anfrage|RProcessInterrupts||", NULL);
    cr_expect_eq(error.status, NX_EDEADLINE);
    cr_expect(trouble.may_be_interrupt);
    describe("VERROR|C57014|Mstorniere Anfrage wegen Benutzeraufforderung|RProcessInterrupts||", NULL);
    cr_expect(trouble.may_be_interrupt);
    describe("VERROR|C57014||", NULL);
    cr_expect_eq(error.status, NX_EDEADLINE);
}

Test(pg_errors, a_table_without_xmax)
{
    describe("VERROR|C0A000|Mcannot retrieve a system column in this context|Rtts_virtual_getsysattr||", NULL);
    cr_expect(trouble.lacks_xmax);
    describe("VERROR|C42703|MSpalte \xc2\xbbxmax\xc2\xab existiert nicht||", NULL);
    cr_expect(trouble.lacks_xmax);
    describe("VERROR|C0A000|Mnot supported|RtransformInsertStmt||", NULL);
    cr_expect_not(trouble.lacks_xmax);
    describe("VERROR|C42703|Mcolumn \"a\" does not exist||", NULL);
    cr_expect_not(trouble.lacks_xmax);
}

/* ------------------------------------------------------------------------------ the table */

Test(pg_errors, statuses)
{
    static const struct {
        const char *sqlstate;
        nx_status status;
        bool retryable;
    } wanted[] = {
        { "40001", NX_ESERIALIZATION, true }, { "40P01", NX_EDEADLOCK, true },    { "55P03", NX_ELOCKED, true },
        { "23000", NX_ECONSTRAINT, false },   { "23001", NX_EFOREIGNKEY, false }, { "23502", NX_ENOTNULL, false },
        { "23503", NX_EFOREIGNKEY, false },   { "23505", NX_EUNIQUE, false },     { "23514", NX_ECHECK, false },
        { "23P01", NX_ECONSTRAINT, false },   { "22001", NX_ETOOLONG, false },    { "22003", NX_ERANGE, false },
        { "22021", NX_EENCODING, false },     { "22P02", NX_ETYPE, false },       { "22012", NX_EVALUE, false },
        { "25006", NX_EREADONLY, false },     { "25P02", NX_EABORTED, false },    { "25P03", NX_EABORTED, true },
        { "25001", NX_ESTATE, false },        { "28P01", NX_EAUTH, false },       { "28000", NX_EAUTH, false },
        { "3D000", NX_EUNDEFINED, false },    { "42P01", NX_EUNDEFINED, false },  { "42703", NX_EUNDEFINED, false },
        { "42601", NX_ESYNTAX, false },       { "42501", NX_EPERMISSION, false }, { "42P07", NX_ESTATE, false },
        { "42804", NX_ETYPE, false },         { "53100", NX_EFULL, false },       { "53300", NX_ELIMIT, true },
        { "54000", NX_ELIMIT, false },        { "57P01", NX_ELOST, true },        { "57P03", NX_ECONNECT, true },
        { "57P04", NX_ELOST, false },         { "58030", NX_EIO, false },         { "08006", NX_ELOST, true },
        { "08007", NX_ECOMMIT, false },       { "08P01", NX_EPROTOCOL, false },   { "40003", NX_ECOMMIT, false },
        { "XX000", NX_ESERVER, false },       { "XX001", NX_ECORRUPT, false },    { "P0001", NX_ECONSTRAINT, false },
        { "72000", NX_ESERIALIZATION, true }, { "ZZZZZ", NX_ESERVER, false },     { "00000", NX_ESERVER, false },
        { "0A000", NX_EUNSUPPORTED, false },  { "02000", NX_ENOTFOUND, false },   { "", NX_ESERVER, false },
    };

    for (size_t i = 0; i < NXI_COUNT(wanted); i++) {
        bool retryable = !wanted[i].retryable;
        cr_expect_eq(nxi_pg_status_of(wanted[i].sqlstate, &retryable), wanted[i].status, "%s", wanted[i].sqlstate);
        cr_expect_eq(retryable, wanted[i].retryable, "%s", wanted[i].sqlstate);
    }
}

/* Goal: an exact code that stood behind its class would never be found. */
Test(pg_errors, no_sqlstate_is_ok)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    char sqlstate[6] = "";

    for (size_t n = 0; n < 36u * 36 * 36; n++) {
        bool retryable;
        sqlstate[0] = digits[n / 1296];
        sqlstate[1] = digits[n / 36 % 36];
        memcpy(sqlstate + 2, "00", 2);
        sqlstate[4] = digits[n % 36];
        cr_assert_neq(nxi_pg_status_of(sqlstate, &retryable), NX_OK);
    }
}
