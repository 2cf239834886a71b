//! The score of a county, which each of its counselors carries (Annex 4, 县（区）辅导员考核办法).
//!
//! The only score with fractions: hundredths of a point, rounded half up once at the end of each of the two parts, by
//! integers alone. To add an offline item, add its word to [`OfflineItem`] and its judgement to `judge`.

use std::collections::BTreeSet;
use std::fmt;

use chrono::{DateTime, Utc};

use crate::calendar::Period;
use crate::explanation::{ItemState, ReasonCode};
use crate::scheme::{Scheme, Task};
use crate::vocabulary::{EducationStage, OfflineItem};

const CLAUSE_REGISTRATION_LOGIN: &str = "附件4 报名登录 (Annex 4, registration and login)";
const CLAUSE_OFFLINE: &str = "附件4 组织开展线下研修活动 (Annex 4, offline activity)";

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
    /// How many of them did each task on time ([`crate::trainee::task_done`]), in the order of the scheme's tasks;
    /// missing ones are 0.
    pub done_by_task: Vec<i64>,
    /// What happened in each education stage. A stage that is missing has no active trainees.
    pub stages: Vec<StageFacts>,
    /// Active trainees with an offline score.
    pub scored_participants: i64,
    /// How many different scores they hold ([`distinct_scores`]).
    pub distinct_scores: i64,
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
    /// The clause of the notice.
    pub clause: &'static str,
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
    /// The clause of the notice.
    pub clause: &'static str,
    /// When it was earned, where one instant says so.
    pub at: Option<DateTime<Utc>>,
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
    let tasks = task_shares(scheme, facts);
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

fn task_shares(scheme: &Scheme, facts: &CountyFacts) -> Vec<TaskShare> {
    let mut shares = Vec::new();
    for (index, task) in scheme.counselor.registration_login.tasks.iter().enumerate() {
        let done = facts.done_by_task.get(index).copied().unwrap_or(0).clamp(0, facts.active);
        shares.push(TaskShare { task: *task, done, active: facts.active, clause: CLAUSE_REGISTRATION_LOGIN });
    }
    shares
}

fn judge(scheme: &Scheme, item: OfflineItem, stage: &StageFacts, as_of: DateTime<Utc>) -> CountyItem {
    let period = scheme.counselor.offline.period;
    let counted =
        |at: Option<DateTime<Utc>>, period: &Period| at.filter(|at| *at <= as_of && period.contains(*at));
    let everyone_scored =
        stage.attendances_of_active > 0 && stage.scored_attendances_of_active >= stage.attendances_of_active;
    let (earned, at, missed) = match item {
        OfflineItem::Plan => {
            let at = counted(stage.plan_at, &scheme.plan_period());
            (at.is_some(), at, ReasonCode::PlanNotSubmitted)
        }
        OfflineItem::Activity => {
            let at = counted(stage.activity_at, &period);
            (at.is_some(), at, ReasonCode::ActivityNotHeld)
        }
        OfflineItem::Results => {
            let at = counted(stage.results_at, &period);
            (at.is_some(), at, ReasonCode::ResultsNotSubmitted)
        }
        OfflineItem::Scoring if stage.attendances_of_active > 0 => {
            (everyone_scored, None, ReasonCode::AttendanceNotScored)
        }
        OfflineItem::Scoring => (false, None, ReasonCode::NobodyAttended),
    };
    let (state, reason) = match (earned, period.is_over(as_of)) {
        (true, _) => (ItemState::Earned, None),
        (false, false) => (ItemState::Pending, None),
        (false, true) => (ItemState::Missed, Some(missed)),
    };
    CountyItem { item, stage: stage.stage, state, reason, clause: CLAUSE_OFFLINE, at }
}

/// Whether a county's offline scores are flagged as not distinct (Annex 2, offline, 有区分度).
pub fn scores_not_distinct(scheme: &Scheme, scored_participants: i64, distinct_scores: i64) -> bool {
    scheme.trainee.offline.distinct.is_some_and(|rule| {
        scored_participants >= rule.from_participants && distinct_scores < rule.min_distinct_scores
    })
}

/// How many different scores the scored participants of a county hold; a participant's score is the points of their
/// offline item.
pub fn distinct_scores(offline_points: impl IntoIterator<Item = i64>) -> i64 {
    let distinct: BTreeSet<i64> = offline_points.into_iter().collect();
    i64::try_from(distinct.len()).unwrap_or(i64::MAX)
}
