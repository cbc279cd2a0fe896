/*
 * model_program - programs from seeds. Each seed takes a part of the features, so that rare ones meet often in some programs.
 */
#include "engine/map.h"
#include "model.h"

#define NAME(name) #name,
const char *const model_op_names[OP_COUNT_] = { MODEL_OPS(NAME) };

static uint32_t roll(uint64_t *random, uint32_t sides)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return (uint32_t)(*random >> 20) % sides;
}

bool model_is_operation(model_op op)
{
    return op >= OP_FETCH && op <= OP_END && op != OP_OTHERS;
}

/* How often each step comes; a program leaves about half of the optional ones out. */
static const uint8_t weights[OP_COUNT_] = {
    [OP_BEGIN] = 4, [OP_NEST] = 5, [OP_NEW] = 14, [OP_SET] = 14, [OP_REF] = 9, [OP_DELETE] = 7, [OP_FETCH] = 7, [OP_GET] = 5,
    [OP_COUNT] = 2, [OP_REFRESH] = 4, [OP_LAZY] = 3, [OP_SAVE] = 4, [OP_INSERT] = 3, [OP_ERASE] = 4, [OP_UPDATE_ALL] = 3,
    [OP_DELETE_ALL] = 3, [OP_RAW] = 4, [OP_OTHERS] = 5, [OP_TRAP] = 3, [OP_FLUSH] = 8, [OP_COMMIT] = 7, [OP_ROLLBACK] = 5,
    [OP_END] = 6, [OP_FREE] = 3
};

typedef struct mix {
    uint8_t weight[OP_COUNT_];
    uint32_t total;
    uint32_t entity_mask;
    bool faults, queues, collisions, many, wild;
} mix;

static void make_mix(mix *x, uint64_t *random)
{
    static const model_op needed[] = { OP_BEGIN, OP_NEW, OP_FETCH, OP_FLUSH, OP_COMMIT, OP_SET };

    *x = (mix){ .total = 0 };
    for (int op = 0; op < OP_COUNT_; op++)
        x->weight[op] = roll(random, 5) < 3 ? weights[op] : 0;
    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
        x->weight[needed[i]] = weights[needed[i]];
    for (int op = 0; op < OP_COUNT_; op++)
        x->total += x->weight[op];
    x->entity_mask = roll(random, 1U << ENTITIES) | 1U << roll(random, ENTITIES);
    if (roll(random, 3) == 0) /* one table, or two */
        x->entity_mask = 1U << roll(random, ENTITIES) | 1U << roll(random, ENTITIES);
    if ((x->entity_mask & (1U << CODE)) != 0)
        x->entity_mask |= 1U << WORD;
    if ((x->entity_mask & (1U << ITEM)) != 0)
        x->entity_mask |= 1U << PLACE;
    if ((x->entity_mask & (1U << PERSON)) != 0)
        x->entity_mask |= 1U << TEAM;
    x->faults = roll(random, 3) == 0;
    x->queues = roll(random, 3) == 0;
    x->collisions = roll(random, 3) == 0;
    x->many = roll(random, 3) == 0;
    x->wild = roll(random, 2) == 0;
}

static uint8_t pick_entity(const mix *x, uint64_t *random)
{
    for (;;) {
        uint32_t entity = roll(random, ENTITIES);
        if ((x->entity_mask >> entity & 1) != 0)
            return (uint8_t)entity;
    }
}

static model_op pick_op(const mix *x, uint64_t *random)
{
    uint32_t at = roll(random, x->total);

    for (int op = 0; op < OP_COUNT_; op++) {
        if (at < x->weight[op])
            return (model_op)op;
        at -= x->weight[op];
    }
    return OP_FLUSH;
}

static void make_step(step *s, const mix *x, uint64_t *random)
{
    *s = (step){ .op = (uint8_t)pick_op(x, random) };
    s->session = (uint8_t)(x->many ? roll(random, ROOTS) : 0);
    s->entity = pick_entity(x, random);
    s->slot = (uint8_t)roll(random, SLOTS);
    s->other = (uint8_t)roll(random, SLOTS);
    s->column = (uint8_t)roll(random, COLUMNS);
    s->value = (int8_t)(x->collisions ? (int)roll(random, 6) - 1 : (int)roll(random, 100));
    if (x->wild && roll(random, 8) == 0)
        s->value = -9;
    if (!x->collisions && s->op == OP_NEW)
        s->value = (int8_t)(roll(random, 2) == 0 ? -1 : 60 + (int)roll(random, 60));
    if (!x->collisions && s->op == OP_NEW && s->value < 0 && (s->entity == PERSON))
        s->value = 1;
    if (model_is_operation((model_op)s->op)) {
        s->queued = x->queues && roll(random, 2) == 0;
        if (x->faults && roll(random, 4) == 0) {
            s->fault = (uint8_t)(1 + roll(random, 2));
            s->turns = (uint8_t)roll(random, 10);
        }
    }
}

void model_generate(program *p, uint64_t seed)
{
    uint64_t random = nxi_hash_u64(seed) | 1; /* seeds in a row are no programs in a row */
    mix x;

    *p = (program){ .seed = seed };
    make_mix(&x, &random);
    int size = 12 + (int)roll(&random, STEPS - 12);
    for (int i = 0; i < ROOTS && (i == 0 || x.many); i++)
        p->steps[p->count++] = (step){ .op = OP_BEGIN, .session = (uint8_t)i, .value = (int8_t)roll(&random, 20) };
    while (p->count < size)
        make_step(&p->steps[p->count++], &x, &random);
}
