/*
 * entities - the entities that the conformance cases map.
 *
 * One set for all cases and providers: each exists for a feature that its comment names.
 */
#ifndef NXT_ENTITIES_H
#define NXT_ENTITIES_H

#include "nextorm.h"

/* The seed's pair: a reference that may be empty, a lazy text, an initial value, an optional number. */
#define NXT_AUTHOR(FIELD, E)                                                                       \
    FIELD(E, PK, i64, id)                                                                          \
    FIELD(E, REQ, text, name, .max_len = 64, .unique = true)                                       \
    FIELD(E, OPT, i32, born)
#define NXT_POST(FIELD, E)                                                                         \
    FIELD(E, PK, i64, id)                                                                          \
    FIELD(E, REQ, text, title, .max_len = 200)                                                     \
    FIELD(E, OPT, text, body, .lazy = NX_ON)                                                       \
    FIELD(E, OPT, i32, score)                                                                      \
    FIELD(E, REQ, boolean, draft, .initial = "true")                                               \
    FIELD(E, SINGLE, Author, author, .optional = true)
NX_ENTITY_DECLARE(Author, NXT_AUTHOR)
NX_ENTITY_DECLARE(Post, NXT_POST)

/* Every type, required and optional. */
#define NXT_EVERY(FIELD, E)                                                                        \
    FIELD(E, PK, i64, id)                                                                          \
    FIELD(E, REQ, boolean, boolean)                                                                \
    FIELD(E, REQ, i16, i16)                                                                        \
    FIELD(E, REQ, i32, i32)                                                                        \
    FIELD(E, REQ, i64, i64)                                                                        \
    FIELD(E, REQ, u32, u32)                                                                        \
    FIELD(E, REQ, f64, f64)                                                                        \
    FIELD(E, REQ, text, text, .autostrip = NX_OFF)                                                 \
    FIELD(E, REQ, longtext, longtext)                                                              \
    FIELD(E, REQ, bytes, bytes)                                                                    \
    FIELD(E, REQ, decimal, decimal)                                                                \
    FIELD(E, REQ, json, json)                                                                      \
    FIELD(E, REQ, date, date)                                                                      \
    FIELD(E, REQ, time, time)                                                                      \
    FIELD(E, REQ, timestamp, timestamp)                                                            \
    FIELD(E, REQ, timestamptz, timestamptz)                                                        \
    FIELD(E, REQ, interval, interval)                                                              \
    FIELD(E, REQ, uuid, uuid)                                                                      \
    FIELD(E, REQ, ulid, ulid)                                                                      \
    FIELD(E, REQ, enumeration, enumeration, .labels = NX_LABELS("red", "green", "blue"))           \
    FIELD(E, REQ, vector, vector, .dimensions = 3)                                                 \
    FIELD(E, OPT, boolean, o_boolean)                                                              \
    FIELD(E, OPT, i16, o_i16)                                                                      \
    FIELD(E, OPT, i32, o_i32)                                                                      \
    FIELD(E, OPT, i64, o_i64)                                                                      \
    FIELD(E, OPT, u32, o_u32)                                                                      \
    FIELD(E, OPT, f64, o_f64)                                                                      \
    FIELD(E, OPT, text, o_text)                                                                    \
    FIELD(E, OPT, longtext, o_longtext)                                                            \
    FIELD(E, OPT, bytes, o_bytes)                                                                  \
    FIELD(E, OPT, decimal, o_decimal)                                                              \
    FIELD(E, OPT, json, o_json)                                                                    \
    FIELD(E, OPT, date, o_date)                                                                    \
    FIELD(E, OPT, time, o_time)                                                                    \
    FIELD(E, OPT, timestamp, o_timestamp)                                                          \
    FIELD(E, OPT, timestamptz, o_timestamptz)                                                      \
    FIELD(E, OPT, interval, o_interval)                                                            \
    FIELD(E, OPT, uuid, o_uuid)                                                                    \
    FIELD(E, OPT, ulid, o_ulid)                                                                    \
    FIELD(E, OPT, enumeration, o_enumeration, .labels = NX_LABELS("red", "green", "blue"))         \
    FIELD(E, OPT, vector, o_vector)
NX_ENTITY_DECLARE(Every, NXT_EVERY)

/* Keys: composite, and a reference to it; text; caller-assigned; made by the client; nothing but a key. */
#define NXT_CITY(FIELD, E)                                                                         \
    FIELD(E, PK, i32, country)                                                                     \
    FIELD(E, PK, text, code)                                                                       \
    FIELD(E, REQ, text, name)
#define NXT_STREET(FIELD, E)                                                                       \
    FIELD(E, PK, i64, id)                                                                          \
    FIELD(E, REQ, text, name)                                                                      \
    FIELD(E, SINGLE, City, city)
#define NXT_TAG(FIELD, E)                                                                          \
    FIELD(E, PK, text, name)                                                                       \
    FIELD(E, OPT, i32, weight)
#define NXT_SLOT(FIELD, E)                                                                         \
    FIELD(E, PK, i32, number, .caller_assigned = true)                                             \
    FIELD(E, REQ, text, label)
#define NXT_TOKEN4(FIELD, E)                                                                       \
    FIELD(E, PK, uuid, id, .generate = NX_GENERATE_UUID4)                                          \
    FIELD(E, REQ, i32, number)
#define NXT_TOKEN7(FIELD, E)                                                                       \
    FIELD(E, PK, uuid, id, .generate = NX_GENERATE_UUID7)                                          \
    FIELD(E, REQ, i32, number)
#define NXT_TICKET(FIELD, E)                                                                       \
    FIELD(E, PK, ulid, id, .generate = NX_GENERATE_ULID)                                           \
    FIELD(E, REQ, i32, number)
#define NXT_BARE(FIELD, E) FIELD(E, PK, i64, id)
NX_ENTITY_DECLARE(City, NXT_CITY)
NX_ENTITY_DECLARE(Street, NXT_STREET)
NX_ENTITY_DECLARE(Tag, NXT_TAG)
NX_ENTITY_DECLARE(Slot, NXT_SLOT)
NX_ENTITY_DECLARE(Token4, NXT_TOKEN4)
NX_ENTITY_DECLARE(Token7, NXT_TOKEN7)
NX_ENTITY_DECLARE(Ticket, NXT_TICKET)
NX_ENTITY_DECLARE(Bare, NXT_BARE)

/* References: to itself, in a circle of two, and each rule of ON DELETE. */
#define NXT_NODE(FIELD, E)                                                                         \
    FIELD(E, PK, i64, id)                                                                          \
    FIELD(E, REQ, text, name)                                                                      \
    FIELD(E, SINGLE, Node, parent, .optional = true)
#define NXT_HEN(FIELD, E)                                                                          \
    FIELD(E, PK, i64, id)                                                                          \
    FIELD(E, REQ, text, name)                                                                      \
    FIELD(E, SINGLE, Egg, hatched_from, .optional = true)
#define NXT_EGG(FIELD, E)                                                                          \
    FIELD(E, PK, i64, id)                                                                          \
    FIELD(E, SINGLE, Hen, laid_by)
#define NXT_OWNER(FIELD, E)                                                                        \
    FIELD(E, PK, i64, id)                                                                          \
    FIELD(E, REQ, text, name)
#define NXT_GOODS(FIELD, E)                                                                        \
    FIELD(E, PK, i64, id)                                                                          \
    FIELD(E, SINGLE, Owner, cascading, .optional = true, .on_delete = NX_ON_DELETE_CASCADE)        \
    FIELD(E, SINGLE, Owner, clearing, .optional = true)                                            \
    FIELD(E, SINGLE, Owner, refusing, .optional = true, .on_delete = NX_ON_DELETE_RESTRICT)
NX_ENTITY_DECLARE(Node, NXT_NODE)
NX_ENTITY_DECLARE(Hen, NXT_HEN)
NX_ENTITY_DECLARE(Egg, NXT_EGG)
NX_ENTITY_DECLARE(Owner, NXT_OWNER)
NX_ENTITY_DECLARE(Goods, NXT_GOODS)

/* A version column, a volatile one, a local one. */
#define NXT_ACCOUNT(FIELD, E)                                                                      \
    FIELD(E, PK, i64, id)                                                                          \
    FIELD(E, REQ, i64, balance)                                                                    \
    FIELD(E, OPT, text, note)                                                                      \
    FIELD(E, OPT, i64, touched, .is_volatile = true)                                               \
    FIELD(E, LOCAL, int, scratch)                                                                  \
    FIELD(E, REQ, i32, version, .version = true)
NX_ENTITY_DECLARE(Account, NXT_ACCOUNT)

/* Checks on the client, initial values, and constraints over two columns. */
#define NXT_CHECKED(FIELD, E)                                                                      \
    FIELD(E, PK, i64, id)                                                                          \
    FIELD(E, REQ, i32, percent, .min = "0", .max = "100", .initial = "50")                         \
    FIELD(E, REQ, text, code, .max_len = 4, .initial = "none")                                     \
    FIELD(E, OPT, decimal, price, .precision = 6, .scale = 2, .min = "0.01")                       \
    FIELD(E, OPT, i32, even, .check = nxt_is_even)                                                 \
    FIELD(E, OPT, date, day, .min = "2000-01-01")                                                  \
    FIELD(E, REQ, i64, made, .initial_call = nxt_next_number)                                      \
    FIELD(E, OPT, i32, left_side, .column = "left")                                                \
    FIELD(E, OPT, i32, right_side, .column = "right", .index = true)
NX_ENTITY_DECLARE(Checked, NXT_CHECKED)

bool nxt_is_even(const void *member);
void nxt_next_number(void *member);

#endif
