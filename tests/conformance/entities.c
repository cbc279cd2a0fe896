/*
 * entities - the descriptors of the conformance entities, see the header.
 */
#include "entities.h"

#include <stdatomic.h>

/* The member of an optional field is {value, present}: the check sees it only when it is present or is not asked at all. */
bool nxt_is_even(const void *member)
{
    const nx_opt_i32 *number = member;
    return !number->present || number->value % 2 == 0;
}

void nxt_next_number(void *member)
{
    static _Atomic int64_t last = 0;
    nx_i64 *number = member;
    *number = atomic_fetch_add(&last, 1) + 1;
}

NX_ENTITY_DEFINE(Author, NXT_AUTHOR)
NX_ENTITY_DEFINE(Post, NXT_POST)
NX_ENTITY_DEFINE(Every, NXT_EVERY)
NX_ENTITY_DEFINE(City, NXT_CITY)
NX_ENTITY_DEFINE(Street, NXT_STREET)
NX_ENTITY_DEFINE(Tag, NXT_TAG)
NX_ENTITY_DEFINE(Slot, NXT_SLOT)
NX_ENTITY_DEFINE(Token4, NXT_TOKEN4)
NX_ENTITY_DEFINE(Token7, NXT_TOKEN7)
NX_ENTITY_DEFINE(Ticket, NXT_TICKET)
NX_ENTITY_DEFINE(Bare, NXT_BARE)
NX_ENTITY_DEFINE(Node, NXT_NODE)
NX_ENTITY_DEFINE(Hen, NXT_HEN)
NX_ENTITY_DEFINE(Egg, NXT_EGG)
NX_ENTITY_DEFINE(Owner, NXT_OWNER)
NX_ENTITY_DEFINE(Goods, NXT_GOODS)
NX_ENTITY_DEFINE(Account, NXT_ACCOUNT)
NX_ENTITY_DEFINE(Checked, NXT_CHECKED, .uniques = NX_LIST("left_side, right_side"), .indexes = NX_LIST("code, percent"))
