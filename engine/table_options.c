/*
 * table_options - whether a field's kind, type and options make sense together.
 */
#include "engine/table_build.h"
#include "engine/types.h"

/* What kind and type the field has, for messages. */
static const char *nature_of(const nx_field *field)
{
    switch (field->kind) {
    case NX_KIND_SINGLE:
        return "a reference";
    case NX_KIND_SET:
        return "a collection";
    case NX_KIND_LOCAL:
        return "a local field";
    case NX_KIND_PK:
    case NX_KIND_REQ:
    case NX_KIND_OPT:
        break;
    }
    return nx_type_name(field->type);
}

static bool has_bounds(const nx_field *field)
{
    switch ((int)field->type) {
    case NX_TYPE_i16:
    case NX_TYPE_i32:
    case NX_TYPE_i64:
    case NX_TYPE_u32:
    case NX_TYPE_f64:
    case NX_TYPE_decimal:
    case NX_TYPE_date:
    case NX_TYPE_time:
    case NX_TYPE_timestamp:
    case NX_TYPE_timestamptz:
    case NX_TYPE_interval:
        return true;
    default:
        return false;
    }
}

static bool has_length(nx_type type)
{
    return type == NX_TYPE_text || type == NX_TYPE_longtext || type == NX_TYPE_json || type == NX_TYPE_bytes;
}

static bool generate_fits(const nx_field *field)
{
    if (field->kind != NX_KIND_PK)
        return false;
    return field->type == (field->generate == NX_GENERATE_ULID ? NX_TYPE_ulid : NX_TYPE_uuid);
}

/* The first option that is given and does not fit the field; NULL: all fit. */
static const char *find_misfit(const nx_field *f)
{
    bool scalar = nxi_kind_is_scalar(f->kind), single = f->kind == NX_KIND_SINGLE, set = f->kind == NX_KIND_SET;
    bool stored = scalar || single, body = f->kind == NX_KIND_REQ || f->kind == NX_KIND_OPT;
    bool textual = scalar && (f->type == NX_TYPE_text || f->type == NX_TYPE_longtext);
    bool counts = f->type == NX_TYPE_i32 || f->type == NX_TYPE_i64;
    const struct {
        bool given, fits;
        const char *option;
    } rules[] = {
        {f->column != NULL, stored, "column"},
        {f->sql_type != NULL, scalar, "sql_type"},
        {f->sql_default != NULL, scalar, "sql_default"},
        {f->initial != NULL, scalar, "initial"},
        {f->initial_call != NULL, f->initial == NULL && !set, "initial_call"},
        {f->min != NULL, scalar && has_bounds(f), "min"},
        {f->max != NULL, scalar && has_bounds(f), "max"},
        {f->check != NULL, stored, "check"},
        {f->labels != NULL, scalar && f->type == NX_TYPE_enumeration, "labels"},
        {f->max_len != 0, scalar && has_length(f->type), "max_len"},
        {f->precision != 0, scalar && f->type == NX_TYPE_decimal, "precision"},
        {f->scale != 0, scalar && f->type == NX_TYPE_decimal && f->scale <= f->precision, "scale"},
        {f->dimensions != 0, scalar && f->type == NX_TYPE_vector, "dimensions"},
        {f->autostrip == NX_ON, textual, "autostrip"},
        {f->lazy == NX_ON, body, "lazy"},
        {f->generate != NX_GENERATE_NONE, generate_fits(f), "generate"},
        {f->unique, stored, "unique"},
        {f->index, stored, "index"},
        {f->caller_assigned, f->kind == NX_KIND_PK, "caller_assigned"},
        {f->optional, single, "optional"},
        {f->is_volatile, body, "is_volatile"},
        {f->version, f->kind == NX_KIND_REQ && counts && !f->is_volatile, "version"},
        {f->reverse != NULL, single || set, "reverse"},
        {f->join_table != NULL, set, "join_table"},
        {f->fk_name != NULL, single, "fk_name"},
        {f->on_delete != NX_ON_DELETE_DEFAULT, single, "on_delete"},
        {f->on_delete == NX_ON_DELETE_SET_NULL, f->optional, "on_delete: set null"},
    };

    for (size_t i = 0; i < NXI_COUNT(rules); i++) {
        if (rules[i].given && !rules[i].fits)
            return rules[i].option;
    }
    return NULL;
}

/* Type that the kind asks for; the size that a member of it has. */
static bool kind_fits_type(const nx_field *field, size_t *ret_size)
{
    switch (field->kind) {
    case NX_KIND_PK:
    case NX_KIND_REQ:
        *ret_size = nxi_type_is_scalar(field->type) ? nxi_types[field->type].size : 0;
        return nxi_type_is_scalar(field->type);
    case NX_KIND_OPT:
        *ret_size = nxi_type_is_scalar(field->type) ? nxi_types[field->type].optional_size : 0;
        return nxi_type_is_scalar(field->type);
    case NX_KIND_SINGLE:
        *ret_size = sizeof(nx_reference);
        return field->type == NX_TYPE_key && field->target != NULL;
    case NX_KIND_SET:
        *ret_size = sizeof(nx_set);
        return field->type == NX_TYPE_set && field->target != NULL;
    case NX_KIND_LOCAL:
        *ret_size = field->size;
        return field->type == NX_TYPE_null;
    }
    return false;
}

size_t nxi_field_align(const nx_field *field)
{
    if (!nxi_kind_is_scalar(field->kind))
        return field->kind == NX_KIND_LOCAL ? 1 : sizeof(void *);
    return field->kind == NX_KIND_OPT ? nxi_types[field->type].optional_align : nxi_types[field->type].align;
}

/* A descriptor may be written by hand, so nothing in it is taken on trust that could make us write outside of the struct. */
static nx_status check_place(const nxi_builder *builder, const nx_entity *entity, const nx_field *field)
{
    size_t size, end;

    if (!kind_fits_type(field, &size))
        return nxi_mapping_fail(builder->error, entity, field, "the type %s does not fit the kind of the field",
                                nx_type_name(field->type));
    if (field->size != size || field->offset % nxi_field_align(field) != 0 || !nxi_add_size(field->offset, size, &end) ||
        end > entity->row_size || entity->row_size > UINT32_MAX)
        return nxi_mapping_fail(builder->error, entity, field, "offset and size do not describe a member of the struct");
    return NX_OK;
}

static nx_status check_labels(const nxi_builder *builder, const nx_entity *entity, const nx_field *field)
{
    if (field->labels == NULL || field->labels[0] == NULL)
        return nxi_mapping_fail(builder->error, entity, field, "an enumeration needs labels");
    for (size_t i = 0; field->labels[i] != NULL; i++) {
        if (field->labels[i][0] == '\0' || !nxi_text_is_valid(field->labels[i], strlen(field->labels[i]), NULL))
            return nxi_mapping_fail(builder->error, entity, field, "label %zu is empty or no valid UTF-8", i);
        for (size_t j = 0; j < i; j++) {
            if (strcmp(field->labels[i], field->labels[j]) == 0)
                return nxi_mapping_fail(builder->error, entity, field, "the label '%s' is there twice", field->labels[i]);
        }
    }
    return NX_OK;
}

static nx_status check_field(const nxi_builder *builder, const nx_entity *entity, const nx_field *field)
{
    const char *misfit;
    nx_status status = check_place(builder, entity, field);

    if (status != NX_OK)
        return status;
    misfit = find_misfit(field);
    if (misfit != NULL)
        return nxi_mapping_fail(builder->error, entity, field, "the option %s does not fit %s%s", misfit, nature_of(field),
                                field->kind == NX_KIND_PK ? " as primary key" : "");
    if (field->kind == NX_KIND_PK &&
        (field->type == NX_TYPE_longtext || field->type == NX_TYPE_json || field->type == NX_TYPE_vector))
        return nxi_mapping_fail(builder->error, entity, field, "%s cannot be a primary key", nx_type_name(field->type));
    if (field->max_len > UINT32_MAX)
        return nxi_mapping_fail(builder->error, entity, field, "max_len is at most %u", (unsigned)UINT32_MAX);
    if (field->type == NX_TYPE_enumeration)
        return check_labels(builder, entity, field);
    return NX_OK;
}

/* The fields of each "a, b" must exist and be stored, each once. */
static nx_status check_lists(const nxi_builder *builder, const nx_entity *entity, const char *const *lists, const char *what)
{
    for (size_t i = 0; lists != NULL && lists[i] != NULL; i++) {
        const char *list = lists[i];
        nx_text name;
        size_t count = 0;

        for (; nxi_list_next(&list, &name); count++) {
            const char *again = list;
            const nx_field *found = NULL;
            nx_text other;

            for (size_t f = 0; f < entity->field_count && name.size != 0; f++) {
                if (strlen(entity->fields[f].name) == name.size && memcmp(entity->fields[f].name, name.data, name.size) == 0)
                    found = &entity->fields[f];
            }
            if (found == NULL || found->kind == NX_KIND_SET || found->kind == NX_KIND_LOCAL)
                return nxi_mapping_fail(builder->error, entity, NULL, "%s \"%s\": '%.*s' is no stored field", what, lists[i],
                                        (int)nxi_min_size(name.size, 100), name.data);
            while (nxi_list_next(&again, &other)) {
                if (other.size == name.size && memcmp(other.data, name.data, name.size) == 0)
                    return nxi_mapping_fail(builder->error, entity, found, "named twice in %s \"%s\"", what, lists[i]);
            }
        }
        if (count == 0)
            return nxi_mapping_fail(builder->error, entity, NULL, "an empty %s", what);
    }
    return NX_OK;
}

nx_status nxi_options_check(const nxi_builder *builder, const nx_entity *entity)
{
    size_t keys = 0, versions = 0;
    nx_status status = NX_OK;

    if (entity->fields == NULL || entity->field_count == 0 || entity->field_count >= UINT16_MAX)
        return nxi_mapping_fail(builder->error, entity, NULL, "an entity has 1 to %d fields", UINT16_MAX - 1);
    for (size_t i = 0; i < entity->field_count && status == NX_OK; i++) {
        const nx_field *field = &entity->fields[i];

        if (!nxi_identifier_is_valid(builder->dialect, field->name))
            return nxi_mapping_fail(builder->error, entity, NULL, "field %zu has no name, or one that %s cannot hold", i,
                                    builder->dialect->name);
        for (size_t j = 0; j < i; j++) {
            if (strcmp(field->name, entity->fields[j].name) == 0)
                return nxi_mapping_fail(builder->error, entity, field, "two fields of that name");
        }
        keys += field->kind == NX_KIND_PK;
        versions += field->version;
        status = check_field(builder, entity, field);
    }
    if (status == NX_OK && keys == 0)
        return nxi_mapping_fail(builder->error, entity, NULL, "no primary key: mark a field as PK");
    if (status == NX_OK && versions > 1)
        return nxi_mapping_fail(builder->error, entity, NULL, "more than one version field");
    if (status == NX_OK)
        status = check_lists(builder, entity, entity->indexes, "index");
    return status != NX_OK ? status : check_lists(builder, entity, entity->uniques, "unique constraint");
}
