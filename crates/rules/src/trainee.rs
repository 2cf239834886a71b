//! The score of a trainee (Annex 2, 参训教师考核办法).
//!
//! Facts are a set: the order of the lists does not matter, and nothing dated after `as_of` counts. Each item is judged
//! by its own function here; to add an item, add its figures to the scheme, its function, and its line in `score`.

use chrono::{DateTime, Utc};

use crate::absence::Absences;
use crate::explanation::{Adjustment, Finding, Item, ItemKey, Missing, Need, adjustment_counting};
use crate::ids::{ActivityId, SeminarId};
use crate::scheme::{OnlineEntry, Scheme, Task};
use crate::submission::{MarkKind, Submission, counting};
use crate::vocabulary::Grade;

/// Everything that is known of a trainee.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TraineeFacts {
    /// The first login.
    pub login_at: Option<DateTime<Utc>>,
    /// Withdrawals (调离, 退休, 产假), each until the return from it.
    pub absences: Absences,
    /// When each online entry was achieved, by index; missing entries are not achieved.
    pub phases: Vec<Option<DateTime<Utc>>>,
    /// How much was studied of each online entry that isn't achieved, by index; missing entries are not known.
    pub studied: Vec<Option<Studied>>,
    /// Every submission, superseded ones too.
    pub submissions: Vec<Submission>,
    /// Accepted posts to seminars of the trainee's own class; the first is enough.
    pub seminar_posts: Vec<SeminarPost>,
    /// Offline scores, corrected ones too.
    pub offline_scores: Vec<OfflineScore>,
    /// What was decided about items, and stands.
    pub adjustments: Vec<Adjustment>,
}

/// Study towards an online entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Studied {
    /// At least so many seconds are credited.
    pub seconds: i64,
    /// The latest moment that they rest on: what was credited before it is not known.
    pub at: DateTime<Utc>,
}

/// An accepted post to a seminar of the trainee's own class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeminarPost {
    /// The seminar.
    pub seminar: SeminarId,
    /// When it was posted.
    pub at: DateTime<Utc>,
}

/// A score for attending an activity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfflineScore {
    /// The activity.
    pub activity: ActivityId,
    /// The score, in points.
    pub score: i64,
    /// When it was given.
    pub at: DateTime<Utc>,
    /// Its number among the attendee's scores of the activity: of two at one instant the larger is the later.
    pub sequence: i64,
}

/// The score of a trainee at some `as_of`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraineeScore {
    /// `phase_1` to `phase_N`, `assignment`, `seminar`, `offline`, in this order; empty when withdrawn.
    pub items: Vec<Item>,
    /// The sum of the items' points; 0 when withdrawn.
    pub total: i64,
    /// Whether the trainee has passed by now; never when withdrawn.
    pub passed: bool,
    /// Withdrawn: no score, and in no rate.
    pub withdrawn: bool,
}

impl TraineeScore {
    /// The item of a key; `None` when there is none (or the trainee is withdrawn).
    pub fn item(&self, key: ItemKey) -> Option<&Item> {
        self.items.iter().find(|item| item.key == key)
    }
}

/// The score of a trainee from the facts dated `as_of` or earlier (Annex 2; passing is Annex 2, 合格标准). Where it was decided by
/// then what an item counts as, that counts.
pub fn score(scheme: &Scheme, facts: &TraineeFacts, as_of: DateTime<Utc>) -> TraineeScore {
    score_decided_by(scheme, facts, as_of, as_of)
}

/// The score as of the programme's end with all that was ever decided: an appeal is heard when the programme is over.
pub fn final_score(scheme: &Scheme, facts: &TraineeFacts, end: DateTime<Utc>) -> TraineeScore {
    score_decided_by(scheme, facts, end, DateTime::<Utc>::MAX_UTC)
}

fn score_decided_by(
    scheme: &Scheme,
    facts: &TraineeFacts,
    as_of: DateTime<Utc>,
    decided_by: DateTime<Utc>,
) -> TraineeScore {
    if facts.absences.at(as_of) {
        return TraineeScore { items: Vec::new(), total: 0, passed: false, withdrawn: true };
    }
    let rules = &scheme.trainee;
    let mut items = Vec::with_capacity(rules.online.len() + 3);
    for (index, entry) in rules.online.iter().enumerate() {
        let finding = judge_phase(&rules.online, index, facts, as_of);
        items.push(finding.into_item(ItemKey::Phase(index), entry.points, &entry.clause));
    }
    let (assignment, seminar, offline) = (&rules.assignment, &rules.seminar, &rules.offline);
    let finding = judge_assignment(scheme, facts, as_of);
    items.push(finding.into_item(ItemKey::Assignment, assignment.points.most(), &assignment.clause));
    let finding = judge_seminar(scheme, facts, as_of);
    items.push(finding.into_item(ItemKey::Seminar, seminar.points, &seminar.clause));
    let finding = judge_offline(scheme, facts, as_of);
    items.push(finding.into_item(ItemKey::Offline, offline.max_score, &offline.clause));
    if facts.adjustments.is_empty() {
        return sum(scheme, items);
    }
    let adjusted = items.into_iter().map(|item| {
        match adjustment_counting(&facts.adjustments, item.key, decided_by, as_of) {
            Some(adjustment) => item.adjusted_by(adjustment),
            None => item,
        }
    });
    let items = adjusted.collect();
    sum(scheme, items)
}

/// The most points that an item of a trainee's score can bring, in whole points; `None` for an item that the scheme gives no
/// trainee.
pub fn most_points(scheme: &Scheme, key: ItemKey) -> Option<i64> {
    let rules = &scheme.trainee;
    match key {
        ItemKey::Phase(index) => rules.online.get(index).map(|entry| entry.points),
        ItemKey::Assignment => Some(rules.assignment.points.most()),
        ItemKey::Seminar => Some(rules.seminar.points),
        ItemKey::Offline => Some(rules.offline.max_score),
        ItemKey::Login | ItemKey::Marking | ItemKey::Bulletin(_) | ItemKey::County(..) => None,
    }
}

/// The score as of another time from the items as of one, between which nothing happened that they rest on.
pub fn restated(scheme: &Scheme, items: Vec<Item>, as_of: DateTime<Utc>) -> TraineeScore {
    sum(scheme, items.into_iter().map(|item| item.as_of(as_of)).collect())
}

fn sum(scheme: &Scheme, items: Vec<Item>) -> TraineeScore {
    let rules = &scheme.trainee;
    let total = items.iter().map(|item| item.points).sum();
    let seminar_earned = items.iter().any(|item| item.key == ItemKey::Seminar && item.is_earned());
    let passed = total >= rules.pass_total && (seminar_earned || !rules.seminar_required);
    TraineeScore { items, total, passed, withdrawn: false }
}

/// When the entry at an index was achieved inside its window, by `as_of`.
fn achieved_at(
    online: &[OnlineEntry],
    index: usize,
    facts: &TraineeFacts,
    as_of: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let entry = &online[index];
    let at = entry.given_at().or_else(|| facts.phases.get(index).copied().flatten())?;
    (at <= as_of && entry.period.contains(at)).then_some(at)
}

/// Annex 2, online. `requires_previous` asks whether the entry directly before was ACHIEVED, not whether it earned its
/// points: that is the law's word, and with three entries the third looks at the second only. Achieved while the previous
/// one still can be is pending, whichever window ends first.
fn judge_phase(online: &[OnlineEntry], index: usize, facts: &TraineeFacts, as_of: DateTime<Utc>) -> Finding {
    let entry = &online[index];
    let Some(at) = achieved_at(online, index, facts, as_of) else {
        let studied = facts.studied.get(index).copied().flatten();
        let missing = Missing {
            what: Need::Study,
            have: studied.map(|studied| studied.seconds),
            have_at: studied.map(|studied| studied.at),
            need: entry.required_seconds,
            until: entry.period.until,
        };
        return Finding::not_earned(as_of, missing.as_of(as_of));
    };
    if !entry.requires_previous || index == 0 || achieved_at(online, index - 1, facts, as_of).is_some() {
        return Finding::earned(entry.points, at);
    }
    let missing = Missing::one(Need::PreviousPhase, online[index - 1].period.until);
    Finding::not_earned(as_of, missing).dated(at)
}

/// Annex 2, phase 3. The last mark of the submission that counts counts ([`counting`]). Until `review_until` a fail or a
/// return can still be made good, so it is pending.
fn judge_assignment(scheme: &Scheme, facts: &TraineeFacts, as_of: DateTime<Utc>) -> Finding {
    let rules = &scheme.trainee.assignment;
    let Some(newest) = counting(scheme, &facts.submissions, as_of) else {
        let missing = Missing::one(Need::Submission, rules.period.until);
        return Finding::not_earned(as_of, missing);
    };
    let missing = |what| Missing::one(what, rules.review_until);
    let Some(mark) = newest.last_mark(as_of, rules.review_until) else {
        let finding = Finding::not_earned(as_of, missing(Need::Review));
        return finding.on(&newest.id).dated(newest.submitted_at);
    };
    let finding = match mark.kind {
        MarkKind::Graded(grade @ (Grade::Excellent | Grade::Pass)) => {
            Finding::earned(rules.points.of(grade), mark.at)
        }
        MarkKind::Graded(Grade::Fail) => Finding {
            points: rules.points.of(Grade::Fail),
            ..Finding::not_earned(as_of, missing(Need::BetterGrade)).dated(mark.at)
        },
        MarkKind::Returned => Finding::not_earned(as_of, missing(Need::Revision)).dated(mark.at),
    };
    finding.on(&newest.id)
}

/// Annex 2, phase 4: one accepted post is enough, however many there are.
fn judge_seminar(scheme: &Scheme, facts: &TraineeFacts, as_of: DateTime<Utc>) -> Finding {
    let rules = &scheme.trainee.seminar;
    let first = facts
        .seminar_posts
        .iter()
        .filter(|post| post.at <= as_of && rules.period.contains(post.at))
        .min_by(|left, right| (left.at, &left.seminar).cmp(&(right.at, &right.seminar)));
    match first {
        Some(post) => Finding::earned(rules.points, post.at).on(&post.seminar),
        None => {
            let missing = Missing::new(Need::Post, 0, rules.min_characters, rules.period.until);
            Finding::not_earned(as_of, missing)
        }
    }
}

/// Annex 2, offline: the last score of each activity counts, and of these the best (of equals, the smallest activity id).
/// A score outside the scheme's range is no score.
fn judge_offline(scheme: &Scheme, facts: &TraineeFacts, as_of: DateTime<Utc>) -> Finding {
    let rules = &scheme.trainee.offline;
    let counts = |score: &&OfflineScore| {
        score.at <= as_of
            && rules.period.contains(score.at)
            && (rules.min_score..=rules.max_score).contains(&score.score)
    };
    let mut best: Option<&OfflineScore> = None;
    for score in facts.offline_scores.iter().filter(counts) {
        let corrected = facts.offline_scores.iter().filter(counts).any(|other| {
            other.activity == score.activity
                && (other.at, other.sequence, other.score) > (score.at, score.sequence, score.score)
        });
        if corrected {
            continue;
        }
        let better = best.is_none_or(|best| {
            score.score > best.score || (score.score == best.score && score.activity < best.activity)
        });
        if better {
            best = Some(score);
        }
    }
    match best {
        Some(score) => Finding::earned(score.score, score.at).on(&score.activity),
        None => {
            let missing = Missing::one(Need::OfflineScore, rules.period.until);
            Finding::not_earned(as_of, missing)
        }
    }
}

/// When a trainee did a task of the county's score on time (Annex 4, registration and login), from a score that [`score`]
/// gave for the same facts and `as_of`. A withdrawn trainee, who is in no rate, did none.
pub fn done_on_time_at(
    scheme: &Scheme,
    facts: &TraineeFacts,
    score: &TraineeScore,
    as_of: DateTime<Utc>,
    task: Task,
) -> Option<DateTime<Utc>> {
    if score.withdrawn {
        return None;
    }
    let earned = |key| score.item(key).filter(|item| item.is_earned()).and_then(|item| item.at);
    match task {
        Task::Login => facts.login_at.filter(|at| *at <= as_of && scheme.login().contains(*at)),
        Task::Phase(index) => earned(ItemKey::Phase(index)),
        Task::Assignment => {
            let period = &scheme.trainee.assignment.period;
            let submitted = facts.submissions.iter().map(|submission| submission.submitted_at);
            submitted.filter(|at| *at <= as_of && period.contains(*at)).min()
        }
        Task::Seminar => earned(ItemKey::Seminar),
    }
}

/// The first moment at which a trainee who has passed had what passing takes ([`score`], Annex 2, 合格标准), of what counts
/// as of the score's time.
pub fn passed_at(scheme: &Scheme, score: &TraineeScore) -> Option<DateTime<Utc>> {
    if !score.passed {
        return None;
    }
    let rules = &scheme.trainee;
    let mut dated: Vec<(DateTime<Utc>, &Item)> =
        score.items.iter().filter_map(|item| item.counts_since().map(|at| (at, item))).collect();
    dated.sort_by_key(|(at, _)| *at);
    let mut total = 0;
    let mut has_seminar = !rules.seminar_required;
    for (at, item) in dated {
        total += item.points;
        has_seminar |= item.key == ItemKey::Seminar && item.is_earned();
        if total >= rules.pass_total && has_seminar {
            return Some(at);
        }
    }
    None
}
