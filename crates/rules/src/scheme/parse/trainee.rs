//! `[trainee]`: Annex 2.

use super::{Calendar, FIGURE, clause};
use crate::scheme::error::SchemeError;
use crate::scheme::reader::Value;
use crate::scheme::{
    AssignmentRules, Category, DistinctRule, GradePoints, OnlineEntry, TraineeOfflineRules, TraineeRules,
    TraineeSeminarRules,
};

/// The longest word for a kind of assignment.
const KIND_CHARACTERS_MAX: usize = 64;

pub(super) fn rules(value: &Value<'_>, calendar: &Calendar) -> Result<TraineeRules, SchemeError> {
    let section =
        value.section(&["pass_total", "seminar_required", "online", "assignment", "seminar", "offline"])?;
    // TOML has no other way to say "no online study" than not to name a phase.
    let online = match section.optional("online") {
        Some(value) => online(&value, calendar)?,
        None => Vec::new(),
    };
    Ok(TraineeRules {
        pass_total: section.required("pass_total")?.integer(FIGURE)?,
        seminar_required: section.required("seminar_required")?.boolean()?,
        online,
        assignment: assignment(&section.required("assignment")?, calendar)?,
        seminar: seminar(&section.required("seminar")?, calendar)?,
        offline: offline(&section.required("offline")?, calendar)?,
    })
}

fn online(value: &Value<'_>, calendar: &Calendar) -> Result<Vec<OnlineEntry>, SchemeError> {
    let mut entries = Vec::new();
    for value in value.list()? {
        let section =
            value.section(&["window", "categories", "minutes", "points", "requires_previous", "clause"])?;
        let window = calendar.window(&section.required("window")?)?;
        let requires_previous = match section.optional("requires_previous") {
            Some(value) => value.boolean()?,
            None => false,
        };
        entries.push(OnlineEntry {
            window: window.name.clone(),
            period: window.period,
            categories: section.required("categories")?.word_list("category", Category::parse)?,
            required_seconds: section.required("minutes")?.integer(FIGURE)? * 60,
            points: section.required("points")?.integer(FIGURE)?,
            requires_previous,
            clause: clause(&section)?,
        });
    }
    Ok(entries)
}

fn assignment(value: &Value<'_>, calendar: &Calendar) -> Result<AssignmentRules, SchemeError> {
    let section = value.section(&["window", "review_until", "kinds", "points", "clause"])?;
    let window = calendar.window(&section.required("window")?)?;
    let review = calendar.window(&section.required("review_until")?)?;
    let points_section = section.required("points")?.section(&["excellent", "pass", "fail"])?;
    let points = GradePoints {
        excellent: points_section.required("excellent")?.integer(FIGURE)?,
        pass: points_section.required("pass")?.integer(FIGURE)?,
        fail: points_section.required("fail")?.integer(FIGURE)?,
    };
    Ok(AssignmentRules {
        window: window.name.clone(),
        period: window.period,
        review_window: review.name.clone(),
        review_until: review.period.until,
        kinds: section.required("kinds")?.word_list("kind like lesson_plan:", kind)?,
        points,
        clause: clause(&section)?,
    })
}

/// A kind is the scheme's own word, in any script; it is compared with what a submission names, nothing else.
fn kind(word: &str) -> Option<String> {
    let is_short = word.chars().count() <= KIND_CHARACTERS_MAX;
    (is_short && !word.contains(char::is_control)).then(|| word.to_owned())
}

fn seminar(value: &Value<'_>, calendar: &Calendar) -> Result<TraineeSeminarRules, SchemeError> {
    let section = value.section(&["window", "points", "min_characters", "clause"])?;
    let window = calendar.window(&section.required("window")?)?;
    Ok(TraineeSeminarRules {
        window: window.name.clone(),
        period: window.period,
        points: section.required("points")?.integer(FIGURE)?,
        min_characters: section.required("min_characters")?.integer(FIGURE)?,
        clause: clause(&section)?,
    })
}

fn offline(value: &Value<'_>, calendar: &Calendar) -> Result<TraineeOfflineRules, SchemeError> {
    let section = value.section(&["window", "min_score", "max_score", "distinct", "clause"])?;
    let min_value = section.required("min_score")?;
    let min_score = min_value.integer(FIGURE)?;
    let max_score = section.required("max_score")?.integer(FIGURE)?;
    if min_score > max_score {
        return Err(min_value.refuse(format!("is more than max_score, {max_score}")));
    }
    let distinct = match section.optional("distinct") {
        Some(value) => Some(distinct(&value)?),
        None => None,
    };
    let window = calendar.window(&section.required("window")?)?;
    Ok(TraineeOfflineRules {
        window: window.name.clone(),
        period: window.period,
        min_score,
        max_score,
        distinct,
        clause: clause(&section)?,
    })
}

fn distinct(value: &Value<'_>) -> Result<DistinctRule, SchemeError> {
    let section = value.section(&["from_participants", "min_distinct_scores"])?;
    Ok(DistinctRule {
        from_participants: section.required("from_participants")?.integer(FIGURE)?,
        min_distinct_scores: section.required("min_distinct_scores")?.integer(FIGURE)?,
    })
}
