//! How far the cursors of this service have come, read while calls wait for it. Why: an instance learns by itself only
//! what its own shards apply; the other instances say by their cursors, in the database that all share.

use std::time::Duration;

use shipei_store::cursor;

use crate::{answer::error::Error, shutdown::Shutdown, write::kit::Kit};

/// How often cursors that other instances move are read while a call waits for them.
const REFRESH_INTERVAL: Duration = Duration::from_millis(40);

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
