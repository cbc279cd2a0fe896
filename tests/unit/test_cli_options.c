/*
 * test_cli_options - the parts of the command line: delimiter, batch, URL.
 */
#include <criterion/criterion.h>

#include "api/cli/common.c"
#include "api/cli/options.c"

Test(cli_options, delimiter)
{
    static const struct { const char *text; char byte; } good[] = {
        { ",", ',' }, { ";", ';' }, { "\\t", '\t' }, { "\t", '\t' }, { "\\x1f", '\x1f' }, { "\\x7C", '|' },
        { "\\", '\\' }, { "\xA7", '\xA7' },
    };
    static const char *const bad[] = { "", "ab", "\"", "\n", "\r", "\\n", "\\x0a", "\\x00", "\\x", "\\xg0", "\\x123", "\\x22",
                                       "tab" };
    char byte;

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        cr_expect(options_delimiter(good[i].text, &byte), "%s", good[i].text);
        cr_expect_eq(byte, good[i].byte);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        byte = 'u';
        cr_expect_not(options_delimiter(bad[i], &byte), "%s", bad[i]);
        cr_expect_eq(byte, 'u');
    }
}

Test(cli_options, batch)
{
    static const char *const bad[] = { "", "0", "00", "-1", "+1", " 1", "1 ", "1000001", "4294967297",
                                       "99999999999999999999999", "1e3" };
    uint32_t rows = 7;

    cr_expect(options_batch("1", &rows));
    cr_expect_eq(rows, 1U);
    cr_expect(options_batch("1000000", &rows));
    cr_expect_eq(rows, 1000000U);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_expect_not(options_batch(bad[i], &rows), "%s", bad[i]);
        cr_expect_eq(rows, 1000000U);
    }
}

Test(cli_options, url)
{
    static const struct { const char *url, *provider, *path; } good[] = {
        { "sqlite:a:b.db", "sqlite", "a:b.db" },
        { "SQLite:/x", "sqlite", "/x" },
        { "postgres://u@h/d", "postgres", "//u@h/d" },
        { "postgresql://u@h/d", "postgres", "//u@h/d" },
        { "Postgres:host=h dbname=d", "postgres", "host=h dbname=d" },
        { "postgres:", "postgres", "" },
    };
    static const char *const bad[] = { "", ":", "t.db", "postgres", "postgre:x", "sqlite", "sqlite:", "sqlit:x", "sqlite3:x",
                                       "sqlite://x", "sqlite::memory:", "secret@h:secret" };
    const char *provider = NULL, *path = NULL;

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        cr_expect_null(options_url(good[i].url, &provider, &path), "%s", good[i].url);
        cr_expect_str_eq(provider, good[i].provider);
        cr_expect_str_eq(path, good[i].path);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *problem = options_url(bad[i], &provider, &path);
        cr_expect_not_null(problem, "%s", bad[i]);
        cr_expect_null(strstr(problem, "secret"), "%s", bad[i]);
    }
    cr_expect_str_eq(path, "");
}
