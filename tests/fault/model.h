/*
 * model - a random model of sessions: programs, the naive state that they should lead to, and a judge.
 *
 * A program is a list of small steps with operands as indices, made from a seed. The executor runs it against the library by
 * its public interface and keeps, beside it, what each session and each table should hold. Objects are compared after each step,
 * tables through a connection of our own. A step whose operands do not exist does nothing, so that every subset of a program is
 * a program: what fails is shrunk to a few steps and printed as a C program.
 *
 * Rows are numbered: the number (uid) of a row whose key the program chooses belongs to that key for ever, rows with a key of
 * the database get a fresh one each time. All values are integers; a text is "t<number>". NONE is NULL.
 */
#ifndef MODEL_H
#define MODEL_H

#include <stdarg.h>

#include "nextorm.h"

enum {
    NONE = INT32_MIN,
    OTHERS_KEY = 500, /* keys that others give begin here, those of SQLite at twice that */
    SLOTS = 4,      /* rows of an entity that the program can name */
    COLUMNS = 10,
    UIDS = 96,
    OBJECTS = 64,   /* of one session */
    ROOTS = 3,
    DEPTH = 5,      /* a root session and four nested levels */
    DATABASES = 2,
    STEPS = 72,
    QUEUE = 3,      /* operations that are queued and not awaited */
    SKIPS = 16
};

/* ------------------------------------------------------------------------------------------ entities (model_schema.c) */

typedef enum column_kind {
    COL_NUMBER,    /* i32, may be NULL */
    COL_REQUIRED,  /* i32 */
    COL_NAME,      /* text, required */
    COL_LAZY,      /* text, may be NULL, loaded later */
    COL_VOLATILE,  /* i32, may be NULL: not written by UPDATE */
    COL_DEFAULT,   /* i32, the database's default is 7 */
    COL_VERSION32,
    COL_VERSION64,
    COL_LOCAL,     /* int: not stored */
    COL_REF        /* reference */
} column_kind;

enum { DATABASE_DEFAULT = 7 };

typedef struct model_column {
    const char *name;
    column_kind kind;
    size_t offset;
    nx_column column;
    int target;         /* COL_REF: entity */
    bool optional;      /* COL_REF */
    bool unique, checked; /* checked: CHECK (value >= 0) */
    nx_on_delete on_delete;
    const char *sql[2]; /* columns in the table; a reference to a composite key has two */
} model_column;

typedef enum key_kind { KEY_AUTO, KEY_NUMBER, KEY_TEXT, KEY_PAIR } key_kind;

typedef struct model_entity {
    const char *name, *table;
    const nx_entity *entity;
    int database;
    key_kind key;
    const char *key_sql[2];
    const model_column *columns;
    int column_count;
    int version;        /* column, or -1 */
} model_entity;

enum { TWIG, TEAM, PERSON, PLACE, ITEM, WORD, CODE, NOTE, ENTITIES };
extern const model_entity entities[ENTITIES];
/* The definitions as C, for the programs that are printed. */
extern const char model_entities_text[];
const nx_entity *const *model_mapping(int database);

/* ------------------------------------------------------------------------------------------ programs (model_program.c) */

#define MODEL_OPS(X)                                                                                                             \
    X(BEGIN) X(NEST) X(NEW) X(SET) X(REF) X(DELETE) X(FETCH) X(GET) X(COUNT) X(REFRESH) X(LAZY) X(SAVE) X(INSERT) X(ERASE)       \
    X(UPDATE_ALL) X(DELETE_ALL) X(RAW) X(OTHERS) X(TRAP) X(FLUSH) X(COMMIT) X(ROLLBACK) X(END) X(FREE)
#define MODEL_OP_ENUM(name) OP_##name,
typedef enum model_op { MODEL_OPS(MODEL_OP_ENUM) OP_COUNT_ } model_op;
extern const char *const model_op_names[OP_COUNT_];

typedef enum model_fault { FAULT_NONE, FAULT_CANCEL, FAULT_DEADLINE } model_fault;

typedef struct step {
    uint8_t op, session, entity, slot, column, other; /* other: slot of a target */
    int8_t value;
    uint8_t fault, turns; /* turns of the loop before the fault */
    bool queued;          /* not awaited before the next operation of the same session is queued */
} step;

typedef struct program {
    uint64_t seed;
    int count;
    step steps[STEPS];
} program;

void model_generate(program *p, uint64_t seed);
/* Whether the step is an operation of a session that ends with a completion. */
bool model_is_operation(model_op op);

/* ------------------------------------------------------------------------------------------ the state (model_state.c) */

typedef struct cells { int32_t c[COLUMNS]; } cells;

/* The tables of all databases. */
typedef struct tables {
    bool present[UIDS];
    cells row[UIDS];
    int traps[DATABASES]; /* rows with a deferred reference to nothing: the COMMIT fails */
} tables;

typedef enum object_state { OBJ_NEW, OBJ_STORED, OBJ_DELETING, OBJ_DEAD } object_state;

typedef struct object {
    void *row;
    int uid;
    object_state state;
    bool inserted;  /* by the present transaction */
    bool deleted;   /* by the present transaction: state is OBJ_DEAD */
    bool gone;      /* by a cascade of the session's own flush: nothing is done with it any more */
    bool mute;      /* its values are not known until it is read again */
    bool expired;   /* the next read by key asks the database */
    bool lazy;      /* the lazy column is loaded */
    cells v, b;     /* values, and what change detection compares them with */
    cells read, kept; /* as last read; as last read or written outside of the present transaction */
    cells also;     /* what may stand there instead, until it was looked at */
} object;

/* What a nested session goes back to. */
typedef struct picture {
    object objects[OBJECTS];
    int count;
    bool open[DATABASES]; /* whether the transaction was open then */
    tables tables;        /* as the session sees them */
} picture;

typedef struct root {
    nx_session *session[DEPTH]; /* the outermost first */
    bool join[DEPTH];
    int depth;                  /* sessions in use; 0: none */
    bool no_auto_flush;
    bool ended;
    bool aborted;               /* its transaction may be lost: NX_EABORTED is to be expected until it is rolled back */
    bool at_once;               /* it may have done what no row's pending work does again: SQL text, set-based writes */
    bool at_once_is_sure;
    int disturbed;              /* counts what makes operations that are queued yet void */
    bool open[DATABASES];       /* may have a transaction there */
    bool unsure[DATABASES];     /* it may have ended with the nested session that began it */
    picture now;
    picture begin[DEPTH];       /* of each nested session */
    char *texts[256];           /* memory that members point to */
    int text_count;
} root;

typedef struct plan {
    bool race, constraint;  /* it must fail for that reason */
    bool hazard;            /* it may fail: an order that keeps every constraint at every moment may not exist */
    int rows;
    tables after;
    bool touches[DATABASES];
} plan;

static inline bool plan_fails(const plan *p) { return p->race || p->constraint; }

typedef struct model {
    root roots[ROOTS];
    tables committed;
    int entity_of[UIDS], slot_of[UIDS];
    int64_t key_of[UIDS];     /* of the database; 0: none yet */
    int uid_count;
} model;

void model_init(model *m);
/* A fresh number for a row; -1: none is left. */
int model_uid(model *m, int entity, int slot);
const model_entity *model_entity_of(const model *m, int uid);
/* The object of a slot that the session can work with, or NULL. */
object *model_object(model *m, root *r, int entity, int slot);
object *model_object_of_row(root *r, const void *row);
object *model_object_of_uid(root *r, int uid);
/* A stored row of that slot in these tables; -1: none. */
int model_find(const model *m, const tables *t, int entity, int slot);
/* A row with that key of the database, one that is in the tables if there is one; -1: none. */
int model_uid_of_key(const model *m, const tables *t, int entity, int64_t key);
/* Another row has the key by now: the object with that uid stands for nothing. */
bool model_key_is_anothers(const model *m, const tables *t, int uid);
/* The tables as this session sees them, for entities of that database. */
const tables *model_view(const model *m, const root *r, int database);
bool model_is_changed(const model *m, const object *o);
bool model_is_pending(const model *m, const object *o);
bool model_has_pending(const model *m, const root *r);
/* Delete a row with what ON DELETE does. */
void model_delete(const model *m, tables *t, int uid);
/* Whether a row refers to nothing, or two have one unique value, or a check fails. */
bool model_is_broken(const model *m, const tables *t);
/* What a flush of all, or of one object, would do. */
void model_plan(const model *m, const root *r, const object *only, plan *p);
/* The flush was done. */
void model_flushed(model *m, root *r, const object *only, const plan *p);
void model_open(model *m, root *r, int database);
void model_committed(model *m, root *r);
/* Undo as a rollback of the whole transaction. keep_pending: what was written may also be pending again with its values. */
void model_rolled_back(model *m, root *r, bool keep_pending);
void model_nested_undone(model *m, root *r, int level);
/* A row as read: values, baseline. */
void model_read(const model *m, root *r, object *o, const tables *t, bool all);
/* No database's own part of the session is open any more. */
void model_close(root *r);

#endif
