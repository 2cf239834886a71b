//! Keys that a service keeps wrapped in its database, beside the database's own secret: what it says of them, so that they can be
//! wrapped anew when the installation's key is changed. Why in pieces: a province has a million of them, and other writes go on.

use shipei_store::{DataKeys, StoreError, Tx};

/// What a service does about the keys that it keeps.
#[tonic::async_trait]
pub trait Wrapped: std::fmt::Debug + Send + Sync + 'static {
    /// How many are wrapped by each key of the installation, by its id.
    ///
    /// # Errors
    /// What the database does.
    async fn counts(&self, tx: &mut Tx) -> Result<Vec<(String, i64)>, StoreError>;

    /// Wraps by the installation's current key up to `limit` of those that stand behind `after` and are wrapped by another one;
    /// `after` is empty at first, then what the piece before has left.
    ///
    /// # Errors
    /// What the database does.
    async fn wrap_anew(
        &self,
        tx: &mut Tx,
        keys: &DataKeys,
        after: &[String],
        limit: i64,
    ) -> Result<Piece, StoreError>;
}

/// What was done of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Piece {
    /// How many were wrapped anew.
    pub rewrapped: i64,
    /// How many could not be unwrapped: they stay as they are.
    pub lost: i64,
    /// Behind what the next piece begins; none after the last.
    pub last: Option<Vec<String>>,
}
