//! What becomes of regions, schools and classes, and what they are by now.

use shipei_contracts::enrollment::v1 as pb;
use shipei_rules::{
    ids::{ClassId, ProgrammeId, SchoolCode},
    places::PlaceKind,
    region::{RegionCode, RegionLevel},
};
use shipei_service_kit::{Fields, Result, to_timestamp};

use super::{REASON_CHARACTERS_MAX, name, programme, region};
use crate::store::{
    class::ClassRow,
    place::Act,
    region::{RegionRow, SchoolRow},
};

/// What becomes of a place, as it is asked for.
#[derive(Debug)]
pub(crate) struct PlaceChange {
    /// The programme.
    pub(crate) programme_id: ProgrammeId,
    /// What it is.
    pub(crate) kind: PlaceKind,
    /// Its code or id.
    pub(crate) code: String,
    /// The county in which a school is said to be.
    pub(crate) county_code: Option<RegionCode>,
    /// What becomes of it.
    pub(crate) act: Act,
    /// Why.
    pub(crate) reason: String,
}

impl PlaceChange {
    /// The request field that names the place.
    pub(crate) fn field(&self) -> &'static str {
        match self.kind {
            PlaceKind::Region => "code",
            PlaceKind::School => "school_code",
            PlaceKind::Class => "class_id",
        }
    }

    /// The request field that names what it is merged into.
    pub(crate) fn target_field(&self) -> &'static str {
        match self.kind {
            PlaceKind::Region => "into_code",
            PlaceKind::School => "into_school_code",
            PlaceKind::Class => "into_class_id",
        }
    }
}

/// A request that something becomes of a place.
pub(crate) trait PlaceRequest {
    /// What it asks for.
    fn change(&self) -> Result<PlaceChange>;
}

/// Reads a request: which kind and fields name the place, and what becomes of it.
macro_rules! place_request {
    ($request:ident, $kind:ident, $code:ident, $parse:expr, $county:expr, $act:expr) => {
        impl PlaceRequest for pb::$request {
            fn change(&self) -> Result<PlaceChange> {
                let mut fields = Fields::new();
                let parsed = (
                    programme(&mut fields, &self.programme_id),
                    fields.id(stringify!($code), &self.$code, $parse),
                    $county(&mut fields, self),
                    $act(&mut fields, self),
                    fields.text("reason", &self.reason, REASON_CHARACTERS_MAX),
                );
                let (programme_id, code, county_code, act, reason) = fields.all(parsed)?;
                let (kind, code) = (PlaceKind::$kind, code.to_string());
                Ok(PlaceChange { programme_id, kind, code, county_code, act, reason })
            }
        }
    };
}

/// A name from a time on; it can't be empty, as that of a list with gaps may be.
macro_rules! renamed {
    ($request:ident) => {
        |fields: &mut Fields, request: &pb::$request| {
            let name = name(fields, "name", &request.name)?;
            match name.is_empty() {
                true => fields.fault("name", "required"),
                false => Some(Act::Rename(name)),
            }
        }
    };
}

macro_rules! merged {
    ($request:ident, $into:ident, $parse:expr) => {
        |fields: &mut Fields, request: &pb::$request| {
            let into = fields.id(stringify!($into), &request.$into, $parse)?;
            Some(Act::Merge(into.to_string()))
        }
    };
}

macro_rules! closed {
    ($request:ident) => {
        |_: &mut Fields, _: &pb::$request| Some(Act::Close)
    };
}

macro_rules! no_county {
    ($request:ident) => {
        |_: &mut Fields, _: &pb::$request| Some(None)
    };
}

macro_rules! of_county {
    ($request:ident) => {
        |fields: &mut Fields, request: &pb::$request| match request.county_code.is_empty() {
            true => Some(None),
            false => region(fields, "county_code", &request.county_code).map(Some),
        }
    };
}

place_request!(
    RenameRegionRequest,
    Region,
    code,
    RegionCode::parse,
    no_county!(RenameRegionRequest),
    renamed!(RenameRegionRequest)
);
place_request!(
    MergeRegionRequest,
    Region,
    code,
    RegionCode::parse,
    no_county!(MergeRegionRequest),
    merged!(MergeRegionRequest, into_code, RegionCode::parse)
);
place_request!(
    CloseRegionRequest,
    Region,
    code,
    RegionCode::parse,
    no_county!(CloseRegionRequest),
    closed!(CloseRegionRequest)
);
place_request!(
    RenameSchoolRequest,
    School,
    school_code,
    SchoolCode::parse,
    of_county!(RenameSchoolRequest),
    renamed!(RenameSchoolRequest)
);
place_request!(
    MergeSchoolRequest,
    School,
    school_code,
    SchoolCode::parse,
    of_county!(MergeSchoolRequest),
    merged!(MergeSchoolRequest, into_school_code, SchoolCode::parse)
);
place_request!(
    CloseSchoolRequest,
    School,
    school_code,
    SchoolCode::parse,
    of_county!(CloseSchoolRequest),
    closed!(CloseSchoolRequest)
);
place_request!(
    RenameClassRequest,
    Class,
    class_id,
    ClassId::parse,
    no_county!(RenameClassRequest),
    renamed!(RenameClassRequest)
);
place_request!(
    MergeClassRequest,
    Class,
    class_id,
    ClassId::parse,
    no_county!(MergeClassRequest),
    merged!(MergeClassRequest, into_class_id, ClassId::parse)
);
place_request!(
    CloseClassRequest,
    Class,
    class_id,
    ClassId::parse,
    no_county!(CloseClassRequest),
    closed!(CloseClassRequest)
);

/// A kind as messages have it.
pub(crate) fn kind_to(kind: PlaceKind) -> pb::PlaceKind {
    match kind {
        PlaceKind::Region => pb::PlaceKind::Region,
        PlaceKind::School => pb::PlaceKind::School,
        PlaceKind::Class => pb::PlaceKind::Class,
    }
}

/// A kind that messages have; none for no kind.
pub(crate) fn kind_from(kind: pb::PlaceKind) -> Option<PlaceKind> {
    match kind {
        pb::PlaceKind::Region => Some(PlaceKind::Region),
        pb::PlaceKind::School => Some(PlaceKind::School),
        pb::PlaceKind::Class => Some(PlaceKind::Class),
        pb::PlaceKind::Unspecified => None,
    }
}

/// A region as messages have it.
pub(crate) fn region_to(row: RegionRow) -> Result<pb::Region> {
    let level = match row.level()? {
        RegionLevel::Province => pb::RegionLevel::Province,
        RegionLevel::City => pb::RegionLevel::City,
        RegionLevel::County => pb::RegionLevel::County,
    };
    Ok(pb::Region {
        parent_code: row.parent_code.as_str().to_owned(),
        code: row.code.into(),
        name: row.name,
        level: level.into(),
        in_national_standard: row.in_national_standard,
        named_time: row.life.named_at.map(to_timestamp),
        closed_time: row.life.closed_at.map(to_timestamp),
        merged_into_code: row.life.merged_into,
    })
}

/// A school as messages have it.
pub(crate) fn school_to(row: SchoolRow) -> pb::School {
    pb::School {
        school_code: row.school_code.into(),
        name: row.name,
        county_code: row.county_code.into(),
        named_time: row.life.named_at.map(to_timestamp),
        closed_time: row.life.closed_at.map(to_timestamp),
        merged_into_code: row.life.merged_into,
    }
}

/// A class as messages have it.
pub(crate) fn class_to(row: ClassRow) -> pb::Class {
    pb::Class {
        tutor_id: row.tutor_id.as_str().to_owned(),
        class_id: row.class_id.into(),
        name: row.name,
        region_code: row.region_code.into(),
        named_time: row.life.named_at.map(to_timestamp),
        closed_time: row.life.closed_at.map(to_timestamp),
        merged_into_id: row.life.merged_into,
    }
}
