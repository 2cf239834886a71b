//! What a log holds, as its consumers and operators ask for it.

use shipei_contracts::event::v1::{GetFeedStatusResponse, PartitionStatus};
use shipei_store::event_log;

use crate::{
    answer::{convert::to_timestamp, error::Result},
    write::kit::Kit,
};

/// The state of a log now.
pub(super) async fn of(log: &Kit) -> Result<GetFeedStatusResponse> {
    let mut tx = log.database().begin_read_of_log().await?;
    let epoch = event_log::epoch(&mut tx).await?;
    let extents = event_log::extents(&mut tx).await?;
    tx.rollback().await?;
    let partitions = extents.iter().map(|extent| PartitionStatus {
        partition: u32::try_from(extent.partition).unwrap_or_default(),
        first_number: extent.first,
        last_number: extent.last,
        newest_time: Some(to_timestamp(extent.newest_at)),
    });
    Ok(GetFeedStatusResponse {
        source: log.source().to_owned(),
        epoch,
        events: extents.iter().map(|extent| extent.last - extent.first + 1).sum(),
        oldest_time: extents.iter().map(|extent| extent.oldest_at).min().map(to_timestamp),
        newest_time: extents.iter().map(|extent| extent.newest_at).max().map(to_timestamp),
        partitions: partitions.collect(),
        streams: 0,
    })
}
