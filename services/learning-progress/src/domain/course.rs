//! Courses: what one is, to whom it applies, and when a new one may join or be selected.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use shipei_contracts::common::v1::ErrorReason;
use shipei_rules::absence::Absences;
use shipei_rules::ids::CourseId;
use shipei_rules::scheme::OnlineEntry;
use shipei_rules::teaching::Teaching;
use shipei_rules::vocabulary::{Category, EducationStage};
use shipei_service_kit::Refusal;

/// The longest course, minutes.
pub(crate) const MINUTES_MAX: i64 = 100_000;
/// The most courses of one programme.
pub(crate) const COURSES_MAX: i64 = 20_000;

const SECONDS_PER_MINUTE: i64 = 60;

/// A course of the catalogue. It never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Course {
    pub(crate) id: CourseId,
    pub(crate) title: String,
    pub(crate) category: Category,
    pub(crate) main_line: bool,
    pub(crate) minutes: i64,
    /// Only for teachers of this subject; empty for all.
    pub(crate) subject: String,
    /// Only for this education stage; `None` for both.
    pub(crate) education_stage: Option<EducationStage>,
}

/// What decides whether a course applies to a trainee.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Teaches<'a> {
    pub(crate) subject: &'a str,
    pub(crate) education_stage: Option<EducationStage>,
}

impl<'a> From<&'a Teaching> for Teaches<'a> {
    fn from(teaching: &'a Teaching) -> Self {
        Self { subject: &teaching.subject, education_stage: teaching.education_stage }
    }
}

/// What the main line asks of who teaches something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) teaching: Teaching,
    /// For each online entry of the scheme, how many main-line courses apply.
    pub(crate) totals: Arc<[i64]>,
}

impl Asked {
    /// What these courses ask.
    pub(crate) fn of<'a>(
        teaching: &Teaching,
        entries: &[OnlineEntry],
        main_line: impl Iterator<Item = &'a Course> + Clone,
    ) -> Self {
        let teaches = Teaches::from(teaching);
        let totals = entries.iter().map(|entry| main_line_total(main_line.clone(), entry, teaches)).collect();
        Self { teaching: teaching.clone(), totals }
    }
}

impl Course {
    /// Its length, seconds.
    pub(crate) fn length_seconds(&self) -> i64 {
        self.minutes * SECONDS_PER_MINUTE
    }

    /// Whether it is for such a trainee: empty or equal subject, empty or equal education stage.
    pub(crate) fn applies_to(&self, teaches: Teaches<'_>) -> bool {
        let subject_fits = self.subject.is_empty() || self.subject == teaches.subject;
        let stage_fits = self.education_stage.is_none() || self.education_stage == teaches.education_stage;
        subject_fits && stage_fits
    }
}

/// How many of the main-line courses such a trainee must complete for a phase.
///
/// A course of 0 minutes is none of them. It is "complete when credited in full" (scoring.md, Study time), so from the
/// start, and asks nothing of anybody beside others; and a main line of nothing but such courses has no course to
/// complete (Annex 2: "with at least one such course"), or the phase would be everybody's without a second of study.
pub(crate) fn main_line_total<'a>(
    main_line: impl IntoIterator<Item = &'a Course>,
    entry: &OnlineEntry,
    teaches: Teaches<'_>,
) -> i64 {
    let mut total = 0;
    for course in main_line {
        if course.minutes > 0 && entry.categories.contains(&course.category) && course.applies_to(teaches) {
            total += 1;
        }
    }
    total
}

/// A course is created again: fine when it is the same, ALREADY_EXISTS otherwise.
pub(crate) fn decide_created_again(known: &Course, created: &Course) -> Result<(), Refusal> {
    if known == created {
        return Ok(());
    }
    Err(Refusal::new(ErrorReason::AlreadyExists).field("course.course_id"))
}

/// May this trainee select this course at `at`? Away then: WITHDRAWN; not for them:
/// COURSE_NOT_APPLICABLE.
pub(crate) fn decide_selection(
    absences: &Absences,
    teaches: Teaches<'_>,
    course: &Course,
    at: DateTime<Utc>,
) -> Result<(), Refusal> {
    if absences.at(at) {
        return Err(Refusal::new(ErrorReason::Withdrawn).field("person_id"));
    }
    if !course.applies_to(teaches) {
        return Err(Refusal::new(ErrorReason::CourseNotApplicable).field("course_id"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(subject: &str, education_stage: Option<EducationStage>) -> Course {
        Course {
            id: CourseId::parse("C1").unwrap(),
            title: "课程".to_owned(),
            category: Category::Public,
            main_line: false,
            minutes: 45,
            subject: subject.to_owned(),
            education_stage,
        }
    }

    #[test]
    fn course_applies_by_subject_and_stage() {
        let teaches = Teaches { subject: "语文", education_stage: Some(EducationStage::Compulsory) };
        for (subject, stage, applies) in [
            ("", None, true),
            ("语文", None, true),
            ("数学", None, false),
            ("", Some(EducationStage::Compulsory), true),
            ("", Some(EducationStage::NonCompulsory), false),
            ("语文", Some(EducationStage::Compulsory), true),
            ("数学", Some(EducationStage::Compulsory), false),
        ] {
            assert_eq!(course(subject, stage).applies_to(teaches), applies, "{subject} {stage:?}");
        }
    }

    #[test]
    fn main_line_waits_for_no_course_of_no_minutes() {
        let scheme = include_str!("../../../../crates/rules/data/qinhuangdao-2019.toml");
        let scheme = shipei_rules::scheme::Scheme::parse(scheme).unwrap();
        let teaches = Teaches { subject: "语文", education_stage: None };
        let (watched, given) = (course("", None), Course { minutes: 0, ..course("", None) });
        for (courses, total) in
            [(vec![], 0), (vec![&watched], 1), (vec![&watched, &given], 1), (vec![&given, &given], 0)]
        {
            assert_eq!(main_line_total(courses, &scheme.trainee.online[0], teaches), total);
        }
    }

    #[test]
    fn selection_is_refused_from_the_moment_of_withdrawal() {
        let teaches = Teaches { subject: "语文", education_stage: None };
        let at: DateTime<Utc> = "2019-10-01T00:00:00Z".parse().unwrap();
        let before = at - chrono::TimeDelta::microseconds(1);
        let refusal = decide_selection(&at.into(), teaches, &course("", None), at).unwrap_err();
        assert_eq!(refusal.reason, ErrorReason::Withdrawn);
        decide_selection(&at.into(), teaches, &course("", None), before).unwrap();
        let refusal = decide_selection(&Absences::default(), teaches, &course("数学", None), at).unwrap_err();
        assert_eq!(refusal.reason, ErrorReason::CourseNotApplicable);
    }

    #[test]
    fn course_created_again_must_be_the_same() {
        decide_created_again(&course("", None), &course("", None)).unwrap();
        let refusal = decide_created_again(&course("", None), &course("语文", None)).unwrap_err();
        assert_eq!(refusal.reason, ErrorReason::AlreadyExists);
    }
}
