//! What scores of trainees must be, in a few lines: the model beside which `machine.rs` tries the service.

use chrono::{DateTime, Utc};
use shipei_contracts::{assignment::v1::Grade, event::v1::Event};

use crate::support::{at, end};

/// The activities of the model.
pub(crate) const ACTIVITIES: [&str; 2] = ["V1", "V2"];

/// What was done, as the model has it.
#[derive(Debug, Clone)]
pub(crate) struct Fact {
    pub(crate) event: Event,
    pub(crate) person: &'static str,
    pub(crate) kind: Kind,
    pub(crate) at: DateTime<Utc>,
    pub(crate) told: bool,
    pub(crate) fallen: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Phase { index: i32, version: i64, at: Option<DateTime<Utc>> },
    Submitted { submission: String },
    Marked { submission: String, grade: Option<Grade> },
    Posted,
    Attended { activity: &'static str },
    Scored { activity: &'static str, score: i32 },
    Left,
}

#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) facts: Vec<Fact>,
}

impl Model {
    fn of<'m>(&'m self, person: &'m str) -> impl Iterator<Item = &'m Fact> {
        self.facts.iter().filter(move |fact| fact.told && !fact.fallen && fact.person == person)
    }

    /// When a phase was achieved inside its window, by the last word of it.
    fn achieved(&self, person: &str, phase: i32) -> bool {
        let (from, until) =
            [("2019-09-15 00:00", "2019-10-31 00:00"), ("2019-10-10 00:00", "2019-12-01 00:00")]
                [usize::try_from(phase).unwrap()];
        let words = self.of(person).filter_map(|fact| match &fact.kind {
            Kind::Phase { index, version, at } if *index == phase => Some((*version, *at)),
            _ => None,
        });
        let last = words.max_by_key(|(version, _)| *version).and_then(|(_, achieved)| achieved);
        last.is_some_and(|achieved| achieved >= at(from) && achieved < at(until))
    }

    fn last_mark(&self, person: &str, id: &str, until: DateTime<Utc>) -> Option<Option<Grade>> {
        let marks = self.of(person).filter_map(|fact| match &fact.kind {
            Kind::Marked { submission, grade } if submission == id && fact.at < until => {
                Some((fact.at, *grade))
            }
            _ => None,
        });
        marks.max_by_key(|(at, _)| *at).map(|(_, grade)| grade)
    }

    fn assignment(&self, person: &str) -> i32 {
        let mut submissions: Vec<(DateTime<Utc>, &str)> = Vec::new();
        for fact in self.of(person) {
            if let Kind::Submitted { submission } = &fact.kind {
                submissions.push((fact.at, submission));
            }
        }
        submissions.sort();
        let mut counting: Option<&str> = None;
        for (at, newer) in submissions {
            let before = counting.and_then(|counting| self.last_mark(person, counting, at)).flatten();
            if !matches!(before, Some(Grade::Excellent | Grade::Pass)) {
                counting = Some(newer);
            }
        }
        let grade = counting.and_then(|counting| self.last_mark(person, counting, end())).flatten();
        match grade {
            Some(Grade::Excellent) => 30,
            Some(Grade::Pass) => 20,
            _ => 0,
        }
    }

    fn offline(&self, person: &str) -> i32 {
        let of_activity = |of: &str| {
            let attended = self
                .of(person)
                .filter(|fact| matches!(fact.kind, Kind::Attended { activity } if activity == of));
            let from = attended.map(|fact| fact.at).min()?;
            let scores = self.of(person).filter_map(|fact| match fact.kind {
                Kind::Scored { activity, score } if activity == of && fact.at >= from => {
                    Some((fact.at, score))
                }
                _ => None,
            });
            scores.max().map(|(_, score)| score)
        };
        ACTIVITIES.iter().filter_map(|activity| of_activity(activity)).max().unwrap_or_default()
    }

    /// The points of each item, and whether they suffice; `None` for who has left.
    pub(crate) fn score(&self, person: &str) -> Option<(Vec<i32>, bool)> {
        if self.of(person).any(|fact| matches!(fact.kind, Kind::Left)) {
            return None;
        }
        let first = self.achieved(person, 0);
        let posted = self.of(person).any(|fact| matches!(fact.kind, Kind::Posted));
        let points = vec![
            if first { 10 } else { 0 },
            if first && self.achieved(person, 1) { 40 } else { 0 },
            self.assignment(person),
            if posted { 10 } else { 0 },
            self.offline(person),
        ];
        let passed = points.iter().sum::<i32>() >= 80 && posted;
        Some((points, passed))
    }
}
