/*
 * link_kit - see the header.
 */
#include "tests/support/link_kit.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>

#include "drivers/postgres/codec.h"
#include "tests/support/pg_kit.h"

enum { ANSWER_SECONDS = 30 };

void lk_begin(link_kit *p)
{
    *p = (link_kit){ .memory = nxi_memory_new(0), .fd = -1 };
    cr_assert_not_null(p->memory);
    nxi_buf_init(&p->answer, p->memory);
    p->options = (nx_bind_options){ .host = pgk_env("HOST"),
                                    .port = pgk_port(),
                                    .dbname = pgk_env("DBNAME"),
                                    .user = pgk_env("USER"),
                                    .password = pgk_env("PASSWORD") };
}

void lk_leave(link_kit *p)
{
    nxi_pg_link_close(&p->link, p->memory);
    nxi_pg_link_close(&p->link, p->memory); /* again: no effect */
    nxi_buf_fini(&p->answer);
    nxi_memory_free(p->memory);
}

nx_status lk_open_now(link_kit *p)
{
    nxi_error_reset(&p->error);
    nx_status status = nxi_pg_check_options(&p->options, &p->error);
    if (status == NX_OK)
        status = nxi_pg_link_open(&p->link, &p->options, p->memory, &p->fd, &p->error);
    cr_assert_eq(p->error.status, status);
    return status;
}

void lk_opens(link_kit *p)
{
    nx_status status = lk_open_now(p);
    cr_assert_eq(status, NX_OK, "%s", p->error.message);
    cr_assert(p->fd >= 0 && p->link.cancel != NULL && p->link.server_version >= 120000);
}

void lk_refuses(link_kit *p, nx_status expected, const char *sqlstate, const char *words)
{
    nx_status status = lk_open_now(p);
    cr_assert_eq(status, expected, "%s: %s", nx_status_name(status), p->error.message);
    cr_assert_not_null(strstr(p->error.message, words), "\"%s\" lacks \"%s\"", p->error.message, words);
    cr_assert_str_eq(p->error.sqlstate, sqlstate);
    cr_assert_null(strstr(p->error.message, pgk_env("PASSWORD")));
    nxi_pg_link_close(&p->link, p->memory);
}

void lk_set_dsn(link_kit *p, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(p->dsn, sizeof(p->dsn), format, arguments);
    va_end(arguments);
    cr_assert(size >= 0 && (size_t)size < sizeof(p->dsn));
    p->options.dsn = p->dsn;
}

/* ------------------------------------------------------------------------------ talking */

void lk_tell(link_kit *p, const void *data, size_t size)
{
    nxi_buf out;
    nxi_buf_init(&out, p->memory);
    if (p->link.tls == NULL)
        nxi_buf_put(&out, data, size);
    else
        cr_assert_eq(p->link.tls->seal(p->link.tls, data, size, &out, &p->error), NX_OK, "%s", p->error.message);
    cr_assert_eq(send(p->fd, out.data, out.size, MSG_NOSIGNAL), (ssize_t)out.size);
    nxi_buf_fini(&out);
}

void lk_tell_query(link_kit *p, const char *sql)
{
    nxi_buf message;
    uint8_t length[4];
    nxi_pg_store32(length, (uint32_t)(strlen(sql) + 5));
    nxi_buf_init(&message, p->memory);
    nxi_buf_putc(&message, 'Q');
    nxi_buf_put(&message, length, sizeof(length));
    nxi_buf_put(&message, sql, strlen(sql) + 1);
    lk_tell(p, message.data, message.size);
    nxi_buf_fini(&message);
}

/* More of the answer; false: the server has closed. */
static bool hear(link_kit *p)
{
    uint8_t bytes[8192];
    struct pollfd one = { .fd = p->fd, .events = POLLIN };
    cr_assert_eq(poll(&one, 1, ANSWER_SECONDS * 1000), 1, "no answer");
    ssize_t got = recv(p->fd, bytes, sizeof(bytes), 0);
    if (got <= 0)
        return false;
    if (p->link.tls == NULL) {
        nxi_buf_put(&p->answer, bytes, (size_t)got);
        return true;
    }
    return p->link.tls->unseal(p->link.tls, bytes, (size_t)got, &p->answer, &p->error) == NX_OK;
}

const uint8_t *lk_hear_all(link_kit *p, char type, size_t *ret_size)
{
    const uint8_t *found = NULL;
    nxi_buf_clear(&p->answer);
    for (size_t at = 0;;) {
        while (p->answer.size - at < 5 || p->answer.size - at < 1 + nxi_pg_load32((uint8_t *)p->answer.data + at + 1))
            cr_assert(hear(p), "the server has gone");
        const uint8_t *message = (uint8_t *)p->answer.data + at;
        at += 1 + nxi_pg_load32(message + 1);
        if (message[0] == 'Z' && at == p->answer.size)
            break;
    }
    for (size_t at = 0; at < p->answer.size && found == NULL; at += 1 + nxi_pg_load32((uint8_t *)p->answer.data + at + 1)) {
        if (p->answer.data[at] == type)
            found = (uint8_t *)p->answer.data + at + 5;
    }
    if (found != NULL)
        *ret_size = nxi_pg_load32(found - 4) - 4;
    return found;
}

void lk_answers(link_kit *p, const char *sql, const char *expected)
{
    size_t size = 0;
    lk_tell_query(p, sql);
    const uint8_t *row = lk_hear_all(p, 'D', &size);
    cr_assert_not_null(row, "%s", sql);
    cr_assert(size >= 6 && nxi_pg_load16(row) == 1 && nxi_pg_load32(row + 2) == size - 6);
    cr_assert(size - 6 == strlen(expected) && memcmp(row + 6, expected, size - 6) == 0, "%s: \"%.*s\", not \"%s\"", sql,
              (int)(size - 6), row + 6, expected);
}
