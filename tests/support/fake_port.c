/*
 * fake_port - see the header.
 */
#include "tests/support/fake_port.h"

void fake_port_put(nxi_port *port, nxi_request *request)
{
    request->next = NULL;
    if (port->first == NULL)
        port->first = request;
    else
        port->last->next = request;
    port->last = request;
}

nxi_request *nxi_port_take(nxi_port *port)
{
    nxi_request *batch;

    if (port->at_take != NULL)
        port->at_take(port);
    batch = port->first;
    port->first = port->last = NULL;
    return batch;
}

void nxi_port_finish(nxi_port *port, nxi_request *request)
{
    NX_ASSERT(port->finished_count < FAKE_PORT_FINISHED_MAX);
    port->finished[port->finished_count++] = request;
    if (port->at_finish != NULL)
        port->at_finish(port, request);
}

nxi_memory *nxi_port_memory(nxi_port *port)
{
    return port->memory;
}

bool nxi_port_is_stopping(nxi_port *port)
{
    return __atomic_load_n(&port->stopping, __ATOMIC_ACQUIRE); /* tests set it from another thread */
}

void nxi_port_wait(nxi_port *port, int64_t until_ns)
{
    (void)port;
    (void)until_ns;
}
