//! What the calls of all lines have in common.

use prost_types::Timestamp;
use shipei_contracts::common::v1::EducationStage;

use crate::season::line::Stage;

/// What every write carries.
pub(super) struct Origin {
    pub(super) programme_id: String,
    pub(super) request_id: String,
    pub(super) occurred_at: Option<Timestamp>,
}

pub(super) fn stage(stage: Stage) -> i32 {
    match stage {
        Stage::Compulsory => EducationStage::Compulsory.into(),
        Stage::NonCompulsory => EducationStage::NonCompulsory.into(),
    }
}

/// A point in time as protos carry it.
pub fn timestamp(at: chrono::DateTime<chrono::Utc>) -> Timestamp {
    Timestamp { seconds: at.timestamp(), nanos: at.timestamp_subsec_nanos().cast_signed() }
}
