//! The score of a county, which each of its counselors carries (Annex 4, 县（区）辅导员考核办法).
//!
//! The only score with fractions: hundredths of a point, rounded half up once at the end of each of the two parts, by
//! integers alone. To add an offline item, add its word to [`OfflineItem`] and its judgement to `judge`.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::calendar::Period;
use crate::explanation::{Clause, Finding, ItemKey, ItemState, Missing, Need, ReasonCode, Text};
use crate::scheme::{Scheme, Task};
use crate::vocabulary::{EducationStage, OfflineItem};

/// Points in hundredths; displayed with two decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hundredths(pub i64);

impl Hundredths {
    /// `points * numerator / denominator` in hundredths, rounded half up. All three are at least 0 and the denominator
    /// at least 1, or the answer is 0.
    pub fn of_share(points: i64, numerator: i64, denominator: i64) -> Self {
        if points <= 0 || numerator <= 0 || denominator <= 0 {
            return Self(0);
        }
        let exact = 100 * i128::from(points) * i128::from(numerator);
        let denominator = i128::from(denominator);
        let rounded = (2 * exact + denominator) / (2 * denominator);
        Self(i64::try_from(rounded).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for Hundredths {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let magnitude = self.0.unsigned_abs();
        write!(formatter, "{sign}{}.{:02}", magnitude / 100, magnitude % 100)
    }
}

/// Everything that is known of a county at the `as_of` of its score.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CountyFacts {
    /// Active trainees: those not withdrawn.
    pub active: i64,
    /// How many of them did each task on time ([`crate::trainee::done_on_time_at`]), in the order of the scheme's tasks;
    /// missing ones are 0.
    pub done_by_task: Vec<i64>,
    /// What happened in each education stage. A stage that is missing has no active trainees.
    pub stages: Vec<StageFacts>,
    /// Active trainees with an offline score.
    pub scored_participants: i64,
    /// How many different scores they hold: a participant's score is the points of their offline item.
    pub distinct_scores: i64,
    /// The scheme with the latest end of each window that anybody in the county has, where some have later ones: until then
    /// a task can still be done.
    pub latest: Option<Arc<Scheme>>,
}

/// One education stage of a county.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageFacts {
    /// The stage.
    pub stage: EducationStage,
    /// Its active trainees.
    pub active: i64,
    /// The first plan submitted inside [`Scheme::plan_period`].
    pub plan_at: Option<DateTime<Utc>>,
    /// The first activity held inside the offline window.
    pub activity_at: Option<DateTime<Utc>>,
    /// Attendances of active trainees at the stage's activities inside the window: pairs of activity and trainee.
    pub attendances_of_active: i64,
    /// Those of them that were scored inside the window.
    pub scored_attendances_of_active: i64,
    /// The first results submitted inside the window.
    pub results_at: Option<DateTime<Utc>>,
}

/// The share of one task in the first part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskShare {
    /// The task.
    pub task: Task,
    /// Active trainees who did it on time.
    pub done: i64,
    /// Active trainees.
    pub active: i64,
    /// Earned when all of them did; missed when the task's time is over.
    pub state: ItemState,
    /// Who is missing; always there unless it is earned.
    pub missing: Option<Missing>,
    /// The clause that it follows.
    pub clause: Clause,
}

impl TaskShare {
    /// What it is about.
    pub fn key(&self) -> ItemKey {
        self.task.into()
    }

    /// How many did it.
    pub fn explanation(&self) -> Text {
        let (done, active) = (self.done, self.active);
        Text::new(
            format!("{active}名参训教师中{done}名按时完成"),
            format!("{done} of {active} active trainees on time"),
        )
    }
}

/// One offline item of one education stage; all of a county's weigh the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountyItem {
    /// The item.
    pub item: OfflineItem,
    /// The stage.
    pub stage: EducationStage,
    /// Earned, pending or missed.
    pub state: ItemState,
    /// Why it was missed; there exactly when it was.
    pub reason: Option<ReasonCode>,
    /// What it needs; always there unless it is earned.
    pub missing: Option<Missing>,
    /// The clause that it follows.
    pub clause: Clause,
    /// When it was earned, where one instant says so.
    pub at: Option<DateTime<Utc>>,
}

impl CountyItem {
    /// What it is about.
    pub fn key(&self) -> ItemKey {
        ItemKey::County(self.item, self.stage)
    }
}

/// The score of a county at some `as_of`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountyScore {
    /// `false` for a county without active trainees: it has no score (`NOT_APPLICABLE`), and all here is 0 or empty.
    pub applicable: bool,
    /// The first part.
    pub registration_login: Hundredths,
    /// The second part.
    pub offline: Hundredths,
    /// Their sum.
    pub total: Hundredths,
    /// The first part task by task.
    pub tasks: Vec<TaskShare>,
    /// The second part item by item, each with each stage that has active trainees.
    pub items: Vec<CountyItem>,
    /// `SCORES_NOT_DISTINCT`: a flag to the city that changes no score (Annex 2, 有区分度).
    pub scores_not_distinct: bool,
}

/// The score of a county (Annex 4). Counts are as of `as_of`; instants after it are ignored. Stages that the scheme does
/// not list, or that have no active trainees, share nothing.
pub fn score(scheme: &Scheme, facts: &CountyFacts, as_of: DateTime<Utc>) -> CountyScore {
    if facts.active <= 0 {
        return CountyScore {
            applicable: false,
            registration_login: Hundredths(0),
            offline: Hundredths(0),
            total: Hundredths(0),
            tasks: Vec::new(),
            items: Vec::new(),
            scores_not_distinct: false,
        };
    }
    let tasks = task_shares(scheme, facts, as_of);
    let done = tasks.iter().map(|share| share.done).sum();
    let registration_login =
        Hundredths::of_share(scheme.counselor.registration_login.points, done, length(&tasks) * facts.active);

    let rules = &scheme.counselor.offline;
    let mut items = Vec::new();
    for item in &rules.items {
        for stage in &rules.stages {
            let active_stage = facts.stages.iter().find(|facts| facts.stage == *stage && facts.active > 0);
            if let Some(stage) = active_stage {
                items.push(judge(scheme, *item, stage, as_of));
            }
        }
    }
    let earned = items.iter().filter(|item| item.state == ItemState::Earned).count();
    let earned = i64::try_from(earned).unwrap_or(i64::MAX);
    let offline = Hundredths::of_share(rules.points, earned, length(&items));

    CountyScore {
        applicable: true,
        registration_login,
        offline,
        total: Hundredths(registration_login.0 + offline.0),
        tasks,
        items,
        scores_not_distinct: scores_not_distinct(scheme, facts.scored_participants, facts.distinct_scores),
    }
}

fn length<T>(list: &[T]) -> i64 {
    i64::try_from(list.len()).unwrap_or(i64::MAX)
}

fn task_shares(scheme: &Scheme, facts: &CountyFacts, as_of: DateTime<Utc>) -> Vec<TaskShare> {
    let rules = &scheme.counselor.registration_login;
    let mut shares = Vec::new();
    for (index, task) in rules.tasks.iter().enumerate() {
        let done = facts.done_by_task.get(index).copied().unwrap_or(0).clamp(0, facts.active);
        let until = task_until(facts.latest.as_deref().unwrap_or(scheme), *task);
        let missing = (done < facts.active).then(|| Missing::new(Need::Trainees, done, facts.active, until));
        let state = missing.map_or(ItemState::Earned, |missing| missing.judged(as_of).0);
        let (active, clause) = (facts.active, Clause::clone(&rules.clause));
        shares.push(TaskShare { task: *task, done, active, state, missing, clause });
    }
    shares
}

/// The first instant at which a task can no longer be done on time. The scheme has every phase that its tasks name.
fn task_until(scheme: &Scheme, task: Task) -> DateTime<Utc> {
    match task {
        Task::Login => scheme.login().until,
        Task::Phase(index) => scheme.trainee.online[index].period.until,
        Task::Assignment => scheme.trainee.assignment.period.until,
        Task::Seminar => scheme.trainee.seminar.period.until,
    }
}

fn judge(scheme: &Scheme, item: OfflineItem, stage: &StageFacts, as_of: DateTime<Utc>) -> CountyItem {
    let rules = &scheme.counselor.offline;
    let counted =
        |at: Option<DateTime<Utc>>, period: &Period| at.filter(|at| *at <= as_of && period.contains(*at));
    let until = rules.period.until;
    let happened = |at: Option<DateTime<Utc>>, what| match at {
        Some(at) => Finding::earned(0, at),
        None => Finding::not_earned(as_of, Missing::one(what, until)),
    };
    let finding = match item {
        OfflineItem::Plan => {
            let at = counted(stage.plan_at, &scheme.plan_period());
            happened(at, Need::Plan)
        }
        OfflineItem::Activity => happened(counted(stage.activity_at, &rules.period), Need::Activity),
        OfflineItem::Results => happened(counted(stage.results_at, &rules.period), Need::Results),
        OfflineItem::Scoring => judge_scoring(stage, as_of, until),
    };
    CountyItem {
        item,
        stage: stage.stage,
        state: finding.state,
        reason: finding.reason,
        missing: finding.missing,
        clause: Clause::clone(&rules.clause),
        at: finding.at,
    }
}

/// Scoring is earned when somebody attended and everybody who did is scored; no one instant says so.
fn judge_scoring(stage: &StageFacts, as_of: DateTime<Utc>, until: DateTime<Utc>) -> Finding {
    let (attended, scored) = (stage.attendances_of_active, stage.scored_attendances_of_active);
    if attended <= 0 {
        let missing = Missing::one(Need::Attendance, until);
        return Finding::not_earned(as_of, missing);
    }
    if scored < attended {
        let missing = Missing::new(Need::Scoring, scored, attended, until);
        return Finding::not_earned(as_of, missing);
    }
    Finding { at: None, ..Finding::earned(0, as_of) }
}

/// Whether a county's offline scores are flagged as not distinct (Annex 2, offline, 有区分度).
fn scores_not_distinct(scheme: &Scheme, scored_participants: i64, distinct_scores: i64) -> bool {
    scheme.trainee.offline.distinct.is_some_and(|rule| {
        scored_participants >= rule.from_participants && distinct_scores < rule.min_distinct_scores
    })
}
