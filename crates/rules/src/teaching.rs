//! What somebody teaches, with its past: as the roster had it, and what was said about it since. Some of it had always been so and
//! was only written down wrongly; some is so from a moment on. Whoever keeps such changes folds them here, so that all give the
//! same answer whatever came first.

use chrono::{DateTime, Utc};

use crate::{
    history::History,
    vocabulary::{DevelopmentStage, EducationStage},
};

/// What somebody teaches, and where they stand in the profession.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Teaching {
    /// The subjects taught or led, as [`crate::subjects::written`] has them; empty for none.
    pub subject: String,
    /// A trainee's education stage.
    pub education_stage: Option<EducationStage>,
    /// The stage of development.
    pub development_stage: Option<DevelopmentStage>,
}

/// A change of what somebody teaches; what is absent stays as it was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TeachingChange {
    /// From when it is so; `None` when it had always been so.
    pub since: Option<DateTime<Utc>>,
    /// Of changes since the same moment, that with the larger number counts.
    pub number: i64,
    /// The subjects.
    pub subject: Option<String>,
    /// The education stage.
    pub education_stage: Option<EducationStage>,
    /// The stage of development.
    pub development_stage: Option<DevelopmentStage>,
}

impl Teaching {
    fn changed(&self, change: &TeachingChange) -> Self {
        Self {
            subject: change.subject.as_ref().unwrap_or(&self.subject).clone(),
            education_stage: change.education_stage.or(self.education_stage),
            development_stage: change.development_stage.or(self.development_stage),
        }
    }

    /// What it was at each time, from what was written down first and the changes that stand, in any order.
    pub fn history(first: Self, mut changes: Vec<TeachingChange>) -> History<Self> {
        changes.sort_by_key(|change| (change.since, change.number));
        let mut always = first;
        let mut dated: Vec<(DateTime<Utc>, Self)> = Vec::new();
        for change in changes {
            let before = dated.last().map_or(&always, |(_, teaching)| teaching);
            let after = before.changed(&change);
            match change.since {
                None => always = after,
                Some(since) => dated.push((since, after)),
            }
        }
        History::new(always, dated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    fn subject(number: i64, since: Option<i64>, subject: &str) -> TeachingChange {
        TeachingChange {
            since: since.map(at),
            number,
            subject: Some(subject.to_owned()),
            ..TeachingChange::default()
        }
    }

    #[test]
    fn what_was_wrong_had_always_been_right_and_what_changed_is_dated() {
        let first = Teaching { subject: "语文".to_owned(), ..Teaching::default() };
        let stage = TeachingChange {
            number: 4,
            education_stage: Some(EducationStage::NonCompulsory),
            ..TeachingChange::default()
        };
        let changes =
            [subject(1, Some(20), "英语"), subject(2, None, "数学"), subject(3, Some(10), "物理"), stage];
        for rotation in 0..changes.len() {
            let mut changes = changes.to_vec();
            changes.rotate_left(rotation);
            let history = Teaching::history(first.clone(), changes);
            for (seconds, subject) in [(0, "数学"), (9, "数学"), (10, "物理"), (19, "物理"), (20, "英语")]
            {
                let teaching = history.at(at(seconds));
                assert_eq!(teaching.subject, subject, "{seconds} {rotation}");
                assert_eq!(teaching.education_stage, Some(EducationStage::NonCompulsory));
            }
        }
    }

    #[test]
    fn of_two_changes_at_once_the_larger_number_counts() {
        let changes = vec![subject(2, Some(10), "英语"), subject(1, Some(10), "物理")];
        let history = Teaching::history(Teaching::default(), changes);
        assert_eq!((history.at(at(9)).subject.as_str(), history.at(at(10)).subject.as_str()), ("", "英语"));
        let without_subject = vec![subject(1, None, "")];
        let first = Teaching { subject: "语文".to_owned(), ..Teaching::default() };
        assert_eq!(Teaching::history(first, without_subject).at(at(0)).subject, "");
    }
}
