//! One trainee with all their facts, as loaded from the tables, and as the rules want them.

use shipei_mirror::{Member, PlaceHistory};
use shipei_rules::{
    ids::{ActivityId, SeminarId, SubmissionId},
    trainee::{MarkKind, OfflineScore as ScoredOffline, SeminarPost, SubmissionFacts, TraineeFacts},
    vocabulary::{Grade, Role},
};
use shipei_store::StoreError;

use crate::facts::{Attendance, Instant, Mark, OfflineScore, PhaseAchieved, Submission};

/// The first post of a trainee to a seminar since the window opened.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct FirstPost {
    /// The trainee.
    pub person_id: String,
    /// The seminar.
    pub seminar_id: String,
    /// When.
    pub posted_at: Instant,
}

/// What the tables hold of one trainee.
#[derive(Debug, Clone, Default)]
pub struct TraineeRows {
    /// As enrollment names them; `None` while they are not registered.
    pub member: Option<Member>,
    /// Achieved phases.
    pub phases: Vec<PhaseAchieved>,
    /// Submissions.
    pub submissions: Vec<Submission>,
    /// Marks of all submissions.
    pub marks: Vec<Mark>,
    /// First posts.
    pub posts: Vec<FirstPost>,
    /// Attendances.
    pub attendances: Vec<Attendance>,
    /// Offline scores.
    pub offline_scores: Vec<OfflineScore>,
}

/// A submission with its first mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubmissionRecord {
    /// Its id.
    pub id: SubmissionId,
    /// When it was submitted.
    pub submitted_at: Instant,
    /// When a newer one replaced it.
    pub superseded_at: Option<Instant>,
    /// When it was first reviewed or returned.
    pub first_mark_at: Option<Instant>,
    /// The duties that are stored: class that owes a mark, class whose week it made late.
    pub stored_duty: (Option<String>, Option<String>),
}

/// A registered trainee.
#[derive(Debug, Clone)]
pub struct TraineeRecord {
    /// Who.
    pub person_id: String,
    /// The education stage's word; empty where there is none.
    pub education_stage: &'static str,
    /// Where they stood.
    pub places: PlaceHistory,
    /// What the rules judge.
    pub facts: TraineeFacts,
    /// Their submissions.
    pub submissions: Vec<SubmissionRecord>,
    /// Their attendances.
    pub attendances: Vec<Attendance>,
    /// The time of their latest fact; enrolment is none.
    pub latest_fact_at: Option<Instant>,
}

impl TraineeRecord {
    /// Whether they had withdrawn by then.
    pub fn withdrawn_by(&self, as_of: Instant) -> bool {
        self.facts.withdrawn_at.is_some_and(|withdrawn_at| withdrawn_at <= as_of)
    }

    /// From the tables; `None` for somebody who is not registered, or no trainee. `phases` is the length of the
    /// scheme's online list. An id that can't be is a corrupt row.
    pub fn new(rows: TraineeRows, phases: usize) -> Result<Option<Self>, StoreError> {
        let Some(member) = rows.member.filter(|member| member.role == Role::Trainee) else { return Ok(None) };
        let mut latest = member.login_at.max(member.withdrawn_at);
        let mut facts = TraineeFacts {
            login_at: member.login_at,
            withdrawn_at: member.withdrawn_at,
            phases: vec![None; phases],
            ..TraineeFacts::default()
        };
        for phase in rows.phases {
            latest = latest.max(Some(phase.achieved_at));
            let entry = usize::try_from(phase.phase_index).ok().and_then(|index| facts.phases.get_mut(index));
            if let Some(entry) = entry {
                *entry = Some(phase.achieved_at);
            }
        }
        for post in rows.posts {
            latest = latest.max(Some(post.posted_at));
            let seminar = SeminarId::parse(&post.seminar_id)
                .map_err(|_| StoreError::corrupt_row("post", "seminar_id", &member.person_id))?;
            facts.seminar_posts.push(SeminarPost { seminar, at: post.posted_at });
        }
        for score in rows.offline_scores {
            latest = latest.max(Some(score.scored_at));
            facts.offline_scores.push(offline_score(score)?);
        }
        for attendance in &rows.attendances {
            latest = latest.max(Some(attendance.attended_at));
        }
        let (judged, submissions) = submissions(rows.submissions, rows.marks)?;
        facts.submissions = judged;
        for (judged, submission) in facts.submissions.iter().zip(&submissions) {
            let last_mark = judged.marks.iter().map(|mark| mark.at).max();
            latest = latest.max(Some(submission.submitted_at)).max(submission.superseded_at).max(last_mark);
        }
        latest = latest.max(member.places.latest_change());
        Ok(Some(Self {
            person_id: member.person_id,
            education_stage: member.education_stage.map_or("", |stage| stage.as_str()),
            places: member.places,
            facts,
            submissions,
            attendances: rows.attendances,
            latest_fact_at: latest,
        }))
    }
}

fn offline_score(row: OfflineScore) -> Result<ScoredOffline, StoreError> {
    let activity = ActivityId::parse(&row.activity_id)
        .map_err(|_| StoreError::corrupt_row("offline_score", "activity_id", &row.person_id))?;
    Ok(ScoredOffline { activity, score: row.score, at: row.scored_at, sequence: row.score_number })
}

/// Submissions with their marks, by id. One whose own event has not arrived is left out until it has.
fn submissions(
    mut rows: Vec<Submission>,
    marks: Vec<Mark>,
) -> Result<(Vec<SubmissionFacts>, Vec<SubmissionRecord>), StoreError> {
    rows.sort_by(|left, right| left.submission_id.cmp(&right.submission_id));
    let mut judged = Vec::with_capacity(rows.len());
    let mut records = Vec::with_capacity(rows.len());
    for row in rows {
        let Some(submitted_at) = row.submitted_at else { continue };
        let id = SubmissionId::parse(&row.submission_id)
            .map_err(|_| StoreError::corrupt_row("submission", "submission_id", &row.person_id))?;
        let mut own_marks = Vec::new();
        for mark in marks.iter().filter(|mark| mark.submission_id == row.submission_id) {
            let kind = match mark.grade.as_str() {
                "" => MarkKind::Returned,
                word => MarkKind::Graded(
                    Grade::parse(word)
                        .ok_or_else(|| StoreError::corrupt_row("mark", "grade", &row.submission_id))?,
                ),
            };
            own_marks.push(shipei_rules::trainee::Mark {
                at: mark.marked_at,
                sequence: mark.mark_number,
                kind,
            });
        }
        records.push(SubmissionRecord {
            id: id.clone(),
            submitted_at,
            superseded_at: row.superseded_at,
            first_mark_at: own_marks.iter().map(|mark| mark.at).min(),
            stored_duty: (row.owed_class_id, row.late_class_id),
        });
        let superseded_at = row.superseded_at;
        judged.push(SubmissionFacts { id, submitted_at, superseded_at, marks: own_marks });
    }
    Ok((judged, records))
}
