//! How far this instance is behind the logs that it follows: `shipei.event_log.lag`. What: now and then the end of each
//! log is asked for and compared with what was applied here, partition by partition. Why only the partitions that this
//! instance holds: each is told once, by who could do something about it.

use std::{collections::BTreeSet, time::Duration};

use shipei_contracts::event::v1::{GetHeadRequest, event_feed_client::EventFeedClient};
use shipei_store::{Partition, crypto};
use tokio::sync::watch;
use tonic::{Request, metadata::MetadataValue, transport::Channel};

use crate::{
    call::consistency::{from_proto, partition_number},
    feed::wire::SOURCE_HEADER,
    shutdown::Shutdown,
    telemetry::metrics,
    write::kit::Kit,
};

/// How often the end of a log is asked for; the store puts jitter on it.
const INTERVAL: Duration = Duration::from_secs(5);
/// How long the answer may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(3);

/// Tells the lag behind one log until shutdown.
pub(crate) async fn report(
    kit: Kit,
    channel: Channel,
    source: &'static str,
    shards: u16,
    held: watch::Receiver<BTreeSet<i64>>,
    shutdown: Shutdown,
) {
    loop {
        tokio::select! {
            () = shutdown.begun() => return,
            () = tokio::time::sleep(crypto::jitter(INTERVAL)) => {}
        }
        let held = held.borrow().clone();
        let is_held = |partition: Partition| held.contains(&(partition.number() % i64::from(shards)));
        for partition in Partition::all().filter(|partition| !is_held(*partition)) {
            metrics::lag_forgotten(kit.source(), source, partition_number(partition));
        }
        let mut request = Request::new(GetHeadRequest { source: source.to_owned() });
        request.set_timeout(ANSWER_TIME_MAX);
        request.metadata_mut().insert(SOURCE_HEADER, MetadataValue::from_static(source));
        if let Err(error) = kit.introduce(request.metadata_mut()) {
            tracing::error!(%error, "the end of a log can't be asked for");
            continue;
        }
        // Without an answer the last one stands; that the log can't be read is told by its followers.
        let Ok(head) = EventFeedClient::new(channel.clone()).get_head(request).await else { continue };
        let head = from_proto(source, &head.into_inner().positions);
        let applied = kit.applied().positions(source).unwrap_or_default();
        for partition in Partition::all().filter(|partition| is_held(*partition)) {
            let behind = head.get(partition).saturating_sub(applied.get(partition));
            let behind = u64::try_from(behind).unwrap_or_default();
            metrics::lag(kit.source(), source, partition_number(partition), behind);
        }
    }
}
