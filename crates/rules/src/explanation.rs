//! How a score explains itself: items, their states, and reasons with a text in Chinese and in English.
//!
//! A score without a cause is an argument at every school, so each item names the clause, the evidence and its time, and
//! a missed one says why. To add a reason, add a line to the `reasons!` list; its code goes into score files and must
//! never change afterwards.

use std::fmt;

use chrono::{DateTime, Utc};

/// The name of the item whose reasons the season's score files leave out.
const ITEM_NOT_PRINTED: &str = "offline";

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

            /// The reason for people, in Chinese.
            pub const fn text_zh(self) -> &'static str {
                match self { $(Self::$variant => $zh,)+ }
            }

            /// The reason for people, in English.
            pub const fn text_en(self) -> &'static str {
                match self { $(Self::$variant => $en,)+ }
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
    /// Annex 4, offline.
    PlanNotSubmitted = "PLAN_NOT_SUBMITTED", "未按时报送线下研修活动方案", "no offline plan was submitted in time";
    /// Annex 4, offline.
    ActivityNotHeld = "ACTIVITY_NOT_HELD", "未按时组织线下研修活动", "no offline activity was held inside the window";
    /// Annex 4, offline: nobody to score.
    NobodyAttended = "NOBODY_ATTENDED", "线下研修活动没有参训教师参加", "no active trainee attended an offline activity";
    /// Annex 4, offline.
    AttendanceNotScored = "ATTENDANCE_NOT_SCORED", "有参加线下研修活动的参训教师未评定成绩", "an attendance of an active trainee has no score";
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
    /// Its stable name, e.g. `phase_1`, `assignment`, `bulletin_2`.
    pub name: String,
    /// The points that it gives at the score's `as_of`.
    pub points: i64,
    /// The points that it could give.
    pub max_points: i64,
    /// Earned, pending or missed.
    pub state: ItemState,
    /// Why it was missed; always there when `state` is `Missed`, never otherwise.
    pub reason: Option<ReasonCode>,
    /// The clause of the notice that it follows.
    pub clause: &'static str,
    /// The id of what decided it (a submission, a seminar, an activity, a class), where there is one.
    pub evidence: Option<String>,
    /// When what decided it happened.
    pub at: Option<DateTime<Utc>>,
}

impl Item {
    /// Whether the item is earned.
    pub fn is_earned(&self) -> bool {
        self.state == ItemState::Earned
    }
}

/// What a judge of one item found; with the item's name, points and clause it becomes an [`Item`].
#[derive(Debug, Clone)]
pub(crate) struct Finding {
    pub(crate) points: i64,
    pub(crate) state: ItemState,
    pub(crate) reason: Option<ReasonCode>,
    pub(crate) evidence: Option<String>,
    pub(crate) at: Option<DateTime<Utc>>,
}

impl Finding {
    /// Earned in full or in part.
    pub(crate) fn earned(points: i64, at: DateTime<Utc>) -> Self {
        Self { points, state: ItemState::Earned, reason: None, evidence: None, at: Some(at) }
    }

    /// Not earned: missed for `reason` when the time is over, else pending.
    pub(crate) fn not_earned(over: bool, reason: ReasonCode) -> Self {
        let (state, reason) =
            if over { (ItemState::Missed, Some(reason)) } else { (ItemState::Pending, None) };
        Self { points: 0, state, reason, evidence: None, at: None }
    }

    pub(crate) fn on(mut self, evidence: impl fmt::Display) -> Self {
        self.evidence = Some(evidence.to_string());
        self
    }

    pub(crate) fn dated(mut self, at: DateTime<Utc>) -> Self {
        self.at = Some(at);
        self
    }

    pub(crate) fn into_item(self, name: impl Into<String>, max_points: i64, clause: &'static str) -> Item {
        Item {
            name: name.into(),
            points: self.points,
            max_points,
            state: self.state,
            reason: self.reason,
            clause,
            evidence: self.evidence,
            at: self.at,
        }
    }
}

/// The `reasons` column of a season's `trainees.csv`: `ITEM:CODE` of every missed item in order, one blank between. The
/// offline item is left out: the notice asks nobody to attend.
pub fn csv_reasons(items: &[Item]) -> String {
    let mut reasons = Vec::new();
    for item in items {
        if item.name == ITEM_NOT_PRINTED || item.state != ItemState::Missed {
            continue;
        }
        if let Some(reason) = item.reason {
            reasons.push(format!("{}:{reason}", item.name));
        }
    }
    reasons.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_read_back_gives_the_same_reason_with_both_texts() {
        for reason in ReasonCode::ALL {
            assert_eq!(ReasonCode::parse(reason.as_str()), Some(*reason));
            assert!(!reason.text_zh().is_ascii() && reason.text_en().is_ascii());
        }
    }

    #[test]
    fn csv_reasons_of_missed_items_leave_offline_out() {
        let missed = |name: &str, reason| Finding::not_earned(true, reason).into_item(name, 10, "");
        let items = [
            missed("phase_1", ReasonCode::NotAchievedInWindow),
            Finding::not_earned(false, ReasonCode::NotSubmitted).into_item("assignment", 30, ""),
            missed("seminar", ReasonCode::NotAttended),
            missed("offline", ReasonCode::NotScored),
        ];
        assert_eq!(csv_reasons(&items), "phase_1:NOT_ACHIEVED_IN_WINDOW seminar:NOT_ATTENDED");
    }
}
