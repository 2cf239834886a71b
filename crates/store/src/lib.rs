//! How state is kept: one SQL text on two databases, the event log, cursors, request records, sealed tokens.
//!
//! SQLite is the embedded default, Postgres is for many instances. Every statement is written once and is run on
//! either by [`on!`] (or its short forms [`execute!`], [`fetch_all!`], [`fetch_optional!`], [`fetch_one!`],
//! [`fetch_list!`], [`bulk_insert!`], [`select_by_keys!`]). There is no repository trait and no third, in-memory backend: a SQLite
//! file in a temporary directory is the test double ([`testing::TestDatabase`]).
//!
//! This crate knows no domain word and no gRPC. To add a table that every service needs, add a migration
//! `migrations/00NN_name.sql`, name it in [`migration`], give it a module here and a case in [`conformance`].

mod append;
pub mod bulk;
pub mod chain;
pub mod claim;
pub mod conformance;
pub mod crypto;
pub mod cursor;
pub mod daily_use;
pub mod data_key;
pub mod database;
pub mod error;
pub mod event_log;
pub mod idempotency;
pub mod lease;
pub mod limits;
pub mod link;
pub mod list;
pub mod migration;
pub mod months;
mod open_mark;
pub mod page_token;
pub mod partition;
pub mod positions;
mod postgres;
mod postgres_tx;
pub mod retraction;
pub mod retry;
pub mod rows;
pub mod schema;
mod sometimes;
mod sqlite;
pub mod succession;
pub mod testing;
pub mod testing_migrations;
pub mod transaction;
pub mod tree;
pub mod wake;

pub use claim::Claim;
pub use cursor::Cursor;
pub use data_key::{DataKeys, Sealed};
pub use database::{Connections, Database};
pub use error::StoreError;
pub use event_log::{LogPosition, NewEvent, ReadBatch, StoredEvent};
pub use limits::PoolLimits;
pub use link::Link;
pub use page_token::{InvalidToken, PageTokens, SealedTokens};
pub use partition::{PARTITIONS, Partition};
pub use positions::{Marks, Positions};
pub use postgres_tx::PostgresTx;
pub use retry::Retryable;
pub use schema::{Fit, Schema};
pub use sometimes::{SOMETIMES_TARGET, THREW_CONNECTION_AWAY};
pub use sqlite::SqliteTx;
pub use transaction::Tx;
pub use wake::{Wake, WakeListener};

/// The sqlx that this crate's macros expand to, so that a service needs no dependency of its own on it.
pub use sqlx;
