/*
 * row - an entity's struct in memory, seen column by column (row.c), its key and version (row_key.c).
 *
 * A row is [nxi_row header][struct][snapshot]: users hold the address of the struct. The snapshot is
 * a second image of the struct as the database has it; only tracked rows have room for one.
 * What the snapshot points to lives in the arena of the row's owner; what the struct points to does so too, or is the user's
 * until a flush has written it. An array of key parts that a reference points to is never written to: another one is made.
 *
 * Threads: while a request that carries a row is in flight, only its worker or connection touches it.
 * Uses: arena.h, values.h
 */
#ifndef NXI_ROW_H
#define NXI_ROW_H

#include "engine/values.h"

typedef struct nxi_table nxi_table;
typedef struct nxi_column nxi_column;

typedef enum nxi_form {
    NXI_FORM_PLAIN,    /* the member is the value */
    NXI_FORM_OPTIONAL, /* {value, present} */
    NXI_FORM_REFERENCE /* nx_reference: one part of a key */
} nxi_form;

/* A column of a table and where its value lies in the struct. A reference to a composite key is several columns. */
struct nxi_column {
    const char *name;
    const nx_field *field;
    const nxi_table *table;
    const nxi_table *target;         /* REFERENCE */
    const nxi_column *target_column; /* REFERENCE: the key column that it refers to */
    nx_type type;                    /* scalar; REFERENCE: the target column's */
    nxi_form form;
    uint32_t offset;                 /* of the member */
    uint32_t present_offset;         /* OPTIONAL: of `present` in the struct */
    uint32_t max_len;
    uint16_t index;                  /* in table->columns */
    uint16_t field_index;
    uint16_t key_part;               /* REFERENCE: part of the target's key; key columns: own part */
    bool nullable, is_key, lazy, is_volatile, is_version, autostrip;
    uint8_t lazy_bit;                /* in nxi_row.lazy_missing */
    bool has_min, has_max;
    uint16_t checks;                 /* what nxi_row_prepare looks at; private to prepare.c */
    nx_value min, max;
};

/* Some bytes of the struct. */
typedef struct nxi_span { uint32_t offset, size; } nxi_span;

/* A unique constraint that the mapping declares, or the key, as columns of one table. */
typedef struct nxi_unique {
    const struct nxi_unique *next;
    uint64_t seed; /* of the column names: entities of one tree share their constraints */
    size_t count;
    bool is_key;
    const nxi_column *columns[];
} nxi_unique;

/* What the catalogue says is unique in a table besides the mapped key, for all its rows, and over mapped columns only. */
typedef struct nxi_real_unique {
    const char *name;
    const char *constraint; /* DEFERRABLE: what SET CONSTRAINTS calls it, quoted, with its schema; else NULL */
    const uint16_t *columns;/* indexes in table->columns */
    size_t count;
    bool deferrable;
} nxi_real_unique;

/* Tables of the mapping whose rows a statement may delete or change besides the rows that it names. */
typedef struct nxi_touched {
    const nxi_table *const *tables;
    size_t count;
    bool all;               /* any row of any table, the rows that the statement names too */
} nxi_touched;

/*
 * The compiled mapping of an entity in one database; see table.h for how it is made. Constant afterwards, but for what
 * catalog.h finds out: that is replaced when the catalogue is asked again and says something else. What it pointed to lives as
 * long as the mapping. Only the loop's thread reads it.
 */
struct nxi_table {
    const nx_entity *entity;
    void *db;                        /* nx_db; not for drivers */
    const char *name;
    size_t row_size;                 /* of the struct, rounded up to 16 */
    size_t stored_count;
    const nxi_span *stored;          /* where the columns lie: the struct without members that are not stored */
    size_t column_count;
    nxi_column *columns;             /* key columns first, then in field order */
    size_t key_count;                /* columns[0 .. key_count) */
    const nxi_column *auto_key;      /* integer key numbered by the database; NULL: none */
    const nxi_column *version;       /* NULL: none */
    size_t lazy_count;
    uint32_t lazy_mask;              /* lazy_missing of a row loaded without any lazy field */
    uint32_t order;                  /* flush rank: referenced tables have smaller ones */
    uint32_t component;              /* the smallest order among the tables of its circle */
    uint32_t index;                  /* among the tables of the database */
    bool in_cycle;                   /* references form a cycle through this table (also to itself) */
    bool has_calls;                  /* some field has an initial_call */
    bool has_references, has_defaults, has_pointers; /* some column refers, has a default in the database, holds a pointer */
    const void *initial;             /* image of a new row */
    const uint16_t *field_column;    /* per field: its first column, UINT16_MAX: none */
    const nxi_unique *uniques;       /* the key is among them */
    const nxi_table *root;           /* itself, or the root of its inheritance tree */
    const uint16_t *checked;         /* indexes of the columns with any checks; private to prepare.c */
    size_t checked_count;
    /* Of catalog.h. A bit for each column, never one of the key; NULL: of no column. */
    const uint64_t *made;            /* after an INSERT the database may hold another value than the row */
    const uint64_t *defaulted;       /* of `made`: only if the INSERT left the column out */
    const uint64_t *rounded;         /* of `made`: only if a value was written, by an INSERT or an UPDATE */
    const uint64_t *update_made;     /* after any UPDATE of the row the database may hold another value, whatever it sets */
    nxi_touched inserts_touch, updates_touch, deletes_touch;
    const uint64_t *passable;        /* may be NULL for a moment, as nothing in the database sees that, nor refuses it */
    const nxi_real_unique *real_uniques;
    size_t real_unique_count;
    bool is_catalogued;              /* the catalogue has answered, and the table is there; else only the mapping has spoken */
    bool is_view;
    bool has_triggers;               /* or rules: some statement touches all, see above */
    bool has_checks;                 /* a CHECK names a column for which the mapping writes none */
};

typedef enum nxi_row_state {
    NXI_ROW_NEW,     /* not in the database as far as is known */
    NXI_ROW_STORED,  /* loaded or written */
    NXI_ROW_DELETING,/* DELETE at the next flush */
    NXI_ROW_GONE,    /* deleted */
    NXI_ROW_EXPIRED  /* stored; to be read again */
} nxi_row_state;

enum {
    NXI_ROW_TRACKED = 1,
    NXI_ROW_MAPPED = 2,        /* in the identity map */
    NXI_ROW_DELETE_LISTED = 4, /* in the session's list of deletions */
    NXI_ROW_WAS_NEW = 8,       /* inserted by its session, at its stamp or before */
    NXI_ROW_KEY_MADE = 16,     /* the key was made by the database or by the library */
    NXI_ROW_TOUCHED = 32,      /* in the session's list of touched rows */
    NXI_ROW_MADE_UNKNOWN = 64, /* columns that the database makes (table->made) are not known */
    NXI_ROW_DOUBTFUL = 128,    /* the outcome of its last write is unknown: no writes until it is read again */
    NXI_ROW_MARKED = 256,      /* for the moment, by what walks over rows */
    NXI_ROW_BUSY = 512,        /* of no session: an operation on it is in flight */
    NXI_ROW_IMAGED = 1024      /* the frame of its stamp has an image of it */
};

typedef struct nxi_row {
    const nxi_table *table;
    void *owner;               /* nx_session, or NULL */
    union {
        struct {
            uint32_t place;    /* of a session's row: index in the list that it is in */
            uint32_t stamp;    /* the session's clock when it was made, read or written last */
        };
        nxi_arena *texts;      /* of a row of no session that was made alone: what it points to; NULL: nothing */
    };
    uint32_t lazy_missing;     /* bit per lazy column that is not loaded */
    uint16_t flags;
    uint8_t state;             /* nxi_row_state */
    uint8_t spare;
} nxi_row;
_Static_assert(sizeof(nxi_row) == 32, "rows keep 16-byte alignment");

static inline nxi_row *nxi_row_of(const void *row) { return (nxi_row *)((uintptr_t)row - sizeof(nxi_row)); }
static inline void *nxi_row_data(const nxi_row *header) { return (void *)((uintptr_t)header + sizeof(nxi_row)); }
static inline void *nxi_row_snapshot(const void *row) { return (void *)((uintptr_t)row + nxi_row_of(row)->table->row_size); }

/* A row with an undefined struct, state STORED; tracked rows have room for a snapshot. NULL: out of memory. */
static inline void *nxi_row_get(nxi_arena *arena, const nxi_table *table, void *owner, bool tracked)
{
    nxi_row *header = nxi_arena_get(arena, sizeof(nxi_row) + table->row_size * (tracked ? 2 : 1), 16);
    if (NXI_UNLIKELY(header == NULL))
        return NULL;
    *header = (nxi_row){ .table = table, .owner = owner, .state = NXI_ROW_STORED, .flags = tracked ? NXI_ROW_TRACKED : 0 };
    return nxi_row_data(header);
}
/* A row with the initial values, state NEW, tracked. */
void *nxi_row_new(nxi_arena *arena, const nxi_table *table, void *owner);
/* Snapshot := struct. */
static inline void nxi_row_track(void *row)
{
    memcpy(nxi_row_snapshot(row), row, nxi_row_of(row)->table->row_size);
}

/*
 * Read a column of a struct (the row's or its snapshot). References give the key of .row when it is set, else of
 * .key; a reference to a row without a key gives NULL. Texts point into the row.
 */
void nxi_column_get(const nxi_column *column, const void *row, nx_value *ret_value);
/*
 * Write a value of exactly the column's type, or NULL (only into columns that can hold it: asserted). Texts are kept as
 * pointers. Columns of a reference to a composite key are written in their order, and need `arena`; false: out of memory.
 */
NX_MUST_CHECK bool nxi_column_set(const nxi_column *column, void *row, nx_value value, nxi_arena *arena);
/* The same for a row that is being read: its struct was zeroed, and nothing but these calls has written to it. */
NX_MUST_CHECK bool nxi_column_fill(const nxi_column *column, void *row, nx_value value, nxi_arena *arena);
bool nxi_column_is_null(const nxi_column *column, const void *row);
/* nx_row_set, but for what a session makes of it. */
NX_MUST_CHECK nx_status nxi_row_set(void *row, nx_column column, nx_value value);

/* Of an enumeration, also as the key that a reference refers to; NULL: none. */
static inline const char *const *nxi_column_labels(const nxi_column *column)
{
    while (column->form == NXI_FORM_REFERENCE && column->target_column != NULL)
        column = column->target_column;
    return column->field->labels;
}
/* Its values lie elsewhere: bytes that a pointer type refers to, or the parts of a composite key. */
bool nxi_column_holds_pointer(const nxi_column *column);
/*
 * Make what the struct points to the row's own (texts, bytes, keys and their parts), by copies in `arena`: all of it, for a row
 * whose snapshot is not filled yet or whose old memory is given up. False: out of memory; some are copied.
 */
NX_MUST_CHECK bool nxi_row_own(void *row, nxi_arena *arena);
/*
 * The same for a tracked row: a member that points elsewhere than its snapshot gets the snapshot's pointer when the values are
 * equal, so that only what has changed is copied. Images that are equal byte by byte need nothing. The snapshot stays as it
 * is but for volatile columns; when no column has changed, nxi_row_track makes both images equal for the next comparison.
 */
NX_MUST_CHECK bool nxi_row_own_all(void *row, nxi_arena *arena);

/* A number that the database has given to a new row; false: it is out of the column's range, and nothing is written. */
NX_MUST_CHECK bool nxi_row_set_made_key(const nxi_column *column, void *row, int64_t key);
/* The write that gave the row its key is undone. */
void nxi_row_take_back_key(void *row);
/* Set the key to "none": zero, no text. */
void nxi_row_clear_key(const nxi_table *table, void *row);
/* All key columns are set (an automatic integer key: not 0; a made uuid or ulid: not all zero). */
bool nxi_row_has_key(const nxi_table *table, const void *row);
uint64_t nxi_row_key_hash(const nxi_table *table, const void *row);
bool nxi_row_key_equal(const nxi_table *table, const void *a, const void *b);
/* The same hash from values, converted to the key columns' types by the caller. */
uint64_t nxi_key_hash(const nxi_table *table, const nx_value *values);
bool nxi_row_key_is(const nxi_table *table, const void *row, const nx_value *values);

/* The version that an UPDATE gives the row. False: there is none, the version is the greatest of its type. */
NX_MUST_CHECK bool nxi_version_next(const nxi_column *column, const void *row, int64_t *ret_version);

/* Whether a column differs between struct and snapshot: by value, texts by content. */
bool nxi_column_changed(const nxi_column *column, const void *row, const void *snapshot);
/* Whether the stored members of a tracked row are those of the snapshot byte by byte. */
static inline bool nxi_row_is_same_bytes(const void *row)
{
    const nxi_table *table = nxi_row_of(row)->table;
    const char *now = row, *before = (const char *)row + table->row_size;

    for (size_t i = 0; i < table->stored_count; i++) {
        if (memcmp(now + table->stored[i].offset, before + table->stored[i].offset, table->stored[i].size) != 0)
            return false;
    }
    return true;
}
/*
 * Whether a tracked row has anything that an UPDATE writes: a column that is neither volatile nor the version differs from the
 * snapshot by value, or refers to a row that is still to be inserted.
 */
bool nxi_row_changed(const void *row);

/*
 * Copy all columns that `from` has loaded into `row`, texts into `arena`; clears their bits of lazy_missing. A row that a
 * reference of `row` names stays when its key is the same. Members that are not stored stay. False: out of memory.
 */
NX_MUST_CHECK bool nxi_row_copy(const nxi_table *table, void *row, const void *from, nxi_arena *arena);
/* The stored members become those of `image`, the snapshot or a copy of the struct, as they are. Others stay. */
void nxi_row_restore(void *row, const void *image);

#endif
