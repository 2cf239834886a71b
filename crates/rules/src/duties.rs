//! The 63 duties of Annex 1 (工作流程): who has to do what, in which stage, by when, what shows that it was done, and where that
//! leaves each as of a time.
//!
//! The list is data (`data/duties.csv`), read once. The stage is the name of a window in a scheme's calendar; a scheme
//! that lacks the window has no such duty. To add a duty, add a line; the count in the test is deliberate. To let something else
//! show that a duty was done, add a word to [`Fact`], or to [`Told`] where nothing but its bearer's word can tell it.

use std::sync::LazyLock;

use chrono::{DateTime, Days, Utc};

use crate::calendar::Period;
use crate::scheme::Scheme;
use crate::vocabulary::Role;

/// What shows that a duty was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DoneWhen {
    /// Its bearer says so, with evidence: nothing that the services keep would tell it.
    Told(Told),
    /// A fact of the programme says so by itself.
    Fact(Fact),
}

/// What the evidence of a duty must name beside its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Told {
    /// Nobody: what was done, published or held.
    Deed,
    /// The class tutors who are recommended.
    Tutors,
    /// The class tutors and the subject experts who are appointed, at least one of each.
    Staff,
    /// The excellent trainees of the tutor's classes who are recommended.
    Trainees,
    /// An offline course, which the trainee's county must have determined.
    OfflineCourse,
}

/// A fact of the programme that shows that a duty was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fact {
    /// The first course is in the catalogue.
    Catalogue,
    /// The person is registered.
    Registered,
    /// The person attended the training before the job.
    PreJobAttended,
    /// Somebody attended it, so it was held.
    PreJobHeld,
    /// The county's roster is reported.
    RosterReported,
    /// The county's fee is sent.
    RemittanceSent,
    /// The rosters of all counties of the city that have trainees are reported.
    CityReported,
    /// The city's rosters are compiled.
    CityCompiled,
    /// Every remittance that was confirmed, one at least, is invoiced.
    Invoiced,
    /// The person has logged in.
    LoggedIn,
    /// Learning is open in every county, one at least, that has reported and remitted.
    LearningOpened,
    /// The trainee has selected a course.
    CourseSelected,
    /// The trainee has achieved the online phase of the duty's stage.
    PhaseAchieved,
    /// The bulletin of this number is published in each class of the tutor.
    Bulletin(i64),
    /// A seminar is open in each class of the tutor.
    SeminarOpened,
    /// The trainee has submitted a practical assignment.
    Submitted,
    /// Submitting is over, and the tutor's classes owe no mark.
    Marked,
    /// The trainee has an accepted post in a seminar.
    Posted,
    /// The trainee has attended an offline activity.
    Attended,
    /// The county has a plan for each education stage in which it has trainees.
    OfflinePlanned,
    /// It has held an activity for each of them.
    OfflineHeld,
    /// It has submitted results for each of them.
    OfflineResults,
    /// Scores are final.
    ScoresFinal,
    /// The county has issued certificates.
    CertificatesIssued,
    /// The expert has chosen an excellent tutor.
    TutorChosen,
}

/// By when a duty is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Due {
    /// By the end of the window of its stage.
    Window,
    /// Before the window of this name opens ("9月15日前").
    Before(&'static str),
    /// By the end of reviews: what is handed in on the last day is marked after it.
    Reviews,
    /// By the end of the window of the bulletin that it is about.
    Bulletin,
    /// Within the scheme's `[duties] report_days` from the end of assessment ("在培训考核结束一周内").
    Report,
    /// Within as many days from the end of the programme. **Decided**: scores can't be final before that end, so what rests on
    /// a final version has as long as the reports have.
    Final,
}

/// One cell of Annex 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Duty {
    /// The stable code, e.g. `REPORT-TUTOR`.
    pub code: &'static str,
    /// The name of the calendar window in which it is due, e.g. `reporting`.
    pub stage: &'static str,
    /// Whose duty it is.
    pub role: Role,
    /// The notice's words.
    pub duty_zh: &'static str,
    /// The same in English.
    pub duty_en: &'static str,
    /// What shows that it was done.
    pub done_when: DoneWhen,
    /// The words of the file for that: `evidence`, or `fact:` and what the fact is, in English.
    pub done_when_words: &'static str,
    /// By when it is due.
    pub due: Due,
}

impl Duty {
    /// From when to when it is to be done: the window of its stage, or what the duty says instead; `None` where the scheme has no
    /// such window, or nothing that the duty is about: no such bulletin, or no online phase in that window. A duty that is done before
    /// that is on time.
    pub fn period(&self, scheme: &Scheme) -> Option<Period> {
        let stage = scheme.period(self.stage)?;
        if self.done_when == DoneWhen::Fact(Fact::PhaseAchieved) {
            scheme.trainee.online.iter().find(|entry| entry.window == self.stage)?;
        }
        let until = match (self.due, self.done_when) {
            (Due::Before(window), _) => scheme.period(window)?.from,
            (Due::Reviews, _) => scheme.trainee.assignment.review_until,
            (Due::Bulletin, DoneWhen::Fact(Fact::Bulletin(number))) => {
                scheme.tutor.bulletins.iter().find(|rule| rule.number == number)?.period.until
            }
            (Due::Report, _) => days_after(scheme, scheme.assessment().until),
            (Due::Final, _) => days_after(scheme, scheme.final_as_of()),
            (Due::Window | Due::Bulletin, _) => stage.until,
        };
        Some(Period { from: stage.from.min(until), until, zone: scheme.zone })
    }
}

/// The end of the last of `report_days` days behind a midnight.
fn days_after(scheme: &Scheme, midnight: DateTime<Utc>) -> DateTime<Utc> {
    let days = Days::new(u64::try_from(scheme.report_days).unwrap_or_default());
    let day = scheme.zone.day_of(midnight).checked_add_days(days);
    day.map_or(midnight, |day| scheme.zone.start_of(day))
}

/// When and by what a duty was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// When.
    pub at: DateTime<Utc>,
    /// The id of what shows it; empty where that has none.
    pub by: String,
}

impl Done {
    /// Done at a time, by nothing that has an id.
    pub fn at(at: DateTime<Utc>) -> Self {
        Self { at, by: String::new() }
    }

    /// The earlier of two, or the one that there is; of one instant the one whose id comes first.
    pub fn first(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(one), Some(other)) => {
                Some(if (other.at, &other.by) < (one.at, &one.by) { other } else { one })
            }
            (one, other) => one.or(other),
        }
    }

    /// What consists of parts is done when the last of them is; `None` while one of them is not, and without any.
    pub fn all(parts: impl IntoIterator<Item = Option<Self>>) -> Option<Self> {
        let mut last: Option<Self> = None;
        for part in parts {
            let part = part?;
            last = Some(match last {
                Some(last) if (last.at, &last.by) >= (part.at, &part.by) => last,
                _ => part,
            });
        }
        last
    }
}

/// Where a duty stands as of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DutyState {
    /// Done by the time that it was due.
    OnTime,
    /// Done, later than it was due.
    Late,
    /// Not done, and not due yet.
    Pending,
    /// Not done, and it was due.
    Missed,
    /// Not done, and not owed: a decision lets the item of the score that it is for count as earned.
    Excused,
}

/// Where a duty stands that is due at `until` and was done at `done_at`, as of a time: what happens later does not count.
pub fn state(until: DateTime<Utc>, done_at: Option<DateTime<Utc>>, as_of: DateTime<Utc>) -> DutyState {
    match done_at.filter(|at| *at <= as_of) {
        Some(at) if at < until => DutyState::OnTime,
        Some(_) => DutyState::Late,
        None if as_of < until => DutyState::Pending,
        None => DutyState::Missed,
    }
}

/// Every duty, in the order of Annex 1.
pub fn all() -> &'static [Duty] {
    static DUTIES: LazyLock<Vec<Duty>> = LazyLock::new(|| parse(include_str!("../data/duties.csv")));
    &DUTIES
}

/// The duties of a role, in the order of Annex 1.
pub fn of_role(role: Role) -> impl Iterator<Item = &'static Duty> {
    all().iter().filter(move |duty| duty.role == role)
}

/// The duty of a code; `None` when there is none.
pub fn duty(code: &str) -> Option<&'static Duty> {
    all().iter().find(|duty| duty.code == code)
}

const EMBEDDED: &str = "the embedded duty file is well formed; a test reads it all";

fn parse(csv: &'static str) -> Vec<Duty> {
    let mut duties = Vec::new();
    for line in csv.lines().skip(1) {
        let fields: Vec<&'static str> = line.split(',').collect();
        let &[code, stage, role, duty_zh, duty_en, done_when_words, due] = fields.as_slice() else {
            panic!("{EMBEDDED}")
        };
        let role = Role::parse(role).expect(EMBEDDED);
        let done_when = done_when(done_when_words).expect(EMBEDDED);
        let due = read_due(due).expect(EMBEDDED);
        duties.push(Duty { code, stage, role, duty_zh, duty_en, done_when, done_when_words, due });
    }
    duties
}

fn read_due(word: &'static str) -> Option<Due> {
    if let Some(window) = word.strip_prefix("before:") {
        return Some(Due::Before(window));
    }
    match word {
        "window" => Some(Due::Window),
        "reviews" => Some(Due::Reviews),
        "bulletin" => Some(Due::Bulletin),
        "report" => Some(Due::Report),
        "final" => Some(Due::Final),
        _ => None,
    }
}

/// What the words of the file stand for. A fact that no other service keeps is told by its bearer.
fn done_when(words: &str) -> Option<DoneWhen> {
    if words == "evidence" {
        return Some(DoneWhen::Told(Told::Deed));
    }
    let told = match words.strip_prefix("fact:")? {
        "tutors recommended" => Some(Told::Tutors),
        "tutors and experts appointed" => Some(Told::Staff),
        "excellent trainees recommended" => Some(Told::Trainees),
        "offline course selected" => Some(Told::OfflineCourse),
        "offline courses determined before phase 1"
        | "subject topic published"
        | "subject bulletin published"
        | "lecture held"
        | "institution bulletin published"
        | "city summary submitted within 7 days of the end of assessment" => Some(Told::Deed),
        _ => None,
    };
    if let Some(told) = told {
        return Some(DoneWhen::Told(told));
    }
    Some(DoneWhen::Fact(match words.strip_prefix("fact:")? {
        "course catalogue published" => Fact::Catalogue,
        "person reported" => Fact::Registered,
        "pre-job training attended" => Fact::PreJobAttended,
        "pre-job training held" => Fact::PreJobHeld,
        "county roster reported" => Fact::RosterReported,
        "remittance sent" => Fact::RemittanceSent,
        "every county's roster reported" => Fact::CityReported,
        "city roster compiled" => Fact::CityCompiled,
        "every confirmed remittance invoiced" => Fact::Invoiced,
        "logged in with complete information" => Fact::LoggedIn,
        "learning opened for every county that reported and remitted" => Fact::LearningOpened,
        "courses selected" => Fact::CourseSelected,
        "phase 1 achieved" | "phase 2 achieved" => Fact::PhaseAchieved,
        "bulletin 1 published" => Fact::Bulletin(1),
        "bulletin 2 published" => Fact::Bulletin(2),
        "bulletin 3 published" => Fact::Bulletin(3),
        "seminar opened" => Fact::SeminarOpened,
        "assignment submitted" => Fact::Submitted,
        "every submission marked" => Fact::Marked,
        "seminar post accepted" => Fact::Posted,
        "offline attended" => Fact::Attended,
        "offline plan submitted" => Fact::OfflinePlanned,
        "offline activity held" => Fact::OfflineHeld,
        "offline results submitted" => Fact::OfflineResults,
        "score finalised" | "scores finalised" => Fact::ScoresFinal,
        "county certificates printed" => Fact::CertificatesIssued,
        "excellent tutors chosen" => Fact::TutorChosen,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scheme() -> Scheme {
        Scheme::parse(include_str!("../data/qinhuangdao-2019.toml")).unwrap()
    }

    fn at(text: &str) -> DateTime<Utc> {
        format!("{text}+08:00").parse().unwrap()
    }

    #[test]
    fn duties_of_annex_1_are_63_with_distinct_codes() {
        assert_eq!(all().len(), 63);
        let codes: std::collections::BTreeSet<&str> = all().iter().map(|duty| duty.code).collect();
        assert_eq!(codes.len(), 63);
        assert_eq!(duty("SUMMARY-EXPERT").unwrap().done_when, DoneWhen::Told(Told::Deed));
        assert_eq!(duty("LOGIN-TUTOR").unwrap().done_when, DoneWhen::Fact(Fact::LoggedIn));
        let of_roles: Vec<usize> = Role::ALL.iter().map(|role| of_role(*role).count()).collect();
        assert_eq!(of_roles, [10, 9, 11, 10, 7, 16]);
        assert!(all().iter().all(|duty| !duty.duty_en.is_empty() && !duty.duty_zh.is_empty()));
    }

    #[test]
    fn duties_are_due_as_the_notice_says() {
        let scheme = scheme();
        for (code, until) in [
            ("PREP-EXPERT", "2019-07-15T00:00:00"),
            // 9月10日前: that day included.
            ("REPORT-COUNSELOR-ROSTER", "2019-09-11T00:00:00"),
            // 9月15日前.
            ("TRAIN-COUNSELOR-OFFLINE-COURSE", "2019-09-15T00:00:00"),
            ("TRAIN-TUTOR-BULLETIN-3", "2019-12-21T00:00:00"),
            ("TRAIN-TUTOR-MARK", "2019-12-21T00:00:00"),
            ("TRAIN-TRAINEE-ASSIGNMENT", "2019-12-11T00:00:00"),
            // 在培训考核结束一周内: assessment ends with 25 December.
            ("SUMMARY-MUNICIPAL", "2020-01-02T00:00:00"),
            ("SUMMARY-EXPERT", "2019-12-31T00:00:00"),
            ("ASSESS-TRAINEE", "2020-01-07T00:00:00"),
        ] {
            assert_eq!(duty(code).unwrap().period(&scheme).unwrap().until, at(until), "{code}");
        }
        for duty in all() {
            let period = duty.period(&scheme).unwrap();
            assert!(period.from <= period.until, "{}", duty.code);
        }
        let mut without = scheme;
        without.windows.remove("preparation");
        assert_eq!(duty("PREP-EXPERT").unwrap().period(&without), None);
        // A scheme that has no such bulletin, and no phase in that window, asks for neither.
        without.tutor.bulletins.retain(|rule| rule.number != 2);
        without.trainee.online.retain(|entry| entry.window != "phase_1");
        for (code, is_there) in [
            ("TRAIN-TUTOR-BULLETIN-1", true),
            ("TRAIN-TUTOR-BULLETIN-2", false),
            ("TRAIN-TRAINEE-PUBLIC", false),
            ("TRAIN-TRAINEE-PROFESSIONAL", true),
        ] {
            assert_eq!(duty(code).unwrap().period(&without).is_some(), is_there, "{code}");
        }
        without.report_days = 0;
        assert_eq!(
            duty("SUMMARY-MUNICIPAL").unwrap().period(&without).unwrap().until,
            at("2019-12-26T00:00:00")
        );
    }

    #[test]
    fn duty_is_pending_until_it_is_due_and_late_from_then_on() {
        let (noon, until) = (at("2019-10-01T12:00:00"), at("2019-10-02T00:00:00"));
        let micro = chrono::TimeDelta::microseconds(1);
        for (done_at, as_of, expected) in [
            (None, until - micro, DutyState::Pending),
            (None, until, DutyState::Missed),
            (Some(noon), noon, DutyState::OnTime),
            (Some(noon), noon - micro, DutyState::Pending),
            (Some(until - micro), until, DutyState::OnTime),
            (Some(until), until, DutyState::Late),
            (Some(until + micro), until, DutyState::Missed),
        ] {
            assert_eq!(state(until, done_at, as_of), expected, "{done_at:?} {as_of}");
        }
    }

    #[test]
    fn what_consists_of_parts_is_done_with_the_last() {
        let done =
            |hour: u32, by: &str| Done { at: at(&format!("2019-10-01T{hour:02}:00:00")), by: by.into() };
        let (one, two) = (done(9, "a"), done(10, "b"));
        assert_eq!(Done::all([Some(two.clone()), Some(one.clone())]), Some(two.clone()));
        assert_eq!(Done::all([Some(one.clone()), None]), None);
        assert_eq!(Done::all([]), None);
        assert_eq!(Done::first(Some(two.clone()), Some(one.clone())), Some(one.clone()));
        assert_eq!(Done::first(None, Some(two.clone())), Some(two));
        assert_eq!(Done::first(Some(done(9, "b")), Some(one.clone())), Some(one));
    }
}
