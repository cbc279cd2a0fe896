/*
 * fake_port - a worker's port without thread and ring: requests are put in by the test and come out in a list.
 *
 * Defines nxi_port_*: a program links it instead of engine/worker.c.
 */
#ifndef FAKE_PORT_H
#define FAKE_PORT_H

#include "drivers/driver.h"

enum { FAKE_PORT_FINISHED_MAX = 4096 };

struct nxi_port {
    nxi_memory *memory;
    nxi_request *first, *last;  /* what the next take returns */
    bool stopping;
    nxi_request *finished[FAKE_PORT_FINISHED_MAX];
    size_t finished_count;
    /* Called at every take and finish, e.g. to let more requests arrive in the middle of a serve; may be NULL. */
    void (*at_take)(nxi_port *port);
    void (*at_finish)(nxi_port *port, nxi_request *request);
    void *context;
};

void fake_port_put(nxi_port *port, nxi_request *request);

#endif
