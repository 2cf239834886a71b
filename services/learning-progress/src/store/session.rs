//! What a batch of heartbeats reads and writes of sessions.

use chrono::{DateTime, Utc};
use shipei_rules::ids::{CourseId, PersonId, ProgrammeId, SessionId};
use shipei_rules::study_time::{SessionStudy, UncreditedReason};
use shipei_store::{StoreError, Tx, bulk_insert, select_by_keys};

use crate::domain::beats::BeatLog;
use crate::domain::study::{Session, Tally, place_of};

/// A row of `session`.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct SessionRow {
    #[sqlx(try_from = "String")]
    pub(crate) session_id: SessionId,
    #[sqlx(try_from = "String")]
    pub(crate) person_id: PersonId,
    #[sqlx(try_from = "String")]
    pub(crate) course_id: CourseId,
    pub(crate) opened_at: DateTime<Utc>,
    last_at: DateTime<Utc>,
    last_seq: i64,
    credited_micros: i64,
    beats: Vec<u8>,
    overlap_micros: i64,
    overlap_beats: i64,
    gap_micros: i64,
    gap_beats: i64,
    course_full_micros: i64,
    course_full_beats: i64,
    daily_cap_micros: i64,
    daily_cap_beats: i64,
    outside_window_micros: i64,
    outside_window_beats: i64,
    duplicate_beats: i64,
    voided: bool,
    voided_micros: i64,
    voided_beats: i64,
}

impl SessionRow {
    /// The state that the row holds.
    pub(crate) fn session(&self) -> Result<Session, StoreError> {
        let corrupt = || StoreError::corrupt_row("session", "beats", &self.session_id);
        let beats = BeatLog::from_bytes(&self.beats).ok_or_else(corrupt)?;
        let mut uncredited = [Tally::default(); UncreditedReason::ALL.len()];
        let mut tally = |reason, micros, beats| uncredited[place_of(reason)] = Tally { micros, beats };
        tally(UncreditedReason::Overlap, self.overlap_micros, self.overlap_beats);
        tally(UncreditedReason::Gap, self.gap_micros, self.gap_beats);
        tally(UncreditedReason::CourseFull, self.course_full_micros, self.course_full_beats);
        tally(UncreditedReason::DailyCap, self.daily_cap_micros, self.daily_cap_beats);
        tally(UncreditedReason::OutsideWindow, self.outside_window_micros, self.outside_window_beats);
        tally(UncreditedReason::Duplicate, 0, self.duplicate_beats);
        tally(UncreditedReason::Voided, self.voided_micros, self.voided_beats);
        Ok(Session {
            opened_at: self.opened_at,
            study: SessionStudy { last_seq: self.last_seq, last_at: self.last_at },
            credited_micros: self.credited_micros,
            beats,
            voided: self.voided,
            uncredited,
            stored: true,
            changed: false,
        })
    }
}

/// The sessions of these learners and ids that are stored.
pub(crate) async fn sessions(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    keys: &[(&PersonId, &SessionId)],
) -> Result<Vec<SessionRow>, StoreError> {
    select_by_keys!(
        tx,
        SessionRow,
        [
            "SELECT session_id, person_id, course_id, opened_at, last_at, last_seq, credited_micros, beats, \
             overlap_micros, overlap_beats, gap_micros, gap_beats, course_full_micros, course_full_beats, \
             daily_cap_micros, daily_cap_beats, outside_window_micros, outside_window_beats, duplicate_beats, voided, voided_micros, \
             voided_beats \
             FROM session WHERE programme_id = ",
            programme_id.as_str(),
            " AND (person_id, session_id) IN "
        ],
        keys,
        |(person_id, session_id)| (person_id.as_str(), session_id.as_str())
    )
}

/// All sessions of these learners.
pub(crate) async fn all_sessions(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_ids: &[&PersonId],
) -> Result<Vec<SessionRow>, StoreError> {
    select_by_keys!(
        tx,
        SessionRow,
        [
            "SELECT session_id, person_id, course_id, opened_at, last_at, last_seq, credited_micros, beats, \
             overlap_micros, overlap_beats, gap_micros, gap_beats, course_full_micros, course_full_beats, \
             daily_cap_micros, daily_cap_beats, outside_window_micros, outside_window_beats, duplicate_beats, voided, voided_micros, \
             voided_beats \
             FROM session WHERE programme_id = ",
            programme_id.as_str(),
            " AND person_id IN "
        ],
        person_ids,
        |person_id| (person_id.as_str())
    )
}

/// A session to be kept, with its keys. `actor` is whoever opened it, and is not looked at later.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeptSession<'a> {
    pub(crate) session_id: &'a SessionId,
    pub(crate) person_id: &'a PersonId,
    pub(crate) course_id: &'a CourseId,
    pub(crate) session: &'a Session,
    pub(crate) actor: &'a str,
}

/// Keeps sessions: new ones are inserted, stored ones updated.
pub(crate) async fn save_sessions(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    sessions: &[KeptSession<'_>],
    recorded_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    const UPDATE: &str = " ON CONFLICT (programme_id, person_id, session_id) DO UPDATE SET last_at = excluded.last_at, \
        last_seq = excluded.last_seq, credited_micros = excluded.credited_micros, beats = excluded.beats, \
        overlap_micros = excluded.overlap_micros, overlap_beats = excluded.overlap_beats, \
        gap_micros = excluded.gap_micros, gap_beats = excluded.gap_beats, \
        course_full_micros = excluded.course_full_micros, course_full_beats = excluded.course_full_beats, \
        daily_cap_micros = excluded.daily_cap_micros, daily_cap_beats = excluded.daily_cap_beats, \
        outside_window_micros = excluded.outside_window_micros, \
        outside_window_beats = excluded.outside_window_beats, duplicate_beats = excluded.duplicate_beats, \
        voided = excluded.voided, voided_micros = excluded.voided_micros, voided_beats = excluded.voided_beats";
    let (stored, new): (Vec<_>, Vec<_>) = sessions.iter().copied().partition(|kept| kept.session.stored);
    for (rows, suffix) in [(new, ""), (stored, UPDATE)] {
        bulk_insert!(
            tx,
            "INSERT INTO session (programme_id, session_id, person_id, course_id, opened_at, recorded_at, actor, \
             last_at, last_seq, credited_micros, beats, overlap_micros, overlap_beats, gap_micros, gap_beats, \
             course_full_micros, course_full_beats, daily_cap_micros, daily_cap_beats, outside_window_micros, \
             outside_window_beats, duplicate_beats, voided, voided_micros, voided_beats)",
            rows,
            |tuple, kept| {
                tuple.push_bind(programme_id.as_str());
                tuple.push_bind(kept.session_id.as_str());
                tuple.push_bind(kept.person_id.as_str());
                tuple.push_bind(kept.course_id.as_str());
                tuple.push_bind(kept.session.opened_at);
                tuple.push_bind(recorded_at);
                tuple.push_bind(kept.actor);
                tuple.push_bind(kept.session.study.last_at);
                tuple.push_bind(kept.session.study.last_seq);
                tuple.push_bind(kept.session.credited_micros);
                tuple.push_bind(kept.session.beats.to_bytes());
                for reason in [
                    UncreditedReason::Overlap,
                    UncreditedReason::Gap,
                    UncreditedReason::CourseFull,
                    UncreditedReason::DailyCap,
                    UncreditedReason::OutsideWindow,
                ] {
                    let tally = kept.session.uncredited[place_of(reason)];
                    tuple.push_bind(tally.micros);
                    tuple.push_bind(tally.beats);
                }
                tuple.push_bind(kept.session.uncredited[place_of(UncreditedReason::Duplicate)].beats);
                let voided = kept.session.uncredited[place_of(UncreditedReason::Voided)];
                tuple.push_bind(kept.session.voided);
                tuple.push_bind(voided.micros);
                tuple.push_bind(voided.beats);
            },
            suffix
        )?;
    }
    Ok(())
}
