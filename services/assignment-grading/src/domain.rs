//! What is decided here, and by which state: pure functions from state and command to facts or a refusal. No SQL, no
//! gRPC, no clock; `at` is when the thing happened. State is dated: what happened after `at` is not seen by a decision
//! about `at`, so that an old operation sent again is answered as it was. To add an RPC: its command, its
//! `decide_..`, its table of cases in the tests below.
//!
//! Order of refusals: who is nobody, who has no say, who has withdrawn, the window, the state, the content.

pub(crate) mod similarity;

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use shipei_contracts::common::v1::ErrorReason;
use shipei_mirror::{Class, Member, PlaceHistory};
use shipei_rules::{
    characters,
    ids::{ClassId, PersonId, SeminarId, SubmissionId},
    scheme::Scheme,
    submission::{self as rules, MarkKind},
    vocabulary::Grade,
};
use shipei_service_kit::Refusal;

use crate::error::{Decided, inside, not_found};

/// The most marks that one submission can have: each is kept and each decision reads them all.
pub(crate) const MARKS_PER_SUBMISSION_MAX: usize = 1_000;

/// The most submissions of one trainee.
pub(crate) const SUBMISSIONS_PER_TRAINEE_MAX: usize = 1_000;

/// A practical assignment as submitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Submission {
    pub(crate) submission_id: SubmissionId,
    pub(crate) person_id: PersonId,
    /// The class at submission.
    pub(crate) class_id: Option<ClassId>,
    pub(crate) kind: String,
    pub(crate) title: String,
    pub(crate) text: String,
    pub(crate) submitted_at: DateTime<Utc>,
    pub(crate) standing: Standing,
    pub(crate) fact_id: String,
    /// Whether it was not retracted.
    pub(crate) stands: bool,
}

/// Where a submission stands, as was told last ([`shipei_rules::submission::standings`] with ids).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It counts.
    Counts,
    /// A newer one took its place.
    Superseded {
        /// The newer one.
        by: SubmissionId,
        /// When.
        at: DateTime<Utc>,
    },
    /// It is kept and doesn't count.
    Disregarded {
        /// The one that had been graded excellent or pass by then.
        graded: SubmissionId,
    },
}

impl Standing {
    /// When a newer one took its place.
    pub(crate) fn superseded_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Superseded { at, .. } => Some(*at),
            Self::Counts | Self::Disregarded { .. } => None,
        }
    }
}

/// One act of marking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Among the trainee's submissions and marks, from 1, in the order in which the service learned of them.
    pub(crate) number: i64,
    pub(crate) kind: MarkKind,
    pub(crate) comment: String,
    pub(crate) tutor_id: PersonId,
    pub(crate) marked_at: DateTime<Utc>,
    /// Whether who gave it was the tutor of the trainee's class of then, by what is known now.
    pub(crate) counts: bool,
    pub(crate) fact_id: String,
    /// Whether it was not retracted.
    pub(crate) stands: bool,
}

/// All submissions of one trainee that stand with their marks that do, and what was told last of each one's standing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Works {
    /// The last number that a submission or mark got, whether it stands or not.
    pub(crate) last_number: i64,
    pub(crate) submissions: Vec<rules::Submission>,
    pub(crate) told: BTreeMap<SubmissionId, Standing>,
}

/// A submission that stands otherwise than was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StandingChange {
    pub(crate) submission_id: SubmissionId,
    pub(crate) submitted_at: DateTime<Utc>,
    pub(crate) standing: Standing,
}

impl Works {
    /// The number of the next submission or mark.
    pub(crate) fn next_number(&self) -> i64 {
        self.last_number + 1
    }

    /// With one more submission.
    pub(crate) fn with(mut self, new: &Submission) -> Works {
        self.last_number += 1;
        self.submissions.push(rules::Submission {
            id: new.submission_id.clone(),
            submitted_at: new.submitted_at,
            number: self.last_number,
            marks: Vec::new(),
        });
        self
    }

    /// Adds a mark of one of them.
    pub(crate) fn add_mark(&mut self, submission_id: &SubmissionId, mark: &Mark) {
        self.last_number = self.last_number.max(mark.number);
        let marked = self.submissions.iter_mut().find(|submission| submission.id == *submission_id);
        if let Some(marked) = marked {
            marked.marks.push(rules::Mark { at: mark.marked_at, number: mark.number, kind: mark.kind });
        }
    }

    /// Where each stands, of those that stand otherwise than was told; by time. Whatever the order in which submissions
    /// and marks arrived, it ends with the same.
    pub(crate) fn changes(&self, scheme: &Scheme) -> Vec<StandingChange> {
        let mut changes = Vec::new();
        for (submission, standing) in rules::standings(scheme, &self.submissions, DateTime::<Utc>::MAX_UTC) {
            let standing = match standing {
                rules::Standing::Counts => Standing::Counts,
                rules::Standing::Superseded { by } => {
                    Standing::Superseded { by: by.id.clone(), at: by.submitted_at }
                }
                rules::Standing::Disregarded { graded } => {
                    Standing::Disregarded { graded: graded.id.clone() }
                }
            };
            if *self.told.get(&submission.id).unwrap_or(&Standing::Counts) != standing {
                changes.push(StandingChange {
                    submission_id: submission.id.clone(),
                    submitted_at: submission.submitted_at,
                    standing,
                });
            }
        }
        changes
    }
}

/// The grade that counts: that of the last mark that stands and counts, by its time, then its number. None when there is no mark or the
/// last one is a return.
pub(crate) fn grade_of(marks: &[Mark]) -> Option<Grade> {
    marks
        .iter()
        .filter(|mark| mark.stands && mark.counts)
        .max_by_key(|mark| (mark.marked_at, mark.number))?
        .kind
        .grade()
}

/// Whether a trainee may submit, and what that changes (Annex 2, practical assignment). `works` are the trainee's
/// submissions without `new`; the changes are those of all, the new one's own too.
///
/// # Errors
/// WITHDRAWN, WINDOW_NOT_OPEN, WINDOW_CLOSED, INVALID_KIND, LIMIT_REACHED, ALREADY_GRADED.
pub(crate) fn decide_submission(
    scheme: &Scheme,
    trainee: &Member,
    new: &Submission,
    works: Works,
) -> Decided<Vec<StandingChange>> {
    refuse_withdrawn(trainee, new.submitted_at)?;
    let rules = &scheme.trainee.assignment;
    inside(rules.period, new.submitted_at, &rules.window)?;
    if !rules.kinds.contains(&new.kind) {
        return Err(Refusal::new(ErrorReason::InvalidKind).field("kind"));
    }
    if works.submissions.len() >= SUBMISSIONS_PER_TRAINEE_MAX {
        return Err(
            Refusal::new(ErrorReason::LimitReached).with("kept_max", SUBMISSIONS_PER_TRAINEE_MAX.to_string())
        );
    }
    let changes = works.with(new).changes(scheme);
    for change in &changes {
        if let Standing::Disregarded { graded } = &change.standing
            && change.submission_id == new.submission_id
        {
            return Err(Refusal::new(ErrorReason::AlreadyGraded).with("submission_id", graded.as_str()));
        }
    }
    Ok(changes)
}

/// Whether a submission of that id is the very same one, sent again. `stated_at` is the time that the caller stated.
pub(crate) fn is_same_submission(
    there: &Submission,
    new: &Submission,
    stated_at: Option<DateTime<Utc>>,
) -> bool {
    there.person_id == new.person_id
        && there.kind == new.kind
        && there.title == new.title
        && there.text == new.text
        && stated_at.is_none_or(|at| at == there.submitted_at)
}

/// Whether a tutor may review or return a submission (Annex 2, Annex 3). `class` is the one in which the trainee stood
/// at `at`.
///
/// **Decided**: "the tutor of the trainee's class" is whoever is then the tutor of the class in which the trainee stands when
/// the mark is made, whichever class the work was submitted in, because that is the class that owes the mark
/// ([`shipei_rules::marking`]). A mark of before a transfer is the old class's, also when it arrives after the transfer.
/// A submission that is disregarded may be marked: it counts again when what it is disregarded for turns out otherwise.
///
/// # Errors
/// NOT_FOUND (not submitted by then, or retracted), NOT_CLASS_TUTOR, WITHDRAWN, WINDOW_NOT_OPEN, WINDOW_CLOSED, SUPERSEDED,
/// COMMENT_REQUIRED, LIMIT_REACHED.
pub(crate) fn decide_mark(
    scheme: &Scheme,
    (tutor, class, trainee): (&Member, Option<&Class>, &Member),
    (submission, marks): (&Submission, &[Mark]),
    comment: &str,
    at: DateTime<Utc>,
) -> Decided<()> {
    if at < submission.submitted_at || !submission.stands {
        return Err(not_found("submission_id"));
    }
    refuse_other_tutor(tutor, class, at)?;
    if tutor.person_id == trainee.person_id {
        let refusal = Refusal::new(ErrorReason::NotClassTutor).field("tutor_id");
        return Err(refusal.because("nobody marks their own work"));
    }
    refuse_withdrawn(trainee, at)?;
    inside(scheme.trainee.assignment.review_period(), at, "review_until")?;
    if submission.standing.superseded_at().is_some_and(|superseded_at| superseded_at <= at) {
        return Err(Refusal::new(ErrorReason::Superseded));
    }
    if characters::is_blank(comment) {
        return Err(Refusal::new(ErrorReason::CommentRequired).field("comment"));
    }
    if marks.len() >= MARKS_PER_SUBMISSION_MAX {
        return Err(
            Refusal::new(ErrorReason::LimitReached).with("kept_max", MARKS_PER_SUBMISSION_MAX.to_string())
        );
    }
    Ok(())
}

/// Whether a mark was given by the tutor of the class in which the trainee stood then, by what is known now; `classes` are those of
/// the trainee. At the very instant at which somebody else comes to it, or the trainee to another class, either of them may have
/// given it: it was taken from who had it then.
pub(crate) fn is_by_the_tutor(
    places: &PlaceHistory,
    classes: &[Class],
    tutor_id: &PersonId,
    at: DateTime<Utc>,
) -> bool {
    [places.at(at), places.before(at)].iter().any(|place| {
        let class = classes.iter().find(|class| place.class_id.as_ref() == Some(&class.class_id));
        class.is_some_and(|class| {
            class.is_led_by(tutor_id, at) || class.tutors.before(at).as_ref() == Some(tutor_id)
        })
    })
}

/// As of when a trainee's class tells who owes the marks that are owed as of `as_of`: from the end of `review_until` on
/// it is the class of just before ([`shipei_rules::marking`]).
pub(crate) fn owing_as_of(scheme: &Scheme, as_of: DateTime<Utc>) -> DateTime<Utc> {
    // Instants are whole microseconds.
    as_of.min(scheme.trainee.assignment.review_until - TimeDelta::microseconds(1))
}

/// A class's seminar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seminar {
    pub(crate) seminar_id: SeminarId,
    pub(crate) class_id: ClassId,
    pub(crate) tutor_id: PersonId,
    pub(crate) topic: String,
    pub(crate) opened_at: DateTime<Utc>,
    /// The latest summary; empty until there is one.
    pub(crate) summary: String,
    /// When the latest summary was published.
    pub(crate) summary_at: Option<DateTime<Utc>>,
    /// When the first summary was published.
    pub(crate) summarised_at: Option<DateTime<Utc>>,
    /// How many summaries there were, whether they stand or not.
    pub(crate) summary_count: i64,
    /// The fact of the latest summary; empty until there is one.
    pub(crate) summary_fact_id: String,
    pub(crate) fact_id: String,
    /// Whether its opening was not retracted.
    pub(crate) stands: bool,
}

/// An accepted post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Post {
    pub(crate) number: i64,
    pub(crate) person_id: PersonId,
    pub(crate) text: String,
    pub(crate) characters: i64,
    pub(crate) posted_at: DateTime<Utc>,
    pub(crate) fact_id: String,
    /// Whether it was not retracted.
    pub(crate) stands: bool,
}

/// Whether a tutor may open a seminar for a class (Annex 3).
///
/// # Errors
/// NOT_CLASS_TUTOR, WINDOW_NOT_OPEN, WINDOW_CLOSED.
pub(crate) fn decide_opening(
    scheme: &Scheme,
    tutor: &Member,
    class: &Class,
    at: DateTime<Utc>,
) -> Decided<()> {
    refuse_other_tutor(tutor, Some(class), at)?;
    inside(scheme.tutor.seminar.period, at, "seminar")
}

/// Whether a seminar of that id is the very same one, sent again.
pub(crate) fn is_same_seminar(there: &Seminar, new: &Seminar, stated_at: Option<DateTime<Utc>>) -> bool {
    there.class_id == new.class_id
        && there.tutor_id == new.tutor_id
        && there.topic == new.topic
        && stated_at.is_none_or(|at| at == there.opened_at)
}

/// Whether a trainee's post is accepted, and its 字数 (Annex 2, seminar). Their own class is the one of `at`.
///
/// # Errors
/// NOT_FOUND (not opened by then, or retracted), NOT_CLASS_MEMBER, WITHDRAWN, WINDOW_NOT_OPEN, WINDOW_CLOSED, TEXT_TOO_SHORT.
pub(crate) fn decide_post(
    scheme: &Scheme,
    trainee: &Member,
    seminar: &Seminar,
    text: &str,
    at: DateTime<Utc>,
) -> Decided<i64> {
    if at < seminar.opened_at || !seminar.stands {
        return Err(not_found("seminar_id"));
    }
    if trainee.places.at(at).class_id.as_ref() != Some(&seminar.class_id) {
        return Err(Refusal::new(ErrorReason::NotClassMember).with("class_id", seminar.class_id.as_str()));
    }
    refuse_withdrawn(trainee, at)?;
    let rules = &scheme.trainee.seminar;
    inside(rules.period, at, "seminar")?;
    let characters = i64::try_from(characters::count(text)).unwrap_or(i64::MAX);
    if characters < rules.min_characters {
        return Err(Refusal::new(ErrorReason::TextTooShort)
            .field("text")
            .with("characters", characters.to_string())
            .with("characters_min", rules.min_characters.to_string()));
    }
    Ok(characters)
}

/// A summary of a seminar, published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Its number among the seminar's summaries, from 1.
    pub(crate) number: i64,
    pub(crate) tutor_id: PersonId,
    pub(crate) text: String,
    pub(crate) at: DateTime<Utc>,
    pub(crate) fact_id: String,
}

/// Whether a tutor may publish a seminar's summary (Annex 3). `class` is the seminar's.
///
/// # Errors
/// NOT_FOUND (not opened by then, or retracted), NOT_CLASS_TUTOR, WINDOW_NOT_OPEN, WINDOW_CLOSED.
pub(crate) fn decide_summary(
    scheme: &Scheme,
    tutor: &Member,
    class: Option<&Class>,
    seminar: &Seminar,
    at: DateTime<Utc>,
) -> Decided<()> {
    if at < seminar.opened_at || !seminar.stands {
        return Err(not_found("seminar_id"));
    }
    refuse_other_tutor(tutor, class, at)?;
    inside(scheme.tutor.seminar.period, at, "seminar")
}

/// A class's bulletin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bulletin {
    pub(crate) class_id: ClassId,
    pub(crate) number: i64,
    pub(crate) tutor_id: PersonId,
    pub(crate) title: String,
    pub(crate) text: String,
    pub(crate) published_at: DateTime<Utc>,
    pub(crate) fact_id: String,
    /// Whether it was not retracted.
    pub(crate) stands: bool,
}

/// Whether a tutor may publish a bulletin (Annex 3).
///
/// # Errors
/// NOT_CLASS_TUTOR, NOT_FOUND (a number that the scheme does not have), WINDOW_NOT_OPEN, WINDOW_CLOSED.
pub(crate) fn decide_bulletin(scheme: &Scheme, tutor: &Member, class: &Class, new: &Bulletin) -> Decided<()> {
    refuse_other_tutor(tutor, Some(class), new.published_at)?;
    let rules = scheme.tutor.bulletins.iter().find(|rules| rules.number == new.number);
    let Some(rules) = rules else { return Err(not_found("number")) };
    inside(rules.period, new.published_at, &format!("bulletin_{}", rules.number))
}

fn refuse_withdrawn(trainee: &Member, at: DateTime<Utc>) -> Decided<()> {
    if trainee.absences.at(at) {
        return Err(Refusal::new(ErrorReason::Withdrawn).with("person_id", trainee.person_id.as_str()));
    }
    Ok(())
}

fn refuse_other_tutor(tutor: &Member, class: Option<&Class>, at: DateTime<Utc>) -> Decided<()> {
    if tutor.absences.at(at) {
        return Err(Refusal::new(ErrorReason::Withdrawn).field("tutor_id"));
    }
    if class.is_some_and(|class| class.is_led_by(&tutor.person_id, at)) {
        return Ok(());
    }
    let refusal = Refusal::new(ErrorReason::NotClassTutor).field("tutor_id");
    Err(match class {
        Some(class) => refusal.with("class_id", class.class_id.as_str()),
        None => refusal,
    })
}

#[cfg(test)]
mod tests;
