//! The list of rules, and the tests that are made of it.

use super::{block_on::block_on, fixture::Fixture};

type Check = fn(&dyn Fixture) -> Result<(), Box<dyn std::error::Error>>;

macro_rules! rules {
    (
        $d:tt
        contract { $($module:ident { $($rule:ident)* })* }
        beyond { $($other:ident { $($property:ident)* })* }
    ) => {
        const CONTRACT: &[(&str, Check)] = &[
            $($((stringify!($rule), |fixture| block_on(super::$module::$rule(fixture))),)*)*
        ];

        const BEYOND: &[(&str, Check)] = &[
            $($((stringify!($property), |fixture| block_on(super::$other::$property(fixture))),)*)*
        ];

        /// Makes a `#[test]` of every rule of the suite. The argument is an expression that makes a fresh
        /// [`Fixture`](crate::conformance::Fixture); it is evaluated once per test.
        #[macro_export]
        macro_rules! store_conformance {
            ($d fixture:expr) => {
                $($(
                    #[test]
                    fn $rule() {
                        $crate::conformance::check(stringify!($rule), &$d fixture);
                    }
                )*)*
                $($(
                    #[test]
                    fn $property() {
                        $crate::conformance::check(stringify!($property), &$d fixture);
                    }
                )*)*
            };
        }
    };
}

rules! {
    $
    contract {
        starting {
            a_second_start_with_the_same_pipeline_and_key_answers_the_first_run_and_writes_nothing
            two_starts_with_one_key_at_the_same_moment_make_one_run
            a_started_run_has_its_events_listing_labels_wake_and_blobs_or_is_not_there_at_all
            a_run_started_with_an_owner_is_leased_to_it_at_epoch_one
            a_run_started_without_an_owner_can_be_claimed_at_once_or_at_its_wake
            a_run_cannot_be_started_for_an_owner_that_is_not_registered
            a_second_run_with_one_id_is_invalid_and_writes_nothing
        }
        noting {
            a_run_is_not_started_over_another_version_of_a_note
            notes_come_back_as_they_were_written_with_their_version
            notes_of_one_kind_come_in_the_order_of_their_names
            a_note_is_written_only_over_its_version
            a_note_that_is_too_long_is_invalid_and_writes_nothing
            a_note_that_was_written_is_noticed
        }
        committing {
            a_transition_is_written_whole
            a_transition_with_an_old_epoch_is_refused_as_fenced
            a_transition_after_another_event_is_refused_with_the_number_found
            a_transition_of_a_run_that_is_not_there_is_refused_as_fenced
            a_run_that_was_given_back_takes_no_transition_of_its_old_epoch
            a_refused_transition_leaves_the_others_of_its_batch_untouched
            two_transitions_of_one_run_in_one_batch_are_written_in_order
            a_batch_above_the_limits_is_invalid_and_writes_nothing
            a_released_run_can_be_claimed_when_it_is_due_or_has_an_entry
            an_entry_sent_to_another_run_arrives_with_the_transition_or_not_at_all
            an_entry_sent_to_a_run_whose_inbox_is_full_arrives_all_the_same
            a_run_that_a_transition_starts_is_there_with_it_or_not_at_all
            a_run_that_a_transition_starts_and_that_is_there_already_stays_as_it_is
            a_run_that_a_transition_starts_can_be_claimed_at_once_or_at_its_wake
            a_run_started_under_the_key_of_another_makes_its_batch_invalid_and_writes_nothing
            a_recalled_run_can_be_claimed_though_it_is_over
            a_recall_that_comes_before_its_run_settles_survives_the_settling
            a_run_that_settles_is_given_back
            any_append_resets_the_count_of_takeovers_without_progress
        }
        locking {
            a_free_lock_is_granted_with_the_transition_that_asks_for_it
            a_run_that_starts_can_ask_for_locks_with_its_first_events
            locks_show_who_holds_them_and_who_waits_in_the_order_in_which_they_asked
            a_returned_lock_goes_to_the_run_that_asked_first
            a_run_that_settles_holds_no_lock_and_waits_for_none
        }
        claiming {
            a_claim_raises_the_epoch
            two_workers_that_claim_at_once_never_get_the_same_run
            a_run_whose_owner_lives_is_not_claimed
            a_run_whose_owners_deadline_has_passed_is_claimed_and_says_that_it_was_taken_over
            a_run_whose_owner_is_proven_dead_is_claimed_at_once
            a_parked_run_is_claimed_when_its_wake_is_due_and_not_before
            a_parked_run_is_claimed_when_its_inbox_holds_an_entry
            a_settled_run_is_never_claimed_unless_it_is_recalled
            a_claim_takes_at_most_its_limit_the_longest_due_first
            takeovers_without_progress_are_counted
            a_run_that_was_given_back_counts_its_takeovers_anew
            a_worker_that_is_not_registered_claims_nothing
            a_claim_of_one_run_takes_no_other
        }
        leasing {
            a_worker_id_that_lives_cannot_be_registered_again
            a_worker_id_that_died_can_be_registered_again_and_owns_nothing
            a_heartbeat_moves_the_deadline
            a_heartbeat_of_a_worker_that_is_not_registered_or_whose_runs_were_taken_over_is_not_found
            the_runs_of_a_retired_worker_can_be_claimed_at_once
            the_next_wake_is_that_of_the_earliest_run_without_an_owner
            a_quarantined_run_shows_its_reason_and_is_not_claimed_until_it_gets_an_entry
            an_entry_that_was_put_before_a_run_was_quarantined_and_not_seen_has_it_claimed_again
            what_other_runs_send_to_a_quarantined_run_waits_for_an_entry_that_is_put
            only_the_holder_of_the_lease_can_quarantine_a_run
        }
        reading {
            a_run_that_is_not_there_is_not_found
            events_come_back_byte_for_byte_in_order
            events_can_be_read_in_pages
            a_blob_that_is_not_there_is_not_found
        }
        inbox {
            an_entry_with_a_dedupe_id_that_the_run_has_seen_is_a_duplicate_also_after_it_was_consumed
            an_inbox_that_is_full_refuses
            an_entry_for_a_run_that_is_not_there_is_not_found
            an_entry_for_a_run_that_is_over_is_answered_as_settled
            an_entry_keeps_the_time_at_which_the_store_took_it
            entries_come_in_order_and_not_after_they_were_consumed
        }
        listing {
            pages_show_every_run_once_also_while_runs_are_added
            a_filter_by_status_pipeline_and_labels_holds
            a_filter_by_parent_holds
            a_filter_by_owner_holds
            rebuilding_changes_nothing_that_was_right
        }
        changing {
            a_write_through_another_handle_is_noticed
            a_write_between_the_call_and_the_first_poll_is_noticed
        }
        removing {
            a_run_is_removed_only_when_it_is_over_and_its_journal_ends_where_it_is_said_to
            a_run_that_is_driven_or_recalled_is_not_removed
            a_run_is_removed_after_its_items_and_an_item_only_when_all_above_it_are_over
            a_removed_run_is_not_found_any_more_but_on_record
            the_key_of_a_removed_run_can_be_used_again_and_its_number_is_not
            sweeping_ends_and_frees_blobs_that_nobody_refers_to_and_no_others
            sweeping_takes_nothing_of_the_runs_that_are_there
        }
        anchoring {
            a_head_that_moved_is_told_until_it_is_in_an_anchor
            heads_are_told_in_parts_and_none_is_left_out
            a_removed_run_is_told_once_also_when_its_events_are_freed
            of_two_anchors_with_one_number_one_is_written
            anchors_come_back_byte_for_byte_in_order
            a_signed_head_is_written_with_its_transition_and_replaced_by_the_next
        }
        redacting {
            a_payload_of_a_run_that_is_over_is_redacted_with_the_event_that_says_so
            nothing_is_redacted_of_a_run_that_goes_on_or_whose_journal_ends_elsewhere
        }
        logging {
            logs_are_numbered_in_order_and_read_after_a_number
            logs_keep_head_and_tail_of_each_attempt_within_their_limit
            only_the_last_progress_of_a_step_is_kept
        }
    }
    beyond {
        random {
            any_sequence_of_calls_agrees_with_the_model
            drivers_that_race_for_leases_write_one_journal
        }
    }
}

/// The rules of the contract, one for each of its bullets: the bullet's words, joined.
pub fn rules() -> impl Iterator<Item = &'static str> {
    CONTRACT.iter().map(|(rule, _)| *rule)
}

/// Holds a fresh store to one rule.
///
/// # Panics
/// When the store breaks it, or there is no rule of this name.
pub fn check(rule: &str, fixture: &dyn Fixture) {
    let found = CONTRACT.iter().chain(BEYOND).find(|(name, _)| *name == rule);
    let (_, check) = found.unwrap_or_else(|| panic!("there is no rule {rule}"));
    if let Err(error) = check(fixture) {
        panic!("{rule}: {error}");
    }
}
