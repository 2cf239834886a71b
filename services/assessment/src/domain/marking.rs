//! What classes answer for about the submissions of their trainees, from the rules' answer ([`shipei_rules::marking`]) to
//! each tutor's facts.

use shipei_mirror::Place;
use shipei_rules::{
    ids::SubmissionId,
    marking::{MarkingWeek, week_of},
    scheme::Scheme,
    tutor::MarkingWork,
};

use crate::{domain::trainee::TraineeRecord, facts::Instant};

/// A submission that classes answer for, as of a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassMarking {
    /// The submission.
    pub submission_id: SubmissionId,
    /// When it was submitted.
    pub submitted_at: Instant,
    /// The class whose tutor owes a mark.
    pub owed_class_id: Option<String>,
    /// The class whose week it made late.
    pub late_class_id: Option<String>,
}

impl ClassMarking {
    /// As the rules see it for a tutor with these classes; `None` when none of them answers for it.
    pub fn for_tutor(&self, scheme: &Scheme, is_own: impl Fn(&str) -> bool) -> Option<MarkingWork> {
        let is_owed = self.owed_class_id.as_deref().is_some_and(&is_own);
        let is_late = self.late_class_id.as_deref().is_some_and(&is_own);
        let late_week =
            week_of(scheme, self.submitted_at).filter(|_| is_late).map(|week: MarkingWeek| week.index);
        (is_owed || late_week.is_some()).then(|| MarkingWork {
            id: self.submission_id.clone(),
            submitted_at: self.submitted_at,
            is_owed,
            late_week,
        })
    }
}

/// What classes answer for about a trainee's submissions as of a time. A trainee without a class is no class's.
pub fn of_trainee(scheme: &Scheme, trainee: &TraineeRecord, as_of: Instant) -> Vec<ClassMarking> {
    let class_of = |place: &Place| place.class_id.clone().map(String::from);
    let mut found = Vec::new();
    for answering in trainee.answering(scheme, as_of) {
        found.push(ClassMarking {
            submission_id: answering.submission.id.clone(),
            submitted_at: answering.submission.submitted_at,
            owed_class_id: answering.owed_in.and_then(class_of),
            late_class_id: answering.late.and_then(|(_, place)| class_of(place)),
        });
    }
    found
}
