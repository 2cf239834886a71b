//! What a sheet says besides what the services say, in both languages side by side.

use chrono::{DateTime, Datelike as _, NaiveDate, TimeDelta, Utc};
use shipei_contracts::learning::v1::UncreditedReason;
use shipei_rules::calendar::Zone;

use super::Language;

/// Why study was not credited.
pub(super) fn uncredited(reason: UncreditedReason, language: Language) -> &'static str {
    let (zh, en) = match reason {
        UncreditedReason::Unspecified => ("其他", "other"),
        UncreditedReason::Overlap => ("同一时间已在别处学习", "the same time was studied elsewhere"),
        UncreditedReason::Gap => ("两次心跳间隔过长", "too long without a heartbeat"),
        UncreditedReason::CourseFull => ("该课程学时已满", "the course was credited in full"),
        UncreditedReason::DailyCap => ("已达每日学时上限", "the day's limit was reached"),
        UncreditedReason::OutsideWindow => ("不在学习时段内", "outside of every phase"),
        UncreditedReason::Duplicate => ("重复上报", "sent twice"),
        UncreditedReason::Voided => ("该次学习已作废", "the session was voided"),
    };
    language.pick(zh, en)
}

/// A day of the programme's calendar, e.g. 11月30日; with the year where it is another than `year`.
pub(super) fn day(day: NaiveDate, year: i32, language: Language) -> String {
    let with_year = day.year() != year;
    match language {
        Language::Zh if with_year => format!("{}年{}月{}日", day.year(), day.month(), day.day()),
        Language::Zh => format!("{}月{}日", day.month(), day.day()),
        Language::En if with_year => day.format("%-d %b %Y").to_string(),
        Language::En => day.format("%-d %b").to_string(),
    }
}

/// The last day before `until`, as people name a deadline: 11月30日截止.
pub(super) fn deadline(until: DateTime<Utc>, zone: Zone, year: i32, language: Language) -> String {
    let last = zone.day_of(until - TimeDelta::microseconds(1));
    match language {
        Language::Zh => format!("{}截止", day(last, year, language)),
        Language::En => format!("until {}", day(last, year, language)),
    }
}

/// Whole minutes of studied seconds: what is there is rounded down.
pub(super) fn minutes_there(seconds: i32) -> i32 {
    seconds / 60
}

/// Whole minutes that are missing: rounded up, so that who studies them has enough.
pub(super) fn minutes_missing(seconds: i32) -> i32 {
    seconds / 60 + i32::from(seconds % 60 > 0)
}

/// 已学891分钟，还差109分钟（或1门主线课）. `main_line_left` are main-line courses still to be completed, where any count.
pub(super) fn phase(there: i32, required: i32, main_line_left: Option<i32>, language: Language) -> String {
    let have = minutes_there(there);
    if there >= required || main_line_left == Some(0) {
        return match language {
            Language::Zh => format!("已学{have}分钟，已达标"),
            Language::En => format!("{have} minutes studied, achieved"),
        };
    }
    let lack = minutes_missing(required - there);
    match (language, main_line_left) {
        (Language::Zh, Some(left)) => format!("已学{have}分钟，还差{lack}分钟（或{left}门主线课）"),
        (Language::Zh, None) => format!("已学{have}分钟，还差{lack}分钟"),
        (Language::En, Some(1)) => {
            format!("{have} minutes studied, {lack} missing (or 1 main-line course)")
        }
        (Language::En, Some(left)) => {
            format!("{have} minutes studied, {lack} missing (or {left} main-line courses)")
        }
        (Language::En, None) => format!("{have} minutes studied, {lack} missing"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_said_as_a_teacher_would_ask() {
        let said = phase(891 * 60 + 59, 1_000 * 60, Some(1), Language::Zh);
        assert_eq!(said, "已学891分钟，还差109分钟（或1门主线课）");
        assert_eq!(phase(60_000, 60_000, Some(2), Language::En), "1000 minutes studied, achieved");
        assert_eq!(phase(59_999, 60_000, None, Language::En), "999 minutes studied, 1 missing");
        let zone = Zone::parse("Asia/Shanghai").unwrap();
        let until = "2019-12-01T00:00:00+08:00".parse::<DateTime<Utc>>().unwrap();
        assert_eq!(deadline(until, zone, 2019, Language::Zh), "11月30日截止");
        assert_eq!(deadline(until, zone, 2020, Language::En), "until 30 Nov 2019");
    }
}
