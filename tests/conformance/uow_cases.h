/*
 * uow_cases - the list of the cases about units of work: each maps entities of its own, see uow_kit.
 */
#ifndef NXT_UOW_CASES_H
#define NXT_UOW_CASES_H

#include "cases.h"

/* clang-format off */
#define NXT_UOW_ORDER_CASES(X) \
    X(uow_order, doubly_linked_list_is_deleted_in_one_flush) \
    X(uow_order, rows_with_two_paths_to_each_ancestor_are_deleted_in_one_flush) \
    X(uow_order, rows_with_two_paths_to_each_ancestor_are_inserted_in_one_flush) \
    X(uow_order, circle_that_refuses_deletions_is_deleted_in_one_flush) \
    X(uow_order, row_that_refers_to_itself_and_refuses_deletion_is_deleted) \
    X(uow_order, circle_of_new_rows_keeps_its_version) \
    X(uow_order, circle_of_new_rows_with_all_columns_compared) \
    X(uow_order, circle_of_new_rows_with_nothing_compared) \
    X(uow_order, tree_with_a_composite_key_is_deleted_children_first) \
    X(uow_order, loaded_tree_with_a_composite_key_is_deleted_children_first) \
    X(uow_order, loaded_tree_that_cascades_is_deleted_in_one_flush) \
    X(uow_order, parent_named_by_its_key_is_inserted_first) \
    X(uow_order, parent_named_by_its_key_is_inserted_first_beside_a_circle) \
    X(uow_order, chain_named_by_keys_within_a_table_is_inserted_and_deleted) \
    X(uow_order, parent_with_a_composite_key_is_inserted_first_whatever_names_it) \
    X(uow_order, circle_of_tables_is_inserted_and_deleted_in_one_flush_each) \
    X(uow_order, reference_moved_off_a_row_that_the_flush_deletes) \
    X(uow_order, new_row_that_refers_to_a_row_being_deleted_is_refused) \
    X(uow_order, new_row_that_names_a_row_being_deleted_by_key_is_refused) \
    X(uow_order, changed_row_that_refers_to_a_row_being_deleted_is_refused) \
    X(uow_order, row_that_refers_to_a_deleted_row_is_refused) \
    X(uow_order, row_that_refers_to_a_forgotten_new_row_is_refused)

#define NXT_UOW_CASES(X) \
    NXT_UOW_ORDER_CASES(X)
/* clang-format on */

NXT_UOW_CASES(NXT_DECLARE_CASE)

#endif
