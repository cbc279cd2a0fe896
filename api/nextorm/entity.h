/*
 * entity - what a row looks like: struct, descriptor and column handles from one list.
 *
 *     #define POST(FIELD, E)                                   \
 *         FIELD(E, PK,     i64,     id)                        \
 *         FIELD(E, REQ,    text,    title, .max_len = 200)     \
 *         FIELD(E, OPT,    i32,     score)                     \
 *         FIELD(E, SINGLE, Author,  author, .optional = true)
 *     NX_ENTITY(Post, POST, .table = "post")
 *
 * gives struct Post, the descriptor Post_entity and the column handles Post_.title. Rows are plain
 * structs made by nx_new, nx_make or a query; a row has a hidden part in front of it, so a struct
 * on the stack or inside another one is not a row.
 *
 * Descriptors are constant; one made at run time lives until nx_entity_free.
 */
#ifndef NEXTORM_ENTITY_H
#define NEXTORM_ENTITY_H

#include "nextorm/value.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nx_entity nx_entity;

typedef enum nx_kind {
    NX_KIND_PK,     /* primary key, or a part of it */
    NX_KIND_REQ,    /* required */
    NX_KIND_OPT,    /* may be NULL: the optional form of the type */
    NX_KIND_SINGLE, /* reference to one row of another entity */
    NX_KIND_SET,    /* collection of rows of another entity; no column */
    NX_KIND_LOCAL   /* never stored */
} nx_kind;

typedef enum nx_switch { NX_DEFAULT, NX_ON, NX_OFF } nx_switch;

/* A key that the library makes on the client just before the INSERT when it is all zero. */
typedef enum nx_generate { NX_GENERATE_NONE, NX_GENERATE_UUID4, NX_GENERATE_UUID7, NX_GENERATE_ULID } nx_generate;

/* What ON DELETE does to rows that refer to a deleted one. Default: CASCADE, or SET NULL if optional. */
typedef enum nx_on_delete {
    NX_ON_DELETE_DEFAULT,
    NX_ON_DELETE_CASCADE,
    NX_ON_DELETE_SET_NULL,
    NX_ON_DELETE_RESTRICT
} nx_on_delete;

typedef struct nx_field {
    /* filled by the macros */
    const char *name;
    nx_kind kind;
    nx_type type;
    size_t offset;           /* of the member in the struct */
    size_t size;             /* of the member */
    const nx_entity *target; /* SINGLE and SET */

    /* options; zero is the default of each */
    const char *column;      /* column name; default: the field's (SINGLE: name_<target key column>) */
    const char *sql_type;    /* replaces the column type in CREATE TABLE */
    const char *sql_default; /* DEFAULT expression in CREATE TABLE */
    const char *initial;     /* value of a new row, as text, parsed when the entity is mapped */
    void (*initial_call)(void *member); /* or a function that sets the member of a new row */
    const char *min, *max;   /* bounds, as text: numbers, dates and times by value */
    bool (*check)(const void *member);  /* false: refused (NX_EVALUE); called before the flush */
    const char *const *labels; /* enumeration: NX_LABELS("draft", "published") */
    size_t max_len;          /* text: characters; bytes: bytes; 0: no limit */
    uint16_t precision, scale; /* decimal: total digits, digits after the point; 0: any */
    uint16_t dimensions;     /* vector */
    nx_switch autostrip;     /* white space around a text is cut before the flush; default: on for text, off for longtext */
    nx_switch lazy;          /* not loaded with the row; default: on for longtext */
    nx_generate generate;
    bool unique, index;
    bool caller_assigned;    /* integer key that the database does not number */
    bool optional;           /* SINGLE: may be NULL */
    bool is_volatile;        /* never written by UPDATE, never compared */
    bool version;            /* i32 or i64: counted up by every UPDATE, compared by the optimistic check */
    /* SINGLE and SET */
    const char *reverse;     /* field of the target that is the other side */
    const char *join_table;  /* SET: table of a many-to-many relation */
    const char *fk_name;
    nx_on_delete on_delete;
} nx_field;

struct nx_entity {
    const char *name;
    const char *table;       /* default: the name in lower case */
    size_t row_size;
    size_t field_count;
    const nx_field *fields;
    const char *const *indexes; /* NX_LIST("a, b", "c, d"): fields of each multi-column index */
    const char *const *uniques; /* the same for unique constraints */
    /* single-table inheritance: all entities of one tree share the root's table */
    const nx_entity *parent;
    const char *discriminator;       /* on the root: column that names the entity of a row */
    const char *discriminator_value; /* of this entity */
};

#define NX_LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define NX_LABELS(...) NX_LIST(__VA_ARGS__)

/* A column handle: a field of an entity. field == UINT16_MAX: none (an unknown name). */
typedef struct nx_column { const nx_entity *entity; uint16_t field; } nx_column;

/*
 * The key of a row of another entity: part_count 0 is no key, 1 a single-column key in `value`,
 * more a composite key in `parts`, one value per key column of the target in their order.
 */
typedef struct nx_key { nx_value value; const nx_value *parts; size_t part_count; } nx_key;

/* A collection. Opaque to users. */
typedef struct nx_set { void *opaque; } nx_set;

/*
 * A reference. `row` wins when it is set (its key is read when the reference is written, so it may
 * be a row that has no key yet); else `key` is used. After loading, row is NULL unless that row is
 * known to the session. nx_set_ref(p->author, a), nx_set_ref_key(p->author, 7); NULL is no reference.
 */
#define NX_REFERENCE(T) struct { struct T *row; nx_key key; }
typedef struct nx_reference { void *row; nx_key key; } nx_reference;
#define nx_set_ref(member, target) ((member).row = (target), (member).key = (nx_key){ .part_count = 0 })
#define nx_set_ref_key(member, v) ((member).row = NULL, (member).key = (nx_key){ .value = NX_VALUE(v), .part_count = 1 })

/* ------------------------------------------------------------------- the macros' machinery */

#define NX_MEMBER(E, kind, type, name, ...) NX_MEMBER_##kind(type, name)
#define NX_MEMBER_PK(type, name) nx_##type name;
#define NX_MEMBER_REQ(type, name) nx_##type name;
#define NX_MEMBER_OPT(type, name) nx_opt_##type name;
#define NX_MEMBER_LOCAL(type, name) type name;
#define NX_MEMBER_SINGLE(T, name) NX_REFERENCE(T) name;
#define NX_MEMBER_SET(T, name) nx_set name;
#define NX_TYPE_OF_PK(type) NX_TYPE_##type
#define NX_TYPE_OF_REQ(type) NX_TYPE_##type
#define NX_TYPE_OF_OPT(type) NX_TYPE_##type
#define NX_TYPE_OF_LOCAL(type) NX_TYPE_null
#define NX_TYPE_OF_SINGLE(T) NX_TYPE_key
#define NX_TYPE_OF_SET(T) NX_TYPE_set
#define NX_TARGET_PK(type) NULL
#define NX_TARGET_REQ(type) NULL
#define NX_TARGET_OPT(type) NULL
#define NX_TARGET_LOCAL(type) NULL
#define NX_TARGET_SINGLE(T) &T##_entity
#define NX_TARGET_SET(T) &T##_entity
#define NX_FORWARD(E, kind, type, name, ...) NX_FORWARD_##kind(type)
#define NX_FORWARD_PK(type)
#define NX_FORWARD_REQ(type)
#define NX_FORWARD_OPT(type)
#define NX_FORWARD_LOCAL(type)
#define NX_FORWARD_SINGLE(T) extern const nx_entity T##_entity;
#define NX_FORWARD_SET(T) extern const nx_entity T##_entity;
#define NX_FIELD_INDEX(E, kind, type, name, ...) E##_##name##_field,
#define NX_COLUMN(E, kind, type, name, ...) nx_column name;
#define NX_COLUMN_OF(E, kind, type, name, ...) .name = { &E##_entity, E##_##name##_field },
#define NX_DESCRIBE(E, kind_, type_, name_, ...)                                                   \
    { .name = #name_, .kind = NX_KIND_##kind_, .type = NX_TYPE_OF_##kind_(type_),                  \
      .offset = offsetof(E, name_), .size = sizeof(((E *)0)->name_),                               \
      .target = NX_TARGET_##kind_(type_), ##__VA_ARGS__ },

/* In a header: the struct, the descriptor, the column handles. */
#define NX_ENTITY_DECLARE(E, FIELDS)                                                               \
    typedef struct E { FIELDS(NX_MEMBER, E) } E;                                                   \
    FIELDS(NX_FORWARD, E)                                                                          \
    enum { FIELDS(NX_FIELD_INDEX, E) E##_field_count };                                            \
    extern const nx_entity E##_entity;                                                             \
    extern const struct E##_columns { FIELDS(NX_COLUMN, E) } E##_;
/* In one .c file. */
#define NX_ENTITY_DEFINE(E, FIELDS, ...)                                                           \
    static const nx_field E##_fields[] = { FIELDS(NX_DESCRIBE, E) };                               \
    const nx_entity E##_entity = { .name = #E, .row_size = sizeof(E),                              \
        .field_count = E##_field_count, .fields = E##_fields, ##__VA_ARGS__ };                     \
    const struct E##_columns E##_ = { FIELDS(NX_COLUMN_OF, E) };
/* Both, for a program of one file. */
#define NX_ENTITY(E, FIELDS, ...) NX_ENTITY_DECLARE(E, FIELDS) NX_ENTITY_DEFINE(E, FIELDS, ##__VA_ARGS__)

/* ------------------------------------------------------------------- descriptors at run time */

/*
 * Make a descriptor from fields whose name, kind, type and options are set; offset, size and
 * row_size are computed. Names and options are copied. `options` gives table, indexes, uniques and
 * may be NULL. NX_EINVAL: no field, a name twice, a type that cannot be stored.
 * Any thread. Free with nx_entity_free after every database that maps it is freed.
 */
NX_API NX_MUST_CHECK nx_status nx_entity_new(const char *name, const nx_field *fields, size_t field_count,
                                             const nx_entity *options, nx_entity **ret_entity);
NX_API void nx_entity_free(nx_entity *entity);

/* The column of that field name; .field is UINT16_MAX when there is none. */
NX_API nx_column nx_column_of(const nx_entity *entity, const char *field_name);

/*
 * Read and write a member by its column. The value's texts point into the row (get) or are kept
 * as pointers (set: the caller keeps them alive as for any assignment). nx_row_set converts
 * between the integer types and from text; NX_ETYPE or NX_ERANGE when that is not possible,
 * NX_EREQUIRED for NULL into a field that has no optional form, NX_ENOFIELD for a column
 * of another entity, NX_ESTATE for reading a lazy field that is not loaded.
 */
NX_API NX_MUST_CHECK nx_status nx_row_get(const void *row, nx_column column, nx_value *ret_value);
NX_API NX_MUST_CHECK nx_status nx_row_set(void *row, nx_column column, nx_value value);

/* The descriptor of a row. `row` was made by the library. */
NX_API const nx_entity *nx_row_entity(const void *row);

/* False for a lazy field that was not loaded with the row. */
NX_API bool nx_row_is_loaded(const void *row, nx_column column);

#ifdef __cplusplus
}
#endif
#endif
