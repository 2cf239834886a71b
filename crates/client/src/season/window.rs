//! Cuts a season into windows: so many operations at a time, in the order (time, line, seq), in bounded memory.
//!
//! A `study.session` line stands for heartbeats that go on after later lines have begun, so the sessions that run are
//! kept on a heap and each window takes the heartbeats that are due before its end. Within a window the heartbeats of
//! one learner are together and in order; different learners have nothing to do with each other.
//!
//! Within a window the calls of an earlier [`Step`] go first, which is right because the services judge by time. Where
//! times are equal only the order of the lines decides, so a line that would overtake an earlier one of the very same
//! instant about the same person begins a new window, which waits for the one before. So does a line that was told later
//! than it happened; the heartbeats of a session that was told late follow those that were told before it.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap},
    sync::Arc,
};

use anyhow::Result;
use chrono::{DateTime, Utc};

use super::{
    Lines, Numbered,
    line::{Event, StudySession},
    step::{Step, person_of, step_of},
};

/// The most heartbeats of one window.
const WINDOW_BEATS: usize = 60_000;
/// The most other lines of one window.
const WINDOW_CALLS: usize = 6_000;

/// One heartbeat, with the line it comes from.
#[derive(Debug, Clone)]
pub struct Beat {
    /// The line's number.
    pub line: u64,
    /// The session.
    pub session: Arc<StudySession>,
    /// The heartbeat's number within the line's session.
    pub seq: i64,
    /// When.
    pub at: DateTime<Utc>,
}

/// Operations of one stretch of time.
#[derive(Debug, Default)]
pub struct Window {
    /// The lines that are one call each, in order.
    pub calls: Vec<Numbered>,
    /// Each learner's heartbeats, in order.
    pub study: BTreeMap<String, Vec<Beat>>,
    /// Whether nothing of it may begin before everything earlier has ended.
    pub after_all: bool,
}

/// A session that has heartbeats left; ordered by (time, line, seq).
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Running {
    at: DateTime<Utc>,
    line: u64,
    seq: i64,
    slot: usize,
}

/// The windows of a season.
#[derive(Debug)]
pub struct Windows {
    lines: std::iter::Peekable<Lines>,
    running: BinaryHeap<Reverse<Running>>,
    sessions: Vec<Option<Arc<StudySession>>>,
    free: Vec<usize>,
    instant: Instant,
    after_all: bool,
}

/// What the window holds of the instant that was read last.
#[derive(Debug, Default)]
struct Instant {
    at: DateTime<Utc>,
    /// The latest step of each person; under no name, of lines that name no trainee.
    steps: HashMap<String, Step>,
}

impl Instant {
    /// Notes an operation; says whether it would overtake an earlier one of this instant.
    fn overtakes(&mut self, at: DateTime<Utc>, person: &str, step: Step) -> bool {
        if at != self.at {
            self.at = at;
            self.steps.clear();
        }
        // A line without a person (a county is opened) may be about anybody, and anybody's about it.
        let later = |known: &Step| *known > step;
        let overtakes = match person {
            "" => self.steps.values().any(later),
            person => [person, ""].iter().any(|name| self.steps.get(*name).is_some_and(later)),
        };
        if overtakes {
            self.steps.clear();
        }
        let latest = self.steps.entry(person.to_owned()).or_insert(step);
        *latest = step.max(*latest);
        overtakes
    }
}

impl Windows {
    /// Cuts these lines.
    pub fn new(lines: Lines) -> Windows {
        Windows {
            lines: lines.peekable(),
            running: BinaryHeap::new(),
            sessions: Vec::new(),
            free: Vec::new(),
            instant: Instant::default(),
            after_all: false,
        }
    }

    /// The next window; `None` after the last.
    pub fn next_window(&mut self) -> Result<Option<Window>> {
        let mut window = Window { after_all: std::mem::take(&mut self.after_all), ..Window::default() };
        let mut beats = 0;
        while beats < WINDOW_BEATS && window.calls.len() < WINDOW_CALLS {
            let next_line = match self.lines.peek() {
                Some(Ok(numbered)) => Some((numbered.line.told(), numbered.number)),
                Some(Err(_)) => None,
                None => None,
            };
            let next_beat = self.running.peek().map(|Reverse(running)| (running.at, running.line));
            match (next_line, next_beat) {
                (Some(line), Some(beat)) if beat < line => beats += self.take_beat(&mut window),
                (None, Some(_)) if self.lines.peek().is_none() => beats += self.take_beat(&mut window),
                _ => {
                    let is_empty = window.calls.is_empty() && window.study.is_empty();
                    if self.next_overtakes(is_empty) {
                        self.after_all = true;
                        break;
                    }
                    let Some(numbered) = self.lines.next() else { break };
                    self.take_line(numbered?, &mut window);
                }
            }
        }
        if window.calls.is_empty() && window.study.is_empty() && self.lines.peek().is_none() {
            return Ok(None);
        }
        Ok(Some(window))
    }

    /// Whether the next line must wait for what this window holds.
    fn next_overtakes(&mut self, is_empty: bool) -> bool {
        match self.lines.peek() {
            Some(Ok(numbered)) if !matches!(numbered.line.event, Event::StudySession(_)) => {
                let event = &numbered.line.event;
                // Dated before what was told before it, it might let that pass, or refuse it.
                if numbered.line.is_late() {
                    return !is_empty;
                }
                self.instant.overtakes(numbered.line.at, person_of(event), step_of(event))
            }
            _ => false,
        }
    }

    fn take_line(&mut self, numbered: Numbered, window: &mut Window) {
        let Event::StudySession(session) = numbered.line.event else {
            window.calls.push(numbered);
            return;
        };
        let start = session.start;
        let session = Some(Arc::new(session));
        let slot = match self.free.pop() {
            Some(slot) => {
                self.sessions[slot] = session;
                slot
            }
            None => {
                self.sessions.push(session);
                self.sessions.len() - 1
            }
        };
        self.running.push(Reverse(Running { at: start, line: numbered.number, seq: 0, slot }));
    }

    fn take_beat(&mut self, window: &mut Window) -> usize {
        let Some(Reverse(running)) = self.running.pop() else { return 0 };
        let Some(session) = self.sessions[running.slot].clone() else { return 0 };
        let next = running.seq + 1;
        if next < session.beats() {
            let at = session.beat_at(next);
            self.running.push(Reverse(Running { at, line: running.line, seq: next, slot: running.slot }));
        } else {
            self.sessions[running.slot] = None;
            self.free.push(running.slot);
        }
        // A heartbeat is of the last step: it overtakes nothing.
        self.instant.overtakes(running.at, &session.person, Step::Rest);
        let beats = window.study.entry(session.person.clone()).or_default();
        beats.push(Beat { line: running.line, session, seq: running.seq, at: running.at });
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::season::line::Line;

    fn at(second: u32) -> DateTime<Utc> {
        DateTime::from_timestamp(1_570_000_000 + i64::from(second), 0).expect("an instant")
    }

    fn event(text: &str) -> Event {
        let line = format!(r#"{{"at":"2019-09-15T00:00:00+08:00",{text}}}"#);
        Line::parse(&line).expect("a right line").event
    }

    #[test]
    fn line_of_the_same_instant_and_person_does_not_overtake() {
        let submitted =
            event(r#""type":"assignment.submitted","person":"T1","submission":"A","kind":"k","title":"t""#);
        let withdrawn = event(r#""type":"trainee.withdrawn","person":"T1","reason":"r""#);
        let other = event(r#""type":"trainee.withdrawn","person":"T2","reason":"r""#);
        let opened = event(r#""type":"learning.opened","county":"130302""#);
        let mut instant = Instant::default();
        let mut overtakes =
            |second, event: &Event| instant.overtakes(at(second), person_of(event), step_of(event));
        assert!(!overtakes(1, &submitted));
        assert!(!overtakes(1, &other), "somebody else");
        assert!(overtakes(1, &withdrawn), "the same person at the same instant");
        assert!(!overtakes(2, &submitted));
        assert!(overtakes(2, &opened), "a county is about anybody");
        assert!(!overtakes(3, &withdrawn), "another instant");
    }
}
