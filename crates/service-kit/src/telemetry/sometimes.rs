//! What happens only when something goes wrong at the right moment. Why said: a test that does harm at random shows
//! something only if that came about, so `tests/faults` asks the logs whether it did, each thing by its words.

use shipei_store::THREW_CONNECTION_AWAY;

/// The target of these lines; below the level that is shown unless somebody asks for it.
pub const SOMETIMES_TARGET: &str = shipei_store::SOMETIMES_TARGET;

/// A thing that happens sometimes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sometimes {
    /// An instance has a shard that it had not.
    TookOverLease,
    /// A transaction was run again because the database asked for it.
    RetriedTransaction,
    /// A transaction failed, and each of its commands was tried alone.
    TriedEachAlone,
    /// A request came again that had been carried out.
    AnsweredFromRecord,
    /// A cursor was of another log.
    RefusedEpoch,
    /// A call waited for what its token names.
    WaitedForToken,
    /// A consumer of a stream had not taken what was read before: nothing more was read for it until then.
    PagedInsteadOfBuffered,
    /// A connection to a database was replaced, since nobody could tell what state it was in.
    ThrewConnectionAway,
}

impl Sometimes {
    /// All of them.
    pub const ALL: [Sometimes; 8] = [
        Sometimes::TookOverLease,
        Sometimes::RetriedTransaction,
        Sometimes::TriedEachAlone,
        Sometimes::AnsweredFromRecord,
        Sometimes::RefusedEpoch,
        Sometimes::WaitedForToken,
        Sometimes::PagedInsteadOfBuffered,
        Sometimes::ThrewConnectionAway,
    ];

    /// What its line says.
    pub const fn words(self) -> &'static str {
        match self {
            Self::TookOverLease => "sometimes: took over a lease",
            Self::RetriedTransaction => "sometimes: retried a transaction",
            Self::TriedEachAlone => "sometimes: tried each command alone",
            Self::AnsweredFromRecord => "sometimes: answered from a record",
            Self::RefusedEpoch => "sometimes: refused an epoch",
            Self::WaitedForToken => "sometimes: waited for a token",
            Self::PagedInsteadOfBuffered => "sometimes: paged instead of buffered",
            Self::ThrewConnectionAway => THREW_CONNECTION_AWAY,
        }
    }

    /// It has happened.
    pub(crate) fn happened(self) {
        tracing::debug!(target: SOMETIMES_TARGET, "{}", self.words());
    }
}
