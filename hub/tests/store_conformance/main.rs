//! One suite for every engine of the hub's store.

#![cfg(test)]

mod decide;
mod drafts;
mod entities;
mod erasure;
mod feed;
mod hubs;
mod opening;
mod proposals;
mod races;
mod reads;
mod resources;
#[path = "../shared/sales.rs"]
mod sales;
mod sample;
mod shop;
mod subject;
mod tls;

/// Runs each case on a new database of each engine.
macro_rules! on_both_engines {
    ($($area:ident::$case:ident,)*) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    crate::$area::$case(&crate::subject::Subject::sqlite()).await;
                }
            )*
        }

        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    crate::$area::$case(&crate::subject::Subject::postgres().await).await;
                }
            )*
        }
    };
}

on_both_engines! {
    decide::everything_that_is_written_is_read_back,
    decide::a_new_store_knows_nothing,
    decide::an_operation_is_stored_once,
    decide::a_stored_key_is_never_overwritten,
    decide::an_erasure_takes_what_it_names_and_is_final,
    decide::the_later_writing_of_a_field_wins,
    decide::the_latest_order_about_a_card_is_found,
    decide::the_latest_orders_in_a_range_are_found,
    decide::identifiers_add_up,
    decide::programmes_do_not_meet,
    decide::too_many_rows_are_refused,
    decide::numbers_that_no_column_holds_are_refused,
    decide::members_that_were_not_loaded_cannot_be_changed,
    decide::a_decision_that_dies_leaves_nothing,
    races::a_receipt_posted_twice_counts_once,
    races::an_identifier_is_given_once,
    races::no_update_is_lost,
    races::block_orders_have_no_gaps,
    races::numbers_are_given_once,
    feed::positions_are_dense_and_pages_bounded,
    feed::a_walk_misses_nothing_while_others_write,
    feed::snapshots_go_by_identifier,
    reads::history_is_paged_newest_first,
    reads::purchases_are_paged_newest_first,
    reads::members_are_read_together,
    reads::what_came_back_is_read_by_member,
    reads::logs_are_read_in_runs,
    reads::members_are_due_in_time,
    reads::cases_and_staff_actions_are_paged,
    entities::versions_guard_changes,
    entities::changes_are_made_together,
    entities::prefixes_are_taken_by_letter,
    entities::only_news_moves_the_head,
    hubs::failed_sign_ins_are_counted_together,
    hubs::a_right_password_forgets_the_wrong_ones,
    hubs::a_card_that_is_blocked_while_it_finds_an_owner_is_blocked,
    drafts::edits_at_two_processes_meet,
    drafts::a_damaged_save_gives_way_to_the_last_good_one,
    drafts::a_lost_draft_begins_anew_from_a_rule_book,
    proposals::one_proposal_waits_at_a_time,
    proposals::no_author_approves_their_own,
    proposals::an_approval_and_its_publication_are_one,
    proposals::two_hubs_publish_what_was_proposed_once,
    erasure::an_erased_member_keeps_cards_and_points,
    erasure::what_a_store_wrote_before_it_knew_stays_out,
    resources::numbers_are_told_once_and_open_their_card,
    resources::a_coupon_used_in_two_stores_is_an_overdraft_of_the_second,
    resources::a_gift_card_pays_and_is_paid_back,
    resources::a_budget_follows_the_rules,
    resources::a_limit_of_the_programme_is_never_exceeded,
    resources::coupons_are_given_and_given_on,
    resources::a_list_is_tagged_line_by_line,
    opening::data_outlive_the_process,
    opening::a_newer_schema_is_refused,
    opening::processes_may_start_together,
}
