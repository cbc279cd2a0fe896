/*
 * uow_cases - the list of the cases about units of work: each maps entities of its own, see uow_kit.
 */
#ifndef NXT_UOW_CASES_H
#define NXT_UOW_CASES_H

#include "cases.h"

/* clang-format off */
#define NXT_UOW_CANCEL_CASES(X) \
    X(uow_cancel, one_of_many_queued_operations_is_cancelled_at_each_position) \
    X(uow_cancel, one_of_many_queued_operations_is_late_at_each_position) \
    X(uow_cancel, commit_is_stopped_at_each_position) \
    X(uow_cancel, commit_over_two_databases_is_stopped_at_each_position) \
    X(uow_cancel, commit_over_databases_of_two_kinds_is_stopped_at_each_position) \
    X(uow_cancel, flush_is_stopped_at_each_position) \
    X(uow_cancel, nested_session_is_freed_under_its_operations) \
    X(uow_cancel, root_session_is_freed_under_the_operations_of_its_nested_one) \
    X(uow_cancel, session_is_freed_under_its_queued_operations) \
    X(uow_cancel, session_is_freed_under_a_stream) \
    X(uow_cancel, database_is_freed_under_sessions_in_every_state) \
    X(uow_cancel, database_is_closed_under_sessions_in_every_state) \
    X(uow_cancel, loop_is_closed_under_sessions_in_every_state) \
    X(uow_cancel, sessions_wait_for_the_only_connection)
#define NXT_UOW_JOINED_CASES(X) \
    X(uow_joined, outer_one_goes_on_after_a_joined_rollback) \
    X(uow_joined, freed_without_an_end_the_outer_one_must_be_rolled_back) \
    X(uow_joined, ended_one_is_undone_with_the_outer_one) \
    X(uow_joined, nested_session_inside_a_joined_one_is_undone_alone) \
    X(uow_joined, joined_session_inside_a_nested_one_undoes_that_one) \
    X(uow_joined, joined_rollback_before_any_write) \
    X(uow_joined, transactions_of_a_session_never_run_out) \
    X(uow_joined, nested_sessions_of_a_session_never_run_out) \
    X(uow_joined, one_that_did_nothing_is_freed_and_the_outer_one_goes_on)
#define NXT_UOW_NESTED_CASES(X) \
    X(uow_nested, idle_middle_one_ends) \
    X(uow_nested, idle_middle_one_is_rolled_back) \
    X(uow_nested, idle_middle_one_is_freed) \
    X(uow_nested, idle_middle_one_ends_behind_an_undone_inner_one) \
    X(uow_nested, idle_middle_one_is_freed_behind_an_undone_inner_one) \
    X(uow_nested, idle_middle_one_goes_on_behind_an_undone_inner_one) \
    X(uow_nested, innermost_one_begins_the_transaction) \
    X(uow_nested, three_deep_with_savepoints_set_at_different_times) \
    X(uow_nested, rollback_inside_and_going_on_sets_the_savepoint_again) \
    X(uow_nested, pending_row_deleted_inside_is_pending_again) \
    X(uow_nested, pending_row_changed_inside_has_its_values_again) \
    X(uow_nested, pending_change_changed_again_inside_is_pending_as_it_was) \
    X(uow_nested, pending_change_flushed_inside_is_pending_again) \
    X(uow_nested, pending_deletion_flushed_inside_is_pending_again) \
    X(uow_nested, change_that_was_only_made_inside_is_not_written) \
    X(uow_nested, row_saved_alone_inside_is_pending_again) \
    X(uow_nested, what_a_nested_session_kept_is_pending_after_the_root_is_rolled_back) \
    X(uow_nested, failing_end_undoes_the_nested_one_and_the_outer_one_goes_on) \
    X(uow_nested, failing_flush_inside_is_mended_inside) \
    X(uow_nested, queries_inside_see_what_is_undone_only_until_then) \
    X(uow_nested, set_based_write_inside_is_read_and_undone) \
    X(uow_nested, rollback_behind_an_ended_inner_one_goes_back_to_the_own_begin) \
    X(uow_nested, new_row_with_a_text_key_keeps_its_key_inside)
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
#define NXT_UOW_OUTCOMES_CASES(X) \
    X(uow_outcomes, partial_commit_is_told_and_mended) \
    X(uow_outcomes, partial_commit_over_databases_of_two_kinds_is_told_and_mended) \
    X(uow_outcomes, partial_end_is_told) \
    X(uow_outcomes, partial_end_over_databases_of_two_kinds_is_told) \
    X(uow_outcomes, failed_commit_of_the_primary_loses_nothing) \
    X(uow_outcomes, failed_commit_of_the_primary_of_another_kind_loses_nothing) \
    X(uow_outcomes, failed_end_of_the_primary_rolls_back_both) \
    X(uow_outcomes, failed_commit_of_one_database_loses_nothing) \
    X(uow_outcomes, what_a_function_committed_stays_once) \
    X(uow_outcomes, function_that_ended_its_session_has_done_it_once) \
    X(uow_outcomes, failure_that_a_function_swallowed_comes_again_at_its_end) \
    X(uow_outcomes, function_that_leaves_a_nested_session_open_fails_and_stores_nothing) \
    X(uow_outcomes, operation_that_a_function_left_in_flight_is_part_of_it) \
    X(uow_outcomes, function_that_returns_a_failure_stores_nothing) \
    X(uow_outcomes, partial_commit_of_a_function_is_not_run_again) \
    X(uow_outcomes, lost_race_of_a_commit_stores_nothing) \
    X(uow_outcomes, lost_race_of_an_end_stores_nothing) \
    X(uow_outcomes, lost_race_of_a_save_outside_sessions_is_rolled_back) \
    X(uow_outcomes, lost_race_of_a_deletion_outside_sessions_is_rolled_back) \
    X(uow_outcomes, rows_of_a_failed_flush_are_all_pending_still) \
    X(uow_outcomes, touched_row_is_written_after_a_failed_commit)
#define NXT_UOW_QUEUE_CASES(X) \
    X(uow_queue, steps_on_one_row_behave_as_if_awaited) \
    X(uow_queue, steps_on_one_row_of_a_session_behave_as_if_awaited) \
    X(uow_queue, two_saves_of_one_new_row_are_one_row) \
    X(uow_queue, save_and_deletion_of_one_new_row_leave_none) \
    X(uow_queue, saves_of_one_row_with_a_version_count_it_up) \
    X(uow_queue, saves_of_many_rows_have_their_own_answers) \
    X(uow_queue, refused_deletion_of_one_row_does_not_poison_later_flushes) \
    X(uow_queue, refused_pending_deletion_is_taken_back_by_refresh) \
    X(uow_queue, refused_pending_deletion_succeeds_when_it_is_possible) \
    X(uow_queue, flushes_and_queries_queued_at_once_see_each_other) \
    X(uow_queue, failure_in_the_middle_of_a_queue_is_told_where_it_is) \
    X(uow_queue, one_failing_end_among_many_fails_alone) \
    X(uow_queue, transaction_that_the_database_rolled_back_is_whole_or_told) \
    X(uow_queue, transaction_statements_of_the_program_are_refused_or_told) \
    X(uow_queue, references_to_objects_from_elsewhere_are_refused_by_name) \
    X(uow_queue, read_only_session_refuses_every_write_and_goes_on) \
    X(uow_queue, text_that_was_cancelled_before_it_ran_costs_nothing) \
    X(uow_queue, row_that_refers_to_itself_is_saved_alone)
#define NXT_UOW_STALE_CASES(X) \
    X(uow_stale, row_with_a_local_member_set_takes_the_newer_values) \
    X(uow_stale, row_with_a_volatile_member_set_takes_the_newer_values) \
    X(uow_stale, row_with_the_same_text_set_takes_the_newer_values) \
    X(uow_stale, row_with_a_change_taken_back_takes_the_newer_values) \
    X(uow_stale, row_with_the_same_reference_by_key_takes_the_newer_values) \
    X(uow_stale, changed_row_that_is_read_again_still_finds_the_race) \
    X(uow_stale, changed_row_that_is_read_again_still_finds_the_race_by_all_columns) \
    X(uow_stale, row_that_went_with_its_deleted_parent_is_not_answered_from_memory) \
    X(uow_stale, row_that_a_set_based_write_deleted_is_not_answered_from_memory) \
    X(uow_stale, row_that_went_with_a_set_based_deletion_of_its_parent_is_not_answered_from_memory) \
    X(uow_stale, row_that_raw_sql_deleted_is_not_answered_from_memory) \
    X(uow_stale, row_that_went_with_a_raw_deletion_of_its_parent_is_not_answered_from_memory) \
    X(uow_stale, rows_that_went_away_inside_a_nested_session_are_there_again) \
    X(uow_stale, refresh_of_a_row_that_is_gone_says_so) \
    X(uow_stale, value_that_the_session_wrote_by_sql_is_not_answered_from_memory) \
    X(uow_stale, version_that_a_set_based_write_counted_up_is_read) \
    X(uow_stale, defaults_of_the_database_are_on_the_object_at_its_next_use) \
    X(uow_stale, row_with_defaults_of_the_database_is_updated_with_all_columns_compared) \
    X(uow_stale, change_beside_an_unread_default_leaves_the_default) \
    X(uow_stale, value_given_for_a_default_is_kept) \
    X(uow_stale, value_that_a_trigger_made_is_on_the_object_at_its_next_use) \
    X(uow_stale, pending_row_is_found_by_the_key_that_the_flush_stores) \
    X(uow_stale, changed_key_is_refused_by_name_and_can_be_set_back) \
    X(uow_stale, query_that_meets_an_invalid_pending_row_says_which) \
    X(uow_stale, row_written_behind_a_set_based_write_is_read_again) \
    X(uow_stale, key_that_is_given_out_again_belongs_to_the_new_row) \
    X(uow_stale, object_whose_key_was_given_out_again_writes_nothing)
#define NXT_UOW_UNDO_CASES(X) \
    X(uow_undo, flushed_change_is_written_again_after_rollback) \
    X(uow_undo, pending_change_is_written_again_after_rollback) \
    X(uow_undo, change_that_is_not_repeated_after_rollback_is_not_written) \
    X(uow_undo, texts_are_the_last_ones_read_after_rollback) \
    X(uow_undo, row_is_read_again_after_rollback) \
    X(uow_undo, committed_values_stay_after_a_later_rollback) \
    X(uow_undo, changed_rows_of_every_kind_of_key_are_written_again_after_rollback) \
    X(uow_undo, references_are_the_last_ones_read_after_rollback) \
    X(uow_undo, version_is_the_stored_one_after_rollback) \
    X(uow_undo, version_is_the_stored_one_after_a_nested_rollback) \
    X(uow_undo, version_of_a_new_row_is_the_stored_one_whatever_was_undone) \
    X(uow_undo, deletion_with_a_version_is_repeated_after_rollback) \
    X(uow_undo, all_columns_compared_after_rollback) \
    X(uow_undo, lost_race_is_found_after_rollback) \
    X(uow_undo, row_inserted_alone_is_pending_after_rollback) \
    X(uow_undo, row_deleted_alone_is_stored_after_rollback) \
    X(uow_undo, deleted_pending_row_is_forgotten_after_rollback_too) \
    X(uow_undo, pending_deletion_is_taken_back_by_rollback) \
    X(uow_undo, key_goes_back_to_its_first_object_after_rollback) \
    X(uow_undo, key_goes_back_to_its_first_object_after_a_nested_rollback) \
    X(uow_undo, row_made_outside_and_deleted_inside_is_pending_after_the_outer_rollback) \
    X(uow_undo, new_rows_that_refer_to_each_other_are_pending_after_rollback) \
    X(uow_undo, stored_row_refers_to_a_row_that_was_undone_and_written_again) \
    X(uow_undo, lazy_text_is_unloaded_or_as_read_after_rollback) \
    X(uow_undo, lazy_text_loaded_in_the_transaction_is_stored_one_after_rollback) \
    X(uow_undo, volatile_and_local_members_do_not_keep_a_row_from_being_read_after_rollback) \
    X(uow_undo, default_of_the_database_is_made_again_after_rollback) \
    X(uow_undo, added_row_is_known_and_written_again_after_rollback) \
    X(uow_undo, refreshed_row_is_written_again_after_rollback) \
    X(uow_undo, values_read_of_a_set_based_write_are_read_again_after_rollback) \
    X(uow_undo, row_met_only_in_the_transaction_is_not_there_after_rollback)
#define NXT_UOW_UNIQUE_CASES(X) \
    X(uow_unique, swap_of_required_values_names_both_rows) \
    X(uow_unique, swap_of_optional_values_is_written) \
    X(uow_unique, circle_of_three_optional_values_is_written) \
    X(uow_unique, shift_along_a_chain_whose_first_row_is_free) \
    X(uow_unique, shift_along_a_chain_whose_last_row_is_free) \
    X(uow_unique, new_row_takes_the_value_of_a_row_being_deleted) \
    X(uow_unique, new_row_takes_the_key_of_a_row_being_deleted) \
    X(uow_unique, new_row_takes_the_value_that_a_changed_row_gives_up) \
    X(uow_unique, changed_row_takes_the_value_of_a_row_being_deleted) \
    X(uow_unique, two_flushes_pass_a_key_on) \
    X(uow_unique, value_that_cannot_be_freed_first_is_an_error_that_loses_nothing) \
    X(uow_unique, swap_of_one_of_two_columns_is_written) \
    X(uow_unique, values_passed_on_in_a_nested_session_that_is_undone)
#define NXT_UOW_VALUES_CASES(X) \
    X(uow_values, numbers_are_quiet) \
    X(uow_values, decimals_are_quiet) \
    X(uow_values, documents_and_texts_are_quiet) \
    X(uow_values, times_and_vectors_are_quiet) \
    X(uow_values, empty_text_and_null_differ) \
    X(uow_values, value_behind_an_absent_optional_is_no_change) \
    X(uow_values, memory_of_values_is_the_callers_again_after_the_flush) \
    X(uow_values, memory_of_an_equal_value_is_the_callers_again_after_the_flush) \
    X(uow_values, memory_of_a_value_is_the_callers_again_after_a_save_outside_sessions) \
    X(uow_values, memory_of_a_value_that_was_undone_is_not_read) \
    X(uow_values, parts_of_a_composite_reference_are_the_callers_again_after_the_flush) \
    X(uow_values, memory_of_conditions_is_not_read_after_the_step) \
    X(uow_values, values_that_are_none_of_their_type_are_refused_when_read) \
    X(uow_values, version_at_the_end_of_its_range_is_an_error) \
    X(uow_values, version_of_a_set_based_write_at_the_end_of_its_range_is_an_error)

#define NXT_UOW_CASES(X) \
    NXT_UOW_CANCEL_CASES(X) \
    NXT_UOW_JOINED_CASES(X) \
    NXT_UOW_NESTED_CASES(X) \
    NXT_UOW_ORDER_CASES(X) \
    NXT_UOW_OUTCOMES_CASES(X) \
    NXT_UOW_QUEUE_CASES(X) \
    NXT_UOW_STALE_CASES(X) \
    NXT_UOW_UNDO_CASES(X) \
    NXT_UOW_UNIQUE_CASES(X) \
    NXT_UOW_VALUES_CASES(X)
/* clang-format on */

NXT_UOW_CASES(NXT_DECLARE_CASE)

#endif
