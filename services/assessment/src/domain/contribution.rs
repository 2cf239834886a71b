//! What one trainee adds to the counts, so that neither a county's score (Annex 4) nor a statistic needs a look at its
//! trainees.
//!
//! What is kept is the sum over all trainees; when a trainee changes, the difference between the old and the new
//! contribution is added, under the trainee's lock. So the cost of a fact does not grow with the county, and the sums don't
//! depend on the order of anything. To count one more thing, add a [`Counter`] and its line in [`of_trainee`].

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use shipei_contracts::{assignment::v1::Grade, common::v1::EducationStage as StageNumber};
use shipei_rules::{
    counselor::{CountyFacts, StageFacts},
    explanation::ItemKey,
    ids::{ClassId, SchoolCode, text_of},
    region::RegionCode,
    scheme::{Scheme, Task},
    submission::counting,
    trainee::{TraineeScore, done_on_time_at, passed_at},
    vocabulary::EducationStage,
};

use crate::{
    domain::{
        counter::{Count, Counter, Dimension, UNDATED},
        late_weeks::{self, ClassWeek, StoredWeek},
        trainee::TraineeRecord,
    },
    facts::Instant,
};

/// A county and an education stage in it; `None` for trainees without one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CountyStage {
    /// The county; `None` for trainees without one.
    pub county_code: Option<RegionCode>,
    /// The stage.
    pub stage: Option<EducationStage>,
}

/// The number of a stage in tables: that of the contract.
pub fn stage_number(stage: Option<EducationStage>) -> i64 {
    i64::from(i32::from(StageNumber::from(stage)))
}

/// Reads a number of a table; any other number is no stage.
pub fn stage_from_number(number: i64) -> Option<EducationStage> {
    i32::try_from(number)
        .ok()
        .and_then(|number| StageNumber::try_from(number).ok())
        .and_then(StageNumber::known)
}

/// What tells trainees of a county apart; empty where nothing is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parts {
    /// Their class.
    pub class_id: Option<ClassId>,
    /// Their school.
    pub school_code: Option<SchoolCode>,
    /// Their subject.
    pub subject: String,
    /// The word of their stage of development.
    pub development_stage: String,
}

impl Parts {
    /// The part of a county in which they count in a dimension.
    pub fn of(&self, dimension: Dimension) -> &str {
        match dimension {
            Dimension::County | Dimension::Whole => "",
            Dimension::Class => text_of(self.class_id.as_ref()),
            Dimension::School => text_of(self.school_code.as_ref()),
            Dimension::Subject => &self.subject,
            Dimension::DevelopmentStage => &self.development_stage,
        }
    }
}

/// What a trainee adds: in their own county and stage, in those of activities that they attended, and to late weeks of classes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contribution {
    parts: Parts,
    counts: BTreeMap<CountyStage, BTreeMap<Count, i64>>,
    late: BTreeMap<ClassWeek, i64>,
}

/// [`Contribution`] in the trainee's row.
#[derive(Clone, PartialEq, Eq, Message)]
struct StoredContribution {
    #[prost(string, tag = "1")]
    class_id: String,
    #[prost(string, tag = "2")]
    school_code: String,
    #[prost(string, tag = "3")]
    subject: String,
    #[prost(string, tag = "4")]
    development_stage: String,
    #[prost(message, repeated, tag = "5")]
    counties: Vec<StoredCounty>,
    #[prost(message, repeated, tag = "6")]
    late: Vec<StoredWeek>,
}

/// What is added in a county and stage: counters, details, days and amounts beside each other.
#[derive(Clone, PartialEq, Eq, Message)]
struct StoredCounty {
    #[prost(string, tag = "1")]
    county_code: String,
    #[prost(int64, tag = "2")]
    stage: i64,
    #[prost(int64, repeated, tag = "3")]
    counters: Vec<i64>,
    #[prost(int64, repeated, tag = "4")]
    details: Vec<i64>,
    #[prost(int64, repeated, tag = "5")]
    days: Vec<i64>,
    #[prost(int64, repeated, tag = "6")]
    amounts: Vec<i64>,
}

impl Contribution {
    fn add(&mut self, there: &CountyStage, count: Count) {
        if !self.counts.contains_key(there) {
            self.counts.insert(there.clone(), BTreeMap::new());
        }
        if let Some(counts) = self.counts.get_mut(there) {
            *counts.entry(count).or_default() += 1;
        }
    }

    /// The counties that it counts in, each once.
    pub fn counties(&self) -> impl Iterator<Item = RegionCode> {
        let late = self.late.keys().filter_map(|week| week.county_code);
        let codes = self.counts.keys().filter_map(|there| there.county_code).chain(late);
        codes.collect::<BTreeSet<_>>().into_iter()
    }

    /// For the trainee's row; nothing for nothing.
    pub fn encode(&self) -> Vec<u8> {
        if self.counts.is_empty() && self.late.is_empty() {
            return Vec::new();
        }
        let mut counties = Vec::with_capacity(self.counts.len());
        for (there, counts) in &self.counts {
            let column = |value: fn((&Count, &i64)) -> i64| counts.iter().map(value).collect();
            counties.push(StoredCounty {
                county_code: text_of(there.county_code.as_ref()).to_owned(),
                stage: stage_number(there.stage),
                counters: column(|(count, _)| count.counter.number()),
                details: column(|(count, _)| count.detail),
                days: column(|(count, _)| count.day),
                amounts: column(|(_, amount)| *amount),
            });
        }
        let Parts { class_id, school_code, subject, development_stage } = self.parts.clone();
        let (class_id, school_code) = (text_of(class_id.as_ref()), text_of(school_code.as_ref()));
        let stored = StoredContribution {
            class_id: class_id.to_owned(),
            school_code: school_code.to_owned(),
            subject,
            development_stage,
            counties,
            late: self.late.iter().map(|(week, submissions)| StoredWeek::new(week, *submissions)).collect(),
        };
        stored.encode_to_vec()
    }

    /// Reads [`Contribution::encode`]; `None` for anything else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let StoredContribution { class_id, school_code, subject, development_stage, counties, late } =
            StoredContribution::decode(bytes).ok()?;
        let mut counts = BTreeMap::new();
        for StoredCounty { county_code, stage, counters, details, days, amounts } in counties {
            let mut own = BTreeMap::new();
            for (index, counter) in counters.iter().enumerate() {
                let (detail, day) = (*details.get(index)?, *days.get(index)?);
                let count = Count { counter: Counter::from_number(*counter)?, detail, day };
                own.insert(count, *amounts.get(index)?);
            }
            let county_code = RegionCode::parse_optional(&county_code).ok()?;
            counts.insert(CountyStage { county_code, stage: stage_from_number(stage) }, own);
        }
        let class_id = ClassId::parse_optional(&class_id).ok()?;
        let school_code = SchoolCode::parse_optional(&school_code).ok()?;
        let late = late.into_iter().map(StoredWeek::read).collect::<Option<_>>()?;
        Some(Self { parts: Parts { class_id, school_code, subject, development_stage }, counts, late })
    }
}

/// Whose counts: a part of a county and stage in a dimension.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counted {
    /// The county; `None` for trainees without one.
    pub county_code: Option<RegionCode>,
    /// By what trainees are told apart.
    pub dimension: Dimension,
    /// The class, school, subject or stage of development.
    pub part: String,
    /// The education stage.
    pub stage: Option<EducationStage>,
}

/// Sums of contributions, or differences between them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sums {
    counts: BTreeMap<Counted, BTreeMap<Count, i64>>,
    late: BTreeMap<ClassWeek, i64>,
}

impl Sums {
    /// Adds a contribution.
    pub fn add(&mut self, contribution: &Contribution) {
        self.change(contribution, 1);
    }

    /// Takes a contribution away.
    pub fn subtract(&mut self, contribution: &Contribution) {
        self.change(contribution, -1);
    }

    fn change(&mut self, contribution: &Contribution, sign: i64) {
        for (week, submissions) in &contribution.late {
            *self.late.entry(week.clone()).or_default() += sign * submissions;
        }
        for (there, counts) in &contribution.counts {
            for dimension in Dimension::ALL {
                let counted = Counted {
                    county_code: there.county_code,
                    dimension: *dimension,
                    part: contribution.parts.of(*dimension).to_owned(),
                    stage: there.stage,
                };
                let sums = self.counts.entry(counted).or_default();
                for (count, amount) in counts {
                    let day = if *dimension == Dimension::Whole { UNDATED } else { count.day };
                    *sums.entry(Count { day, ..*count }).or_default() += sign * amount;
                }
            }
        }
    }

    /// What is not 0, in the order of the table's key.
    pub fn iter(&self) -> impl Iterator<Item = (&Counted, Count, i64)> {
        let all = self.counts.iter().flat_map(|(counted, counts)| {
            counts.iter().map(move |(count, amount)| (counted, *count, *amount))
        });
        all.filter(|(_, _, amount)| *amount != 0)
    }

    /// The weeks of classes for which more or fewer submissions are late, in their order.
    pub fn late(&self) -> impl Iterator<Item = (&ClassWeek, i64)> {
        self.late
            .iter()
            .map(|(week, submissions)| (week, *submissions))
            .filter(|(_, submissions)| *submissions != 0)
    }

    /// The totals of a county.
    pub fn of_county(&self, county_code: RegionCode) -> CountyTotals {
        let mut totals = CountyTotals::default();
        let own = |counted: &Counted| {
            counted.dimension == Dimension::Whole && counted.county_code == Some(county_code)
        };
        for (counted, count, amount) in self.iter().filter(|(counted, ..)| own(counted)) {
            totals.add(counted.stage, (count.counter, count.detail), amount);
        }
        totals
    }
}

/// What a county's trainees add up to, whatever the day: by education stage, counter and detail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CountyTotals(BTreeMap<(Option<EducationStage>, Counter, i64), i64>);

impl CountyTotals {
    /// Adds to a counter.
    pub fn add(&mut self, stage: Option<EducationStage>, (counter, detail): (Counter, i64), amount: i64) {
        let sum = self.0.entry((stage, counter, detail)).or_default();
        *sum += amount;
        if *sum == 0 {
            self.0.remove(&(stage, counter, detail));
        }
    }

    /// Of all stages together.
    fn sum(&self, (counter, detail): (Counter, i64)) -> i64 {
        let own = self.0.iter().filter(|((_, other, of), _)| (*other, *of) == (counter, detail));
        own.map(|(_, amount)| *amount).sum()
    }

    fn in_stage(&self, stage: EducationStage, counter: Counter) -> i64 {
        self.0.get(&(Some(stage), counter, 0)).copied().unwrap_or_default()
    }
}

/// What a trainee adds as of a time; once they have withdrawn only the weeks that their work had made late. `score` is theirs as of the same time.
pub fn of_trainee(
    scheme: &Scheme,
    trainee: &TraineeRecord,
    score: &TraineeScore,
    as_of: Instant,
) -> Contribution {
    let late = late_weeks::of_trainee(scheme, trainee, as_of);
    let mut contribution = Contribution { late, ..Contribution::default() };
    if score.withdrawn {
        return contribution;
    }
    let (place, teaching) = (trainee.places.at(as_of), trainee.teaching.at(as_of));
    contribution.parts = Parts {
        class_id: place.class_id.clone(),
        school_code: place.school_code.clone(),
        subject: teaching.subject.clone(),
        development_stage: teaching.development_stage.map_or("", |stage| stage.as_str()).to_owned(),
    };
    let own = CountyStage { county_code: place.county_code, stage: teaching.education_stage };
    for count in own_counts(scheme, trainee, score, as_of) {
        contribution.add(&own, count);
    }
    let period = scheme.counselor.offline.period;
    let counts = |at: &Instant| *at <= as_of && period.contains(*at);
    for attendance in trainee.attendances.iter().filter(|attendance| counts(&attendance.attended_at)) {
        let there = CountyStage {
            county_code: Some(attendance.county_code),
            stage: EducationStage::parse(&attendance.education_stage),
        };
        contribution.add(&there, Count::on(scheme, attendance.attended_at, (Counter::Attended, 0)));
        let scores = &trainee.facts.offline_scores;
        let scored = scores.iter().filter(|score| score.activity == attendance.activity_id);
        if let Some(at) = scored.map(|score| score.at).filter(counts).min() {
            contribution.add(&there, Count::on(scheme, at, (Counter::AttendanceScored, 0)));
        }
    }
    contribution
}

/// What counts in the trainee's own county and stage.
fn own_counts(scheme: &Scheme, trainee: &TraineeRecord, score: &TraineeScore, as_of: Instant) -> Vec<Count> {
    let facts = &trainee.facts;
    let mut found = vec![Count::undated(Counter::Active, 0), Count::undated(Counter::Total, score.total)];
    let mut happened = |at: Option<Instant>, what| found.extend(at.map(|at| Count::on(scheme, at, what)));
    happened(facts.login_at.filter(|at| *at <= as_of), (Counter::LoggedIn, 0));
    let phases = (0..scheme.trainee.online.len()).map(Task::Phase);
    for task in [Task::Login, Task::Assignment, Task::Seminar].into_iter().chain(phases) {
        happened(done_on_time_at(scheme, facts, score, as_of, task), Counter::of_task(task));
    }
    let offline = score.item(ItemKey::Offline).filter(|item| item.is_earned());
    happened(
        offline.and_then(|item| item.at),
        (Counter::OfflineScore, offline.map_or(0, |item| item.points)),
    );
    let newest = counting(scheme, &facts.submissions, as_of);
    let mark = newest.and_then(|newest| newest.last_mark(as_of, scheme.trainee.assignment.review_until));
    if let Some((mark, grade)) = mark.and_then(|mark| mark.kind.grade().map(|grade| (mark, grade))) {
        happened(Some(mark.at), (Counter::Graded, i64::from(i32::from(Grade::from(grade)))));
    }
    happened(passed_at(scheme, score), (Counter::Passed, 0));
    found
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

/// The facts of a county from the totals of its trainees and what it did itself by stage.
pub fn county_facts(
    scheme: &Scheme,
    totals: &CountyTotals,
    times: &BTreeMap<String, StageTimes>,
) -> CountyFacts {
    let tasks = &scheme.counselor.registration_login.tasks;
    let mut facts = CountyFacts {
        active: totals.sum((Counter::Active, 0)),
        done_by_task: tasks.iter().map(|task| totals.sum(Counter::of_task(*task))).collect(),
        ..CountyFacts::default()
    };
    for stage in EducationStage::ALL {
        let times = times.get(stage.as_str()).cloned().unwrap_or_default();
        facts.stages.push(StageFacts {
            stage: *stage,
            active: totals.in_stage(*stage, Counter::Active),
            plan_at: times.plan_at,
            activity_at: times.activity_at,
            attendances_of_active: totals.in_stage(*stage, Counter::Attended),
            scored_attendances_of_active: totals.in_stage(*stage, Counter::AttendanceScored),
            results_at: times.results_at,
        });
    }
    let mut scores: BTreeMap<i64, i64> = BTreeMap::new();
    for ((_, counter, score), amount) in &totals.0 {
        if *counter == Counter::OfflineScore {
            *scores.entry(*score).or_default() += amount;
        }
    }
    facts.scored_participants = scores.values().sum();
    let distinct = scores.values().filter(|amount| **amount > 0).count();
    facts.distinct_scores = i64::try_from(distinct).unwrap_or(i64::MAX);
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there(county: &str, stage: Option<EducationStage>) -> CountyStage {
        CountyStage { county_code: Some(RegionCode::parse(county).unwrap()), stage }
    }

    fn some() -> Contribution {
        let mut contribution = Contribution::default();
        contribution.parts.class_id = Some(ClassId::parse("L1").unwrap());
        contribution.parts.subject = "语文".into();
        let own = there("130302", Some(EducationStage::Compulsory));
        contribution.add(&own, Count::undated(Counter::Active, 0));
        contribution.add(&own, Count { counter: Counter::PhaseEarned, detail: 1, day: 18_150 });
        let other = there("130303", None);
        let attended = Count { counter: Counter::Attended, detail: 0, day: 18_200 };
        contribution.add(&other, attended);
        contribution.add(&other, attended);
        contribution
    }

    #[test]
    fn contribution_survives_its_bytes() {
        assert_eq!(Contribution::decode(&some().encode()), Some(some()));
        assert_eq!(Contribution::default().encode(), Vec::<u8>::new());
        assert_eq!(Contribution::decode(b""), Some(Contribution::default()));
        assert_eq!(Contribution::decode(b"\xff"), None);
        assert_eq!(some().counties().map(|code| code.to_string()).collect::<Vec<_>>(), ["130302", "130303"]);
    }

    #[test]
    fn difference_of_equals_is_nothing_and_every_dimension_sums_up_to_the_county() {
        let mut sums = Sums::default();
        sums.add(&some());
        for dimension in Dimension::ALL {
            let own = sums.iter().filter(|(counted, ..)| counted.dimension == *dimension);
            assert_eq!(own.map(|(_, _, amount)| amount).sum::<i64>(), 4, "{dimension:?}");
        }
        let class = sums.iter().find(|(counted, ..)| counted.dimension == Dimension::Class).unwrap();
        assert_eq!((class.0.part.as_str(), class.1), ("L1", Count::undated(Counter::Active, 0)));
        sums.subtract(&some());
        assert_eq!(sums.iter().count(), 0);
    }

    #[test]
    fn county_counts_its_own_and_tells_scores_apart() {
        let scheme =
            Scheme::parse(include_str!("../../../../crates/rules/data/qinhuangdao-2019.toml")).unwrap();
        let mut totals = CountyTotals::default();
        for (what, amount) in [
            ((Counter::Active, 0), 12),
            ((Counter::LoggedInOnTime, 0), 7),
            ((Counter::OfflineScore, 5), 10),
            ((Counter::OfflineScore, 6), 1),
            ((Counter::OfflineScore, 7), 1),
            ((Counter::OfflineScore, 7), -1),
            ((Counter::Attended, 0), 11),
        ] {
            totals.add(Some(EducationStage::Compulsory), what, amount);
        }
        totals.add(None, (Counter::Active, 0), 1);
        let facts = county_facts(&scheme, &totals, &BTreeMap::new());
        assert_eq!((facts.active, facts.done_by_task[0], facts.done_by_task[1]), (13, 7, 0));
        assert_eq!((facts.scored_participants, facts.distinct_scores), (11, 2));
        assert_eq!((facts.stages[0].active, facts.stages[0].attendances_of_active), (12, 11));
        assert_eq!(facts.stages[1].active, 0);
    }
}
