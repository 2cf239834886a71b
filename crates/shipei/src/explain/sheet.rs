//! One score as people read it, in one language, with the figures that bars and the time line are drawn from.

use serde::Serialize;

/// A score sheet.
#[derive(Debug, Default, Serialize)]
pub(super) struct Sheet {
    /// What the sheet is of, e.g. the programme's title.
    pub(super) programme: String,
    /// Who: id, name, county, class.
    pub(super) who: Vec<Named>,
    /// As of when, as a local time.
    pub(super) as_of: String,
    /// The total, as it is said; empty without a score.
    pub(super) total: String,
    /// Whether that is enough.
    pub(super) verdict: String,
    pub(super) is_good: bool,
    pub(super) items: Vec<Line>,
    pub(super) study: Option<StudyShown>,
    pub(super) time_line: Option<TimeLine>,
    /// Sentences for which no item has a place.
    pub(super) notes: Vec<String>,
}

/// A label and its value.
#[derive(Debug, Serialize)]
pub(super) struct Named {
    pub(super) label: &'static str,
    pub(super) value: String,
}

/// One item.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    /// The stable name, e.g. `phase_1`.
    pub(super) key: String,
    pub(super) title: String,
    pub(super) points: String,
    pub(super) points_max: String,
    /// Of its points, in thousandths.
    pub(super) permille: i32,
    /// `earned`, `pending` or `missed`.
    pub(super) state: &'static str,
    pub(super) state_said: &'static str,
    pub(super) clause: String,
    /// What it rests on, with the time.
    pub(super) evidence: String,
    /// Why it is not earned, what is missing, and until when; or what was decided about it.
    pub(super) why: String,
    /// By which decision it counts as these points.
    pub(super) decided: Option<Decided>,
}

/// That an item counts as something else than was computed.
#[derive(Debug, Serialize)]
pub(super) struct Decided {
    /// What was computed, in points.
    pub(super) computed: String,
    /// `excuse`, `appeal` or `late_medical_leave`.
    pub(super) kind: &'static str,
    /// Who decided, as `role:subject@region`.
    pub(super) by: String,
    /// When, as a local time.
    pub(super) when: String,
    /// From when on the computed value counts again; empty for never.
    pub(super) expires: String,
    /// Why; empty where the caller may not read it.
    pub(super) reason: String,
    /// The decision.
    pub(super) fact_id: String,
}

/// Where study time went, as of now.
#[derive(Debug, Serialize)]
pub(super) struct StudyShown {
    pub(super) phases: Vec<Bar>,
    pub(super) courses: Vec<Bar>,
    /// Time that was not credited, by reason.
    pub(super) uncredited: Vec<Lost>,
    /// The sessions that lost most.
    pub(super) sessions: Vec<SessionShown>,
    /// How many more have lost something.
    pub(super) more_sessions: usize,
}

/// So much of so much.
#[derive(Debug, Serialize)]
pub(super) struct Bar {
    pub(super) title: String,
    pub(super) permille: i32,
    pub(super) text: String,
}

/// Time that was not credited for one reason.
#[derive(Debug, Serialize)]
pub(super) struct Lost {
    pub(super) reason: &'static str,
    pub(super) seconds: i32,
    pub(super) text: String,
}

/// A session of which something was not credited.
#[derive(Debug, Serialize)]
pub(super) struct SessionShown {
    pub(super) session_id: String,
    pub(super) course: String,
    pub(super) opened: String,
    pub(super) text: String,
}

/// The year of the programme: windows as bars, evidence as dots, in thousandths of its length.
#[derive(Debug, Serialize)]
pub(super) struct TimeLine {
    pub(super) first: String,
    pub(super) last: String,
    /// Where the sheet's own time stands.
    pub(super) now: i32,
    pub(super) rows: Vec<TimeRow>,
}

/// One item's window.
#[derive(Debug, Serialize)]
pub(super) struct TimeRow {
    pub(super) title: String,
    pub(super) state: &'static str,
    pub(super) from: i32,
    pub(super) until: i32,
    pub(super) days: String,
    pub(super) dot: Option<i32>,
}
