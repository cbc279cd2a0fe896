/*
 * fake_io - a scripted io: a clock that the test moves, descriptors that are numbers, and every trouble a kernel can make.
 *
 * Nothing happens by itself: what the core starts lies here until the test feeds bytes, lets sends through or breaks something;
 * the events come with the next enter. Waiting moves the clock by the time waited, at once.
 */
#ifndef FAKE_IO_H
#define FAKE_IO_H

#include "engine/io.h"

enum { FAKE_FDS = 32, FAKE_BUFFER_BYTES = 64 };

typedef struct fake_fd {
    bool receiving, sending, closed, broken; /* closed: the stream ended after what was fed */
    uint64_t recv_tag, send_tag;
    const char *send_data;
    size_t send_size;
    size_t send_max;           /* bytes that one send takes; 0: all */
    bool hold_sends;           /* sends stay under way */
    int fail_send, fail_recv;  /* errno of the next one, once */
    bool hold_end;             /* shutdown brings no last events until it is switched off */
    bool was_shut, shut_both;
    char *written;             /* all that was sent */
    size_t written_size;
    char *fed;                 /* all that is still to be received */
    size_t fed_size;
    unsigned sends, recvs;     /* started */
} fake_fd;

typedef struct fake_io fake_io;

/* One at a time is enough for a test. The core owns it; the struct stays readable until fake_io_forget. */
nxi_io *fake_io_new(int64_t now_ns, uint32_t buffers);
void fake_io_forget(void);
fake_fd *fake_io_fd(int fd);                          /* 1000 and following */
void fake_io_feed(int fd, const void *data, size_t size);
void fake_io_end(int fd);                             /* end of the stream after what was fed */
void fake_io_break(int fd, int error);                /* both directions fail */
void fake_io_post(const nxi_event *event);            /* any event, as it is */
void fake_io_advance(int64_t ns);
void fake_io_refuse(unsigned starts);                 /* that many starts find no room */
void fake_io_fail_enter(nx_status status);            /* from now on */
void fake_io_lose_bells(unsigned count);              /* that many bells end in NXI_IO_BELL_FAILED */
uint32_t fake_io_buffers_free(void);
unsigned fake_io_waits(void);                         /* enters that waited */
int64_t fake_io_last_wait(void);
int64_t fake_io_timer_ns(void);                       /* INT64_MAX: not set */
bool fake_io_is_closed(void);

#endif
