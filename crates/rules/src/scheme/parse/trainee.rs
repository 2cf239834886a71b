//! `[trainee]`: Annex 2.

use std::ops::RangeInclusive;

use super::{Calendar, MINUTES_PER_DAY, POINTS};
use crate::calendar::Window;
use crate::scheme::error::SchemeError;
use crate::scheme::reader::Value;
use crate::scheme::{
    AssignmentRules, Category, DistinctRule, GradePoints, OnlineEntry, POINTS_MAX, Study,
    TraineeOfflineRules, TraineeRules, TraineeSeminarRules,
};

/// The most minutes that a phase may ask: a year's.
const MINUTES: RangeInclusive<i64> = 1..=366 * MINUTES_PER_DAY;
/// The most characters that a post may be asked for.
const CHARACTERS: RangeInclusive<i64> = 1..=100_000;
/// The most participants at which the rule of distinct scores may begin.
const PARTICIPANTS: RangeInclusive<i64> = 1..=1_000_000;
/// The longest word for a kind of assignment.
const KIND_LENGTH_MAX: usize = 64;

pub(super) fn rules(
    value: &Value<'_>,
    calendar: &Calendar,
    study: &Study,
) -> Result<TraineeRules, SchemeError> {
    let section =
        value.section(&["pass_total", "seminar_required", "online", "assignment", "seminar", "offline"])?;
    let online = online(&section.required("online")?, calendar, study)?;
    let assignment = assignment(&section.required("assignment")?, calendar)?;
    let seminar = seminar(&section.required("seminar")?, calendar)?;
    let offline = offline(&section.required("offline")?, calendar)?;

    let pass_total = section.required("pass_total")?;
    let mut reachable = assignment.points.excellent + seminar.points + offline.max_score;
    for entry in &online {
        reachable += entry.points;
    }
    let total = pass_total.integer(POINTS)?;
    if total > reachable {
        return Err(pass_total.refuse(format!("nobody can pass: all points together are {reachable}")));
    }
    Ok(TraineeRules {
        pass_total: total,
        seminar_required: section.required("seminar_required")?.boolean()?,
        online,
        assignment,
        seminar,
        offline,
    })
}

fn online(value: &Value<'_>, calendar: &Calendar, study: &Study) -> Result<Vec<OnlineEntry>, SchemeError> {
    let mut entries: Vec<OnlineEntry> = Vec::new();
    for value in value.list()? {
        let section = value.section(&["window", "categories", "minutes", "points", "requires_previous"])?;
        let window_value = section.required("window")?;
        let window = calendar.window(&window_value)?;
        let minutes = section.required("minutes")?;
        let required_minutes = minutes.integer(MINUTES)?;
        let possible = possible_minutes(&window.window, study);
        if required_minutes > possible {
            return Err(minutes.refuse(format!("only {possible} minutes can be studied in the window")));
        }
        let requires_previous = match section.optional("requires_previous") {
            Some(value) => {
                let required = value.boolean()?;
                if required && entries.is_empty() {
                    return Err(value.refuse("the first entry has no previous one"));
                }
                required
            }
            None => false,
        };
        if let Some(previous) = entries.last()
            && window.period.from < previous.period.from
        {
            return Err(window_value.refuse(format!(
                "the phases are in the wrong order: begins before \"{}\"",
                previous.window
            )));
        }
        entries.push(OnlineEntry {
            window: window.name.clone(),
            period: window.period,
            categories: section.required("categories")?.distinct_list("category", Category::parse)?,
            required_seconds: required_minutes * 60,
            points: section.required("points")?.integer(POINTS)?,
            requires_previous,
        });
        refuse_repeated(&value, &entries)?;
    }
    Ok(entries)
}

/// An entry with the window and categories of an earlier one would count the same study twice under another name.
fn refuse_repeated(value: &Value<'_>, entries: &[OnlineEntry]) -> Result<(), SchemeError> {
    let Some((last, earlier)) = entries.split_last() else { return Ok(()) };
    for entry in earlier {
        if entry.window == last.window
            && entry.required_seconds == last.required_seconds
            && entry.categories == last.categories
        {
            return Err(value.refuse("this entry stands here twice"));
        }
    }
    Ok(())
}

fn possible_minutes(window: &Window, study: &Study) -> i64 {
    let per_day = study.daily_cap_seconds.map_or(MINUTES_PER_DAY, |seconds| seconds / 60);
    window.days() * per_day
}

fn assignment(value: &Value<'_>, calendar: &Calendar) -> Result<AssignmentRules, SchemeError> {
    let section = value.section(&["window", "review_until", "kinds", "points"])?;
    let window = calendar.window(&section.required("window")?)?;
    let review_value = section.required("review_until")?;
    let review_until = calendar.window(&review_value)?.period.until;
    if review_until < window.period.until {
        return Err(
            review_value.refuse(format!("reviews would end before the submissions of \"{}\"", window.name))
        );
    }
    let points_value = section.required("points")?;
    let points_section = points_value.section(&["excellent", "pass", "fail"])?;
    let points = GradePoints {
        excellent: points_section.required("excellent")?.integer(POINTS)?,
        pass: points_section.required("pass")?.integer(POINTS)?,
        fail: points_section.required("fail")?.integer(0..=POINTS_MAX)?,
    };
    if points.excellent < points.pass || points.pass < points.fail {
        return Err(points_value.refuse("excellent must be worth at least as much as pass, and pass as fail"));
    }
    Ok(AssignmentRules {
        window: window.name.clone(),
        period: window.period,
        review_until,
        kinds: section.required("kinds")?.distinct_list("kind like lesson_plan:", kind)?,
        points,
    })
}

/// A kind is the scheme's own word: lower-case ASCII letters, digits, `_`.
fn kind(word: &str) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (word.len() <= KIND_LENGTH_MAX && word.bytes().all(allowed)).then(|| word.to_owned())
}

fn seminar(value: &Value<'_>, calendar: &Calendar) -> Result<TraineeSeminarRules, SchemeError> {
    let section = value.section(&["window", "points", "min_characters"])?;
    Ok(TraineeSeminarRules {
        period: calendar.window(&section.required("window")?)?.period,
        points: section.required("points")?.integer(POINTS)?,
        min_characters: section.required("min_characters")?.integer(CHARACTERS)?,
    })
}

fn offline(value: &Value<'_>, calendar: &Calendar) -> Result<TraineeOfflineRules, SchemeError> {
    let section = value.section(&["window", "min_score", "max_score", "distinct"])?;
    let min_value = section.required("min_score")?;
    let min_score = min_value.integer(0..=POINTS_MAX)?;
    let max_score = section.required("max_score")?.integer(POINTS)?;
    if min_score > max_score {
        return Err(min_value.refuse(format!("is more than max_score, {max_score}")));
    }
    let distinct = match section.optional("distinct") {
        Some(value) => Some(distinct(&value, max_score - min_score + 1)?),
        None => None,
    };
    Ok(TraineeOfflineRules {
        period: calendar.window(&section.required("window")?)?.period,
        min_score,
        max_score,
        distinct,
    })
}

fn distinct(value: &Value<'_>, possible_scores: i64) -> Result<DistinctRule, SchemeError> {
    let section = value.section(&["from_participants", "min_distinct_scores"])?;
    let from_participants = section.required("from_participants")?.integer(PARTICIPANTS)?;
    let min_value = section.required("min_distinct_scores")?;
    let min_distinct_scores = min_value.integer(POINTS)?;
    if min_distinct_scores > possible_scores {
        return Err(min_value.refuse(format!("there are only {possible_scores} different scores")));
    }
    if min_distinct_scores > from_participants {
        return Err(min_value.refuse(format!("{from_participants} participants can't hold so many scores")));
    }
    Ok(DistinctRule { from_participants, min_distinct_scores })
}
