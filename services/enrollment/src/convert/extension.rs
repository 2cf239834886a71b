//! Extensions: from a request to a row, and from a row to a message.

use chrono::NaiveDate;
use shipei_contracts::enrollment::v1 as pb;
use shipei_rules::{
    ids::{ClassId, ExtensionId, PersonId, ProgrammeId},
    region::RegionCode,
};
use shipei_service_kit::{Error, Fields, Result, to_timestamp};

use super::{REASON_CHARACTERS_MAX, programme};
use crate::{
    domain::Time,
    store::{Maybe, extension::ExtensionRow},
};

/// The longest name of a window, characters.
const WINDOW_CHARACTERS_MAX: usize = 200;

/// An extension that is granted, without where who has it stands.
pub(crate) fn new_extension(request: &pb::GrantExtensionRequest) -> Result<(ProgrammeId, ExtensionRow)> {
    let mut fields = Fields::new();
    let parsed = (
        programme(&mut fields, &request.programme_id),
        fields.id("extension_id", &request.extension_id, ExtensionId::parse),
        fields.text("window", &request.window, WINDOW_CHARACTERS_MAX),
        fields.id("last_day", &request.last_day, day),
        fields.optional_id("region_code", &request.region_code, RegionCode::parse),
        fields.optional_id("class_id", &request.class_id, ClassId::parse),
        fields.optional_id("person_id", &request.person_id, PersonId::parse),
        fields.text("reason", &request.reason, REASON_CHARACTERS_MAX),
    );
    let (programme_id, extension_id, window_name, last_day, region_code, class_id, person_id, reason) =
        fields.all(parsed)?;
    let named = [region_code.is_some(), class_id.is_some(), person_id.is_some()];
    if named.into_iter().filter(|named| *named).count() > 1 {
        return Err(Error::invalid("region_code", "at most one of region_code, class_id and person_id"));
    }
    let row = ExtensionRow {
        extension_id,
        window_name,
        last_day: last_day.to_string(),
        region_code: Maybe(region_code),
        class_id: Maybe(class_id),
        person_id: Maybe(person_id),
        reason,
        occurred_at: Time::default(),
        actor: String::new(),
        fact_id: String::new(),
    };
    Ok((programme_id, row))
}

fn day(text: &str) -> std::result::Result<NaiveDate, &'static str> {
    // As it is kept and compared as text, only this way to write a day is one.
    let day = text.parse::<NaiveDate>().ok().filter(|day| day.to_string() == text);
    day.ok_or("must be a day, like 2019-11-05")
}

/// An extension as it is kept.
pub(crate) fn extension_to(row: ExtensionRow) -> pb::Extension {
    pb::Extension {
        region_code: row.region_code.as_str().to_owned(),
        class_id: row.class_id.as_str().to_owned(),
        person_id: row.person_id.as_str().to_owned(),
        extension_id: row.extension_id.into(),
        window: row.window_name,
        last_day: row.last_day,
        reason: row.reason,
        granted_time: Some(to_timestamp(row.occurred_at)),
        granted_by: row.actor,
        fact_id: row.fact_id,
    }
}
