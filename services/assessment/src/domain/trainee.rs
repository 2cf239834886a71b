//! One trainee with all their facts, as loaded from the tables, and as the rules want them.

use std::{collections::BTreeMap, sync::Arc};

use shipei_mirror::{History, Member, Place, PlaceHistory, Teaching, Windows};
use shipei_rules::{
    explanation::{Adjustment, ItemKey},
    ids::{ActivityId, ClassId, PersonId, SeminarId, SubmissionId},
    marking::{Answering, Elsewhere, TraineeWork, answering},
    region::RegionCode,
    scheme::Scheme,
    submission::{self, MarkKind},
    trainee::{OfflineScore as ScoredOffline, SeminarPost, Studied, TraineeFacts},
    vocabulary::{AdjustmentKind, EducationStage, Grade},
};
use shipei_store::StoreError;

use crate::facts::{Attendance, Decision, Instant, OfflineScore, Submission};

/// When a trainee achieved an entry of the scheme's online list.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct PhaseRow {
    /// The trainee.
    #[sqlx(try_from = "String")]
    pub person_id: PersonId,
    /// Which entry, from 0.
    pub phase_index: i64,
    /// Whether it is of all study of a person with several ids.
    pub united: bool,
    /// When; `None` when it was taken back, or is not achieved yet.
    pub achieved_at: Option<Instant>,
    /// How much was studied of it, in seconds; `None` where that is not known.
    pub studied_seconds: Option<i64>,
    /// By when.
    pub studied_at: Option<Instant>,
}

/// What a tutor made of a submission.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct MarkRow {
    /// Of which submission.
    #[sqlx(try_from = "String")]
    pub submission_id: SubmissionId,
    /// Its number among the trainee's submissions and marks.
    pub mark_number: i64,
    /// The trainee.
    #[sqlx(try_from = "String")]
    pub person_id: PersonId,
    /// The grade's word; empty for a return.
    pub grade: String,
    /// When.
    pub marked_at: Instant,
}

/// A post of a trainee to a seminar since the window opened.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct PostRow {
    /// The trainee.
    #[sqlx(try_from = "String")]
    pub person_id: PersonId,
    /// The seminar.
    #[sqlx(try_from = "String")]
    pub seminar_id: SeminarId,
    /// The class whose seminar it is.
    #[sqlx(try_from = "String")]
    pub class_id: ClassId,
    /// When.
    pub posted_at: Instant,
}

/// An attendance as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct AttendanceRow {
    /// The trainee.
    #[sqlx(try_from = "String")]
    pub person_id: PersonId,
    /// The activity.
    #[sqlx(try_from = "String")]
    pub activity_id: ActivityId,
    /// The activity's county.
    #[sqlx(try_from = "String")]
    pub county_code: RegionCode,
    /// The county that stood for it then.
    #[sqlx(try_from = "String")]
    pub county_then: RegionCode,
    /// The activity's education stage.
    pub education_stage: String,
    /// When it was recorded.
    pub attended_at: Instant,
}

impl AttendanceRow {
    /// Whether this member stood in the activity's county then, and taught at its education stage.
    fn is_of(&self, member: &Member) -> bool {
        let stage = member.teaching.at(self.attended_at).education_stage;
        member.places.at(self.attended_at).county_code == Some(self.county_then)
            && stage == EducationStage::parse(&self.education_stage)
    }

    fn attendance(self) -> Attendance {
        let Self { person_id, activity_id, county_code, education_stage, attended_at, .. } = self;
        Attendance { person_id, activity_id, county_code, education_stage, attended_at }
    }
}

/// What the tables hold of one trainee.
#[derive(Debug, Clone, Default)]
pub struct TraineeRows {
    /// As enrollment names them; `None` while they are not registered.
    pub member: Option<Member>,
    /// The ids that count for them.
    pub merged: Vec<Member>,
    /// Achieved phases.
    pub phases: Vec<PhaseRow>,
    /// Submissions.
    pub submissions: Vec<Submission>,
    /// Marks of all submissions.
    pub marks: Vec<MarkRow>,
    /// Posts.
    pub posts: Vec<PostRow>,
    /// Attendances.
    pub attendances: Vec<AttendanceRow>,
    /// Offline scores.
    pub offline_scores: Vec<OfflineScore>,
    /// What was decided about items, and stands.
    pub decisions: Vec<Decision>,
}

/// A registered trainee.
#[derive(Debug, Clone)]
pub struct TraineeRecord {
    /// The scheme with the windows that apply to them.
    pub scheme: Arc<Scheme>,
    /// Who.
    pub person_id: PersonId,
    /// What they teach, at each time.
    pub teaching: History<Teaching>,
    /// Where they stood.
    pub places: PlaceHistory,
    /// What the rules judge.
    pub facts: TraineeFacts,
    /// The rows of their submissions, also of those that were retracted.
    pub submissions: Vec<Submission>,
    /// Their attendances, one of each activity.
    pub attendances: Vec<Attendance>,
    /// Of submissions that were recorded for an id that counts for them: where that stood, and when it was away.
    elsewhere: Elsewhere<Place>,
    /// The time of their latest fact; enrolment and decisions are none.
    pub latest_fact_at: Option<Instant>,
}

impl TraineeRecord {
    /// Whether they were away then.
    pub fn withdrawn_by(&self, as_of: Instant) -> bool {
        self.facts.absences.at(as_of)
    }

    /// Where who handed in a submission stood: the id that it was recorded for.
    pub fn places_of(&self, submission_id: &SubmissionId) -> &PlaceHistory {
        self.elsewhere.get(submission_id).map_or(&self.places, |(places, _)| places)
    }

    /// Who answers for the marking of their submissions as of a time.
    pub fn answering(&self, as_of: Instant) -> Vec<Answering<'_, Place>> {
        let work = TraineeWork {
            submissions: &self.facts.submissions,
            places: &self.places,
            absences: &self.facts.absences,
            elsewhere: &self.elsewhere,
        };
        answering(&self.scheme, &work, as_of)
    }

    /// From the tables; `None` for somebody who is not registered, or no trainee, or an id that counts for another one. A grade that
    /// can't be is a corrupt row.
    pub fn new(rows: TraineeRows, windows: &Windows) -> Result<Option<Self>, StoreError> {
        let counts = |member: &Member| member.counts_for.is_none();
        let Some(member) = rows.member.filter(counts) else { return Ok(None) };
        let logins = rows.merged.iter().chain([&member]).filter_map(|member| member.login_at);
        let login_at = logins.min();
        let mut latest = login_at.max(member.absences.latest_change());
        let mut facts = TraineeFacts {
            login_at,
            absences: member.absences.clone(),
            phases: vec![None; windows.scheme.trainee.online.len()],
            studied: vec![None; windows.scheme.trainee.online.len()],
            ..TraineeFacts::default()
        };
        // Who has one id has achieved what that says, and who has several what all of them say together.
        let united = !rows.merged.is_empty();
        let own = |phase: &PhaseRow| phase.united == united && phase.person_id == member.person_id;
        for phase in rows.phases.into_iter().filter(own) {
            latest = latest.max(phase.achieved_at);
            let index = usize::try_from(phase.phase_index).ok();
            if let Some(entry) = index.and_then(|index| facts.phases.get_mut(index)) {
                *entry = phase.achieved_at;
            }
            // No fact that a score rests on, so it is not the latest: an item says itself since when there is so much.
            if let Some(entry) = index.and_then(|index| facts.studied.get_mut(index)) {
                let studied = phase.studied_seconds.zip(phase.studied_at);
                *entry = studied.map(|(seconds, at)| Studied { seconds, at });
            }
        }
        for post in rows.posts {
            // It counts for a seminar of their own class. What was taken from who turns out to have stood elsewhere then does not, for
            // as long as that is known.
            let of = rows.merged.iter().find(|other| other.person_id == post.person_id).unwrap_or(&member);
            if of.places.at(post.posted_at).class_id.as_ref() != Some(&post.class_id) {
                continue;
            }
            latest = latest.max(Some(post.posted_at));
            facts.seminar_posts.push(SeminarPost { seminar: post.seminar_id, at: post.posted_at });
        }
        // Likewise of an activity of their own county and education stage, and of the scores for having been there.
        let attendances: Vec<Attendance> = rows
            .attendances
            .into_iter()
            .filter(|row| {
                row.is_of(
                    rows.merged.iter().find(|other| other.person_id == row.person_id).unwrap_or(&member),
                )
            })
            .map(AttendanceRow::attendance)
            .collect();
        for score in rows.offline_scores {
            let was_there = |attendance: &Attendance| {
                attendance.person_id == score.person_id
                    && attendance.activity_id == score.activity_id
                    && attendance.attended_at <= score.scored_at
            };
            if attendances.iter().any(was_there) {
                latest = latest.max(Some(score.scored_at));
                facts.offline_scores.push(offline_score(score));
            }
        }
        let attendances = one_of_each_activity(attendances);
        for attendance in &attendances {
            latest = latest.max(Some(attendance.attended_at));
        }
        facts.submissions = judged_submissions(&rows.submissions, rows.marks)?;
        if united {
            let all = std::mem::take(&mut facts.submissions);
            facts.submissions =
                read_together(&rows.submissions, all, rows.merged.iter().chain([&member]), windows);
        }
        for submission in &facts.submissions {
            let last_mark = submission.marks.iter().map(|mark| mark.at).max();
            latest = latest.max(Some(submission.submitted_at)).max(last_mark);
        }
        for decision in rows.decisions {
            facts.adjustments.push(adjustment(decision)?);
        }
        latest = latest.max(member.places.latest_change()).max(member.teaching.latest_change());
        let scheme = windows.of_person(&member);
        let mut elsewhere = Elsewhere::new();
        for submission in &rows.submissions {
            let of = rows.merged.iter().find(|member| member.person_id == submission.person_id);
            if let Some(Member { places, absences, .. }) = of {
                elsewhere.insert(submission.submission_id.clone(), (places.clone(), absences.clone()));
            }
        }
        Ok(Some(Self {
            scheme,
            person_id: member.person_id,
            teaching: member.teaching,
            places: member.places,
            facts,
            submissions: rows.submissions,
            attendances,
            elsewhere,
            latest_fact_at: latest,
        }))
    }
}

/// Who attended an activity under two ids attended it once, from the first record of it on.
fn one_of_each_activity(rows: Vec<Attendance>) -> Vec<Attendance> {
    let mut first: BTreeMap<(ActivityId, RegionCode, String), Attendance> = BTreeMap::new();
    for row in rows {
        let key = (row.activity_id.clone(), row.county_code, row.education_stage.clone());
        match first.get(&key) {
            Some(kept) if kept.attended_at <= row.attended_at => {}
            _ => {
                first.insert(key, row);
            }
        }
    }
    first.into_values().collect()
}

/// The submissions of a person with several ids, without those that are disregarded by their own.
fn read_together<'m>(
    rows: &[Submission],
    all: Vec<submission::Submission>,
    members: impl Iterator<Item = &'m Member>,
    windows: &Windows,
) -> Vec<submission::Submission> {
    let author: BTreeMap<&SubmissionId, &PersonId> =
        rows.iter().map(|row| (&row.submission_id, &row.person_id)).collect();
    let mut together = Vec::with_capacity(all.len());
    for member in members {
        let own = all.iter().filter(|work| author.get(&work.id) == Some(&&member.person_id)).cloned();
        together.append(&mut submission::not_disregarded(&windows.of_member(member), own.collect()));
    }
    together
}

fn offline_score(row: OfflineScore) -> ScoredOffline {
    let OfflineScore { activity_id, score, scored_at, score_number, .. } = row;
    ScoredOffline { activity: activity_id, score, at: scored_at, sequence: score_number }
}

fn adjustment(row: Decision) -> Result<Adjustment, StoreError> {
    let corrupt = |column| StoreError::corrupt_row("adjustment", column, &row.fact_id);
    Ok(Adjustment {
        item: row.item.parse::<ItemKey>().map_err(|_| corrupt("item"))?,
        kind: AdjustmentKind::parse(&row.kind).ok_or_else(|| corrupt("kind"))?,
        points: row.points,
        decided_at: row.decided_at,
        expires_at: row.expires_at,
        number: row.number,
        by: row.decided_by,
        fact_id: row.fact_id,
    })
}

/// Submissions that stand with their marks. A mark whose submission was retracted, or has not arrived, is left out.
fn judged_submissions(
    rows: &[Submission],
    marks: Vec<MarkRow>,
) -> Result<Vec<submission::Submission>, StoreError> {
    let mut judged = Vec::with_capacity(rows.len());
    for row in rows.iter().filter(|row| row.stands) {
        let (id, submitted_at, number) = (row.submission_id.clone(), row.submitted_at, row.number);
        judged.push(submission::Submission { id, submitted_at, number, marks: Vec::new() });
    }
    for mark in marks {
        let marked = judged.iter_mut().find(|judged| judged.id == mark.submission_id);
        let Some(marked) = marked else { continue };
        let kind = match mark.grade.as_str() {
            "" => MarkKind::Returned,
            word => MarkKind::Graded(
                Grade::parse(word)
                    .ok_or_else(|| StoreError::corrupt_row("mark", "grade", &mark.submission_id))?,
            ),
        };
        marked.marks.push(submission::Mark { at: mark.marked_at, number: mark.mark_number, kind });
    }
    Ok(judged)
}
