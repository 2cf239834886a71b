//! What was put right of a course, or changed: a fold over the changes that stand, so that all give the same course whatever came
//! first. Some of it had always been so and was only written down wrongly; some is so from a moment on.

use chrono::{DateTime, Utc};
use shipei_contracts::common::v1::ErrorReason;
use shipei_rules::history::History;
use shipei_rules::ids::CourseId;
use shipei_rules::vocabulary::{Category, EducationStage};
use shipei_service_kit::Refusal;

use super::course::{Course, Terms};

/// How far ahead of the service's clock the moment of a change may be.
const AHEAD_MAX: chrono::TimeDelta = chrono::TimeDelta::minutes(5);

/// A change of a course; what is absent stays as it was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CourseChange {
    /// From when it is so; `None` when it had always been so.
    pub(crate) since: Option<DateTime<Utc>>,
    /// Of changes since the same moment, that with the larger number counts.
    pub(crate) number: i64,
    pub(crate) title: Option<String>,
    pub(crate) category: Option<Category>,
    pub(crate) main_line: Option<bool>,
    pub(crate) length_seconds: Option<i64>,
    pub(crate) subject: Option<String>,
    /// `Some(None)` for both.
    pub(crate) education_stage: Option<Option<EducationStage>>,
    pub(crate) retired: Option<bool>,
}

impl CourseChange {
    /// Whether it changes what study counts for.
    pub(crate) fn is_of_terms(&self) -> bool {
        self.category.is_some()
            || self.main_line.is_some()
            || self.length_seconds.is_some()
            || self.subject.is_some()
            || self.education_stage.is_some()
            || self.retired.is_some()
    }

    /// Whether it changes nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.title.is_none() && !self.is_of_terms()
    }

    /// The course as it was created: its first change.
    pub(crate) fn creation(course: &Course) -> Self {
        Self { title: Some(course.title.clone()), ..Self::all_of(course.terms.first()) }
    }

    fn all_of(terms: &Terms) -> Self {
        Self {
            category: Some(terms.category),
            main_line: Some(terms.main_line),
            length_seconds: Some(terms.length_seconds),
            subject: Some(terms.subject.clone()),
            education_stage: Some(terms.education_stage),
            retired: Some(terms.retired),
            ..Self::default()
        }
    }

    /// Leaves out what was so before it, at its moment.
    pub(crate) fn leave_out_what_is_so(&mut self, before: &Course) {
        let then = Self::all_of(before.terms_since(self.since));
        let Self { title, category, main_line, length_seconds, subject, education_stage, retired, .. } = self;
        title.take_if(|title| *title == before.title);
        category.take_if(|new| Some(*new) == then.category);
        main_line.take_if(|new| Some(*new) == then.main_line);
        length_seconds.take_if(|new| Some(*new) == then.length_seconds);
        subject.take_if(|new| Some(&*new) == then.subject.as_ref());
        education_stage.take_if(|new| Some(*new) == then.education_stage);
        retired.take_if(|new| Some(*new) == then.retired);
    }

    /// What was known of its moment of what it changes.
    pub(crate) fn of_before(&self, before: &Course) -> Self {
        let then = Self::all_of(before.terms_since(self.since));
        Self {
            since: self.since,
            number: self.number,
            title: self.title.as_ref().map(|_| before.title.clone()),
            category: self.category.and(then.category),
            main_line: self.main_line.and(then.main_line),
            length_seconds: self.length_seconds.and(then.length_seconds),
            subject: self.subject.as_ref().and(then.subject),
            education_stage: self.education_stage.and(then.education_stage),
            retired: self.retired.and(then.retired),
        }
    }

    /// Of the future nothing is known, and a title has no date.
    pub(crate) fn decide(&self, now: DateTime<Utc>) -> Result<(), Refusal> {
        if self.since.is_some_and(|since| since > now + AHEAD_MAX) {
            return Err(Refusal::new(ErrorReason::InTheFuture).field("since_time"));
        }
        if self.since.is_some() && !self.is_of_terms() {
            let refusal = Refusal::new(ErrorReason::InvalidField).field("since_time");
            return Err(refusal.because("a title is not dated"));
        }
        Ok(())
    }

    fn changed(&self, terms: &Terms) -> Terms {
        Terms {
            category: self.category.unwrap_or(terms.category),
            main_line: self.main_line.unwrap_or(terms.main_line),
            length_seconds: self.length_seconds.unwrap_or(terms.length_seconds),
            subject: self.subject.as_ref().unwrap_or(&terms.subject).clone(),
            education_stage: self.education_stage.unwrap_or(terms.education_stage),
            retired: self.retired.unwrap_or(terms.retired),
        }
    }

    /// All that it says, if it says everything, as the first change does.
    fn whole(&self) -> Option<Terms> {
        Some(Terms {
            category: self.category?,
            main_line: self.main_line?,
            length_seconds: self.length_seconds?,
            subject: self.subject.clone()?,
            education_stage: self.education_stage?,
            retired: self.retired?,
        })
    }
}

impl Course {
    /// What follows from the changes that stand, in any order, of which that with the number 0 is the course as it was created.
    /// `None` without that.
    pub(crate) fn of(id: &CourseId, mut changes: Vec<CourseChange>) -> Option<Self> {
        changes.sort_by_key(|change| change.number);
        let title = changes.iter().rev().find_map(|change| change.title.clone())?;
        // What had always been so comes before everything that is dated, and the creation before that.
        changes.sort_by_key(|change| (change.since, change.number));
        let mut always = changes.first()?.whole()?;
        let mut dated: Vec<(DateTime<Utc>, Terms)> = Vec::new();
        for change in changes.iter().filter(|change| change.is_of_terms()) {
            let before = dated.last().map_or(&always, |(_, terms)| terms);
            let after = change.changed(before);
            match change.since {
                None => always = after,
                Some(since) => dated.push((since, after)),
            }
        }
        Some(Self { id: id.clone(), title, terms: History::new(always, dated) })
    }

    /// What it is from a moment on, or was from the beginning.
    fn terms_since(&self, since: Option<DateTime<Utc>>) -> &Terms {
        since.map_or(self.terms.first(), |since| self.terms.at(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(day * 86_400, 0).unwrap()
    }

    fn created() -> Course {
        let terms = Terms {
            category: Category::Public,
            main_line: true,
            length_seconds: 2_700,
            subject: String::new(),
            education_stage: None,
            retired: false,
        };
        Course { id: CourseId::parse("C1").unwrap(), title: "课程".to_owned(), terms: terms.into() }
    }

    fn length(number: i64, since: Option<i64>, length_seconds: i64) -> CourseChange {
        CourseChange {
            number,
            since: since.map(at),
            length_seconds: Some(length_seconds),
            ..CourseChange::default()
        }
    }

    #[test]
    fn what_was_wrong_had_always_been_right_and_what_changed_is_dated() {
        let title = CourseChange { number: 4, title: Some("师德".to_owned()), ..CourseChange::default() };
        let retired =
            CourseChange { number: 5, since: Some(at(30)), retired: Some(true), ..CourseChange::default() };
        let changes = [
            CourseChange::creation(&created()),
            length(1, Some(20), 1_800),
            length(2, None, 2_730),
            length(3, Some(20), 1_900),
            title,
            retired,
        ];
        for rotation in 0..changes.len() {
            let mut changes = changes.to_vec();
            changes.rotate_left(rotation);
            let course = Course::of(&created().id, changes).unwrap();
            let lengths = [0, 19, 20, 30].map(|day| course.terms.at(at(day)).length_seconds);
            assert_eq!(lengths, [2_730, 2_730, 1_900, 1_900], "{rotation}");
            assert_eq!((course.title.as_str(), course.retired_at()), ("师德", Some(at(30))));
        }
        assert_eq!(Course::of(&created().id, vec![length(1, None, 60)]), None);
        let same = Course::of(&created().id, vec![CourseChange::creation(&created())]);
        assert_eq!(same, Some(created()));
    }

    #[test]
    fn change_says_only_what_is_otherwise() {
        let mut change = CourseChange { main_line: Some(true), ..length(1, Some(20), 1_800) };
        change.leave_out_what_is_so(&created());
        assert_eq!(change, length(1, Some(20), 1_800));
        assert_eq!(change.of_before(&created()), length(1, Some(20), 2_700));
        let mut same = length(2, None, 2_700);
        same.leave_out_what_is_so(&created());
        assert!(same.is_empty());
    }

    #[test]
    fn change_is_not_of_the_future_and_a_title_not_dated() {
        let reason = |change: CourseChange| change.decide(at(20)).map_err(|refusal| refusal.reason);
        assert_eq!(reason(length(1, Some(20), 60)), Ok(()));
        assert_eq!(reason(length(1, Some(21), 60)), Err(ErrorReason::InTheFuture));
        let title = CourseChange { title: Some("师德".to_owned()), ..CourseChange::default() };
        assert_eq!(reason(title.clone()), Ok(()));
        assert_eq!(reason(CourseChange { since: Some(at(1)), ..title }), Err(ErrorReason::InvalidField));
    }
}
