//! Read-after-write across services. What: [`Token`], the log positions that a caller has written, travels in the
//! metadata `shipei-consistency-token` both ways; [`Applied`] knows how far this service has learned of the logs
//! that it follows, and lets a call wait. Why: who uploads a score and asks for the total at once must see it.
//! Positions of logs that this service does not follow are passed on and not waited for.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use shipei_contracts::common::v1::LogPosition;
use shipei_store::{Partition, Positions};
use tokio::{sync::watch, time::Instant};

use crate::{
    answer::error::{Error, Result},
    call::token_bytes::{self, SourceKey, source_key},
    telemetry::Sometimes,
};

/// The metadata that carries the token, in requests and in answers.
pub const TOKEN_HEADER: &str = "shipei-consistency-token";
/// The most logs that a token may know of.
pub const TOKEN_SOURCES_MAX: usize = 8;
/// The longest token that is looked at, bytes: every partition of so many logs, with numbers of any size.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// The longest that a call waits for this service to catch up.
pub const WAIT_MAX: Duration = Duration::from_secs(10);
/// What is left of the caller's patience for the answer itself.
const ANSWER_RESERVE: Duration = Duration::from_millis(20);
/// When a caller should ask again that was not caught up with.
const RETRY_AFTER_NOT_CAUGHT_UP: Duration = Duration::from_millis(500);

/// Log positions that an answer must know of.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Token {
    sources: BTreeMap<SourceKey, Positions>,
}

impl Token {
    /// The token of these positions of one log.
    pub fn of(source: &str, positions: &Positions) -> Self {
        let mut token = Self::default();
        if !positions.is_empty() {
            token.sources.insert(source_key(source), positions.clone());
        }
        token
    }

    /// Reads a token as [`Token::encode`] writes it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for the metadata field.
    pub fn decode(text: &[u8]) -> Result<Self> {
        let read = || {
            let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
            if text.len() > TOKEN_BYTES_MAX {
                return None;
            }
            Some(Self { sources: token_bytes::read(&bytes, TOKEN_SOURCES_MAX)? })
        };
        read().ok_or_else(|| Error::invalid(TOKEN_HEADER, "not a consistency token of this suite"))
    }

    /// Writes the token as a text for metadata: unpadded base64url of `token_bytes`.
    pub fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(token_bytes::write(&self.sources))
    }

    /// Takes the farther position of each partition from `other` too.
    pub fn merge(&mut self, other: &Token) {
        for (key, positions) in &other.sources {
            self.sources.entry(*key).or_default().merge(positions);
        }
    }

    /// Notes one more position.
    pub fn raise(&mut self, source: &str, partition: u32, number: i64) {
        if let Some(partition) = Partition::from_number(i64::from(partition)) {
            self.sources.entry(source_key(source)).or_default().raise(partition, number);
        }
    }

    /// What it says of one log.
    pub fn positions(&self, source: &str) -> Positions {
        self.sources.get(&source_key(source)).cloned().unwrap_or_default()
    }

    /// Whether it asks for nothing.
    pub fn is_empty(&self) -> bool {
        self.sources.values().all(Positions::is_empty)
    }
}

/// Positions as proto, partitions that hold events only.
pub fn to_proto(source: &str, positions: &Positions) -> Vec<LogPosition> {
    let mut listed = Vec::new();
    for (partition, number) in positions.iter() {
        listed.push(LogPosition {
            source: source.to_owned(),
            partition: partition_number(partition),
            number,
        });
    }
    listed
}

/// Positions of one log from proto; positions of other logs are left out.
pub fn from_proto(source: &str, listed: &[LogPosition]) -> Positions {
    let mut positions = Positions::new();
    for position in listed.iter().filter(|position| position.source == source) {
        if let Some(partition) = partition_of(position) {
            positions.raise(partition, position.number);
        }
    }
    positions
}

/// A partition as the number that protos carry.
pub fn partition_number(partition: Partition) -> u32 {
    partition.index().try_into().unwrap_or(u32::MAX)
}

fn partition_of(position: &LogPosition) -> Option<Partition> {
    Partition::from_number(i64::from(position.partition))
}

/// How far this service has learned of each log that it follows. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Applied {
    sources: Arc<RwLock<BTreeMap<String, watch::Sender<Positions>>>>,
    /// The source of each stream under whose name its cursors are kept.
    streams: Arc<RwLock<BTreeMap<String, String>>>,
    /// How many calls wait.
    waiting: Arc<watch::Sender<usize>>,
}

/// A call that waits, as long as it does.
struct Waiting<'applied>(&'applied watch::Sender<usize>);

impl<'applied> Waiting<'applied> {
    fn begin(waiting: &'applied watch::Sender<usize>) -> Self {
        waiting.send_modify(|count| *count += 1);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

impl Applied {
    /// Follows nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on calls wait for this log. Must be said before the service answers calls; [`crate::follow()`] does.
    pub fn register(&self, source: &str) {
        let mut sources = self.sources.write().unwrap_or_else(PoisonError::into_inner);
        sources.entry(source.to_owned()).or_insert_with(|| watch::Sender::new(Positions::new()));
    }

    /// The cursors of this log are kept under this name.
    pub(crate) fn keep_under(&self, source: &str, stream: &str) {
        let mut streams = self.streams.write().unwrap_or_else(PoisonError::into_inner);
        streams.insert(stream.to_owned(), source.to_owned());
    }

    /// As [`Applied::publish`], for what cursors say; those of a stream that nobody here follows are passed over.
    pub(crate) fn publish_kept(&self, stream: &str, positions: &Positions) {
        let streams = self.streams.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(source) = streams.get(stream) {
            self.publish(source, positions);
        }
    }

    /// Says that everything up to these positions is known here. Never goes back; a log that is
    /// not registered is passed over.
    pub fn publish(&self, source: &str, positions: &Positions) {
        let sources = self.sources.read().unwrap_or_else(PoisonError::into_inner);
        let Some(sender) = sources.get(source) else { return };
        sender.send_if_modified(|known| {
            if known.covers(positions) {
                return false;
            }
            known.merge(positions);
            true
        });
    }

    /// How far this log is known; None when it is not followed.
    pub fn positions(&self, source: &str) -> Option<Positions> {
        let sources = self.sources.read().unwrap_or_else(PoisonError::into_inner);
        sources.get(source).map(|sender| sender.borrow().clone())
    }

    /// Waits until everything that the token names, of the logs that are followed here, is known.
    ///
    /// # Errors
    /// [`Error::NotCaughtUp`] after [`WAIT_MAX`] or shortly before the deadline.
    pub async fn wait_for(&self, token: &Token, deadline: Option<Instant>) -> Result<()> {
        let mut end = Instant::now() + WAIT_MAX;
        if let Some(deadline) = deadline {
            end = end.min(deadline.checked_sub(ANSWER_RESERVE).unwrap_or(deadline));
        }
        for (source, mut known) in self.followed() {
            let wanted = token.positions(&source);
            if known.borrow_and_update().covers(&wanted) {
                continue;
            }
            Sometimes::WaitedForToken.happened();
            let _waiting = Waiting::begin(&self.waiting);
            let reached = known.wait_for(|positions| positions.covers(&wanted));
            if matches!(tokio::time::timeout_at(end, reached).await, Ok(Ok(_))) {
                continue;
            }
            let missing = wanted.ahead_of(&known.borrow()).first().copied();
            let (partition, number) = missing
                .map(|partition| (partition_number(partition), wanted.get(partition)))
                .unwrap_or_default();
            return Err(Error::NotCaughtUp {
                source_name: source,
                partition,
                number,
                retry_after: RETRY_AFTER_NOT_CAUGHT_UP,
            });
        }
        Ok(())
    }

    /// Returns when a call waits: what other instances have learned meanwhile may be what it waits for.
    pub(crate) async fn somebody_waits(&self) {
        // The sender lives as long as this.
        let _ = self.waiting.subscribe().wait_for(|count| *count > 0).await;
    }

    fn followed(&self) -> Vec<(String, watch::Receiver<Positions>)> {
        let sources = self.sources.read().unwrap_or_else(PoisonError::into_inner);
        sources.iter().map(|(source, sender)| (source.clone(), sender.subscribe())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positions(numbers: &[(i64, i64)]) -> Positions {
        let mut positions = Positions::new();
        for (partition, number) in numbers {
            positions.set(Partition::from_number(*partition).unwrap(), *number);
        }
        positions
    }

    #[test]
    fn token_survives_its_text_and_merges_by_partition() {
        let mut token = Token::of("enrollment", &positions(&[(3, 7), (63, 1)]));
        token.merge(&Token::of("enrollment", &positions(&[(3, 5), (4, 2)])));
        token.merge(&Token::of("assessment", &positions(&[(3, 9)])));
        let again = Token::decode(token.encode().as_bytes()).unwrap();
        assert_eq!(again, token);
        assert_eq!(again.positions("enrollment"), positions(&[(3, 7), (4, 2), (63, 1)]));
        assert_eq!(again.positions("assessment"), positions(&[(3, 9)]));
        assert!(again.positions("learning-progress").is_empty());
        assert!(!token.is_empty() && Token::default().is_empty());
        assert!(Token::decode(b"!").is_err());
        assert!(Token::decode(&vec![b'A'; TOKEN_BYTES_MAX + 4]).is_err());
    }

    #[tokio::test]
    async fn call_waits_until_the_position_is_known() {
        let applied = Applied::new();
        applied.register("enrollment");
        let token = Token::of("enrollment", &positions(&[(3, 7)]));
        let waiting = {
            let (applied, token) = (applied.clone(), token.clone());
            tokio::spawn(async move { applied.wait_for(&token, None).await })
        };
        applied.publish("enrollment", &positions(&[(3, 6)]));
        applied.publish("enrollment", &positions(&[(3, 7), (1, 1)]));
        waiting.await.unwrap().unwrap();
        applied.publish("enrollment", &positions(&[(3, 2)]));
        assert_eq!(applied.positions("enrollment"), Some(positions(&[(3, 7), (1, 1)])));
    }

    #[test]
    fn cursor_that_was_kept_for_other_wants_says_nothing() {
        let applied = Applied::new();
        applied.register("enrollment");
        applied.keep_under("enrollment", "enrollment/now");
        applied.publish_kept("enrollment/before", &positions(&[(3, 7)]));
        assert_eq!(applied.positions("enrollment"), Some(Positions::new()));
        applied.publish_kept("enrollment/now", &positions(&[(3, 2)]));
        assert_eq!(applied.positions("enrollment"), Some(positions(&[(3, 2)])));
    }

    #[tokio::test]
    async fn wait_ends_before_the_deadline() {
        let applied = Applied::new();
        let token = Token::of("enrollment", &positions(&[(3, 7)]));
        applied.wait_for(&token, None).await.unwrap();
        applied.register("enrollment");
        let deadline = Instant::now() + Duration::from_millis(30);
        let waiting = applied.wait_for(&token, Some(deadline));
        let error = tokio::time::timeout_at(deadline, waiting).await.unwrap().unwrap_err();
        assert!(matches!(error, Error::NotCaughtUp { number: 7, .. }));
    }
}
