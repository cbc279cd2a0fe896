/*
 * model_schema - the entities of the model: self references, a composite key and references to it, a circle of two tables,
 * required and optional references, unique, checked, lazy, volatile, local and versioned fields, a default of the database.
 */
#include "model.h"

#define TWIG_F(FIELD, E)                                                                                                         \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, OPT, i32, n)                                                                                                        \
    FIELD(E, REQ, text, name, .unique = true)                                                                                    \
    FIELD(E, SINGLE, Twig, parent, .optional = true)                                                                             \
    FIELD(E, SINGLE, Twig, owner, .optional = true, .on_delete = NX_ON_DELETE_CASCADE)
#define TEAM_F(FIELD, E)                                                                                                         \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, OPT, i32, n)                                                                                                        \
    FIELD(E, SINGLE, Person, lead, .optional = true)
#define PERSON_F(FIELD, E)                                                                                                       \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, i32, n, .sql_type = "INTEGER CHECK (n >= 0)")                                                                  \
    FIELD(E, SINGLE, Team, team)
#define PLACE_F(FIELD, E)                                                                                                        \
    FIELD(E, PK, text, region)                                                                                                   \
    FIELD(E, PK, i32, num, .caller_assigned = true)                                                                              \
    FIELD(E, OPT, i32, n)                                                                                                        \
    FIELD(E, SINGLE, Place, up, .optional = true, .on_delete = NX_ON_DELETE_RESTRICT)
#define ITEM_F(FIELD, E)                                                                                                         \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, REQ, i32, ver, .version = true)                                                                                     \
    FIELD(E, OPT, i32, code, .unique = true)                                                                                     \
    FIELD(E, OPT, i32, def, .sql_default = "7")                                                                                  \
    FIELD(E, OPT, i32, vol, .is_volatile = true)                                                                                 \
    FIELD(E, OPT, text, note, .lazy = NX_ON)                                                                                     \
    FIELD(E, LOCAL, int, scratch)                                                                                                \
    FIELD(E, SINGLE, Place, place, .optional = true)                                                                             \
    FIELD(E, SINGLE, Place, home)
#define WORD_F(FIELD, E)                                                                                                         \
    FIELD(E, PK, text, word)                                                                                                     \
    FIELD(E, REQ, i32, n)                                                                                                        \
    FIELD(E, REQ, i64, ver, .version = true)                                                                                     \
    FIELD(E, SINGLE, Word, next, .optional = true, .on_delete = NX_ON_DELETE_RESTRICT)
#define CODE_F(FIELD, E)                                                                                                         \
    FIELD(E, PK, i64, id, .caller_assigned = true)                                                                               \
    FIELD(E, OPT, i32, n)                                                                                                        \
    FIELD(E, SINGLE, Word, word, .on_delete = NX_ON_DELETE_RESTRICT)
#define NOTE_F(FIELD, E)                                                                                                         \
    FIELD(E, PK, i64, id)                                                                                                        \
    FIELD(E, OPT, i32, n)                                                                                                        \
    FIELD(E, REQ, i32, ver, .version = true)                                                                                     \
    FIELD(E, REQ, text, name, .unique = true)                                                                                    \
    FIELD(E, SINGLE, Note, up, .optional = true)

#define ALL(X) X(Twig, TWIG_F) X(Team, TEAM_F) X(Person, PERSON_F) X(Place, PLACE_F) X(Item, ITEM_F) X(Word, WORD_F) \
    X(Code, CODE_F) X(Note, NOTE_F)
#define DECLARE(E, F) NX_ENTITY_DECLARE(E, F)
#define DEFINE(E, F) NX_ENTITY_DEFINE(E, F)
ALL(DECLARE)
ALL(DEFINE)

/* The same, as text for the programs that are printed: FIELD and E are no macros here, so they stay. */
#define TEXT_OF(...) #__VA_ARGS__
#define TEXT(...) TEXT_OF(__VA_ARGS__)
#define LIST_TEXT(E, F) "#define " #F "(FIELD, E) " TEXT(F(FIELD, E)) "\n"
#define DECLARE_TEXT(E, F) "NX_ENTITY_DECLARE(" #E ", " #F ")\n"
#define DEFINE_TEXT(E, F) "NX_ENTITY_DEFINE(" #E ", " #F ")\n"
const char model_entities_text[] = ALL(LIST_TEXT) ALL(DECLARE_TEXT) ALL(DEFINE_TEXT);

#define COLUMN(E, field, kind_, ...)                                                                                             \
    { .name = #field, .kind = kind_, .offset = offsetof(E, field), .column = { &E##_entity, E##_##field##_field },               \
      .sql = { #field }, ##__VA_ARGS__ }
#define REFERENCE(E, field, target_, optional_, ...)                                                                             \
    { .name = #field, .kind = COL_REF, .offset = offsetof(E, field), .column = { &E##_entity, E##_##field##_field },             \
      .target = target_, .optional = optional_, ##__VA_ARGS__ }

static const model_column twig_columns[] = {
    COLUMN(Twig, n, COL_NUMBER), COLUMN(Twig, name, COL_NAME, .unique = true),
    REFERENCE(Twig, parent, TWIG, true, .on_delete = NX_ON_DELETE_SET_NULL, .sql = { "parent_id" }),
    REFERENCE(Twig, owner, TWIG, true, .on_delete = NX_ON_DELETE_CASCADE, .sql = { "owner_id" })
};
static const model_column team_columns[] = {
    COLUMN(Team, n, COL_NUMBER), REFERENCE(Team, lead, PERSON, true, .on_delete = NX_ON_DELETE_SET_NULL, .sql = { "lead_id" })
};
static const model_column person_columns[] = {
    COLUMN(Person, n, COL_REQUIRED, .checked = true),
    REFERENCE(Person, team, TEAM, false, .on_delete = NX_ON_DELETE_CASCADE, .sql = { "team_id" })
};
static const model_column place_columns[] = {
    COLUMN(Place, n, COL_NUMBER),
    REFERENCE(Place, up, PLACE, true, .on_delete = NX_ON_DELETE_RESTRICT, .sql = { "up_region", "up_num" })
};
static const model_column item_columns[] = {
    COLUMN(Item, code, COL_NUMBER, .unique = true), COLUMN(Item, def, COL_DEFAULT), COLUMN(Item, vol, COL_VOLATILE),
    COLUMN(Item, note, COL_LAZY), COLUMN(Item, scratch, COL_LOCAL),
    REFERENCE(Item, place, PLACE, true, .on_delete = NX_ON_DELETE_SET_NULL, .sql = { "place_region", "place_num" }),
    REFERENCE(Item, home, PLACE, false, .on_delete = NX_ON_DELETE_CASCADE, .sql = { "home_region", "home_num" }),
    COLUMN(Item, ver, COL_VERSION32)
};
static const model_column word_columns[] = {
    COLUMN(Word, n, COL_REQUIRED), REFERENCE(Word, next, WORD, true, .on_delete = NX_ON_DELETE_RESTRICT, .sql = { "next_word" }),
    COLUMN(Word, ver, COL_VERSION64)
};
static const model_column code_columns[] = {
    COLUMN(Code, n, COL_NUMBER), REFERENCE(Code, word, WORD, false, .on_delete = NX_ON_DELETE_RESTRICT, .sql = { "word_word" })
};
static const model_column note_columns[] = {
    COLUMN(Note, n, COL_NUMBER), COLUMN(Note, name, COL_NAME, .unique = true),
    REFERENCE(Note, up, NOTE, true, .on_delete = NX_ON_DELETE_SET_NULL, .sql = { "up_id" }), COLUMN(Note, ver, COL_VERSION32)
};

#define COLUMNS_OF(array) .columns = array, .column_count = sizeof(array) / sizeof(array[0])
const model_entity entities[ENTITIES] = {
    [TWIG] = { "Twig", "twig", &Twig_entity, 0, KEY_AUTO, { "id" }, COLUMNS_OF(twig_columns), .version = -1 },
    [TEAM] = { "Team", "team", &Team_entity, 0, KEY_AUTO, { "id" }, COLUMNS_OF(team_columns), .version = -1 },
    [PERSON] = { "Person", "person", &Person_entity, 0, KEY_AUTO, { "id" }, COLUMNS_OF(person_columns), .version = -1 },
    [PLACE] = { "Place", "place", &Place_entity, 0, KEY_PAIR, { "region", "num" }, COLUMNS_OF(place_columns), .version = -1 },
    [ITEM] = { "Item", "item", &Item_entity, 0, KEY_AUTO, { "id" }, COLUMNS_OF(item_columns), .version = 7 },
    [WORD] = { "Word", "word", &Word_entity, 0, KEY_TEXT, { "word" }, COLUMNS_OF(word_columns), .version = 2 },
    [CODE] = { "Code", "code", &Code_entity, 0, KEY_NUMBER, { "id" }, COLUMNS_OF(code_columns), .version = -1 },
    [NOTE] = { "Note", "note", &Note_entity, 1, KEY_AUTO, { "id" }, COLUMNS_OF(note_columns), .version = 3 }
};

const nx_entity *const *model_mapping(int database)
{
    static const nx_entity *const first[] = { &Twig_entity, &Team_entity, &Person_entity, &Place_entity,
                                              &Item_entity, &Word_entity, &Code_entity,   NULL };
    static const nx_entity *const second[] = { &Note_entity, NULL };
    return database == 0 ? first : second;
}
