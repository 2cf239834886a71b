//! What happens to connections only when something goes wrong, said so that a test can tell whether it came about.

/// The target of these lines; below the level that is shown unless somebody asks for it.
pub const SOMETIMES_TARGET: &str = "shipei::sometimes";

/// What is said of a connection that was replaced.
pub const THREW_CONNECTION_AWAY: &str = "sometimes: threw a connection away";

/// A connection is not used any more, since nobody can tell what state it is in.
pub(crate) fn threw_connection_away() {
    tracing::debug!(target: SOMETIMES_TARGET, "{THREW_CONNECTION_AWAY}");
}
