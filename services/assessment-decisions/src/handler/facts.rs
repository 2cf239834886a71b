//! What follows here when a decision is retracted: nothing is kept that follows from one, so its row only stands no more.

use shipei_mirror::Programmes;
use shipei_service_kit::{Facts, Result, StoredFact, Unit};

/// The facts of this service, which are its decisions.
#[derive(Debug, Default)]
pub(crate) struct Keeping {
    programmes: Programmes,
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
