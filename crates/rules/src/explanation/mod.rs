//! How a score explains itself: items with their states, clauses and evidence, why one was missed, what one still needs.
//! Every text for people stands here, in Chinese and in English.
//!
//! A score without a cause is an argument at every school, so each item names the clause, the evidence and its time, a
//! missed one says why, and one that isn't earned says what is missing. To add a reason, add a line to the `reasons!` list;
//! to add an item, a variant of [`ItemKey`] (`key.rs`); to add something that can be missing, a line in `missing.rs`. Codes
//! go into files and answers and must never change afterwards.

mod adjusted;
mod key;
mod missing;

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};

pub use adjusted::{
    Adjusted, Adjustment, counting as adjustment_counting, kind_names as adjustment_kind_names,
};
pub use key::{ItemKey, UnknownItem};
pub use missing::{Missing, Need, Unit};

/// A text for people in both languages.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text {
    /// In Chinese.
    pub zh: String,
    /// In English.
    pub en: String,
}

impl Text {
    /// A text in both languages.
    pub fn new(zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self { zh: zh.into(), en: en.into() }
    }
}

/// The clause of the notice that an item follows, as the scheme names it; every item of one rule shares it.
pub type Clause = Arc<Text>;

/// Whether an item is earned at the `as_of` of its score (scoring.md, Time).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ItemState {
    /// Earned.
    Earned,
    /// Not earned yet, and it still can be.
    Pending,
    /// Not earned, and the time is over; a reason says why.
    Missed,
}

impl ItemState {
    /// The stable word: `EARNED`, `PENDING`, `MISSED`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Earned => "EARNED",
            Self::Pending => "PENDING",
            Self::Missed => "MISSED",
        }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $zh:literal, $en:literal;)+) => {
        /// Why an item was missed, or why a choice has no effect.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ReasonCode {
            $($(#[$doc])* $variant,)+
        }

        impl ReasonCode {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The stable code, e.g. `NOT_SUBMITTED`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// Reads a code; `None` when there is no such reason.
            pub fn parse(code: &str) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)+ _ => None }
            }

            /// The reason for people, in Chinese and in English.
            pub const fn texts(self) -> (&'static str, &'static str) {
                match self { $(Self::$variant => ($zh, $en),)+ }
            }
        }
    };
}

reasons! {
    /// Annex 2, online.
    NotAchievedInWindow = "NOT_ACHIEVED_IN_WINDOW", "未在规定时段内完成本阶段学习", "the phase was not achieved inside its window";
    /// Annex 2, online: achieved, but the entry before was not.
    PreviousPhaseMissed = "PREVIOUS_PHASE_MISSED", "上一阶段学习未按时完成，本阶段不计分", "the previous phase was not achieved, so this one earns nothing";
    /// Annex 2, assignment.
    NotSubmitted = "NOT_SUBMITTED", "未在规定时段内提交实践性作业", "no assignment was submitted inside the window";
    /// Annex 2, assignment: the newest submission has no review.
    NotReviewed = "NOT_REVIEWED", "最新一次提交的作业未在规定时间内批阅", "the newest submission was not reviewed in time";
    /// Annex 2, assignment: the newest submission was returned last.
    Returned = "RETURNED", "作业被退回修改，未再提交或未再批阅", "the newest submission was returned for revision, and nothing followed";
    /// Annex 2, assignment.
    GradedFail = "GRADED_FAIL", "实践性作业成绩不合格", "the assignment was graded fail";
    /// Annex 2, seminar.
    NotAttended = "NOT_ATTENDED", "未参加本班研修活动（无合格的研讨帖）", "no accepted post to a seminar of the class inside the window";
    /// Annex 2, offline.
    NotScored = "NOT_SCORED", "无线下研修活动成绩", "no offline score inside the window";
    /// Annex 3, marking.
    NotAllMarked = "NOT_ALL_MARKED", "有提交的作业未批阅", "a submission was neither reviewed nor returned in time";
    /// Annex 3, bulletins.
    BulletinNotPublished = "BULLETIN_NOT_PUBLISHED", "有班级未按时发布本期简报", "a class has no bulletin of this number published inside its window";
    /// Annex 3, seminar.
    SeminarNotOpened = "SEMINAR_NOT_OPENED", "有班级未按时开设班级研修活动", "a class has no seminar opened inside the window";
    /// Annex 3, seminar.
    SeminarWithoutPost = "SEMINAR_WITHOUT_POST", "班级研修活动没有合格的研讨帖", "the seminar has no accepted post inside the window";
    /// Annex 3, seminar.
    SeminarNotSummarised = "SEMINAR_NOT_SUMMARISED", "班级研修活动未按时发布总结", "the seminar has no summary published inside the window";
    /// Annex 3: a tutor without a class.
    NoClass = "NO_CLASS", "没有任教班级", "the tutor has no class";
    /// Annex 3, excellence.
    NotQualified = "NOT_QUALIFIED", "考核未达合格分数", "the total is below the qualifying total";
    /// Annex 3, excellence.
    PrejobNotAttended = "PREJOB_NOT_ATTENDED", "未参加岗前培训", "pre-job training was not attended";
    /// Annex 3, excellence.
    TooManyLateWeeks = "TOO_MANY_LATE_WEEKS", "未按周完成批阅的次数达到取消评优的次数", "too many weeks were marked late";
    /// Honours: a trainee who was recommended.
    NotPassed = "NOT_PASSED", "考核未合格", "the trainee did not pass";
    /// Honours.
    TotalBelowHonour = "TOTAL_BELOW_HONOUR", "总分低于评优分数线", "the total is below what the scheme asks for an honour";
    /// Honours.
    OverQuota = "OVER_QUOTA", "超出评优名额", "the scheme's quota has no more room";
    /// Honours.
    HasLeft = "HAS_LEFT", "已退出培训", "the trainee has left";
    /// Annex 4, offline.
    PlanNotSubmitted = "PLAN_NOT_SUBMITTED", "未按时报送线下研修活动方案", "no offline plan was submitted in time";
    /// Annex 4, offline.
    ActivityNotHeld = "ACTIVITY_NOT_HELD", "未按时组织线下研修活动", "no offline activity was held inside the window";
    /// Annex 4, offline: nobody to score.
    NobodyAttended = "NOBODY_ATTENDED", "线下研修活动没有参训教师参加", "no active trainee attended an offline activity";
    /// Annex 4, offline.
    AttendanceNotScored = "ATTENDANCE_NOT_SCORED", "有参加线下研修活动的参训教师未评定成绩", "an attendance of an active trainee has no score";
    /// Decided by people, whatever the facts give.
    AdjustedToNothing = "ADJUSTED_TO_NOTHING", "经核准不计分", "it was decided that it earns nothing";
    /// Annex 4, offline.
    ResultsNotSubmitted = "RESULTS_NOT_SUBMITTED", "未按时报送线下研修活动成果", "no offline results were submitted inside the window";
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// One item of a score, with everything that explains it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What it is about.
    pub key: ItemKey,
    /// The points that it gives at the score's `as_of`.
    pub points: i64,
    /// The points that it could give.
    pub max_points: i64,
    /// Earned, pending or missed.
    pub state: ItemState,
    /// Why it was missed; always there when `state` is `Missed`, never otherwise.
    pub reason: Option<ReasonCode>,
    /// What it needs; always there unless it is earned, or was decided to earn nothing.
    pub missing: Option<Missing>,
    /// The clause that it follows.
    pub clause: Clause,
    /// The id of what decided it (a submission, a seminar, an activity, a class), where there is one.
    pub evidence: Option<String>,
    /// When what decided it happened.
    pub at: Option<DateTime<Utc>>,
    /// By which decision it counts as these points, and what was computed.
    pub adjusted: Option<Adjusted>,
}

impl Item {
    /// The same item as a decision wants it to count: earned, unless that gives no points. What earned it still is when and on
    /// what it was earned.
    #[must_use]
    pub fn adjusted_by(self, adjustment: &Adjustment) -> Self {
        let points = adjustment.points.clamp(0, self.max_points);
        let at = if points > 0 && self.is_earned() { self.at } else { None };
        let (state, reason) = Self::adjusted_state(points);
        Self {
            points,
            state,
            reason,
            missing: None,
            at: at.or(Some(adjustment.decided_at)),
            adjusted: Some(Adjusted { computed: self.points, adjustment: adjustment.clone() }),
            ..self
        }
    }

    /// Where an item stands that counts as so many points by a decision.
    pub fn adjusted_state(points: i64) -> (ItemState, Option<ReasonCode>) {
        match points {
            0 => (ItemState::Missed, Some(ReasonCode::AdjustedToNothing)),
            _ => (ItemState::Earned, None),
        }
    }

    /// Since when it counts as these points.
    pub fn counts_since(&self) -> Option<DateTime<Utc>> {
        self.adjusted.as_ref().map(|adjusted| adjusted.adjustment.decided_at).or(self.at)
    }

    /// Whether the item is earned.
    pub fn is_earned(&self) -> bool {
        self.state == ItemState::Earned
    }

    /// The same item as of another time, between which and the item's own nothing happened that it rests on: what it needs
    /// says whether it still can be earned.
    #[must_use]
    pub fn as_of(mut self, as_of: DateTime<Utc>) -> Self {
        self.missing = self.missing.map(|missing| missing.as_of(as_of));
        if let Some(missing) = &self.missing {
            (self.state, self.reason) = missing.judged(as_of);
        }
        self
    }
}

/// What a judge of one item found; with the item's key, points and clause it becomes an [`Item`].
#[derive(Debug, Clone)]
pub(crate) struct Finding {
    pub(crate) points: i64,
    pub(crate) state: ItemState,
    pub(crate) reason: Option<ReasonCode>,
    pub(crate) missing: Option<Missing>,
    pub(crate) evidence: Option<String>,
    pub(crate) at: Option<DateTime<Utc>>,
}

impl Finding {
    /// Earned in full or in part.
    pub(crate) fn earned(points: i64, at: DateTime<Utc>) -> Self {
        let state = ItemState::Earned;
        Self { points, state, reason: None, missing: None, evidence: None, at: Some(at) }
    }

    /// Not earned: missed when it is too late for what is missing, else pending.
    pub(crate) fn not_earned(as_of: DateTime<Utc>, missing: Missing) -> Self {
        let (state, reason) = missing.judged(as_of);
        Self { points: 0, state, reason, missing: Some(missing), evidence: None, at: None }
    }

    pub(crate) fn on(mut self, evidence: impl fmt::Display) -> Self {
        self.evidence = Some(evidence.to_string());
        self
    }

    pub(crate) fn dated(mut self, at: DateTime<Utc>) -> Self {
        self.at = Some(at);
        self
    }

    pub(crate) fn into_item(self, key: ItemKey, max_points: i64, clause: &Clause) -> Item {
        Item {
            key,
            points: self.points,
            max_points,
            state: self.state,
            reason: self.reason,
            missing: self.missing,
            clause: Arc::clone(clause),
            evidence: self.evidence,
            at: self.at,
            adjusted: None,
        }
    }
}

/// Several reasons as one text, e.g. why a choice has no effect.
pub fn joined(reasons: &[ReasonCode]) -> Text {
    let zh: Vec<&str> = reasons.iter().map(|reason| reason.texts().0).collect();
    let en: Vec<&str> = reasons.iter().map(|reason| reason.texts().1).collect();
    Text::new(zh.join("；"), en.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_read_back_gives_the_same_reason_with_both_texts() {
        for reason in ReasonCode::ALL {
            assert_eq!(ReasonCode::parse(reason.as_str()), Some(*reason));
            let (zh, en) = reason.texts();
            assert!(!zh.is_ascii() && en.is_ascii());
        }
    }

    #[test]
    fn reasons_are_joined_in_each_language() {
        let both = joined(&[ReasonCode::NotQualified, ReasonCode::TooManyLateWeeks]);
        assert_eq!(both.zh, "考核未达合格分数；未按周完成批阅的次数达到取消评优的次数");
        assert_eq!(both.en, "the total is below the qualifying total; too many weeks were marked late");
        assert_eq!(joined(&[]), Text::new("", ""));
    }
}
