//! Ids that may be absent, as rows have them: an empty text, or NULL.

use shipei_rules::{
    ids::{ClassId, InvalidId},
    region::{InvalidRegionCode, RegionCode},
};

/// The column of an id that may be absent, for `#[sqlx(try_from = "MaybeId")]` on an `Option` of the id.
#[derive(Debug, sqlx::Type)]
#[sqlx(transparent, no_pg_array)]
pub struct MaybeId(Option<String>);

impl TryFrom<MaybeId> for Option<ClassId> {
    type Error = InvalidId;

    fn try_from(MaybeId(text): MaybeId) -> Result<Self, InvalidId> {
        ClassId::parse_optional(text.as_deref().unwrap_or_default())
    }
}

impl TryFrom<MaybeId> for Option<RegionCode> {
    type Error = InvalidRegionCode;

    fn try_from(MaybeId(text): MaybeId) -> Result<Self, InvalidRegionCode> {
        RegionCode::parse_optional(text.as_deref().unwrap_or_default())
    }
}
