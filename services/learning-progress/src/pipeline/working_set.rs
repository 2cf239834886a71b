//! What a transaction has in memory of one programme: learners, their courses and sessions, each found once by its key
//! and from then on by its index, so that a beat costs no look-up.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use shipei_contracts::common::v1::ErrorReason;
use shipei_mirror::{History, Member, Windows};
use shipei_rules::ids::{CourseId, PersonId, ProgrammeId, SessionId};
use shipei_rules::scheme::Scheme;

use super::{Message, SessionBeats};
use crate::catalogue::Catalogue;
use crate::domain::course::{Asked, Course};
use crate::domain::study::{Eligibility, Learner, LearnerCourse, Session};
use crate::store::correction::GrantRow;

/// A learner of this transaction.
pub(super) struct LearnerState<'m> {
    pub(super) person_id: &'m PersonId,
    /// Who they are, if they are a trainee of the programme.
    pub(super) member: Option<Member>,
    /// The scheme with the windows that apply to them.
    pub(super) scheme: Arc<Scheme>,
    pub(super) state: Learner,
    /// What the main line asks of them at each time.
    pub(super) asked: History<Asked>,
    /// Of a late learner, the sessions that are stored and not of this transaction.
    pub(super) other_sessions: Vec<OtherSession>,
    /// Of a late learner, the time that was granted.
    pub(super) grants: Vec<GrantRow>,
}

/// A session that this transaction reads only.
pub(super) struct OtherSession {
    pub(super) session_id: SessionId,
    pub(super) course_id: CourseId,
    pub(super) session: Session,
}

impl LearnerState<'_> {
    /// Their county as of then.
    pub(super) fn county_at(&self, at: DateTime<Utc>) -> &str {
        self.member.as_ref().map_or("", |member| member.places.at(at).county_text())
    }
}

/// A learner's course of this transaction.
pub(super) struct CourseState<'m> {
    /// Index of the learner.
    pub(super) learner: usize,
    pub(super) course_id: &'m CourseId,
    pub(super) course: Option<Arc<Course>>,
    /// When the learner may study it; a reason when there is no such trainee or course.
    pub(super) eligibility: Result<Eligibility, ErrorReason>,
    /// There when the eligibility is.
    pub(super) state: Option<LearnerCourse>,
}

/// Whose a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// Nobody's yet.
    Nobody,
    /// Of the learner's course with this index.
    Course(usize),
    /// Of another course of this learner, which is not in this transaction.
    Elsewhere,
}

/// A session of this transaction.
pub(super) struct SessionState<'m> {
    pub(super) person_id: &'m PersonId,
    pub(super) session_id: &'m SessionId,
    pub(super) owner: Owner,
    pub(super) state: Option<Session>,
    /// Who opened it, if it was opened in this transaction.
    pub(super) actor: &'m str,
}

/// Where the beats of one session go.
pub(super) struct Target<'m> {
    /// Index of the message in the transaction.
    pub(super) message: usize,
    /// Index within the message.
    pub(super) index: usize,
    /// Index of the learner's course.
    pub(super) course: usize,
    /// Index of the session.
    pub(super) session: usize,
    pub(super) beats: &'m SessionBeats,
}

/// One programme's share of a transaction.
pub(super) struct WorkingSet<'m> {
    pub(super) programme_id: &'m ProgrammeId,
    pub(super) windows: Windows,
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) learners: Vec<LearnerState<'m>>,
    pub(super) courses: Vec<CourseState<'m>>,
    pub(super) sessions: Vec<SessionState<'m>>,
    /// In the order in which the beats came.
    pub(super) targets: Vec<Target<'m>>,
    pub(super) learner_of: HashMap<&'m PersonId, usize>,
    pub(super) course_of: HashMap<(&'m PersonId, &'m CourseId), usize>,
    /// By learner and session: a player chooses its sessions' ids, and need not know those of others.
    pub(super) session_of: HashMap<(&'m PersonId, &'m SessionId), usize>,
}

impl<'m> WorkingSet<'m> {
    /// Lays out the targets of these messages; nothing is loaded yet.
    pub(super) fn new(
        programme_id: &'m ProgrammeId,
        windows: Windows,
        catalogue: Arc<Catalogue>,
        messages: &[(usize, &'m Message)],
    ) -> Self {
        let mut set = Self {
            programme_id,
            windows,
            catalogue,
            learners: Vec::new(),
            courses: Vec::new(),
            sessions: Vec::new(),
            targets: Vec::new(),
            learner_of: HashMap::new(),
            course_of: HashMap::new(),
            session_of: HashMap::new(),
        };
        for (message, content) in messages {
            for (index, beats) in content.sessions.iter().enumerate() {
                let Some(keys) = &beats.keys else { continue };
                let course = set.place_course(&keys.person, &keys.course);
                let session = set.place_session(&keys.person, &keys.session);
                set.targets.push(Target { message: *message, index, course, session, beats });
            }
        }
        set
    }

    fn place_course(&mut self, person_id: &'m PersonId, course_id: &'m CourseId) -> usize {
        if let Some(index) = self.course_of.get(&(person_id, course_id)) {
            return *index;
        }
        let learner = *self.learner_of.entry(person_id).or_insert_with(|| {
            self.learners.push(LearnerState {
                person_id,
                member: None,
                scheme: Arc::clone(&self.windows.scheme),
                state: Learner::default(),
                asked: Asked::default().into(),
                other_sessions: Vec::new(),
                grants: Vec::new(),
            });
            self.learners.len() - 1
        });
        self.courses.push(CourseState {
            learner,
            course_id,
            course: None,
            eligibility: Err(ErrorReason::NotFound),
            state: None,
        });
        self.course_of.insert((person_id, course_id), self.courses.len() - 1);
        self.courses.len() - 1
    }

    fn place_session(&mut self, person_id: &'m PersonId, session_id: &'m SessionId) -> usize {
        *self.session_of.entry((person_id, session_id)).or_insert_with(|| {
            let owner = Owner::Nobody;
            self.sessions.push(SessionState { person_id, session_id, owner, state: None, actor: "" });
            self.sessions.len() - 1
        })
    }
}
