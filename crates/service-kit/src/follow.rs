//! Learning from another service's log. What: a [`Projector`] says which events it wants and writes what they mean
//! here; [`follow`] subscribes, applies each response in ONE transaction together with the cursor's move, and
//! tells waiting calls how far this service has come. Why the cursor moves by compare-and-set in that transaction:
//! two instances that follow the same log can't both apply, and a killed one loses nothing. Why shards: the instances
//! of a service share a log by its partitions (`shards.rs` says who has which), each shard under a cursor of its own.
//! To learn from one more log: one more projector.

use std::{sync::Arc, time::Duration};

use prost::{Message, Name};
use shipei_contracts::event::v1::Event;
use shipei_store::{Partition, crypto, cursor, event_log::PARTITIONS, idempotency};
use tonic::transport::Channel;

use crate::{
    consistency::partition_number,
    error::{Error, Result},
    follower::{Follower, Shard},
    kit::Kit,
    lag,
    shutdown::Shutdown,
    telemetry::metrics,
    unit::Unit,
};

/// How often cursors that other instances move are read while a call waits for them.
const REFRESH_INTERVAL: Duration = Duration::from_millis(40);
/// How many bytes of the digest of what is wanted of a log tell its cursors apart.
const WANTS_BYTES: usize = 6;

/// What a service makes of another one's events.
#[tonic::async_trait]
pub trait Projector: Send + Sync + 'static {
    /// The service whose log it is, e.g. `enrollment`.
    fn source(&self) -> &'static str;

    /// The event types that it wants (full message names); empty for all. After this list has changed, the log is
    /// applied again from its first event.
    fn types(&self) -> Vec<String>;

    /// Writes what the events mean, into the unit's transaction; may emit events of its own. May be rolled back
    /// and run again, and may see events again after [`Projector::types`] or the keys have changed: write upserts.
    ///
    /// # Errors
    /// Anything that goes wrong; it is logged and tried again, since an event can't be skipped.
    async fn apply(&self, unit: &mut Unit, events: &[Event]) -> Result<()>;
}

/// Follows a log until shutdown, as a whole: one instance of the service at a time does. Calls wait for this log from
/// the moment that this function returns, so say it before serving.
pub fn follow<P: Projector>(kit: &Kit, channel: Channel, projector: P, shutdown: &Shutdown) {
    follow_in_shards(kit, channel, projector, shutdown, 1);
}

/// Follows a log in shards of its partitions, which the instances of this service share. All logs that a service
/// follows are cut into the same number of shards, so that one instance has a region's events of all of them. On SQLite,
/// whose file has one process, there is one shard.
pub fn follow_in_shards<P: Projector>(
    kit: &Kit,
    channel: Channel,
    projector: P,
    shutdown: &Shutdown,
    shards: u16,
) {
    let shards = if kit.database().is_postgres() { shards.clamp(1, PARTITIONS) } else { 1 };
    kit.applied().register(projector.source());
    let projector = Arc::new(projector);
    let source = projector.source();
    let stream = stream_of(source, &projector.types(), shards);
    kit.applied().keep_under(source, &stream);
    let held = kit.shards().share(kit, shards, shutdown);
    if metrics::is_on() {
        let (kit, channel, ending) = (kit.clone(), channel.clone(), shutdown.clone());
        shutdown.spawn(lag::report(kit, channel, source, shards, held.clone(), ending));
    }
    let trouble = Arc::default();
    for number in 0..shards {
        let shard = Shard {
            stream: stream.clone(),
            number: i64::from(number),
            partitions: partitions_of(number, shards).into_iter().map(partition_number).collect(),
            trouble: Arc::clone(&trouble),
        };
        let follower = Follower::new(kit, channel.clone(), Arc::clone(&projector), shard);
        let (held, own) = (held.clone(), shutdown.clone());
        shutdown.spawn(async move { follower.run(held, &own).await });
    }
}

/// What the cursors of a log are kept under: its source, and what is wanted of it in how many shards. Other wants are
/// other cursors, so that while instances of two versions run, neither takes the other's for its own.
fn stream_of(source: &str, types: &[String], shards: u16) -> String {
    let wants = idempotency::digest(&shards.to_string(), types.join(",").as_bytes());
    format!("{source}/{}", crypto::hex(wants.get(..WANTS_BYTES).unwrap_or(&wants)))
}

/// The partitions of a shard, for a subscription; all when there is one shard. `lag.rs` knows the same rule.
fn partitions_of(shard: u16, shards: u16) -> Vec<Partition> {
    if shards == 1 {
        return Vec::new();
    }
    Partition::all().filter(|partition| partition.number() % i64::from(shards) == i64::from(shard)).collect()
}

/// Reads, while calls wait, how far the cursors of this service have come: other instances move them too. Once for each
/// kit, until shutdown.
pub(crate) async fn refresh_applied(kit: Kit, shutdown: Shutdown) {
    loop {
        tokio::select! {
            () = shutdown.begun() => return,
            () = kit.applied().somebody_waits() => {}
        }
        let cursors = kit.retry(|| async {
            let mut tx = kit.database().begin_read().await?;
            let cursors = cursor::all(&mut tx).await?;
            tx.rollback().await?;
            Ok::<_, Error>(cursors)
        });
        match cursors.await {
            Ok(cursors) => {
                for (stream, positions) in cursors {
                    kit.applied().publish_kept(&stream, &positions);
                }
            }
            Err(error) => tracing::warn!(%error, "the cursors can't be read"),
        }
        tokio::select! {
            () = shutdown.begun() => return,
            () = tokio::time::sleep(REFRESH_INTERVAL) => {}
        }
    }
}

/// The message in an event, if the event is of that type.
///
/// # Errors
/// [`Error::Internal`] when the event says it is and can't be read.
pub fn decode<M: Message + Name + Default>(event: &Event) -> Result<Option<M>> {
    if !is_of_type::<M>(&event.r#type) {
        return Ok(None);
    }
    let data = event.data.as_ref().map_or(&[][..], |data| data.value.as_slice());
    match M::decode(data) {
        Ok(message) => Ok(Some(message)),
        Err(error) => Err(Error::Internal(format!("event {} of {}: {error}", event.id, event.source))),
    }
}

fn is_of_type<M: Name>(name: &str) -> bool {
    let prefix = name.strip_suffix(M::NAME).and_then(|rest| rest.strip_suffix('.'));
    prefix == Some(M::PACKAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_have_every_partition_once() {
        for shards in [2_u16, 3, 16, 64] {
            let mut all: Vec<Partition> =
                (0..shards).flat_map(|shard| partitions_of(shard, shards)).collect();
            all.sort();
            assert!(all.into_iter().eq(Partition::all()), "{shards}");
        }
        assert!(partitions_of(0, 1).is_empty());
    }
}
