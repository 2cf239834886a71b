//! Instants in cells, as people write them: in the time of China unless they say another offset.

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, TimeDelta, TimeZone as _, Utc};
use prost_types::Timestamp;

/// East of Greenwich, seconds.
const OFFSET_SECONDS: i32 = 8 * 3600;
/// Ways to write date and time.
const WAYS: [&str; 6] = [
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%Y/%m/%d %H:%M:%S%.f",
    "%Y/%m/%d %H:%M",
    "%Y年%m月%d日 %H:%M:%S",
    "%Y年%m月%d日 %H:%M",
];
/// Days that a spreadsheet may count from the end of 1899: to the year 9999.
const DAYS_MAX: f64 = 2_958_465.0;

/// The instant of a cell; nothing for an empty one, an error for what is none. `is_date` says that a spreadsheet keeps it
/// as a date, which is the number of days since the end of 1899.
pub(super) fn instant(cell: &str, is_date: bool) -> Result<Option<Timestamp>, ()> {
    let cell = cell.trim();
    if cell.is_empty() {
        return Ok(None);
    }
    let text = cell.replacen('T', " ", 1);
    let with_offset = ["%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%d %H:%M%#z"];
    let stated =
        with_offset.iter().find_map(|way| DateTime::parse_from_str(&text.replace('Z', "+00:00"), way).ok());
    let instant = match stated {
        Some(instant) => Some(instant.with_timezone(&Utc)),
        None if is_date => days(cell).and_then(in_china),
        None => WAYS.iter().find_map(|way| NaiveDateTime::parse_from_str(&text, way).ok()).and_then(in_china),
    };
    let instant = instant.ok_or(())?;
    let nanos = i32::try_from(instant.timestamp_subsec_nanos()).unwrap_or_default();
    Ok(Some(Timestamp { seconds: instant.timestamp(), nanos }))
}

fn in_china(time: NaiveDateTime) -> Option<DateTime<Utc>> {
    let offset = FixedOffset::east_opt(OFFSET_SECONDS)?;
    Some(offset.from_local_datetime(&time).single()?.with_timezone(&Utc))
}

/// A spreadsheet's date, to the second: it has no finer ones. A day without a time is none.
#[expect(
    clippy::float_arithmetic,
    reason = "a spreadsheet keeps a moment as a fraction of days; it is rounded at once"
)]
fn days(cell: &str) -> Option<NaiveDateTime> {
    let days: f64 = cell.parse().ok().filter(|days| (1.0..=DAYS_MAX).contains(days) && days.fract() > 0.0)?;
    let seconds = TimeDelta::try_milliseconds(((days * 86_400.0).round() * 1_000.0) as i64)?;
    NaiveDate::from_ymd_opt(1899, 12, 30)?.and_hms_opt(0, 0, 0)?.checked_add_signed(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_as_people_write_them() {
        let at = DateTime::parse_from_rfc3339("2019-10-05T09:30:00+08:00").unwrap().timestamp();
        for (cell, is_date) in [
            ("2019-10-05 09:30", false),
            ("2019-10-05 09:30:00", false),
            ("2019-10-05T09:30:00+08:00", false),
            ("2019-10-05 09:30:00+08:00", false),
            ("2019-10-05T01:30:00Z", false),
            ("2019/10/5 9:30", false),
            ("2019年10月5日 9:30", false),
            ("43743.395833333336", true),
        ] {
            assert_eq!(instant(cell, is_date), Ok(Some(Timestamp { seconds: at, nanos: 0 })), "{cell}");
        }
        assert_eq!(instant(" ", false), Ok(None));
        for (cell, is_date) in [("2019-10-05", false), ("43743", true), ("43743.4", false), ("九点", false)]
        {
            assert_eq!(instant(cell, is_date), Err(()), "{cell}");
        }
    }
}
