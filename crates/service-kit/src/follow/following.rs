//! The beginning of following a log: what its cursors are kept under, and one follower for each shard of it. Why shards:
//! the instances of a service share a log by its partitions (`shards.rs` says who has which), each shard under a cursor
//! of its own.

use std::sync::Arc;

use shipei_store::{PARTITIONS, Partition};
use tonic::transport::Channel;

use crate::{
    call::consistency::partition_number,
    follow::{
        follower::{Follower, Shard},
        lag,
        projector::Projector,
        shards,
    },
    shutdown::Shutdown,
    telemetry::metrics,
    write::kit::Kit,
};

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
    let stream = stream_of(source, projector.version(), shards);
    kit.applied().keep_under(source, &stream);
    let held = shards::share(kit, shards, shutdown);
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

/// What the cursors of a log are kept under: its source, the projector's version and in how many shards it is followed. Another
/// version has other cursors, so that while instances of two versions run, neither takes the other's for its own.
fn stream_of(source: &str, version: u32, shards: u16) -> String {
    format!("{source}/v{version}/{shards}")
}

/// The partitions of a shard, for a subscription; all when there is one shard. `lag.rs` knows the same rule.
fn partitions_of(shard: u16, shards: u16) -> Vec<Partition> {
    if shards == 1 {
        return Vec::new();
    }
    Partition::all().filter(|partition| partition.number() % i64::from(shards) == i64::from(shard)).collect()
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
