//! What every database must do for us: one suite, run on SQLite and on Postgres.
//!
//! The state's code is written once, so whatever could differ between the databases is tried here, over the real
//! macros and statements. Each case is a test of its own on each database, made by [`crate::conformance_tests!`]. To add one,
//! write an `async fn(&Database) -> Result<(), StoreError>` that asserts, and name it in the list below.

mod abandoned;
mod broken;
mod chain;
mod list;
mod log;
mod samples;
mod sql;
mod state;

pub use abandoned::abandoned_begin;
pub use broken::{
    damaged_page_is_told_from_a_defect, faults_of_postgres_recover, full_file_recovers, goes_on,
    lock_of_another_program_passes, lock_of_another_session_passes, read_only_file_recovers,
};

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

use crate::{Database, StoreError};

/// The suite's own tables, in place of a service's.
const TABLES: &str = r#"
CREATE TABLE item (
    county TEXT COLLATE "C" NOT NULL,
    code TEXT COLLATE "C" NOT NULL,
    amount BIGINT NOT NULL,
    note TEXT COLLATE "C",
    active BOOLEAN NOT NULL,
    at TIMESTAMPTZ,
    body BYTEA,
    PRIMARY KEY (county, code),
    UNIQUE (note, amount)
);
CREATE UNIQUE INDEX item_code_key ON item (code) WHERE active;
CREATE TABLE part (
    id BIGINT NOT NULL PRIMARY KEY,
    county TEXT COLLATE "C" NOT NULL,
    code TEXT COLLATE "C" NOT NULL,
    FOREIGN KEY (county, code) REFERENCES item (county, code)
);
"#;

/// The migrations of the suite: what a service passes to [`Database::migrate`].
pub fn migrator() -> Migrator {
    let tables =
        Migration::new(100, "conformance".into(), MigrationType::Simple, TABLES.into_sql_str(), false);
    Migrator::with_migrations(vec![tables])
}

/// Makes of the list of cases a function for each ([`cases`]), and the macro that makes a test of each.
macro_rules! list {
    ($dollar:tt $($file:ident::$case:ident,)+) => {
        /// The cases, each on a fresh, unmigrated database.
        pub mod cases {
            use crate::Database;
            $(
                #[doc = concat!("`", stringify!($case), "`; panics when it does not hold.")]
                pub async fn $case(database: &Database) {
                    super::hold(stringify!($case), database, super::$file::$case).await;
                }
            )+
        }

        /// Makes a test of every case of [`conformance`](crate::conformance): `conformance_tests!(open)`, where `open` is an
        /// async function that gives a fresh database and what must live as long.
        #[macro_export]
        macro_rules! conformance_tests {
            ($dollar open:path) => {
                $(
                    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                    async fn $case() {
                        let (_held, database) = $dollar open().await;
                        $dollar crate::conformance::cases::$case(&database).await;
                        database.close().await;
                    }
                )+
            };
        }
    };
}

list! { $
    sql::text_is_ordered_by_bytes,
    sql::nulls_are_ordered_where_the_statement_says,
    sql::values_come_back_as_they_were,
    sql::timestamps_are_ordered_in_time,
    sql::unique_violation_names_its_constraint,
    sql::foreign_keys_are_enforced,
    sql::keyset_pages_see_every_row_once,
    list::row_that_cannot_be_read_takes_its_own_place_from_a_page,
    sql::bulk_insert_writes_any_number_of_rows,
    sql::bulk_upsert_replaces_rows,
    sql::select_by_keys_finds_any_number_of_keys,
    sql::select_for_update_holds_the_row,
    broken::statement_that_fails_keeps_nothing,
    broken::refused_row_falls_alone,
    state::migrations_run_at_once_apply_once,
    state::read_sees_one_state_and_cannot_write,
    state::dropped_transaction_is_rolled_back,
    state::abandoned_writes_leave_the_database_usable,
    state::retry_runs_again_only_what_may_succeed,
    state::counter_of_many_writers_loses_nothing,
    state::cursor_moves_by_compare_and_set,
    state::request_is_recorded_once,
    state::wake_between_two_waits_is_not_lost,
    log::appended_events_come_back,
    log::event_and_its_record_are_kept_together,
    log::rolled_back_numbers_are_given_again,
    log::filtered_read_moves_past_unwanted_events,
    log::append_to_all_partitions_is_one_batch,
    log::concurrent_appends_miss_nothing,
    log::mark_tells_events_of_one_place_apart,
    log::epoch_stays,
    log::subject_has_versions_without_a_gap,
    log::time_never_goes_back_within_a_partition,
    log::month_of_the_log_can_be_dropped,
    log::savepoint_keeps_what_was_before_it,
    chain::chain_holds_however_events_come,
    chain::tampering_is_found_where_it_was_done,
    chain::chain_made_anew_is_found_by_its_checkpoint,
    chain::chain_goes_on_behind_a_dropped_month,
}

async fn hold(name: &str, database: &Database, case: impl AsyncFn(&Database) -> Result<(), StoreError>) {
    let held = match database.migrate(&migrator()).await {
        Ok(()) => case(database).await,
        Err(error) => Err(error),
    };
    if let Err(error) = held {
        panic!("{name}: {error}");
    }
}
