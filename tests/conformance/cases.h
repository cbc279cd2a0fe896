/*
 * cases - the one list of conformance cases.
 *
 * A case is a function that gets an empty, mapped database and checks one thing by the public interface. A driver's test program
 * expands NXT_CASES (and NXT_SHARED_CASES, when two databases of a loop can be bound to the same data) into tests.
 */
#ifndef NXT_CASES_H
#define NXT_CASES_H

#include "fixture.h"

#define CASE(subject, name) void nxt_##subject##_##name(nxt_fixture *f)
#define SHARED_CASE(subject, name) CASE(subject, name)
#define NXT_DECLARE_CASE(subject, name) CASE(subject, name);

/* clang-format off */
#define NXT_BIND_CASES(X) \
    X(bind, unknown_provider_lists_the_known) \
    X(bind, bound_and_not) \
    X(bind, use_before_bind) \
    X(bind, use_before_mapping) \
    X(bind, entity_of_another_database) \
    X(bind, calls_without_a_completion_tell_why) \
    X(bind, register_before_the_mapping) \
    X(bind, tables_are_made_once) \
    X(bind, drop_table_minds_its_rows) \
    X(bind, drop_all_tables) \
    X(bind, tables_describe_themselves) \
    X(bind, refused_drop_leaves_no_transaction) \
    X(bind, drop_all_tables_of_which_some_are_gone) \
    X(bind, mapping_mistakes_are_named) \
    X(bind, entity_made_at_run_time) \
    X(bind, run_time_entity_mistakes) \
    X(bind, integers_are_converted_on_setting)
#define NXT_BULK_CASES(X) \
    X(bulk, structs) \
    X(bulk, texts_are_copied) \
    X(bulk, values) \
    X(bulk, columns_not_given_get_their_initial_value) \
    X(bulk, conflict_error_fails_the_load) \
    X(bulk, batches_before_a_failure_stay) \
    X(bulk, conflict_ignore) \
    X(bulk, conflict_update) \
    X(bulk, conflict_update_of_chosen_columns_by_another_key) \
    X(bulk, bad_rows_are_set_aside_with_number_and_reason) \
    X(bulk, all_rows_bad) \
    X(bulk, skipped_rows_keep_the_numbers_in_step) \
    X(bulk, keys_are_assigned_on_request) \
    X(bulk, empty_load) \
    X(bulk, freed_half_way) \
    X(bulk, references_and_every_struct_member) \
    X(bulk, foreign_key_violation_is_set_aside)
#define NXT_CONTROL_CASES(X) \
    X(control, nothing_moves_before_a_wait) \
    X(control, many_in_flight_keep_their_tags) \
    X(control, completion_stays_at_the_head_until_seen) \
    X(control, await_leaves_others_queued) \
    X(control, completions_are_given_back_in_any_order) \
    X(control, wait_many_minds_its_time) \
    X(control, stale_handles) \
    X(control, cancel_before_anything_moved) \
    X(control, cancel_of_a_running_statement) \
    X(control, cancelled_write_leaves_nothing) \
    X(control, cancel_race_always_ends_with_one_completion) \
    X(control, deadline_of_an_operation) \
    X(control, deadline_of_a_session) \
    X(control, deadline_that_is_never_reached) \
    X(control, close_waits_for_what_is_in_flight) \
    X(control, operations_on_a_closed_database) \
    X(control, freeing_with_work_in_flight) \
    X(control, session_freed_with_work_in_flight) \
    X(control, query_freed_with_work_in_flight) \
    X(control, loop_closed_with_everything_open) \
    X(control, inside_a_foreign_event_loop) \
    X(control, run_once) \
    X(control, limit_of_operations) \
    X(control, bound_on_memory) \
    X(control, steady_state_allocates_nothing_from_the_host)
#define NXT_DEFECTS_CASES(X) \
    X(defects, keys_are_known_after_save) \
    X(defects, session_over_a_pool_is_one_transaction) \
    X(defects, session_of_raw_writes_only_is_committed) \
    X(defects, deleted_row_is_not_inserted_again) \
    X(defects, changed_object_with_an_unloaded_lazy_field) \
    X(defects, update_to_the_same_value_is_no_conflict) \
    X(defects, tables_and_indexes_whatever_the_order_of_the_entities) \
    X(defects, foreign_keys_are_enforced) \
    X(defects, long_lists_are_not_cut) \
    X(defects, null_in_a_condition_is_null) \
    X(defects, column_name_of_a_field) \
    X(defects, failed_row_can_be_mended)
#define NXT_IDENTITY_CASES(X) \
    X(identity, the_same_row_is_the_same_object) \
    X(identity, new_row_is_known_after_its_flush) \
    X(identity, clean_object_takes_the_newer_row) \
    X(identity, dirty_object_keeps_its_changes) \
    X(identity, get_of_a_known_key_runs_no_statement) \
    X(identity, find_never_asks_the_database) \
    X(identity, deleted_row_is_forgotten) \
    X(identity, composite_keys) \
    X(identity, rows_outlive_the_completion) \
    X(identity, duplicates_within_a_result) \
    X(identity, lazy_field_of_a_known_row) \
    X(identity, hits_are_counted)
#define NXT_KEYS_CASES(X) \
    X(keys, automatic_key_is_assigned) \
    X(keys, automatic_key_given_by_the_caller) \
    X(keys, entity_of_nothing_but_a_key) \
    X(keys, uuid4_is_made_and_kept) \
    X(keys, uuid7_is_made_and_ordered) \
    X(keys, ulid_is_made) \
    X(keys, caller_assigned_zero_is_a_key) \
    X(keys, text_key) \
    X(keys, text_key_must_be_set) \
    X(keys, composite_key) \
    X(keys, reference_to_a_composite_key) \
    X(keys, keys_are_assigned_before_the_session_is_freed)
#define NXT_NESTED_CASES(X) \
    X(nested, end_releases) \
    X(nested, rollback_undoes_the_inner_part_only) \
    X(nested, pending_rows_of_the_outer_one_survive_an_inner_rollback) \
    X(nested, outer_rollback_undoes_an_ended_inner_one) \
    X(nested, two_levels) \
    X(nested, join_shares_the_fate) \
    X(nested, deletion_inside_of_a_row_made_outside) \
    X(nested, outer_is_not_usable_meanwhile) \
    X(nested, shares_the_identity_map)
#define NXT_DATABASES_CASES(X) \
    X(databases, one_session_commits_on_both) \
    X(databases, one_failing_flush_rolls_back_both) \
    X(databases, rollback_reaches_both) \
    X(databases, freeing_one_leaves_the_other) \
    X(databases, select_without_database_takes_the_first_that_maps)
#define NXT_RUN_IN_SESSION_CASES(X) \
    X(run_in_session, commits) \
    X(run_in_session, rolls_back_on_failure) \
    X(run_in_session, retries_what_may_succeed) \
    X(run_in_session, gives_up_after_retry_attempts) \
    X(run_in_session, failure_of_the_end_is_reported)
#define NXT_OBSERVE_CASES(X) \
    X(observe, debug_callback) \
    X(observe, captures_nest) \
    X(observe, last_sql) \
    X(observe, slow_queries) \
    X(observe, statistics) \
    X(observe, statistics_as_text) \
    X(observe, loop_counters)
#define NXT_QUERIES_CASES(X) \
    X(queries, comparisons) \
    X(queries, patterns) \
    X(queries, connectives) \
    X(queries, lists) \
    X(queries, list_of_a_hundred_thousand) \
    X(queries, columns_of_one_entity) \
    X(queries, conditions_as_text) \
    X(queries, order_and_limits) \
    X(queries, pages) \
    X(queries, fetch_one_only_required) \
    X(queries, count_and_exists) \
    X(queries, aggregates) \
    X(queries, aggregates_keep_the_type) \
    X(queries, distinct) \
    X(queries, set_based_writes) \
    X(queries, set_based_writes_over_a_reference) \
    X(queries, set_based_writes_check_their_values) \
    X(queries, kept_query_runs_again) \
    X(queries, values_are_copied_by_the_step) \
    X(queries, keyset_pages) \
    X(queries, keyset_pages_over_nulls) \
    X(queries, sql_is_shown_without_running) \
    X(queries, for_update_needs_a_session) \
    X(queries, locked_rows_need_not_be_waited_for) \
    X(queries, values_as_one_text) \
    X(queries, lazy_fields) \
    X(queries, deep_and_wide_conditions)
#define NXT_RAW_CASES(X) \
    X(raw, execute_counts_affected_rows) \
    X(raw, rows_are_named_and_typed) \
    X(raw, no_rows) \
    X(raw, question_marks) \
    X(raw, wrong_number_of_values) \
    X(raw, several_statements_are_refused) \
    X(raw, empty_text) \
    X(raw, entities_from_sql) \
    X(raw, ddl_and_writes_by_select_raw) \
    X(raw, transaction_statements_do_not_break_the_engine) \
    X(raw, sequence_in_a_session) \
    X(raw, values_of_every_type_are_bound)
#define NXT_REFERENCES_CASES(X) \
    X(references, child_made_before_its_parent) \
    X(references, chain_within_one_table) \
    X(references, row_refers_to_itself) \
    X(references, circle_of_rows_in_one_table) \
    X(references, circle_of_tables_is_broken_at_the_optional_side) \
    X(references, by_key) \
    X(references, none_is_null) \
    X(references, loaded_row_points_to_a_known_row) \
    X(references, changed_reference_is_written) \
    X(references, to_nobody_is_refused) \
    X(references, required_one_must_be_set) \
    X(references, deletion_cascades_clears_and_refuses) \
    X(references, deletions_go_children_first) \
    X(references, deletions_within_one_table_go_children_first) \
    X(references, inserts_updates_and_deletes_in_one_flush) \
    X(references, paths_join_as_needed) \
    X(references, path_over_two_hops) \
    X(references, stored_row_gets_a_new_parent) \
    X(references, stored_row_changes_to_a_new_parent)
#define NXT_SESSIONS_CASES(X) \
    X(sessions, end_flushes_and_commits) \
    X(sessions, free_without_end_rolls_back) \
    X(sessions, empty_session_ends_well) \
    X(sessions, flush_counts_the_rows_written) \
    X(sessions, many_new_rows_of_several_kinds) \
    X(sessions, one_insert_is_one_request) \
    X(sessions, commit_goes_on) \
    X(sessions, rolled_back_new_row_is_new_again) \
    X(sessions, rolled_back_change_is_read_again) \
    X(sessions, rolled_back_row_is_refreshed_on_request) \
    X(sessions, rolled_back_deletion_brings_the_row_back) \
    X(sessions, rolled_back_deletion_of_a_row_committed_before) \
    X(sessions, deletion) \
    X(sessions, failed_flush_names_the_row_and_loses_nothing) \
    X(sessions, error_points_at_the_object) \
    X(sessions, error_of_a_change_points_at_the_object) \
    X(sessions, failed_end_says_rolled_back) \
    X(sessions, flushed_rows_are_seen_inside_and_committed_outside) \
    X(sessions, auto_flush_before_raw_queries) \
    X(sessions, no_auto_flush) \
    X(sessions, execute_alone_is_committed_and_rolled_back) \
    X(sessions, set_based_writes_belong_to_the_session) \
    X(sessions, save_inside_is_part_of_the_transaction) \
    X(sessions, ended_session_refuses_everything) \
    X(sessions, entity_that_no_database_maps) \
    X(sessions, read_only_refuses_writes) \
    X(sessions, isolation_options_work) \
    X(sessions, isolation_levels) \
    X(sessions, add_takes_a_row_of_the_database) \
    X(sessions, refresh) \
    X(sessions, with_session_block) \
    X(sessions, rows_of_one_session_stay_apart_from_another) \
    X(sessions, operations_run_in_the_order_of_queueing)
#define NXT_SHARED_SHARED_CASES(X) \
    X(shared, commits_are_seen) \
    X(shared, open_transactions_are_not_seen) \
    X(shared, read_only_session_keeps_its_snapshot) \
    X(shared, read_only_binding) \
    X(shared, data_outlives_the_binding) \
    X(shared, bind_again_after_close) \
    X(shared, schema_change_by_another_connection) \
    X(shared, two_writers_take_turns)
#define NXT_STREAMS_CASES(X) \
    X(streams, all_rows_in_order) \
    X(streams, empty_one_is_one_completion) \
    X(streams, a_limit_holds) \
    X(streams, credit_pauses_the_source_and_nobody_else) \
    X(streams, memory_is_bounded) \
    X(streams, cancel_ends_it) \
    X(streams, two_at_once) \
    X(streams, in_a_session) \
    X(streams, wrong_query_fails_once) \
    X(streams, left_open_at_the_end)
#define NXT_STRICT_CASES(X) \
    X(strict, what_the_database_holds_fits_or_is_an_error) \
    X(strict, every_way_of_reading_is_strict) \
    X(strict, the_rest_of_the_session_goes_on) \
    X(strict, texts_of_raw_queries_are_as_they_are) \
    X(strict, parts_of_a_key_stay_the_callers) \
    X(strict, memory_is_the_callers_after_a_flush) \
    X(strict, saved_rows_keep_their_own_texts) \
    X(strict, version_at_its_end_is_refused) \
    X(strict, failed_flush_leaves_values_as_they_were)
#define NXT_TYPES_CASES(X) \
    X(types, usual_values) \
    X(types, least_and_greatest) \
    X(types, optional_absent_is_null) \
    X(types, optional_present) \
    X(types, integers_at_their_limits) \
    X(types, doubles_bit_for_bit) \
    X(types, nan_is_kept_or_refused) \
    X(types, empty_is_not_null) \
    X(types, texts_of_all_planes) \
    X(types, dates_and_times_at_their_limits) \
    X(types, infinities_of_time) \
    X(types, decimals_keep_their_digits) \
    X(types, intervals) \
    X(types, values_of_a_wrong_kind_are_refused) \
    X(types, large_values)
#define NXT_WRITES_CASES(X) \
    X(writes, save_inserts_then_updates) \
    X(writes, unchanged_row_is_not_written) \
    X(writes, only_changed_columns_are_written) \
    X(writes, insert_always_inserts) \
    X(writes, delete_and_insert_again) \
    X(writes, set_and_cleared_optional) \
    X(writes, lazy_field_that_is_not_loaded_is_left_alone) \
    X(writes, untracked_row_writes_all_columns) \
    X(writes, update_of_a_row_that_is_gone) \
    X(writes, volatile_field_is_never_updated) \
    X(writes, initial_values) \
    X(writes, checks_run_before_anything_is_sent) \
    X(writes, loading_runs_no_checks) \
    X(writes, texts_are_stripped) \
    X(writes, constraints_are_told_apart)
#define NXT_OPTIMISTIC_CASES(X) \
    X(optimistic, version_is_counted_and_compared) \
    X(optimistic, session_that_lost_the_race) \
    X(optimistic, all_compares_every_loaded_column) \
    X(optimistic, all_compares_null_safely) \
    X(optimistic, none_lets_the_last_writer_win) \
    X(optimistic, deletion_of_a_changed_row) \
    X(optimistic, baseline_moves_with_each_write)

#define NXT_ORDER_CASES(X) \
    X(order, deletes_of_a_long_list) \
    X(order, circles_of_new_rows_count_once) \
    X(order, unique_values_along_a_chain) \
    X(order, exchange_of_required_unique_values) \
    X(order, what_a_deleted_row_gives_up) \
    X(order, replaced_parent_with_the_same_unique_name) \
    X(order, reference_to_a_row_that_the_flush_deletes)

#define NXT_CASES(X) \
    NXT_BIND_CASES(X) \
    NXT_BULK_CASES(X) \
    NXT_CONTROL_CASES(X) \
    NXT_DEFECTS_CASES(X) \
    NXT_IDENTITY_CASES(X) \
    NXT_KEYS_CASES(X) \
    NXT_NESTED_CASES(X) \
    NXT_DATABASES_CASES(X) \
    NXT_RUN_IN_SESSION_CASES(X) \
    NXT_OBSERVE_CASES(X) \
    NXT_ORDER_CASES(X) \
    NXT_QUERIES_CASES(X) \
    NXT_RAW_CASES(X) \
    NXT_REFERENCES_CASES(X) \
    NXT_SESSIONS_CASES(X) \
    NXT_STREAMS_CASES(X) \
    NXT_STRICT_CASES(X) \
    NXT_TYPES_CASES(X) \
    NXT_WRITES_CASES(X) \
    NXT_OPTIMISTIC_CASES(X)

#define NXT_SHARED_CASES(X) \
    NXT_SHARED_SHARED_CASES(X)
/* clang-format on */

NXT_CASES(NXT_DECLARE_CASE)
NXT_SHARED_CASES(NXT_DECLARE_CASE)

#endif
