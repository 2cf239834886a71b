//! What classes answer for about the submissions of their trainees, from the rules' answer ([`shipei_rules::marking`]) to
//! each tutor's facts.

use std::collections::BTreeSet;

use shipei_mirror::{Class, Place};
use shipei_rules::{
    ids::{ClassId, PersonId, SubmissionId},
    marking::week_of,
    scheme::Scheme,
    tutor::MarkingWork,
};

use crate::{domain::trainee::TraineeRecord, facts::Instant};

/// A submission that classes answer for, as of a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassMarking {
    /// The submission.
    pub submission_id: SubmissionId,
    /// Whose it is.
    pub person_id: PersonId,
    /// When it was submitted.
    pub submitted_at: Instant,
    /// The class whose tutor owes a mark.
    pub owed_class_id: Option<ClassId>,
    /// The class whose week it made late.
    pub late_class_id: Option<ClassId>,
}

impl ClassMarking {
    /// What of it is whose: the tutor of the class that owed it at the time that counts, and the tutor of the class whose week it
    /// made late just before that week's deadline. Nobody answers for their own work. `class_of` gives a class, `owed_at` who had it when
    /// it owed the mark.
    pub fn by_tutor<'c>(
        &self,
        scheme: &Scheme,
        class_of: impl Fn(&ClassId) -> Option<&'c Class>,
        owed_at: impl Fn(&'c Class) -> Option<&'c PersonId>,
    ) -> Vec<(&'c PersonId, MarkingWork)> {
        let week = week_of(scheme, self.submitted_at);
        let owed_by = self.owed_class_id.as_ref().and_then(&class_of).and_then(owed_at);
        let late_class = self.late_class_id.as_ref().and_then(&class_of);
        let late_by =
            late_class.zip(week).and_then(|(class, week)| class.tutors.before(week.deadline).as_ref());
        let tutors = owed_by.into_iter().chain(late_by).filter(|tutor| **tutor != self.person_id);
        let tutors: BTreeSet<&PersonId> = tutors.collect();
        let work = |tutor| MarkingWork {
            id: self.submission_id.clone(),
            submitted_at: self.submitted_at,
            is_owed: owed_by == Some(tutor),
            late_week: week.filter(|_| late_by == Some(tutor)).map(|week| week.index),
        };
        tutors.into_iter().map(|tutor| (tutor, work(tutor))).collect()
    }
}

/// What classes answer for about a trainee's submissions as of a time. A trainee without a class is no class's.
pub fn of_trainee(trainee: &TraineeRecord, as_of: Instant) -> Vec<ClassMarking> {
    let class_of = |place: &Place| place.class_id.clone();
    let mut found = Vec::new();
    for answering in trainee.answering(as_of) {
        let of = trainee.submissions.iter().find(|kept| kept.submission_id == answering.submission.id);
        found.push(ClassMarking {
            submission_id: answering.submission.id.clone(),
            person_id: of.map_or(&trainee.person_id, |kept| &kept.person_id).clone(),
            submitted_at: answering.submission.submitted_at,
            owed_class_id: answering.owed_in.and_then(class_of),
            late_class_id: answering.late.and_then(|(_, place)| class_of(place)),
        });
    }
    found
}
