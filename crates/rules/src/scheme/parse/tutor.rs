//! `[tutor]`: Annex 3.

use std::ops::RangeInclusive;

use super::{Calendar, FIGURE, clause};
use crate::scheme::error::SchemeError;
use crate::scheme::reader::Value;
use crate::scheme::{BulletinRule, LateWeekRule, MarkingRules, TutorRules, TutorSeminarRules};

/// The longest grace, over a hundred years: a deadline after it still is an instant.
const GRACE_HOURS: RangeInclusive<i64> = 0..=1_000_000;

pub(super) fn rules(value: &Value<'_>, calendar: &Calendar) -> Result<TutorRules, SchemeError> {
    let section = value.section(&["qualify_total", "marking", "bulletin", "seminar"])?;
    let marking = marking(&section.required("marking")?)?;
    // TOML has no other way to say "no bulletin" than not to name one.
    let bulletins = match section.optional("bulletin") {
        Some(value) => bulletins(&value, calendar)?,
        None => Vec::new(),
    };
    let seminar = seminar(&section.required("seminar")?, calendar)?;
    let qualify_total = section.required("qualify_total")?.integer(FIGURE)?;
    Ok(TutorRules { qualify_total, marking, bulletins, seminar })
}

fn marking(value: &Value<'_>) -> Result<MarkingRules, SchemeError> {
    let section = value.section(&["points", "late_week", "clause"])?;
    let late_week = section.required("late_week")?.section(&["from", "disqualify_at", "grace_hours"])?;
    let grace_hours = match late_week.optional("grace_hours") {
        Some(value) => value.integer(GRACE_HOURS)?,
        None => 0,
    };
    Ok(MarkingRules {
        points: section.required("points")?.integer(FIGURE)?,
        late_week: LateWeekRule {
            from: late_week.required("from")?.day()?,
            disqualify_at: late_week.required("disqualify_at")?.integer(FIGURE)?,
            grace_seconds: grace_hours * 3600,
        },
        clause: clause(&section)?,
    })
}

fn bulletins(value: &Value<'_>, calendar: &Calendar) -> Result<Vec<BulletinRule>, SchemeError> {
    let mut bulletins: Vec<BulletinRule> = Vec::new();
    for value in value.list()? {
        let section = value.section(&["number", "window", "points", "clause"])?;
        let number_value = section.required("number")?;
        let number = number_value.integer(FIGURE)?;
        if bulletins.iter().any(|bulletin| bulletin.number == number) {
            return Err(number_value.refuse(format!("bulletin {number} stands here twice")));
        }
        let window = calendar.window(&section.required("window")?)?;
        bulletins.push(BulletinRule {
            number,
            window: window.name.clone(),
            period: window.period,
            points: section.required("points")?.integer(FIGURE)?,
            clause: clause(&section)?,
        });
    }
    bulletins.sort_unstable_by_key(|bulletin| bulletin.number);
    Ok(bulletins)
}

fn seminar(value: &Value<'_>, calendar: &Calendar) -> Result<TutorSeminarRules, SchemeError> {
    let section = value.section(&["window", "points", "clause"])?;
    let window = calendar.window(&section.required("window")?)?;
    Ok(TutorSeminarRules {
        window: window.name.clone(),
        period: window.period,
        points: section.required("points")?.integer(FIGURE)?,
        clause: clause(&section)?,
    })
}
