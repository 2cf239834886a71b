//! What one trainee adds to the counts of counties (Annex 4), so that a county's score needs no look at its trainees.
//!
//! A trainee's contribution is a small table of counters. What is stored of a county is the sum over all trainees; when
//! a trainee changes, the difference between the old and the new contribution is added, under the trainee's lock. So
//! the cost of a county does not grow with it, and the sums don't depend on the order of anything. To count one more
//! thing, add a counter in [`of_trainee`] and read it in [`county_facts`].

use std::collections::BTreeMap;

use shipei_rules::{
    counselor::{CountyFacts, StageFacts},
    explanation::ItemKey,
    scheme::Scheme,
    trainee::{TraineeScore, tasks_done},
    vocabulary::EducationStage,
};

use crate::{domain::trainee::TraineeRecord, facts::Instant};

const ACTIVE: &str = "active";
const ATTENDED: &str = "attended";
const SCORED: &str = "scored";
const TASK: &str = "task:";
const SCORE: &str = "score:";

/// Where a counter stands: county, education stage (empty where there is none), counter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CounterKey {
    /// The county.
    pub county_code: String,
    /// The education stage's word.
    pub education_stage: String,
    /// What is counted.
    pub counter: String,
}

/// Counters with their amounts; none of them is 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contribution(BTreeMap<CounterKey, i64>);

impl Contribution {
    /// Adds to a counter.
    pub fn add(&mut self, key: CounterKey, amount: i64) {
        let sum = self.0.entry(key.clone()).or_default();
        *sum += amount;
        if *sum == 0 {
            self.0.remove(&key);
        }
    }

    /// Adds all counters of another.
    pub fn add_all(&mut self, other: &Contribution) {
        for (key, amount) in &other.0 {
            self.add(key.clone(), *amount);
        }
    }

    /// Takes all counters of another away.
    pub fn subtract_all(&mut self, other: &Contribution) {
        for (key, amount) in &other.0 {
            self.add(key.clone(), -amount);
        }
    }

    /// The counters in order.
    pub fn iter(&self) -> impl Iterator<Item = (&CounterKey, i64)> {
        self.0.iter().map(|(key, amount)| (key, *amount))
    }

    /// The counties that it counts in, each once.
    pub fn counties(&self) -> Vec<&str> {
        let mut counties: Vec<&str> = self.0.keys().map(|key| key.county_code.as_str()).collect();
        counties.dedup();
        counties
    }

    /// Leaves only what counts in this county.
    pub fn keep_county(&mut self, county_code: &str) {
        self.0.retain(|key, _| key.county_code == county_code);
    }

    /// As text, for the trainee's row: `county stage counter amount`, one a line.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        for (key, amount) in &self.0 {
            text.push_str(&format!("{}/{}/{}={amount}\n", key.county_code, key.education_stage, key.counter));
        }
        text
    }

    /// Reads [`Contribution::encode`]; `None` for any other text.
    pub fn decode(text: &str) -> Option<Self> {
        let mut counters = BTreeMap::new();
        for line in text.lines() {
            let (key, amount) = line.split_once('=')?;
            let mut parts = key.splitn(3, '/');
            let key = CounterKey {
                county_code: parts.next()?.to_owned(),
                education_stage: parts.next()?.to_owned(),
                counter: parts.next()?.to_owned(),
            };
            counters.insert(key, amount.parse().ok()?);
        }
        Some(Self(counters))
    }
}

/// What a trainee adds as of a time; nothing once they have withdrawn. `score` is theirs as of the same time.
pub fn of_trainee(
    scheme: &Scheme,
    trainee: &TraineeRecord,
    score: &TraineeScore,
    as_of: Instant,
) -> Contribution {
    let mut contribution = Contribution::default();
    if score.withdrawn {
        return contribution;
    }
    let own = |counter: String| CounterKey {
        county_code: trainee.places.at(as_of).county_code.clone(),
        education_stage: trainee.education_stage.to_owned(),
        counter,
    };
    contribution.add(own(ACTIVE.to_owned()), 1);
    let done = tasks_done(scheme, &trainee.facts, score, as_of);
    for (task, done) in scheme.counselor.registration_login.tasks.iter().zip(done) {
        if done {
            contribution.add(own(format!("{TASK}{task}")), 1);
        }
    }
    if let Some(offline) = score.item(ItemKey::Offline).filter(|item| item.is_earned()) {
        contribution.add(own(format!("{SCORE}{}", offline.points)), 1);
    }
    let period = scheme.counselor.offline.period;
    let counts = |at: Instant| at <= as_of && period.contains(at);
    for attendance in trainee.attendances.iter().filter(|attendance| counts(attendance.attended_at)) {
        let there = |counter: &str| CounterKey {
            county_code: attendance.county_code.clone(),
            education_stage: attendance.education_stage.clone(),
            counter: counter.to_owned(),
        };
        contribution.add(there(ATTENDED), 1);
        let scored = trainee
            .facts
            .offline_scores
            .iter()
            .any(|score| score.activity.as_str() == attendance.activity_id && counts(score.at));
        if scored {
            contribution.add(there(SCORED), 1);
        }
    }
    contribution
}

/// The first times of what a county did for one education stage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StageTimes {
    /// The first plan inside its window.
    pub plan_at: Option<Instant>,
    /// The first activity inside the window.
    pub activity_at: Option<Instant>,
    /// The first results inside the window.
    pub results_at: Option<Instant>,
}

/// The facts of a county from the sum of its trainees' contributions and what it did itself by stage.
pub fn county_facts(
    scheme: &Scheme,
    county_code: &str,
    counts: &Contribution,
    times: &BTreeMap<String, StageTimes>,
) -> CountyFacts {
    let tasks = &scheme.counselor.registration_login.tasks;
    let mut facts = CountyFacts { done_by_task: vec![0; tasks.len()], ..CountyFacts::default() };
    for stage in EducationStage::ALL {
        let times = times.get(stage.as_str()).cloned().unwrap_or_default();
        facts.stages.push(StageFacts {
            stage: *stage,
            active: 0,
            plan_at: times.plan_at,
            activity_at: times.activity_at,
            attendances_of_active: 0,
            scored_attendances_of_active: 0,
            results_at: times.results_at,
        });
    }
    let mut scores = BTreeMap::new();
    for (key, amount) in counts.iter().filter(|(key, _)| key.county_code == county_code) {
        let stage = facts.stages.iter_mut().find(|stage| stage.stage.as_str() == key.education_stage);
        if key.counter == ACTIVE {
            facts.active += amount;
        } else if let Some(word) = key.counter.strip_prefix(TASK) {
            let place = tasks.iter().position(|task| task.to_string() == word);
            if let Some(done) = place.and_then(|place| facts.done_by_task.get_mut(place)) {
                *done += amount;
            }
        } else if let Some(score) = key.counter.strip_prefix(SCORE) {
            facts.scored_participants += amount;
            *scores.entry(score).or_insert(0_i64) += amount;
        }
        let Some(stage) = stage else { continue };
        match key.counter.as_str() {
            ACTIVE => stage.active += amount,
            ATTENDED => stage.attendances_of_active += amount,
            SCORED => stage.scored_attendances_of_active += amount,
            _ => {}
        }
    }
    let distinct = scores.values().filter(|amount| **amount > 0).count();
    facts.distinct_scores = i64::try_from(distinct).unwrap_or(i64::MAX);
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(county: &str, counter: &str) -> CounterKey {
        CounterKey {
            county_code: county.into(),
            education_stage: "compulsory".into(),
            counter: counter.into(),
        }
    }

    #[test]
    fn contribution_survives_its_text() {
        let mut contribution = Contribution::default();
        contribution.add(key("130302", "active"), 1);
        contribution.add(key("130303", "task:phase_1"), 2);
        assert_eq!(Contribution::decode(&contribution.encode()), Some(contribution));
        assert_eq!(Contribution::decode(""), Some(Contribution::default()));
        assert_eq!(Contribution::decode("130302/active=1"), None);
    }

    #[test]
    fn difference_of_equals_is_nothing() {
        let mut contribution = Contribution::default();
        contribution.add(key("130302", "active"), 1);
        let same = contribution.clone();
        contribution.subtract_all(&same);
        assert_eq!(contribution, Contribution::default());
    }

    #[test]
    fn county_counts_its_own_and_tells_scores_apart() {
        let scheme =
            Scheme::parse(include_str!("../../../../crates/rules/data/qinhuangdao-2019.toml")).unwrap();
        let mut counts = Contribution::default();
        for (counter, amount) in
            [("active", 12), ("task:login", 7), ("score:5", 10), ("score:6", 1), ("attended", 11)]
        {
            counts.add(key("130302", counter), amount);
            counts.add(key("130303", counter), 100);
        }
        let facts = county_facts(&scheme, "130302", &counts, &BTreeMap::new());
        assert_eq!((facts.active, facts.done_by_task[0], facts.done_by_task[1]), (12, 7, 0));
        assert_eq!((facts.scored_participants, facts.distinct_scores), (11, 2));
        assert_eq!((facts.stages[0].active, facts.stages[0].attendances_of_active), (12, 11));
        assert_eq!(facts.stages[1].active, 0);
    }
}
