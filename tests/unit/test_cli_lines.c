/*
 * test_cli_lines - lines out of files and pipes: ends, numbers, marks, pieces of any size, records that are too long.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/cli/common.c"
#include "api/cli/lines.c"

/* The input as a file without a name. */
static void open_text(lines *in, const char *data, size_t size, bool return_ends)
{
    static char path[64]; /* messages name it later */
    snprintf(path, sizeof(path), "/tmp/nextorm-lines-XXXXXX");
    int fd = mkstemp(path);

    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, data, size), (ssize_t)size);
    cr_assert(lines_open(in, path, return_ends));
    close(fd);
    unlink(path);
}

/* All lines, their ends shown as \n and \r, each in [ ]. */
static const char *all_lines(lines *in)
{
    static char shown[512];
    size_t used = 0;
    nx_text line;
    lines_status status;

    for (;;) {
        lines_begin(in);
        status = lines_next(in, &line);
        if (status != LINES_LINE)
            break;
        shown[used++] = '[';
        for (size_t i = 0; i < line.size && used < sizeof(shown) - 4; i++) {
            if (line.data[i] == '\n' || line.data[i] == '\r')
                shown[used++] = '\\';
            shown[used++] = line.data[i] == '\n' ? 'n' : line.data[i] == '\r' ? 'r' : line.data[i];
        }
        shown[used++] = ']';
    }
    shown[used] = '\0';
    cr_expect_eq(status, LINES_END);
    return shown;
}

static void insist(const char *text, bool return_ends, const char *wanted)
{
    lines in;

    open_text(&in, text, strlen(text), return_ends);
    cr_expect_str_eq(all_lines(&in), wanted);
    lines_close(&in);
}

Test(cli_lines, ends)
{
    insist("", true, "");
    insist("a", true, "[a]");
    insist("a\nb\n", true, "[a\\n][b\\n]");
    insist("a\r\nb", true, "[a\\r\\n][b]");
    insist("a\rb\r", true, "[a\\r][b\\r]");
    insist("a\r\r\n\n", true, "[a\\r][\\r\\n][\\n]");
    insist("a\rb\r\nc\r", false, "[a\\rb\\r\\n][c\\r]");
}

Test(cli_lines, byte_order_mark_is_dropped_once)
{
    insist("\xEF\xBB\xBF", true, "");
    insist("\xEF\xBB\xBF" "a\n\xEF\xBB\xBF" "b\n", true, "[a\\n][\xEF\xBB\xBF" "b\\n]");
    insist("\xEF\xBB", true, "[\xEF\xBB]");
}

Test(cli_lines, numbers_and_positions)
{
    static const char text[] = "one\ntwo\r\nthree";
    lines in;
    nx_text line;

    open_text(&in, text, sizeof(text) - 1, true);
    cr_expect_eq(in.file_size, sizeof(text) - 1);
    cr_expect_eq(in.line, 1U);
    cr_assert_eq(lines_next(&in, &line), LINES_LINE);
    cr_expect_eq(in.line, 2U);
    cr_expect_eq(lines_position(&in), 4U);
    cr_assert_eq(lines_next(&in, &line), LINES_LINE);
    nx_text record = lines_record(&in);
    cr_expect(record.size == 9 && memcmp(record.data, "one\ntwo\r\n", 9) == 0, "two lines are one record");
    lines_begin(&in);
    cr_assert_eq(lines_next(&in, &line), LINES_LINE);
    cr_expect_eq(lines_record(&in).size, 5U);
    cr_expect_eq(lines_position(&in), sizeof(text) - 1);
    lines_close(&in);
}

/* Every byte alone, so that each CRLF is cut in two. */
Test(cli_lines, a_pipe_that_gives_one_byte_at_a_time)
{
    static const char text[] = "\xEF\xBB\xBF" "a\r\nb\rc\n\r\nlast";
    int ends[2];

    cr_assert_eq(pipe(ends), 0);
    pid_t writer = fork();
    if (writer == 0) {
        for (size_t i = 0; i < sizeof(text) - 1; i++) {
            if (write(ends[1], text + i, 1) != 1)
                _exit(1);
            usleep(2000);
        }
        _exit(0);
    }
    close(ends[1]);
    cr_assert_eq(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    lines in;
    cr_assert(lines_open(&in, "-", true));
    cr_expect_str_eq(all_lines(&in), "[a\\r\\n][b\\r][c\\n][\\r\\n][last]");
    lines_close(&in);
}

Test(cli_lines, records_up_to_the_limit_and_beyond)
{
    size_t size = LINES_RECORD_MAX;
    char *text = malloc(2 * size + 16);
    lines in;
    nx_text line;

    cr_assert_not_null(text);
    memset(text, 'x', 2 * size + 16);
    memcpy(text, "first\n", 6);
    text[6 + size - 1] = '\n';
    text[2 * size + 10] = '\n';
    open_text(&in, text, 2 * size + 16, true);
    lines_begin(&in);
    cr_assert_eq(lines_next(&in, &line), LINES_LINE);
    lines_begin(&in);
    cr_assert_eq(lines_next(&in, &line), LINES_LINE);
    cr_expect_eq(line.size, size, "exactly the limit");
    lines_begin(&in);
    cr_assert_eq(lines_next(&in, &line), LINES_TOO_LONG);
    cr_expect_eq(lines_record(&in).size, size);
    cr_expect_eq(in.line, 3U);
    cr_assert_eq(lines_skip(&in), LINES_LINE);
    cr_expect_eq(in.line, 4U);
    cr_assert_eq(lines_next(&in, &line), LINES_LINE);
    cr_expect_eq(line.size, 5U);
    cr_expect_eq(in.capacity, (size_t)LINES_RECORD_MAX);
    cr_expect_eq(lines_next(&in, &line), LINES_END);
    lines_close(&in);
    free(text);
}

Test(cli_lines, what_cannot_be_read)
{
    lines in;
    nx_text line;

    cr_expect_not(lines_open(&in, "/nonexistent/file", true));
    lines_close(&in);
    cr_expect_not(lines_open(&in, "/tmp", true), "a directory");
    lines_close(&in);
    open_text(&in, "\xFF\xFE" "a\0", 4, true);
    cr_expect_eq(lines_next(&in, &line), LINES_FAILED, "UTF-16");
    lines_close(&in);
}
