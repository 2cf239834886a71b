//! What both sides of a measurement share: whose heartbeats a message has, and what learners and courses are called.

use std::ops::Range;

/// The counties of Qinhuangdao 2019, over which learners are spread.
pub(crate) const COUNTIES: [&str; 4] = ["130302", "130303", "130304", "130306"];
/// The courses that are studied, one after the other.
pub(crate) const COURSES: u64 = 30;
/// The length of each.
pub(crate) const COURSE_MINUTES: u64 = 60;
/// The most messages of heartbeats in one round.
pub(crate) const MESSAGES_MAX: u64 = 600;
/// Beats of one session; at half a minute each they fit into a course.
const BEATS_PER_SESSION: u64 = 100;

/// How heartbeats are put into messages: groups of learners in turn, some beats each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// The number of the first learner.
    pub(crate) first_learner: u64,
    /// All learners.
    pub(crate) learners: u64,
    /// Learners of one message.
    pub(crate) per_message: u64,
    /// Beats of each learner in one message.
    pub(crate) beats_each: u64,
    /// The number of the first message; a round goes on where the one before it may have ended.
    pub(crate) first_message: u64,
}

impl Shape {
    /// The numbers of the messages.
    pub(crate) fn messages(&self) -> Range<u64> {
        self.first_message..self.first_message + MESSAGES_MAX
    }

    /// Whose beats a message has.
    pub(crate) fn learners_of(&self, message: u64) -> Range<u64> {
        let first = message % self.groups() * self.per_message;
        let end = (first + self.per_message).min(self.learners);
        self.first_learner + first..self.first_learner + end
    }

    /// The first of its beats, counted from the learner's first.
    pub(crate) fn first_beat(&self, message: u64) -> u64 {
        message / self.groups() * self.beats_each
    }

    /// The session and the course that a learner's beat belongs to, and its number there.
    pub(crate) fn place(&self, learner: u64, beat: u64) -> (String, String, i64) {
        let session = beat / BEATS_PER_SESSION;
        (format!("S{learner}-{session}"), course(session % COURSES), (beat % BEATS_PER_SESSION).cast_signed())
    }

    fn groups(&self) -> u64 {
        self.learners.div_ceil(self.per_message).max(1)
    }
}

/// The id of a learner.
pub(crate) fn person(learner: u64) -> String {
    format!("B{learner:06}")
}

/// The id of a course.
pub(crate) fn course(number: u64) -> String {
    format!("BC{number:02}")
}

/// The county of a learner, where a programme has no others than the season's.
pub(crate) fn county_of(learner: u64) -> &'static str {
    COUNTIES[usize::try_from(learner).unwrap_or_default() % COUNTIES.len()]
}

/// A county's counselor.
pub(crate) fn counselor(county: &str) -> String {
    format!("K{county}1")
}

/// A county's offline activity.
pub(crate) fn activity(county: &str) -> String {
    format!("V{county}")
}
