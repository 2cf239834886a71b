//! What a batch of heartbeats reads and writes: always by lists of keys, never row by row.
//!
//! Whoever changes a learner's study holds the learner's row: it is locked first, in the order of the keys, so that two
//! processes can't wait for each other. A learner or a session that is not stored yet is INSERTed without ON CONFLICT:
//! if another process was faster the statement fails with a unique violation, and the batch is done again.

use chrono::{DateTime, NaiveDate, Utc};
use shipei_rules::study_time::{LearnerStudy, PhaseStudy, SessionStudy, UncreditedReason};
use shipei_store::{StoreError, Tx, bulk_insert, select_by_keys};

use crate::domain::study::{AchievedBy, Learner, Phase, Session, Tally, place_of};

const BY_MINUTES: &str = "minutes";
const BY_MAIN_LINE: &str = "main_line";

/// A row of `learner`.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct LearnerRow {
    pub(crate) person_id: String,
    credited_until: Option<DateTime<Utc>>,
    day: Option<i64>,
    day_seconds: i64,
}

impl LearnerRow {
    /// The state that the row holds.
    pub(crate) fn study(&self) -> Result<LearnerStudy, StoreError> {
        let day = match self.day {
            None => None,
            Some(days) => Some(
                i32::try_from(days)
                    .ok()
                    .and_then(NaiveDate::from_epoch_days)
                    .ok_or_else(|| StoreError::corrupt_row("learner", "day", &self.person_id))?,
            ),
        };
        Ok(LearnerStudy { credited_until: self.credited_until, day, day_seconds: self.day_seconds })
    }
}

/// A row of `phase_progress`.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct PhaseRow {
    pub(crate) person_id: String,
    pub(crate) phase_index: i64,
    seconds: i64,
    main_line_complete: i64,
    achieved_at: Option<DateTime<Utc>>,
    achieved_by: String,
}

impl PhaseRow {
    /// The state that the row holds.
    pub(crate) fn phase(&self) -> Result<Phase, StoreError> {
        let achieved_by = match self.achieved_by.as_str() {
            "" => None,
            BY_MINUTES => Some(AchievedBy::Minutes),
            BY_MAIN_LINE => Some(AchievedBy::MainLine),
            _ => return Err(StoreError::corrupt_row("phase_progress", "achieved_by", &self.person_id)),
        };
        Ok(Phase {
            study: PhaseStudy { seconds: self.seconds, achieved_at: self.achieved_at },
            main_line_complete: self.main_line_complete,
            achieved_by,
            changed: false,
        })
    }
}

/// A row of `course_progress`.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct CourseProgressRow {
    pub(crate) person_id: String,
    pub(crate) course_id: String,
    pub(crate) credited_seconds: i64,
}

/// A row of `phase_course_progress`.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct PhaseCourseRow {
    pub(crate) person_id: String,
    pub(crate) course_id: String,
    pub(crate) phase_index: i64,
    pub(crate) seconds: i64,
}

/// Who selected what, when.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct SelectedRow {
    pub(crate) person_id: String,
    pub(crate) course_id: String,
    pub(crate) selected_at: DateTime<Utc>,
}

/// A row of `session`.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct SessionRow {
    pub(crate) session_id: String,
    pub(crate) person_id: String,
    pub(crate) course_id: String,
    pub(crate) opened_at: DateTime<Utc>,
    last_at: DateTime<Utc>,
    last_seq: i64,
    credited_seconds: i64,
    overlap_seconds: i64,
    overlap_beats: i64,
    gap_seconds: i64,
    gap_beats: i64,
    course_full_seconds: i64,
    course_full_beats: i64,
    daily_cap_seconds: i64,
    daily_cap_beats: i64,
    outside_window_seconds: i64,
    outside_window_beats: i64,
    duplicate_beats: i64,
}

impl SessionRow {
    /// The state that the row holds.
    pub(crate) fn session(&self) -> Session {
        let mut uncredited = [Tally::default(); UncreditedReason::ALL.len()];
        let mut tally = |reason, seconds, beats| uncredited[place_of(reason)] = Tally { seconds, beats };
        tally(UncreditedReason::Overlap, self.overlap_seconds, self.overlap_beats);
        tally(UncreditedReason::Gap, self.gap_seconds, self.gap_beats);
        tally(UncreditedReason::CourseFull, self.course_full_seconds, self.course_full_beats);
        tally(UncreditedReason::DailyCap, self.daily_cap_seconds, self.daily_cap_beats);
        tally(UncreditedReason::OutsideWindow, self.outside_window_seconds, self.outside_window_beats);
        tally(UncreditedReason::Duplicate, 0, self.duplicate_beats);
        Session {
            opened_at: self.opened_at,
            study: SessionStudy { last_seq: self.last_seq, last_at: self.last_at },
            credited_seconds: self.credited_seconds,
            uncredited,
            stored: true,
            changed: false,
        }
    }
}

/// Locks the learners of these ids (sorted, distinct) and gives those that are stored.
pub(crate) async fn lock_learners(
    tx: &mut Tx,
    programme_id: &str,
    person_ids: &[&str],
) -> Result<Vec<LearnerRow>, StoreError> {
    let in_order = if tx.is_postgres() { " ORDER BY person_id FOR UPDATE" } else { "" };
    select_by_keys!(
        tx,
        LearnerRow,
        [
            "SELECT person_id, credited_until, day, day_seconds FROM learner WHERE programme_id = ",
            programme_id,
            " AND person_id IN "
        ],
        person_ids,
        |person_id| (*person_id),
        in_order
    )
}

/// All phases of these learners.
pub(crate) async fn phases(
    tx: &mut Tx,
    programme_id: &str,
    person_ids: &[&str],
) -> Result<Vec<PhaseRow>, StoreError> {
    select_by_keys!(
        tx,
        PhaseRow,
        [
            "SELECT person_id, phase_index, seconds, main_line_complete, achieved_at, achieved_by \
             FROM phase_progress WHERE programme_id = ",
            programme_id,
            " AND person_id IN "
        ],
        person_ids,
        |person_id| (*person_id)
    )
}

/// These learners' courses, by (person, course).
pub(crate) async fn course_progress(
    tx: &mut Tx,
    programme_id: &str,
    keys: &[(&str, &str)],
) -> Result<Vec<CourseProgressRow>, StoreError> {
    select_by_keys!(
        tx,
        CourseProgressRow,
        [
            "SELECT person_id, course_id, credited_seconds FROM course_progress WHERE programme_id = ",
            programme_id,
            " AND (person_id, course_id) IN "
        ],
        keys,
        |(person_id, course_id)| (*person_id, *course_id)
    )
}

/// What main-line courses hold by phase, by (person, course).
pub(crate) async fn phase_courses(
    tx: &mut Tx,
    programme_id: &str,
    keys: &[(&str, &str)],
) -> Result<Vec<PhaseCourseRow>, StoreError> {
    select_by_keys!(
        tx,
        PhaseCourseRow,
        [
            "SELECT person_id, course_id, phase_index, seconds FROM phase_course_progress WHERE programme_id = ",
            programme_id,
            " AND (person_id, course_id) IN "
        ],
        keys,
        |(person_id, course_id)| (*person_id, *course_id)
    )
}

/// Which of these were selected, by (person, course).
pub(crate) async fn selected(
    tx: &mut Tx,
    programme_id: &str,
    keys: &[(&str, &str)],
) -> Result<Vec<SelectedRow>, StoreError> {
    select_by_keys!(
        tx,
        SelectedRow,
        [
            "SELECT person_id, course_id, selected_at FROM selection WHERE programme_id = ",
            programme_id,
            " AND (person_id, course_id) IN "
        ],
        keys,
        |(person_id, course_id)| (*person_id, *course_id)
    )
}

/// The sessions of these learners and ids that are stored.
pub(crate) async fn sessions(
    tx: &mut Tx,
    programme_id: &str,
    keys: &[(&str, &str)],
) -> Result<Vec<SessionRow>, StoreError> {
    select_by_keys!(
        tx,
        SessionRow,
        [
            "SELECT session_id, person_id, course_id, opened_at, last_at, last_seq, credited_seconds, \
             overlap_seconds, overlap_beats, gap_seconds, gap_beats, course_full_seconds, course_full_beats, \
             daily_cap_seconds, daily_cap_beats, outside_window_seconds, outside_window_beats, duplicate_beats \
             FROM session WHERE programme_id = ",
            programme_id,
            " AND (person_id, session_id) IN "
        ],
        keys,
        |(person_id, session_id)| (*person_id, *session_id)
    )
}

/// Keeps learners: new ones are inserted, stored ones updated.
pub(crate) async fn save_learners(
    tx: &mut Tx,
    programme_id: &str,
    learners: &[(&str, &Learner)],
) -> Result<(), StoreError> {
    const INSERT: &str = "INSERT INTO learner (programme_id, person_id, credited_until, day, day_seconds)";
    const UPDATE: &str = " ON CONFLICT (programme_id, person_id) DO UPDATE SET \
        credited_until = excluded.credited_until, day = excluded.day, day_seconds = excluded.day_seconds";
    let (stored, new): (Vec<_>, Vec<_>) = learners.iter().copied().partition(|(_, learner)| learner.stored);
    for (rows, suffix) in [(new, ""), (stored, UPDATE)] {
        bulk_insert!(
            tx,
            INSERT,
            rows,
            |(person_id, learner)| (
                programme_id,
                *person_id,
                learner.study.credited_until,
                learner.study.day.map(|day| i64::from(day.to_epoch_days())),
                learner.study.day_seconds
            ),
            suffix
        )?;
    }
    Ok(())
}

/// Keeps phases, by (person, index).
pub(crate) async fn save_phases(
    tx: &mut Tx,
    programme_id: &str,
    phases: &[(&str, i64, &Phase)],
) -> Result<(), StoreError> {
    bulk_insert!(
        tx,
        "INSERT INTO phase_progress \
         (programme_id, person_id, phase_index, seconds, main_line_complete, achieved_at, achieved_by)",
        phases,
        |(person_id, index, phase)| (
            programme_id,
            *person_id,
            *index,
            phase.study.seconds,
            phase.main_line_complete,
            phase.study.achieved_at,
            match phase.achieved_by {
                None => "",
                Some(AchievedBy::Minutes) => BY_MINUTES,
                Some(AchievedBy::MainLine) => BY_MAIN_LINE,
            }
        ),
        " ON CONFLICT (programme_id, person_id, phase_index) DO UPDATE SET seconds = excluded.seconds, \
         main_line_complete = excluded.main_line_complete, achieved_at = excluded.achieved_at, \
         achieved_by = excluded.achieved_by"
    )?;
    Ok(())
}

/// Keeps the seconds of courses, by (person, course).
pub(crate) async fn save_course_progress(
    tx: &mut Tx,
    programme_id: &str,
    courses: &[(&str, &str, i64)],
) -> Result<(), StoreError> {
    bulk_insert!(
        tx,
        "INSERT INTO course_progress (programme_id, person_id, course_id, credited_seconds)",
        courses,
        |(person_id, course_id, seconds)| (programme_id, *person_id, *course_id, *seconds),
        " ON CONFLICT (programme_id, person_id, course_id) DO UPDATE SET \
         credited_seconds = excluded.credited_seconds"
    )?;
    Ok(())
}

/// Keeps what main-line courses hold by phase, by (person, course, index).
pub(crate) async fn save_phase_courses(
    tx: &mut Tx,
    programme_id: &str,
    courses: &[(&str, &str, i64, i64)],
) -> Result<(), StoreError> {
    bulk_insert!(
        tx,
        "INSERT INTO phase_course_progress (programme_id, person_id, course_id, phase_index, seconds)",
        courses,
        |(person_id, course_id, index, seconds)| (programme_id, *person_id, *course_id, *index, *seconds),
        " ON CONFLICT (programme_id, person_id, course_id, phase_index) DO UPDATE SET seconds = excluded.seconds"
    )?;
    Ok(())
}

/// A session to be kept, with its keys. `actor` is whoever opened it, and is not looked at later.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeptSession<'a> {
    pub(crate) session_id: &'a str,
    pub(crate) person_id: &'a str,
    pub(crate) course_id: &'a str,
    pub(crate) session: &'a Session,
    pub(crate) actor: &'a str,
}

/// Keeps sessions: new ones are inserted, stored ones updated.
pub(crate) async fn save_sessions(
    tx: &mut Tx,
    programme_id: &str,
    sessions: &[KeptSession<'_>],
    recorded_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    const UPDATE: &str = " ON CONFLICT (programme_id, person_id, session_id) DO UPDATE SET last_at = excluded.last_at, \
        last_seq = excluded.last_seq, credited_seconds = excluded.credited_seconds, \
        overlap_seconds = excluded.overlap_seconds, overlap_beats = excluded.overlap_beats, \
        gap_seconds = excluded.gap_seconds, gap_beats = excluded.gap_beats, \
        course_full_seconds = excluded.course_full_seconds, course_full_beats = excluded.course_full_beats, \
        daily_cap_seconds = excluded.daily_cap_seconds, daily_cap_beats = excluded.daily_cap_beats, \
        outside_window_seconds = excluded.outside_window_seconds, \
        outside_window_beats = excluded.outside_window_beats, duplicate_beats = excluded.duplicate_beats";
    let (stored, new): (Vec<_>, Vec<_>) = sessions.iter().copied().partition(|kept| kept.session.stored);
    for (rows, suffix) in [(new, ""), (stored, UPDATE)] {
        bulk_insert!(
            tx,
            "INSERT INTO session (programme_id, session_id, person_id, course_id, opened_at, recorded_at, actor, \
             last_at, last_seq, credited_seconds, overlap_seconds, overlap_beats, gap_seconds, gap_beats, \
             course_full_seconds, course_full_beats, daily_cap_seconds, daily_cap_beats, outside_window_seconds, \
             outside_window_beats, duplicate_beats)",
            rows,
            |tuple, kept| {
                tuple.push_bind(programme_id);
                tuple.push_bind(kept.session_id);
                tuple.push_bind(kept.person_id);
                tuple.push_bind(kept.course_id);
                tuple.push_bind(kept.session.opened_at);
                tuple.push_bind(recorded_at);
                tuple.push_bind(kept.actor);
                tuple.push_bind(kept.session.study.last_at);
                tuple.push_bind(kept.session.study.last_seq);
                tuple.push_bind(kept.session.credited_seconds);
                for reason in [
                    UncreditedReason::Overlap,
                    UncreditedReason::Gap,
                    UncreditedReason::CourseFull,
                    UncreditedReason::DailyCap,
                    UncreditedReason::OutsideWindow,
                ] {
                    let tally = kept.session.uncredited[place_of(reason)];
                    tuple.push_bind(tally.seconds);
                    tuple.push_bind(tally.beats);
                }
                tuple.push_bind(kept.session.uncredited[place_of(UncreditedReason::Duplicate)].beats);
            },
            suffix
        )?;
    }
    Ok(())
}
