//! Who may connect. What: a bound on all connections of a process and on those of one address, and a time in which a
//! client must have said what it speaks. Why: a connection costs a descriptor and memory before it asks anything,
//! and whoever opens thousands and says nothing would shut everybody else out. While there is no room, those that have
//! said nothing make way, the oldest first.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use crate::{
    call::{at_once::CallerLimits, budget::BUDGET_BYTES},
    serve::upkeep::REQUEST_RECORDS_KEPT,
    write::room::WriteBounds,
};

/// How long a connection may take to say what it speaks.
pub const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);
/// The most connections of a process that says nothing else.
pub const CONNECTIONS_MAX: usize = 4096;

/// How many connections there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Of the whole process.
    pub all: usize,
    /// Of one address. Behind a load balancer all come from its own.
    pub by_address: usize,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self { all: CONNECTIONS_MAX, by_address: CONNECTIONS_MAX }
    }
}

/// What a process may hold for its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessBounds {
    /// For bodies and answers under way, together.
    pub budget_bytes: usize,
    /// The most connections.
    pub connections: ConnectionLimits,
    /// What one caller may have under way.
    pub callers: CallerLimits,
    /// How long a request is known by its id.
    pub request_records_kept: Duration,
    /// How long events are kept on Postgres, by whole months; for ever if not given.
    pub log_kept: Option<Duration>,
    /// What writers may fill.
    pub writes: WriteBounds,
}

impl Default for ProcessBounds {
    fn default() -> Self {
        Self {
            budget_bytes: BUDGET_BYTES,
            connections: ConnectionLimits::default(),
            callers: CallerLimits::default(),
            request_records_kept: REQUEST_RECORDS_KEPT,
            log_kept: None,
            writes: WriteBounds::default(),
        }
    }
}

/// The connections of a listener.
#[derive(Debug, Clone)]
pub(crate) struct Connections {
    limits: ConnectionLimits,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    last: u64,
    by_address: HashMap<IpAddr, usize>,
    all: usize,
    /// Those that have not said yet what they speak, from the oldest.
    silent: BTreeMap<u64, Silent>,
}

#[derive(Debug)]
struct Silent {
    address: IpAddr,
    cut: CancellationToken,
}

/// The slot of one connection; dropped with it.
#[derive(Debug)]
pub(crate) struct ConnectionSlot {
    connections: Connections,
    number: u64,
    address: IpAddr,
    cut: CancellationToken,
}

impl Connections {
    pub(crate) fn new(limits: ConnectionLimits) -> Self {
        Self { limits, state: Arc::default() }
    }

    pub(crate) fn limits(&self) -> ConnectionLimits {
        self.limits
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The slot of a new connection from this address; None when there is none.
    pub(crate) fn enter(&self, address: IpAddr) -> Option<ConnectionSlot> {
        let mut state = self.state();
        if state.by_address.get(&address).copied().unwrap_or_default() >= self.limits.by_address {
            state.make_way(Some(address))?;
        } else if state.all >= self.limits.all {
            state.make_way(None)?;
        }
        state.last += 1;
        let (number, cut) = (state.last, CancellationToken::new());
        state.all += 1;
        *state.by_address.entry(address).or_default() += 1;
        state.silent.insert(number, Silent { address, cut: cut.clone() });
        Some(ConnectionSlot { connections: self.clone(), number, address, cut })
    }
}

impl State {
    /// Ends the oldest connection that has said nothing, of this address or of any.
    fn make_way(&mut self, address: Option<IpAddr>) -> Option<()> {
        let is_of = |silent: &Silent| address.is_none_or(|address| silent.address == address);
        let number = self.silent.iter().find(|(_, silent)| is_of(silent)).map(|(number, _)| *number)?;
        let Silent { address, cut } = self.silent.remove(&number)?;
        self.leave(address);
        cut.cancel();
        Some(())
    }

    fn leave(&mut self, address: IpAddr) {
        self.all = self.all.saturating_sub(1);
        if let Some(count) = self.by_address.get_mut(&address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_address.remove(&address);
            }
        }
    }
}

impl ConnectionSlot {
    /// Cancelled when this one has to make way.
    pub(crate) fn cut(&self) -> CancellationToken {
        self.cut.clone()
    }

    /// It has said what it speaks.
    pub(crate) fn has_spoken(&self) {
        self.connections.state().silent.remove(&self.number);
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut state = self.connections.state();
        state.silent.remove(&self.number);
        // Whoever had to make way has been counted out already.
        if !self.cut.is_cancelled() {
            state.leave(self.address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([127, 0, 0, last])
    }

    #[test]
    fn who_says_nothing_makes_way() {
        let connections = Connections::new(ConnectionLimits { all: 3, by_address: 2 });
        let first = connections.enter(address(1)).unwrap();
        let second = connections.enter(address(1)).unwrap();
        second.has_spoken();
        let third = connections.enter(address(1)).unwrap();
        assert!(first.cut().is_cancelled() && !second.cut().is_cancelled());
        third.has_spoken();
        assert!(connections.enter(address(1)).is_none(), "all of this address have spoken");
        let other = connections.enter(address(2)).unwrap();
        let another = connections.enter(address(3)).unwrap();
        assert!(other.cut().is_cancelled() && !another.cut().is_cancelled());
        another.has_spoken();
        assert!(connections.enter(address(4)).is_none(), "all have spoken");
        drop((first, other));
        assert!(connections.enter(address(4)).is_none(), "who made way was counted out before");
        drop(third);
        assert!(connections.enter(address(1)).is_some());
        drop((second, another));
        let state = connections.state();
        assert!(state.all == 0 && state.by_address.is_empty() && state.silent.is_empty());
    }
}
