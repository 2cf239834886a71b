//! Cuts a season into windows: so many operations at a time, in the order (time, line, seq), in bounded memory.
//!
//! A `study.session` line stands for heartbeats that go on after later lines have begun, so the sessions that run are
//! kept on a heap and each window takes the heartbeats that are due before its end. Within a window the heartbeats of
//! one learner are together and in order; different learners have nothing to do with each other.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    sync::Arc,
};

use anyhow::Result;
use chrono::{DateTime, Utc};

use super::{
    Lines, Numbered,
    line::{Event, StudySession},
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
}

impl Windows {
    /// Cuts these lines.
    pub fn new(lines: Lines) -> Windows {
        Windows { lines: lines.peekable(), running: BinaryHeap::new(), sessions: Vec::new(), free: Vec::new() }
    }

    /// The next window; `None` after the last.
    pub fn next_window(&mut self) -> Result<Option<Window>> {
        let mut window = Window::default();
        let mut beats = 0;
        while beats < WINDOW_BEATS && window.calls.len() < WINDOW_CALLS {
            let next_line = match self.lines.peek() {
                Some(Ok(numbered)) => Some((numbered.line.at, numbered.number)),
                Some(Err(_)) => None,
                None => None,
            };
            let next_beat = self.running.peek().map(|Reverse(running)| (running.at, running.line));
            match (next_line, next_beat) {
                (Some(line), Some(beat)) if beat < line => beats += self.take_beat(&mut window),
                (None, Some(_)) if self.lines.peek().is_none() => beats += self.take_beat(&mut window),
                _ => match self.lines.next() {
                    None => break,
                    Some(numbered) => self.take_line(numbered?, &mut window),
                },
            }
        }
        if window.calls.is_empty() && window.study.is_empty() && self.lines.peek().is_none() {
            return Ok(None);
        }
        Ok(Some(window))
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
        let beats = window.study.entry(session.person.clone()).or_default();
        beats.push(Beat { line: running.line, session, seq: running.seq, at: running.at });
        1
    }
}
