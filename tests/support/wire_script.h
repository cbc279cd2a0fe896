/*
 * wire_script - servers for pools on the scripted io: descriptors from 1000 on, opened by real opener threads.
 */
#ifndef WIRE_SCRIPT_H
#define WIRE_SCRIPT_H

#include "tests/support/fake_io.h"
#include "tests/support/rig.h"

enum { FD = 1000 };

/*
 * Sync: atomic; gates at 0 hold openers and interrupters; an interrupt_gate below 0 lets them give up. refuse_opens: that many
 * fail, with refuse_with.
 */
extern _Atomic int next_fd, refuse_opens, refuse_with, open_gate, interrupt_gate;
extern _Atomic int opening; /* openers that are at it */

void script_hooks(void);
/* Counters as at the start of the program, for one more rig. */
void script_reset(void);
/* A rig on the scripted io at 1 s. */
void open_scripted(const nxi_driver *driver, const nx_bind_options *options);
void end_scripted(void);
/* All descriptors are new again; what used them must be gone. */
void forget_fds(void);

/* Requests that were sent on fd; the flags of one. */
size_t sent_on(int fd);
uint8_t flags_on(int fd, size_t at);
/* Answer request number `at` of what was sent on fd. */
void answer_on(int fd, size_t at, bool in_transaction);
void notify_on(int fd, const char *channel, const char *payload);

#endif
