/*
 * test_cli_progress - the texts of the progress: bar, line, last line.
 */
#include <criterion/criterion.h>

#include "api/cli/common.c"
#include "api/cli/progress.c"

Test(cli_progress, bar)
{
    progress_state state = { .rows = 1234567, .bytes = 50, .bytes_total = 200, .elapsed_ms = 2000 };
    char text[400];

    progress_bar(&state, 80, text, sizeof(text));
    cr_expect_not_null(strstr(text, "] "));
    cr_expect_not_null(strstr(text, " 25 %  1,234,567 rows  617,283 rows/s  ETA 0:06"), "%s", text);
    cr_expect_lt(strlen(text), 80U);
    size_t filled = strspn(text + 1, "#");
    size_t empty = strspn(text + 1 + filled, ".");
    cr_expect_eq(text[0], '[');
    cr_expect_eq(text[1 + filled + empty], ']');
    cr_expect_eq(filled, (filled + empty) / 4);
}

Test(cli_progress, any_width)
{
    progress_state state = { .rows = UINT64_MAX, .bytes = 100, .bytes_total = 100, .elapsed_ms = 1 };
    char text[400];

    for (size_t width = 0; width < 1000; width++) {
        progress_bar(&state, width, text, sizeof(text));
        cr_expect_lt(strlen(text), sizeof(text));
        cr_expect_not_null(strstr(text, "100 %"));
    }
}

Test(cli_progress, pipe_has_no_share)
{
    progress_state state = { .rows = 10, .bytes = 50, .bytes_total = 0, .elapsed_ms = 1000 };
    char text[400];

    progress_bar(&state, 80, text, sizeof(text));
    cr_expect_str_eq(text, "10 rows  10 rows/s");
    progress_line(&state, text, sizeof(text));
    cr_expect_str_eq(text, "10 rows, 10 rows/s");
}

Test(cli_progress, line)
{
    progress_state state = { .rows = 100, .bytes = 1, .bytes_total = 7201, .elapsed_ms = 1000 };
    char text[400];

    progress_line(&state, text, sizeof(text));
    cr_expect_str_eq(text, "0 %, 100 rows, 100 rows/s, ETA --:--");
    state.bytes = 72;
    progress_line(&state, text, sizeof(text));
    cr_expect_str_eq(text, "0 %, 100 rows, 100 rows/s, ETA 1:39");
    state.elapsed_ms = 100000;
    progress_line(&state, text, sizeof(text));
    cr_expect_str_eq(text, "0 %, 100 rows, 1 rows/s, ETA 2:45:01");
    state.bytes = 9000;
    progress_line(&state, text, sizeof(text));
    cr_expect_str_eq(text, "100 %, 100 rows, 1 rows/s, ETA 0:00", "a file that grew: %s", text);
}

Test(cli_progress, nothing_and_no_time)
{
    progress_state state = { .rows = 0 };
    char text[400];

    progress_last(&state, text, sizeof(text));
    cr_expect_str_eq(text, "0 rows in 0.00 s (0 rows/s)");
    state = (progress_state){ .rows = 999, .elapsed_ms = 1500 };
    progress_last(&state, text, sizeof(text));
    cr_expect_str_eq(text, "999 rows in 1.50 s (666 rows/s)");
}
