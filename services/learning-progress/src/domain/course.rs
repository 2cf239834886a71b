//! Courses: what one is at each time, to whom it applies, and when a new one may join or be selected.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use shipei_contracts::common::v1::ErrorReason;
use shipei_rules::absence::Absences;
use shipei_rules::history::History;
use shipei_rules::ids::CourseId;
use shipei_rules::subjects;
use shipei_rules::teaching::Teaching;
use shipei_rules::vocabulary::{Category, EducationStage};
use shipei_service_kit::Refusal;

/// The longest course, seconds: 100,000 minutes.
pub(crate) const LENGTH_SECONDS_MAX: i64 = 6_000_000;
/// The most courses of one programme.
pub(crate) const COURSES_MAX: i64 = 20_000;

/// A course of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Course {
    pub(crate) id: CourseId,
    /// The title, which is not dated.
    pub(crate) title: String,
    /// What it is at each time.
    pub(crate) terms: History<Terms>,
}

/// What decides what study of a course counts for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) category: Category,
    pub(crate) main_line: bool,
    pub(crate) length_seconds: i64,
    /// Only for teachers of this subject; empty for all.
    pub(crate) subject: String,
    /// Only for this education stage; `None` for both.
    pub(crate) education_stage: Option<EducationStage>,
    /// Whether it is not selected and not studied any more.
    pub(crate) retired: bool,
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

impl Course {
    /// Whether the scheme prescribes it, now or at some time.
    pub(crate) fn is_ever_main_line(&self) -> bool {
        self.terms.all().any(|terms| terms.main_line)
    }

    /// From when it is retired, if it is in the end.
    pub(crate) fn retired_at(&self) -> Option<DateTime<Utc>> {
        if !self.terms.last().retired {
            return None;
        }
        let spans: Vec<_> = self.terms.spans().collect();
        let first = spans.iter().rposition(|(.., terms)| !terms.retired).map_or(0, |last| last + 1);
        // One that had always been so is retired from before all times; a change is dated, so there is none.
        Some(spans.get(first).and_then(|(from, ..)| *from).unwrap_or(DateTime::UNIX_EPOCH))
    }
}

impl Terms {
    /// Whether it is for such a trainee: no subject or one of theirs, empty or equal education stage.
    pub(crate) fn applies_to(&self, teaches: Teaches<'_>) -> bool {
        let subject_fits = self.subject.is_empty() || subjects::have_common(&self.subject, teaches.subject);
        let stage_fits = self.education_stage.is_none() || self.education_stage == teaches.education_stage;
        subject_fits && stage_fits
    }

    /// Why such a trainee can't study it: COURSE_RETIRED, COURSE_NOT_APPLICABLE.
    pub(crate) fn refuses(&self, teaches: Teaches<'_>) -> Option<ErrorReason> {
        if self.retired {
            return Some(ErrorReason::CourseRetired);
        }
        (!self.applies_to(teaches)).then_some(ErrorReason::CourseNotApplicable)
    }

    /// Whether the main line of these categories asks such a trainee for it.
    ///
    /// A course of 0 seconds is none of them. It is "complete when credited in full" (scoring.md, Study time), so from the
    /// start, and asks nothing of anybody beside others; and a main line of nothing but such courses has no course to
    /// complete (Annex 2: "with at least one such course"), or the phase would be everybody's without a second of study.
    pub(crate) fn is_asked(&self, categories: &[Category], teaches: Teaches<'_>) -> bool {
        self.main_line
            && self.length_seconds > 0
            && categories.contains(&self.category)
            && self.refuses(teaches).is_none()
    }
}

/// How many of these courses a phase of these categories asks such a trainee for.
pub(crate) fn main_line_total<'a>(
    courses: impl IntoIterator<Item = &'a Terms>,
    categories: &[Category],
    teaches: Teaches<'_>,
) -> i64 {
    let asked = courses.into_iter().filter(|terms| terms.is_asked(categories, teaches));
    i64::try_from(asked.count()).unwrap_or(i64::MAX)
}

/// A course is created again: fine when it is the same as it was created, ALREADY_EXISTS otherwise.
pub(crate) fn decide_created_again(known: &Course, created: &Course) -> Result<(), Refusal> {
    if known == created {
        return Ok(());
    }
    Err(Refusal::new(ErrorReason::AlreadyExists).field("course.course_id"))
}

/// May this trainee select this course at `at`? Away then: WITHDRAWN; retired: COURSE_RETIRED; not for them:
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
    match course.terms.at(at).refuses(teaches) {
        Some(reason) => Err(Refusal::new(reason).field("course_id")),
        None => Ok(()),
    }
}

/// For each turn of the main line, for each phase, how many courses are asked.
pub(crate) type Totals = Vec<Arc<[i64]>>;

/// The courses that a scheme prescribes or prescribed, and when what they ask may change.
#[derive(Debug, Clone, Default)]
pub(crate) struct MainLine {
    courses: Vec<Arc<Course>>,
    /// The number of the turn, from 0 for what was first.
    turns: History<usize>,
}

impl MainLine {
    /// Of these courses.
    pub(crate) fn of(courses: impl IntoIterator<Item = Arc<Course>>) -> Self {
        let courses: Vec<_> = courses.into_iter().filter(|course| course.is_ever_main_line()).collect();
        let mut turns: Vec<_> = courses.iter().flat_map(|course| course.terms.turns()).collect();
        turns.sort_unstable();
        turns.dedup();
        let turns = History::new(0, turns.into_iter().zip(1..).collect());
        Self { courses, turns }
    }

    /// What they are as of an instant.
    pub(crate) fn at(&self, instant: DateTime<Utc>) -> impl Iterator<Item = &Terms> {
        self.courses.iter().map(move |course| course.terms.at(instant))
    }

    /// When they last changed.
    pub(crate) fn latest_turn(&self) -> Option<DateTime<Utc>> {
        self.turns.latest_change()
    }

    /// For each turn, for each phase of these categories, how many of them are asked.
    pub(crate) fn totals(&self, phases: &[&[Category]], teaches: Teaches<'_>) -> Totals {
        let as_of = |turn: Option<DateTime<Utc>>| {
            let terms = || {
                let courses = self.courses.iter();
                courses.map(move |course| turn.map_or(course.terms.first(), |turn| course.terms.at(turn)))
            };
            phases.iter().map(|categories| main_line_total(terms(), categories, teaches)).collect()
        };
        self.turns.spans().map(|(from, ..)| as_of(from)).collect()
    }

    /// What they ask of who teaches this, given the totals of each teaching.
    pub(crate) fn asked(
        &self,
        teaching: &History<Teaching>,
        totals: impl Fn(&Teaching) -> Totals,
    ) -> History<Asked> {
        let totals = teaching.map(|teaching| (teaching.clone(), totals(teaching)));
        totals.join(&self.turns, |(teaching, totals), turn| Asked {
            teaching: teaching.clone(),
            totals: totals.get(*turn).cloned().unwrap_or_default(),
        })
    }
}

/// What the main line asks of who teaches something, at a time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) teaching: Teaching,
    /// For each online entry of the scheme, how many main-line courses apply.
    pub(crate) totals: Arc<[i64]>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(subject: &str, education_stage: Option<EducationStage>) -> Terms {
        Terms {
            category: Category::Public,
            main_line: false,
            length_seconds: 2_700,
            subject: subject.to_owned(),
            education_stage,
            retired: false,
        }
    }

    fn course(subject: &str) -> Course {
        let id = CourseId::parse("C1").unwrap();
        Course { id, title: "课程".to_owned(), terms: terms(subject, None).into() }
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
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
            assert_eq!(terms(subject, stage).applies_to(teaches), applies, "{subject} {stage:?}");
        }
    }

    #[test]
    fn main_line_waits_for_no_course_of_no_length_and_for_none_that_is_retired() {
        let teaches = Teaches { subject: "语文", education_stage: None };
        let watched = Terms { main_line: true, ..terms("", None) };
        let given = Terms { length_seconds: 0, ..watched.clone() };
        let retired = Terms { retired: true, ..watched.clone() };
        let chosen = terms("", None);
        for (courses, total) in [
            (vec![], 0),
            (vec![&watched], 1),
            (vec![&watched, &given], 1),
            (vec![&given, &given], 0),
            (vec![&watched, &retired, &chosen], 1),
        ] {
            assert_eq!(main_line_total(courses, &[Category::Public], teaches), total);
        }
        assert_eq!(main_line_total([&watched], &[Category::Professional], teaches), 0);
    }

    #[test]
    fn main_line_asks_at_each_time_what_stands_then() {
        let (from, until) = (at("2019-10-01T00:00:00Z"), at("2019-10-05T00:00:00Z"));
        let watched = Terms { main_line: true, ..terms("", None) };
        let retired = Terms { retired: true, ..watched.clone() };
        let new = |terms| Arc::new(Course { terms, ..course("") });
        let main_line = MainLine::of([
            new(History::new(watched.clone(), vec![(until, retired)])),
            new(History::new(terms("", None), vec![(from, watched)])),
            new(terms("", None).into()),
        ]);
        let teaching = Teaching { subject: "语文".to_owned(), ..Teaching::default() };
        let public: &[Category] = &[Category::Public];
        let asked =
            main_line.asked(&teaching.into(), |teaching| main_line.totals(&[public], teaching.into()));
        let totals = |instant: DateTime<Utc>| asked.at(instant).totals[0];
        let moment = chrono::TimeDelta::microseconds(1);
        let found = [totals(from - moment), totals(from), totals(until - moment), totals(until)];
        assert_eq!((found, main_line.latest_turn()), ([1, 2, 2, 1], Some(until)));
        assert_eq!(main_line.at(until).filter(|terms| terms.retired).count(), 1);
    }

    #[test]
    fn selection_is_refused_from_the_moment_of_withdrawal_and_of_retirement() {
        let teaches = Teaches { subject: "语文", education_stage: None };
        let at = at("2019-10-01T00:00:00Z");
        let before = at - chrono::TimeDelta::microseconds(1);
        let refusal = decide_selection(&at.into(), teaches, &course(""), at).unwrap_err();
        assert_eq!(refusal.reason, ErrorReason::Withdrawn);
        decide_selection(&at.into(), teaches, &course(""), before).unwrap();
        let refusal = decide_selection(&Absences::default(), teaches, &course("数学"), at).unwrap_err();
        assert_eq!(refusal.reason, ErrorReason::CourseNotApplicable);
        let retired = Terms { retired: true, ..terms("", None) };
        let retired = Course { terms: History::new(terms("", None), vec![(at, retired)]), ..course("") };
        assert_eq!((retired.retired_at(), course("").retired_at()), (Some(at), None));
        let refusal = decide_selection(&Absences::default(), teaches, &retired, at).unwrap_err();
        assert_eq!(refusal.reason, ErrorReason::CourseRetired);
        decide_selection(&Absences::default(), teaches, &retired, before).unwrap();
    }

    #[test]
    fn course_created_again_must_be_the_same() {
        decide_created_again(&course(""), &course("")).unwrap();
        let refusal = decide_created_again(&course(""), &course("语文")).unwrap_err();
        assert_eq!(refusal.reason, ErrorReason::AlreadyExists);
    }
}
