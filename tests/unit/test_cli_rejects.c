/*
 * test_cli_rejects - the rejects file: one line each, made at the start, gone when there are none.
 */
#include <criterion/criterion.h>
#include <limits.h>

#include "api/cli/common.c"
#include "api/cli/rejects.c"

static char folder[] = "/tmp/nextorm-rejects-XXXXXX";

static void enter(void)
{
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(chdir(folder), 0);
}

static void leave(void)
{
    unlink("in.csv");
    unlink("in.csv.rejects");
    cr_expect_eq(chdir("/"), 0);
    cr_expect_eq(rmdir(folder), 0, "files were left");
}

static size_t read_all(const char *path, char *ret_text, size_t size)
{
    FILE *file = fopen(path, "r");

    cr_assert_not_null(file);
    size_t got = fread(ret_text, 1, size - 1, file);
    ret_text[got] = '\0';
    fclose(file);
    return got;
}

Test(cli_rejects, one_line_each, .init = enter, .fini = leave)
{
    static const char wanted[] = "7\ta\\tb\\\\\\n\tx\\ny\\r\\n\\\\z\t\\0end\n8\treason\t\n";
    rejects r;
    char text[200];

    cr_assert(rejects_open(&r, NULL, "in.csv"));
    cr_expect(rejects_add(&r, 7, "a\tb\\\n", nx_strn("x\ny\r\n\\z\t\0end", 12)));
    cr_expect(rejects_add(&r, 8, "reason", nx_strn("", 0)));
    cr_expect_eq(r.count, 2U);
    cr_expect(rejects_close(&r));
    cr_expect_eq(read_all("in.csv.rejects", text, sizeof(text)), sizeof(wanted) - 1);
    cr_expect_str_eq(text, wanted);
}

Test(cli_rejects, none_leaves_no_file_and_replaces_an_old_one, .init = enter, .fini = leave)
{
    rejects r;

    cr_assert(rejects_open(&r, NULL, "in.csv"));
    cr_expect(rejects_add(&r, 1, "old", nx_str("old")));
    cr_expect(rejects_close(&r));
    cr_assert(rejects_open(&r, NULL, "in.csv"));
    cr_expect(rejects_close(&r));
    cr_expect_neq(access("in.csv.rejects", F_OK), 0);
}

Test(cli_rejects, never_the_input, .init = enter, .fini = leave)
{
    rejects r;
    char text[20];
    FILE *file = fopen("in.csv", "w");

    cr_assert_not_null(file);
    fputs("input", file);
    fclose(file);
    cr_assert_eq(link("in.csv", "in.csv.rejects"), 0);
    cr_expect_not(rejects_open(&r, NULL, "in.csv"));
    rejects_close(&r);
    read_all("in.csv", text, sizeof(text));
    cr_expect_str_eq(text, "input");
}

Test(cli_rejects, full_disk_and_devices)
{
    rejects r;
    bool good = true;

    cr_assert(rejects_open(&r, "/dev/full", "in.csv"));
    for (int i = 0; i < 10000; i++)
        good = rejects_add(&r, 1, "reason", nx_str("record")) && good;
    cr_expect_not(good);
    cr_expect_not(rejects_close(&r));
    cr_assert(rejects_open(&r, "/dev/null", "in.csv"));
    cr_expect(rejects_close(&r), "a device is not removed");
    cr_expect_eq(access("/dev/null", F_OK), 0);
}

Test(cli_rejects, folder_that_does_not_exist)
{
    rejects r;

    cr_expect_not(rejects_open(&r, "/nonexistent/rejects", "in.csv"));
    rejects_close(&r);
}
