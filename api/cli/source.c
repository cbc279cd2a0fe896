/*
 * source - what the formats share.
 */
#include "api/cli/source.h"

void source_close(source *self)
{
    if (self == NULL)
        return;
    lines_close(&self->in);
    self->release(self);
}

nx_text source_trim_line_end(nx_text raw)
{
    if (raw.size > 0 && raw.data[raw.size - 1] == '\n')
        raw.size--;
    if (raw.size > 0 && raw.data[raw.size - 1] == '\r')
        raw.size--;
    return raw;
}

source_status source_ended(lines_status status)
{
    if (status == LINES_STOPPED)
        return SOURCE_STOPPED;
    return status == LINES_FAILED ? SOURCE_FAILED : SOURCE_END;
}
