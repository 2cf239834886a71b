//! What trainees add up to. The counters are kept with the scores (`domain/counter.rs`); here they are summed along the tree
//! and put into words of the contract.

use std::collections::BTreeMap;

use chrono::{NaiveDate, TimeDelta};
use shipei_contracts::{
    assessment::v1::{
        DayStatistics, GetStatisticsRequest, GetStatisticsResponse, ListStatisticsRequest,
        ListStatisticsResponse, PhaseStatistics, Statistics, StatisticsBy, ValueCount,
        WatchStatisticsRequest, WatchStatisticsResponse,
    },
    assignment::v1::Grade,
};
use shipei_rules::{explanation::ItemKey, ids::ProgrammeId, scheme::Scheme};
use shipei_service_kit::{ReadUnit, Result};

use super::{Reading, not_found};
use crate::{
    Assessment, convert,
    domain::{
        contribution::stage_from_number,
        counter::{Counter, Dimension, UNDATED},
        late_weeks,
    },
    facts::Instant,
    store::{
        counties as stored_counties, rescore,
        statistics::{self, Asked, Key, SumRow},
    },
};

impl Assessment {
    pub(crate) async fn get_statistics(
        self,
        mut unit: ReadUnit,
        request: GetStatisticsRequest,
    ) -> Result<(ReadUnit, GetStatisticsResponse)> {
        let filter = convert::statistics(&request)?;
        let reading = Reading::begin(&mut unit, &self.schemes, &filter.programme_id, None).await?;
        let (dimension, part) = match (&filter.school_code, &filter.class_id) {
            (Some(school), _) => (Dimension::School, school.as_str()),
            (None, Some(class)) => (Dimension::Class, class.as_str()),
            // Who has classes sees these, and no county as a whole.
            (None, None) if !statistics::is_by_county(&unit.reach) => (Dimension::Class, ""),
            (None, None) if request.by_day => (Dimension::County, ""),
            (None, None) => (Dimension::Whole, ""),
        };
        let as_of = reading.at.as_of;
        let (region_code, stage) = (filter.region_code, filter.stage);
        let asked = Asked { dimension, part, region_code, stage, as_of };
        let (tx, reach) = (&mut unit.tx, &unit.reach);
        let wanted = (asked, Key::Nothing, request.by_day);
        let rows = statistics::sums(tx, reach, &filter.programme_id, wanted, ("", "")).await?;
        // Nobody is there: no such place, or none that the caller sees, or a region that has no trainees yet.
        if rows.is_empty() {
            let field = match (dimension, region_code) {
                (Dimension::School, _) => Some("school_code"),
                (Dimension::Class, _) if !part.is_empty() => Some("class_id"),
                (_, Some(_)) => {
                    let counties = (None, region_code, as_of);
                    let known =
                        stored_counties::counties(tx, reach, &filter.programme_id, counties, "", 1).await?;
                    known.is_empty().then_some("region_code")
                }
                _ => None,
            };
            if let Some(field) = field {
                return Err(not_found(field));
            }
        }
        let weeks = match (dimension, stage) {
            (Dimension::Class, None) if !part.is_empty() => Weeks::OfOneClass(as_of),
            (Dimension::Class | Dimension::County | Dimension::Whole, None) => Weeks::By(as_of),
            _ => Weeks::None,
        };
        let mut statistics = summed((&*reading.scheme, weeks), &rows);
        statistics.key = match part.is_empty() {
            true => region_code.map(|code| code.to_string()).unwrap_or_default(),
            false => part.to_owned(),
        };
        let catching_up = rescore::is_behind(tx, &filter.programme_id).await?;
        Ok((unit, GetStatisticsResponse { statistics: Some(statistics), catching_up }))
    }

    /// What is watched: the same, asked again and again.
    pub(crate) async fn watched_statistics(
        self,
        unit: ReadUnit,
        request: WatchStatisticsRequest,
    ) -> Result<(ReadUnit, WatchStatisticsResponse)> {
        let asked = GetStatisticsRequest {
            programme_id: request.programme_id,
            region_code: request.region_code,
            school_code: request.school_code,
            class_id: request.class_id,
            education_stage: request.education_stage,
            by_day: false,
        };
        let (unit, GetStatisticsResponse { statistics, catching_up }) =
            self.get_statistics(unit, asked).await?;
        Ok((unit, WatchStatisticsResponse { statistics, catching_up }))
    }

    pub(crate) async fn list_statistics(
        self,
        mut unit: ReadUnit,
        request: ListStatisticsRequest,
    ) -> Result<(ReadUnit, ListStatisticsResponse)> {
        let filter = convert::statistics_list(&request)?;
        let programme_id = &filter.programme_id;
        let stage = request.education_stage.to_string();
        let by = request.by.to_string();
        let binding = [programme_id.as_str(), &request.region_code, &by, &stage];
        let page =
            self.kit.page::<ListStatisticsRequest>(&binding, request.page_size, &request.page_token)?;
        let reading = Reading::begin(&mut unit, &self.schemes, programme_id, None).await?;
        let (dimension, key) = match request.by() {
            StatisticsBy::Unspecified => (Dimension::Whole, Key::Nothing),
            StatisticsBy::City | StatisticsBy::County => (Dimension::Whole, Key::County),
            StatisticsBy::EducationStage => (Dimension::Whole, Key::Stage),
            StatisticsBy::School => (Dimension::School, Key::Part),
            StatisticsBy::Class => (Dimension::Class, Key::Part),
            StatisticsBy::Subject => (Dimension::Subject, Key::Part),
            StatisticsBy::DevelopmentStage => (Dimension::DevelopmentStage, Key::Part),
        };
        let as_of = reading.at.as_of;
        let asked =
            Asked { dimension, part: "", region_code: filter.region_code, stage: filter.stage, as_of };
        let weeks = match (dimension, key, filter.stage) {
            (Dimension::Class, Key::Part, None) => Weeks::OfOneClass(as_of),
            (Dimension::Whole, Key::Nothing | Key::County, None) => Weeks::By(as_of),
            _ => Weeks::None,
        };
        let by = (&*reading.scheme, weeks);
        let (mut statistics, next_page_token);
        if matches!(request.by(), StatisticsBy::City | StatisticsBy::Unspecified) {
            let rows = whole(&mut unit, programme_id, (asked, key)).await?;
            let cities = match request.by() {
                StatisticsBy::City => cities(&mut unit, programme_id, as_of).await?,
                _ => BTreeMap::new(),
            };
            let rows = rows
                .into_iter()
                .map(|row| SumRow { key: cities.get(&row.key).cloned().unwrap_or_default(), ..row });
            let all = by_key(by, rows.collect());
            let after = page.after(0).to_owned();
            let taken = all.into_iter().filter(|one| page.is_first() || one.key > after);
            let taken = taken.take(usize::try_from(page.limit()).unwrap_or(usize::MAX)).collect();
            (statistics, next_page_token) = page.cut(taken, |one: &Statistics| vec![one.key.clone()]);
        } else {
            let (tx, reach) = (&mut unit.tx, &unit.reach);
            let keys =
                statistics::keys(tx, reach, programme_id, (asked, key), page.after(0), page.limit()).await?;
            let (keys, token) = page.cut(keys, |key| vec![key.clone()]);
            let rows = match (keys.first(), keys.last()) {
                (Some(first), Some(last)) => {
                    statistics::sums(tx, reach, programme_id, (asked, key, false), (first, last)).await?
                }
                _ => Vec::new(),
            };
            (statistics, next_page_token) = (by_key(by, rows), token);
        }
        if key == Key::Stage {
            for one in &mut statistics {
                let stage = one.key.parse().ok().and_then(stage_from_number);
                one.key = stage.map_or("", |stage| stage.as_str()).to_owned();
            }
        }
        let catching_up = rescore::is_behind(&mut unit.tx, programme_id).await?;
        Ok((unit, ListStatisticsResponse { statistics, next_page_token, catching_up }))
    }
}

/// All sums at once, of what has few keys.
async fn whole(
    unit: &mut ReadUnit,
    programme_id: &ProgrammeId,
    (asked, key): (Asked<'_>, Key),
) -> Result<Vec<SumRow>> {
    // Every key of digits and letters lies between these.
    let last = if key == Key::Nothing { "" } else { "\u{10FFFF}" };
    Ok(statistics::sums(&mut unit.tx, &unit.reach, programme_id, (asked, key, false), ("", last)).await?)
}

async fn cities(
    unit: &mut ReadUnit,
    programme_id: &ProgrammeId,
    as_of: Instant,
) -> Result<BTreeMap<String, String>> {
    let cities = statistics::cities(&mut unit.tx, &unit.reach, programme_id, as_of).await?;
    Ok(cities.into_iter().collect())
}

/// Sums by key, each as a message, in the order of keys.
fn by_key(by: (&Scheme, Weeks), rows: Vec<SumRow>) -> Vec<Statistics> {
    let mut groups: BTreeMap<String, Vec<SumRow>> = BTreeMap::new();
    for row in rows {
        groups.entry(row.key.clone()).or_default().push(row);
    }
    let mut all = Vec::with_capacity(groups.len());
    for (key, rows) in groups {
        let statistics = Statistics { key, ..summed(by, &rows) };
        // A class or school that everybody has left.
        if statistics != (Statistics { key: statistics.key.clone(), ..summed(by, &[]) }) {
            all.push(statistics);
        }
    }
    all
}

/// Whether these sums have late weeks, and as of when: those whose deadline has passed.
#[derive(Debug, Clone, Copy)]
enum Weeks {
    /// What has no tutor has none.
    None,
    /// Of all classes together.
    By(Instant),
    /// Of one class, whose week is one week, in however many counties its trainees stood.
    OfOneClass(Instant),
}

impl Weeks {
    /// How many late weeks a row of them is.
    fn count(self, scheme: &Scheme, row: &SumRow) -> i32 {
        let is_over = |as_of| late_weeks::deadline(scheme, row.detail).is_some_and(|until| until <= as_of);
        match self {
            Self::By(as_of) if is_over(as_of) => shown(row.amount),
            Self::OfOneClass(as_of) if is_over(as_of) => shown(row.amount.min(1)),
            _ => 0,
        }
    }
}

/// The message of these sums, whatever their keys.
fn summed((scheme, weeks): (&Scheme, Weeks), rows: &[SumRow]) -> Statistics {
    let phases = scheme.trainee.online.len();
    let mut statistics = Statistics { phases: no_phases(phases), ..Statistics::default() };
    let has_weeks = !matches!(weeks, Weeks::None);
    let mut late_weeks = 0;
    let mut days: BTreeMap<i64, DayStatistics> = BTreeMap::new();
    let mut totals: BTreeMap<i64, i64> = BTreeMap::new();
    let mut offline: BTreeMap<i64, i64> = BTreeMap::new();
    for row in rows {
        let Some(counter) = Counter::from_number(row.counter) else { continue };
        let amount = shown(row.amount);
        let mut unused = DayStatistics { phases: no_phases(phases), ..DayStatistics::default() };
        let day = match row.day {
            UNDATED => &mut unused,
            day => days.entry(day).or_insert_with(|| DayStatistics { day: day_text(day), ..unused.clone() }),
        };
        let phase = usize::try_from(row.detail).unwrap_or(usize::MAX);
        match counter {
            Counter::Active => statistics.active += amount,
            Counter::LoggedIn => {
                statistics.logged_in += amount;
                day.logged_in += amount;
            }
            Counter::LoggedInOnTime => statistics.logged_in_on_time += amount,
            Counter::PhaseEarned => {
                for phases in [&mut statistics.phases, &mut day.phases] {
                    if let Some(phase) = phases.get_mut(phase) {
                        phase.earned += amount;
                    }
                }
            }
            Counter::Submitted => {
                statistics.submitted += amount;
                day.submitted += amount;
            }
            Counter::Graded => {
                statistics.marked += amount;
                match i32::try_from(row.detail).ok().and_then(|grade| Grade::try_from(grade).ok()) {
                    Some(Grade::Excellent) => statistics.excellent += amount,
                    Some(Grade::Pass) => statistics.graded_pass += amount,
                    Some(Grade::Fail) => statistics.graded_fail += amount,
                    Some(Grade::Unspecified) | None => {}
                }
            }
            Counter::SeminarEarned => {
                statistics.seminar_earned += amount;
                day.seminar_earned += amount;
            }
            Counter::Passed => {
                statistics.passed += amount;
                day.passed += amount;
            }
            Counter::LateSubmission => {}
            Counter::LateWeek => {
                let count = weeks.count(scheme, row);
                late_weeks += count;
                day.late_weeks += count;
            }
            Counter::Total => *totals.entry(row.detail).or_default() += row.amount,
            Counter::OfflineScore => *offline.entry(row.detail).or_default() += row.amount,
            Counter::Attended => statistics.attended += amount,
            Counter::AttendanceScored => {
                statistics.attendance_scored += amount;
                day.attendance_scored += amount;
            }
        }
    }
    statistics.late_weeks = has_weeks.then_some(late_weeks);
    let active = i64::from(statistics.active).max(1);
    statistics.passed_share = shown(i64::from(statistics.passed) * 10_000 / active);
    let sum: i64 = totals.iter().map(|(total, count)| total * count).sum();
    statistics.average_hundredths = shown((sum * 200 + active) / (2 * active));
    statistics.totals = values(totals);
    statistics.offline_scores = values(offline);
    let empty = DayStatistics { phases: no_phases(phases), ..DayStatistics::default() };
    let happened = |day: &DayStatistics| DayStatistics { day: String::new(), ..day.clone() } != empty;
    statistics.days = days.into_values().filter(happened).collect();
    statistics
}

fn no_phases(count: usize) -> Vec<PhaseStatistics> {
    (0..count).map(|phase| PhaseStatistics { phase: ItemKey::Phase(phase).to_string(), earned: 0 }).collect()
}

fn values(counts: BTreeMap<i64, i64>) -> Vec<ValueCount> {
    let counted = counts.into_iter().filter(|(_, count)| *count != 0);
    counted.map(|(value, count)| ValueCount { value: shown(value), count: shown(count) }).collect()
}

fn shown(amount: i64) -> i32 {
    i32::try_from(amount).unwrap_or(if amount < 0 { i32::MIN } else { i32::MAX })
}

fn day_text(day: i64) -> String {
    let date = TimeDelta::try_days(day).and_then(|days| NaiveDate::default().checked_add_signed(days));
    date.map(|date| date.to_string()).unwrap_or_default()
}
