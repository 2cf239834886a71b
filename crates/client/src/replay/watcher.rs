//! Who is told how a replay goes on: a bar in a terminal, a test that waits for a moment of it, nobody.

/// Sees how a replay goes on.
pub trait Watcher: Send + Sync {
    /// What is being done now.
    fn stage(&self, what: &str);
    /// Scheme and roster are in; so many operations are to be sent from now on.
    fn begin(&self, operations: u64);
    /// So many operations more are done.
    fn advance(&self, operations: u64);
    /// A line for a person.
    fn say(&self, text: &str);
    /// It is over.
    fn end(&self);
}

/// Sees nothing.
#[derive(Debug, Clone, Copy)]
pub struct Nobody;

impl Watcher for Nobody {
    fn stage(&self, _: &str) {}
    fn begin(&self, _: u64) {}
    fn advance(&self, _: u64) {}
    fn say(&self, _: &str) {}
    fn end(&self) {}
}
