//! Values that lines of several kinds have.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, de::Error as _};

/// 义务教育 or 非义务教育.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// 义务教育.
    Compulsory,
    /// 非义务教育.
    NonCompulsory,
}

/// ISO 8601 with an offset; a time without one means nothing across a province's servers and is refused.
pub(super) fn instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
    let text = String::deserialize(deserializer)?;
    for format in ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M%#z"] {
        if let Ok(time) = DateTime::parse_from_str(&text, format) {
            return Ok(time.to_utc());
        }
    }
    if chrono::NaiveDateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M:%S%.f").is_ok() {
        return Err(D::Error::custom(format!("the time `{text}` has no offset (write e.g. `{text}+08:00`)")));
    }
    Err(D::Error::custom(format!("`{text}` is not an ISO 8601 time with an offset")))
}

pub(super) fn optional_instant<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<DateTime<Utc>>, D::Error> {
    instant(deserializer).map(Some)
}
