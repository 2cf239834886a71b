//! `[tutor]`: Annex 3.

use std::ops::RangeInclusive;

use super::{Calendar, POINTS, optional_integer};
use crate::scheme::error::SchemeError;
use crate::scheme::reader::Value;
use crate::scheme::{BulletinRule, LateWeekRule, MarkingRules, TutorRules, TutorSeminarRules};

/// The highest number of a bulletin.
const BULLETIN_NUMBER: RangeInclusive<i64> = 1..=1_000;
/// Late weeks that disqualify: at most a year's.
const LATE_WEEKS: RangeInclusive<i64> = 1..=53;
/// The longest grace: a week.
const GRACE_HOURS: RangeInclusive<i64> = 0..=168;

pub(super) fn rules(value: &Value<'_>, calendar: &Calendar) -> Result<TutorRules, SchemeError> {
    let section = value.section(&["qualify_total", "marking", "bulletin", "seminar"])?;
    let marking = marking(&section.required("marking")?)?;
    let bulletins = bulletins(&section.required("bulletin")?, calendar)?;
    let seminar = seminar(&section.required("seminar")?, calendar)?;

    let mut reachable = marking.points + seminar.points;
    for bulletin in &bulletins {
        reachable += bulletin.points;
    }
    let qualify_total = section.required("qualify_total")?;
    let total = qualify_total.integer(POINTS)?;
    if total > reachable {
        return Err(qualify_total.refuse(format!("nobody can qualify: all points together are {reachable}")));
    }
    Ok(TutorRules { qualify_total: total, marking, bulletins, seminar })
}

fn marking(value: &Value<'_>) -> Result<MarkingRules, SchemeError> {
    let section = value.section(&["points", "late_week"])?;
    let late_week = section.required("late_week")?.section(&["from", "disqualify_at", "grace_hours"])?;
    Ok(MarkingRules {
        points: section.required("points")?.integer(POINTS)?,
        late_week: LateWeekRule {
            from: late_week.required("from")?.day()?,
            disqualify_at: late_week.required("disqualify_at")?.integer(LATE_WEEKS)?,
            grace_seconds: optional_integer(&late_week, "grace_hours", GRACE_HOURS)? * 3600,
        },
    })
}

fn bulletins(value: &Value<'_>, calendar: &Calendar) -> Result<Vec<BulletinRule>, SchemeError> {
    let mut bulletins: Vec<BulletinRule> = Vec::new();
    for value in value.list()? {
        let section = value.section(&["number", "window", "points"])?;
        let number_value = section.required("number")?;
        let number = number_value.integer(BULLETIN_NUMBER)?;
        if bulletins.iter().any(|bulletin| bulletin.number == number) {
            return Err(number_value.refuse(format!("bulletin {number} stands here twice")));
        }
        bulletins.push(BulletinRule {
            number,
            period: calendar.window(&section.required("window")?)?.period,
            points: section.required("points")?.integer(POINTS)?,
        });
    }
    bulletins.sort_unstable_by_key(|bulletin| bulletin.number);
    Ok(bulletins)
}

fn seminar(value: &Value<'_>, calendar: &Calendar) -> Result<TutorSeminarRules, SchemeError> {
    let section = value.section(&["window", "points"])?;
    Ok(TutorSeminarRules {
        period: calendar.window(&section.required("window")?)?.period,
        points: section.required("points")?.integer(POINTS)?,
    })
}
