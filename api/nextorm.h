/*
 * nextorm - entities, sessions and queries at the speed of the wire.
 *
 * Include this; link with pkg-config nextorm. See docs/guide/ for the ideas, the headers for the contracts.
 */
#ifndef NEXTORM_H
#define NEXTORM_H

#define NX_VERSION_MAJOR 0
#define NX_VERSION_MINOR 1
#define NX_VERSION_PATCH 0

#include "nextorm/bulk.h"
#include "nextorm/database.h"
#include "nextorm/entity.h"
#include "nextorm/error.h"
#include "nextorm/loop.h"
#include "nextorm/query.h"
#include "nextorm/session.h"
#include "nextorm/stats.h"
#include "nextorm/value.h"

#endif
