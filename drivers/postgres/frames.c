/*
 * frames - the server's bytes, cut into messages.
 *
 * A message that lies whole in what was received is answered where it lies; only one that is cut is put together first.
 */
#include "drivers/postgres/postgres.h"

nx_status nxi_pg_broken(nxi_pg *pg, nx_error *error, const char *what)
{
    pg->is_broken = true;
    return nxi_fail(error, NX_EPROTOCOL, "the server sent something that is not its protocol: %s", what);
}

/* Complete the message that was cut; SIZE_MAX: it is broken, else how many bytes were taken. */
static size_t complete(nxi_pg *pg, const uint8_t *data, size_t size)
{
    size_t taken = 0, whole;

    if (pg->partial.size < NXI_PG_HEAD) {
        taken = nxi_min_size(size, NXI_PG_HEAD - pg->partial.size);
        nxi_buf_put(&pg->partial, data, taken);
    }
    whole = nxi_pg_message_size((const uint8_t *)pg->partial.data, pg->partial.size);
    if (whole == SIZE_MAX)
        return SIZE_MAX;
    if (whole != 0 && pg->partial.size < whole) {
        size_t more = nxi_min_size(size - taken, whole - pg->partial.size);
        nxi_buf_put(&pg->partial, data + taken, more);
        taken += more;
    }
    return taken;
}

static nx_status decode_partial(nxi_pg *pg, const uint8_t **data, size_t *size, const nxi_sink *sink, nx_error *error)
{
    size_t taken = complete(pg, *data, *size);
    const uint8_t *message;
    nx_status status;

    if (taken == SIZE_MAX)
        return nxi_pg_broken(pg, error, "a message of an impossible size");
    if (pg->partial.failed)
        return nxi_fail(error, NX_ENOMEM, "no memory for a message of the server");
    *data += taken;
    *size -= taken;
    message = (const uint8_t *)pg->partial.data;
    if (pg->partial.size < NXI_PG_HEAD || pg->partial.size < nxi_pg_message_size(message, pg->partial.size))
        return NX_OK;
    status = nxi_pg_answer(pg, (char)message[0], message + NXI_PG_HEAD, pg->partial.size - NXI_PG_HEAD, sink, error);
    if (pg->partial.capacity > 1048576)
        nxi_buf_fini(&pg->partial);
    nxi_buf_clear(&pg->partial);
    return status;
}

nx_status nxi_pg_decode(void *state, const uint8_t *data, size_t size, const nxi_sink *sink, nx_error *error)
{
    nxi_pg *pg = state;
    nx_status status = NX_OK;

    if (pg->is_broken)
        return nxi_pg_broken(pg, error, "more after that");
    while (size > 0 && status == NX_OK) {
        size_t whole = pg->partial.size > 0 ? 0 : nxi_pg_message_size(data, size);

        if (whole == SIZE_MAX)
            return nxi_pg_broken(pg, error, "a message of an impossible size");
        if (whole == 0 || whole > size) {
            status = decode_partial(pg, &data, &size, sink, error);
            continue;
        }
        status = nxi_pg_answer(pg, (char)data[0], data + NXI_PG_HEAD, whole - NXI_PG_HEAD, sink, error);
        if (data[0] == 'D' && status == NX_OK)
            whole += nxi_pg_result_rows(pg, data + whole, size - whole);
        data += whole;
        size -= whole;
    }
    return status;
}
