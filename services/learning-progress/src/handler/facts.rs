//! What follows when a selection falls: nothing is kept that follows from it. Heartbeats ask for the first one that stands, and
//! study that was taken stays until its session is voided.

use shipei_mirror::Programmes;
use shipei_service_kit::{Facts, Result, StoredFact, Unit};

/// The facts of learning-progress.
#[derive(Debug)]
pub(crate) struct Keeping {
    pub(crate) programmes: Programmes,
}

#[tonic::async_trait]
impl Facts for Keeping {
    async fn region(&self, unit: &mut Unit, programme_id: &str) -> Result<String> {
        self.programmes.region(&mut unit.tx, programme_id).await
    }

    async fn refold(&self, _: &mut Unit, _: &StoredFact) -> Result<()> {
        Ok(())
    }
}
