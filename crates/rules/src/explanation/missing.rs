//! What an item that isn't earned still needs: what, how much of it is there, how much there must be, until when.

use std::fmt;

use chrono::{DateTime, Utc};

use super::{ItemState, ReasonCode, Text};

macro_rules! needs {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $unit:ident, $reason:expr, $zh:literal, $en:literal;)+) => {
        /// What is missing. Its code goes into answers and must never change.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Need {
            $($(#[$doc])* $variant,)+
        }

        impl Need {
            /// Everything that can be missing.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The stable code, e.g. `SUBMISSION`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// What it is counted in.
            pub const fn unit(self) -> Unit {
                match self { $(Self::$variant => Unit::$unit,)+ }
            }

            /// Why an item is missed that still needs it when its time is over; a share of trainees is its own reason.
            pub const fn reason(self) -> Option<ReasonCode> {
                match self { $(Self::$variant => $reason,)+ }
            }

            /// Reads a code; `None` when nothing has it.
            pub fn parse(code: &str) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)+ _ => None }
            }

            /// What it is called, in Chinese and in English.
            pub const fn titles(self) -> (&'static str, &'static str) {
                match self { $(Self::$variant => ($zh, $en),)+ }
            }
        }
    };
}

needs! {
    /// Credited study inside the phase's window.
    Study = "STUDY", Seconds, Some(ReasonCode::NotAchievedInWindow), "本阶段学习时间", "credited study in this phase";
    /// The phase before.
    PreviousPhase = "PREVIOUS_PHASE", Phases, Some(ReasonCode::PreviousPhaseMissed), "按时完成上一阶段学习", "the previous phase achieved";
    /// A submission.
    Submission = "SUBMISSION", Submissions, Some(ReasonCode::NotSubmitted), "提交实践性作业", "an assignment submitted";
    /// A review of the submission that counts.
    Review = "REVIEW", Submissions, Some(ReasonCode::NotReviewed), "作业批阅", "a review of the assignment";
    /// A better grade, or another submission, after a fail.
    BetterGrade = "BETTER_GRADE", Submissions, Some(ReasonCode::GradedFail), "合格的作业", "an assignment that passes";
    /// What was returned, revised and reviewed.
    Revision = "REVISION", Submissions, Some(ReasonCode::Returned), "修改后的作业", "the revised assignment";
    /// An accepted post.
    Post = "POST", Characters, Some(ReasonCode::NotAttended), "合格的研讨帖", "a post that is long enough";
    /// A score for attending an offline activity.
    OfflineScore = "OFFLINE_SCORE", Scores, Some(ReasonCode::NotScored), "线下研修活动成绩", "an offline score";
    /// Submissions marked.
    Marks = "MARKS", Submissions, Some(ReasonCode::NotAllMarked), "待批阅的作业", "submissions to be marked";
    /// A bulletin in every class.
    Bulletin = "BULLETIN", Classes, Some(ReasonCode::BulletinNotPublished), "已发布本期简报的班级", "classes with this bulletin";
    /// A seminar opened in every class.
    SeminarOpened = "SEMINAR_OPENED", Classes, Some(ReasonCode::SeminarNotOpened), "已开设研修活动的班级", "classes with a seminar opened";
    /// A seminar with a post in every class.
    SeminarPost = "SEMINAR_POST", Classes, Some(ReasonCode::SeminarWithoutPost), "研修活动已有合格研讨帖的班级", "classes whose seminar has a post";
    /// A seminar with a summary in every class.
    SeminarSummary = "SEMINAR_SUMMARY", Classes, Some(ReasonCode::SeminarNotSummarised), "研修活动已发布总结的班级", "classes whose seminar has a summary";
    /// A class at all.
    Class = "CLASS", Classes, Some(ReasonCode::NoClass), "任教班级", "a class";
    /// A task done on time by every active trainee.
    Trainees = "TRAINEES", Trainees, None, "按时完成的参训教师", "trainees who did it on time";
    /// A plan.
    Plan = "PLAN", Times, Some(ReasonCode::PlanNotSubmitted), "线下研修活动方案", "an offline plan";
    /// An activity.
    Activity = "ACTIVITY", Times, Some(ReasonCode::ActivityNotHeld), "线下研修活动", "an offline activity";
    /// Somebody at an activity.
    Attendance = "ATTENDANCE", Trainees, Some(ReasonCode::NobodyAttended), "参加线下研修活动的参训教师", "trainees at an offline activity";
    /// Every attendance scored.
    Scoring = "SCORING", Scores, Some(ReasonCode::AttendanceNotScored), "已评定的线下研修活动成绩", "attendances that are scored";
    /// Results.
    Results = "RESULTS", Times, Some(ReasonCode::ResultsNotSubmitted), "线下研修活动成果", "offline results";
}

macro_rules! units {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $zh:literal, $en:literal;)+) => {
        /// What something is counted in.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Unit {
            $($(#[$doc])* $variant,)+
        }

        impl Unit {
            /// The stable code, e.g. `SECONDS`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// Its name after a number, in Chinese and in English.
            pub const fn names(self) -> (&'static str, &'static str) {
                match self { $(Self::$variant => ($zh, $en),)+ }
            }
        }
    };
}

units! {
    /// Seconds.
    Seconds = "SECONDS", "秒", "seconds";
    /// Characters (字数).
    Characters = "CHARACTERS", "字", "characters";
    /// Phases.
    Phases = "PHASES", "个阶段", "phases";
    /// Submissions.
    Submissions = "SUBMISSIONS", "份", "submissions";
    /// Scores.
    Scores = "SCORES", "个", "scores";
    /// Classes.
    Classes = "CLASSES", "个班级", "classes";
    /// Trainees.
    Trainees = "TRAINEES", "人", "trainees";
    /// How often something was done.
    Times = "TIMES", "次", "times";
}

impl fmt::Display for Need {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What an item still needs, or needed until it was too late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    /// What.
    pub what: Need,
    /// How much of it there is; `None` where the facts at hand don't say.
    pub have: Option<i64>,
    /// Since when there is so much; `None` where that holds as of any time. Before it nobody knows how much there was.
    pub have_at: Option<DateTime<Utc>>,
    /// How much there must be.
    pub need: i64,
    /// The first instant that is too late.
    pub until: DateTime<Utc>,
}

impl Missing {
    /// So much of it is there, and so much there must be.
    pub fn new(what: Need, have: i64, need: i64, until: DateTime<Utc>) -> Self {
        Self { what, have: Some(have), have_at: None, need, until }
    }

    /// One of it, and there is none.
    pub fn one(what: Need, until: DateTime<Utc>) -> Self {
        Self::new(what, 0, 1, until)
    }

    /// The same as of a time: what there is only later is not known then.
    #[must_use]
    pub fn as_of(mut self, as_of: DateTime<Utc>) -> Self {
        if self.have_at.is_some_and(|at| at > as_of) {
            (self.have, self.have_at) = (None, None);
        }
        self
    }

    /// Whether an item that needs it is pending or missed as of a time, and why missed.
    pub(crate) fn judged(&self, as_of: DateTime<Utc>) -> (ItemState, Option<ReasonCode>) {
        match as_of >= self.until {
            true => (ItemState::Missed, self.what.reason()),
            false => (ItemState::Pending, None),
        }
    }

    /// The same as a sentence without the time.
    pub fn text(&self) -> Text {
        let (zh, en) = self.what.titles();
        let (unit_zh, unit_en) = self.what.unit().names();
        let need = self.need;
        match self.have {
            Some(have) => Text::new(
                format!("{zh}：需{need}{unit_zh}，已有{have}{unit_zh}"),
                format!("{en}: {have} of {need} {unit_en}"),
            ),
            None => Text::new(format!("{zh}：需{need}{unit_zh}"), format!("{en}: {need} {unit_en} needed")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_in_both_languages() {
        let until = DateTime::<Utc>::UNIX_EPOCH;
        let trainees = Missing::new(Need::Trainees, 7, 12, until);
        assert_eq!(
            trainees.text(),
            Text::new("按时完成的参训教师：需12人，已有7人", "trainees who did it on time: 7 of 12 trainees")
        );
        let study = Missing { what: Need::Study, have: None, have_at: None, need: 12_000, until };
        let expected =
            Text::new("本阶段学习时间：需12000秒", "credited study in this phase: 12000 seconds needed");
        assert_eq!(study.text(), expected);
        assert_eq!(
            Missing::one(Need::Plan, until).text(),
            Text::new("线下研修活动方案：需1次，已有0次", "an offline plan: 0 of 1 times")
        );
    }

    #[test]
    fn codes_are_apart_and_titles_have_both_languages() {
        let codes: std::collections::BTreeSet<&str> = Need::ALL.iter().map(|need| need.as_str()).collect();
        assert_eq!(codes.len(), Need::ALL.len());
        for need in Need::ALL {
            let (zh, en) = need.titles();
            assert!(!zh.is_ascii() && en.is_ascii(), "{need}");
            assert_eq!(Need::parse(need.as_str()), Some(*need));
            assert_eq!(need.reason().is_none(), *need == Need::Trainees);
            assert!(!need.unit().names().0.is_ascii() && need.unit().as_str().is_ascii());
        }
    }
}
