//! One line of `season.ndjson`: what happened, when, to whom. Shape only; what a value means is for the services to say.

use anyhow::{Context as _, Result, bail, ensure};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, de::Error as _};

use super::amendment::{
    CourseCorrected, CourseRetired, EvidenceSentBack, EvidenceSubmitted, ExtensionGranted, ItemAdjusted,
    PlaceClosed, PlaceMerged, PlaceRenamed, TimeGranted,
};
pub use super::values::Stage;
use super::values::{instant, optional_instant};

/// The most heartbeats that one `study.session` line may stand for: 30 days at one a second.
const BEATS_PER_LINE_MAX: i64 = 2_592_000;

/// A line: when, and what.
#[derive(Debug, Clone, Deserialize)]
pub struct Line {
    /// When it happened.
    #[serde(deserialize_with = "instant")]
    pub at: DateTime<Utc>,
    /// When it was told, where that was later; lines are in the order of this.
    #[serde(default, deserialize_with = "optional_instant")]
    told: Option<DateTime<Utc>>,
    /// What the fact is called by a line that retracts it.
    #[serde(default)]
    pub fact: Option<String>,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What can happen in a season; the fields are those of `seasons/README.md`.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "type")]
#[expect(missing_docs, reason = "the fields and types are the season format's own words")]
pub enum Event {
    #[serde(rename = "roster.reported")]
    RosterReported { county: String, counselor: String },
    #[serde(rename = "roster.compiled")]
    RosterCompiled { city: String, lead: String },
    #[serde(rename = "remittance.sent")]
    RemittanceSent {
        county: String,
        #[serde(rename = "ref")]
        reference: String,
        amount_fen: i64,
    },
    #[serde(rename = "remittance.confirmed")]
    RemittanceConfirmed {
        county: String,
        #[serde(rename = "ref")]
        reference: String,
    },
    #[serde(rename = "invoice.issued")]
    InvoiceIssued {
        county: String,
        #[serde(rename = "ref")]
        reference: String,
    },
    #[serde(rename = "learning.opened")]
    LearningOpened { county: String },
    #[serde(rename = "person.logged_in")]
    PersonLoggedIn { person: String },
    #[serde(rename = "prejob.attended")]
    PreJobAttended { person: String },
    #[serde(rename = "trainee.withdrawn")]
    TraineeWithdrawn { person: String, reason: String },
    #[serde(rename = "trainee.returned")]
    TraineeReturned { person: String, reason: String },
    #[serde(rename = "trainee.transferred")]
    TraineeTransferred { person: String, county: String, school: String, class: String },
    #[serde(rename = "person.removed")]
    PersonRemoved {
        person: String,
        reason: String,
        /// From which of their roles; empty of who has one only.
        #[serde(default)]
        role: String,
    },
    #[serde(rename = "persons.merged")]
    PersonsMerged { person: String, merged: String, reason: String },
    #[serde(rename = "tutor.replaced")]
    TutorReplaced { class: String, tutor: String, reason: String },
    #[serde(rename = "place.renamed")]
    PlaceRenamed(PlaceRenamed),
    #[serde(rename = "place.merged")]
    PlaceMerged(PlaceMerged),
    #[serde(rename = "place.closed")]
    PlaceClosed(PlaceClosed),
    #[serde(rename = "session.voided")]
    SessionVoided { person: String, session: String, reason: String },
    #[serde(rename = "extension.granted")]
    ExtensionGranted(ExtensionGranted),
    #[serde(rename = "time.granted")]
    TimeGranted(TimeGranted),
    #[serde(rename = "item.adjusted")]
    ItemAdjusted(ItemAdjusted),
    #[serde(rename = "evidence.submitted")]
    EvidenceSubmitted(EvidenceSubmitted),
    #[serde(rename = "evidence.sent_back")]
    EvidenceSentBack(EvidenceSentBack),
    #[serde(rename = "course.corrected")]
    CourseCorrected(CourseCorrected),
    #[serde(rename = "course.retired")]
    CourseRetired(CourseRetired),
    #[serde(rename = "course.selected")]
    CourseSelected { person: String, course: String },
    #[serde(rename = "study.session")]
    StudySession(StudySession),
    #[serde(rename = "assignment.submitted")]
    AssignmentSubmitted { person: String, submission: String, kind: String, title: String },
    #[serde(rename = "assignment.reviewed")]
    AssignmentReviewed { tutor: String, submission: String, grade: Grade, comment: String },
    #[serde(rename = "assignment.returned")]
    AssignmentReturned { tutor: String, submission: String, comment: String },
    #[serde(rename = "seminar.opened")]
    SeminarOpened { tutor: String, class: String, seminar: String, topic: String },
    #[serde(rename = "seminar.posted")]
    SeminarPosted { person: String, seminar: String, text: String },
    #[serde(rename = "seminar.summarised")]
    SeminarSummarised { tutor: String, seminar: String, summary: String },
    #[serde(rename = "bulletin.published")]
    BulletinPublished { tutor: String, class: String, number: i64, title: String },
    #[serde(rename = "offline.plan_submitted")]
    OfflinePlanSubmitted { counselor: String, county: String, education_stage: Stage, title: String },
    #[serde(rename = "offline.activity_held")]
    OfflineActivityHeld {
        counselor: String,
        county: String,
        education_stage: Stage,
        activity: String,
        theme: String,
    },
    #[serde(rename = "offline.attended")]
    OfflineAttended { counselor: String, activity: String, persons: Vec<String> },
    #[serde(rename = "offline.scored")]
    OfflineScored {
        counselor: String,
        activity: String,
        person: String,
        #[serde(deserialize_with = "score")]
        score: i64,
    },
    #[serde(rename = "offline.results_submitted")]
    OfflineResultsSubmitted { counselor: String, county: String, education_stage: Stage, title: String },
    #[serde(rename = "tutor.chosen")]
    TutorChosen { expert: String, tutor: String },
    #[serde(rename = "fact.retracted")]
    FactRetracted {
        source: Source,
        retracts: String,
        /// Of an attendance of several people: whose.
        #[serde(default)]
        person: String,
        reason: String,
    },
}

/// The services that keep facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the services' own names")]
pub enum Source {
    Enrollment,
    LearningProgress,
    AssignmentGrading,
    OfflineActivity,
    AssessmentDecisions,
}

/// A tutor's verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// 优秀.
    Excellent,
    /// 合格.
    Pass,
    /// 不合格.
    Fail,
}

/// A session: `seq` 0 at `start`, then one heartbeat every `every_s` seconds, the last exactly at `end`.
#[derive(Debug, Clone, Deserialize)]
pub struct StudySession {
    /// The learner.
    pub person: String,
    /// The course.
    pub course: String,
    /// The session's id.
    pub session: String,
    /// The first heartbeat.
    #[serde(deserialize_with = "instant")]
    pub start: DateTime<Utc>,
    /// The last heartbeat.
    #[serde(deserialize_with = "instant")]
    pub end: DateTime<Utc>,
    /// Microseconds between two heartbeats; `every_s` in the file, in seconds, with or without decimals.
    #[serde(rename = "every_s", deserialize_with = "micros")]
    pub every_micros: i64,
}

impl StudySession {
    /// How many heartbeats the session stands for.
    pub fn beats(&self) -> i64 {
        let span = (self.end - self.start).num_microseconds().unwrap_or(i64::MAX);
        1 + span / self.every_micros + i64::from(span % self.every_micros != 0)
    }

    /// When heartbeat `seq` is due, from 0 to `beats() - 1`.
    pub fn beat_at(&self, seq: i64) -> DateTime<Utc> {
        let since_start = chrono::TimeDelta::microseconds(seq.saturating_mul(self.every_micros));
        let due = self.start.checked_add_signed(since_start);
        due.map_or(self.end, |due| due.min(self.end))
    }

    fn check(&self, at: DateTime<Utc>, told: Option<DateTime<Utc>>) -> Result<()> {
        ensure!(self.every_micros > 0, "`every_s` must be more than 0");
        ensure!(self.end >= self.start, "`end` is before `start`");
        ensure!(self.start >= at, "`start` is before `at`");
        ensure!(told.is_none_or(|told| told >= self.end), "it was `told` before its `end`");
        ensure!(
            self.beats() <= BEATS_PER_LINE_MAX,
            "the session is longer than {BEATS_PER_LINE_MAX} heartbeats"
        );
        Ok(())
    }
}

impl Line {
    /// When it was told.
    pub fn told(&self) -> DateTime<Utc> {
        self.told.unwrap_or(self.at)
    }

    /// Whether it was told later than it happened.
    pub fn is_late(&self) -> bool {
        self.told() > self.at
    }

    /// Reads a line; the error says what is wrong with it, without the file and the line's number.
    pub fn parse(text: &str) -> Result<Line> {
        let value: serde_json::Value = serde_json::from_str(text).context("not a JSON object")?;
        let Some(object) = value.as_object() else { bail!("not a JSON object") };
        let Some(kind) = object.get("type") else { bail!("missing field `type`") };
        let kind = kind.as_str().context("`type` is not a text")?.to_owned();
        let line: Line = serde_json::from_value(value).map_err(|error| anyhow::anyhow!("{kind}: {error}"))?;
        ensure!(line.told() >= line.at, "{kind}: it was `told` before it happened");
        if let Event::StudySession(session) = &line.event {
            session.check(line.at, line.told).with_context(|| kind.clone())?;
        }
        Ok(line)
    }
}

/// What no scheme takes as a score: figures of a scheme are 0 or more.
const NO_SCORE: i64 = i64::MIN;

/// A score is whatever number the platform reported. The law takes whole ones of a range and refuses others with
/// `SCORE_OUT_OF_RANGE`; the contract carries whole numbers, so a fraction or a number that is too large goes as one that
/// is in no range, and the service says what it says of those.
fn score<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let number = serde_json::Number::deserialize(deserializer)?;
    if let Some(whole) = number.as_i64() {
        return Ok(whole);
    }
    // `7.0` is a whole number too; with a fraction, or too large, the text of it is no i64's.
    let whole = number.as_f64().and_then(|number| number.to_string().parse().ok());
    Ok(whole.unwrap_or(NO_SCORE))
}

/// Seconds as microseconds; what is finer, or out of all range, is no heartbeat's distance.
fn micros<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let number = serde_json::Number::deserialize(deserializer)?;
    if let Some(seconds) = number.as_i64() {
        return Ok(seconds.saturating_mul(1_000_000));
    }
    let text = number.to_string();
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    let micros = match part.len() {
        1..=6 => format!("{whole}{part:0<6}").parse().ok().filter(|micros: &i64| *micros > 0),
        _ => None,
    };
    micros.ok_or_else(|| D::Error::custom("`every_s` is not a number of seconds"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn study(start: &str, end: &str, every: i64) -> StudySession {
        let text = format!(
            r#"{{"at":"{start}","type":"study.session","person":"T1","course":"C1","session":"S1","start":"{start}","end":"{end}","every_s":{every}}}"#
        );
        match Line::parse(&text).expect("a right line").event {
            Event::StudySession(session) => session,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn session_last_beat_falls_exactly_on_the_end() {
        let even = study("2019-09-15T08:00:00+08:00", "2019-09-15T08:06:00+08:00", 120);
        assert_eq!(even.beats(), 4);
        let odd = study("2019-09-15T08:00:00+08:00", "2019-09-15T08:05:00+08:00", 120);
        assert_eq!(odd.beats(), 4);
        assert_eq!(odd.beat_at(3), odd.end);
        let point = study("2019-09-15T08:00:00+08:00", "2019-09-15T08:00:00+08:00", 120);
        assert_eq!(point.beats(), 1);
    }

    #[test]
    fn session_may_beat_more_seldom_than_it_lasts() {
        for every in [86_401, 1_000_000_000, i64::MAX] {
            let rare = study("2019-09-15T08:00:00+08:00", "2019-09-15T08:06:00+08:00", every);
            assert_eq!((rare.beats(), rare.beat_at(0), rare.beat_at(1)), (2, rare.start, rare.end));
        }
    }

    #[test]
    fn session_may_beat_by_fractions_of_a_second() {
        let text = |every: &str| {
            format!(
                r#"{{"at":"2019-09-15T08:00:00Z","told":"2019-09-16T08:00:00Z","type":"study.session","person":"T1","course":"C1","session":"S1","start":"2019-09-15T08:00:00Z","end":"2019-09-15T08:00:03.5Z","every_s":{every}}}"#
            )
        };
        for (every, beats) in [("0.9", 5), ("3.5", 2), ("1.75", 3), ("0.000001", 3_500_001)] {
            let line = Line::parse(&text(every));
            if beats > BEATS_PER_LINE_MAX {
                assert!(line.is_err(), "{every}");
                continue;
            }
            let line = line.expect(every);
            assert!(line.is_late());
            let Event::StudySession(session) = line.event else { panic!("{every}") };
            assert_eq!((session.beats(), session.beat_at(beats - 1)), (beats, session.end), "{every}");
        }
        for every in ["0", "0.0", "-1", "-0.5", "1e300", "\"1\""] {
            assert!(Line::parse(&text(every)).is_err(), "{every}");
        }
        let early = text("60").replace("2019-09-16", "2019-09-14");
        assert!(format!("{:#}", Line::parse(&early).expect_err("told too early")).contains("`told` before"));
    }

    #[test]
    fn score_that_is_no_whole_number_is_in_no_range() {
        for (written, read) in [
            ("7", 7),
            ("-3", -3),
            ("7.0", 7),
            ("7.5", NO_SCORE),
            ("0.1", NO_SCORE),
            ("1e20", NO_SCORE),
            ("-1e20", NO_SCORE),
            ("18446744073709551615", NO_SCORE),
            ("123456789012345678901234567890", NO_SCORE),
        ] {
            let text = format!(
                r#"{{"at":"2019-10-15T00:00:00Z","type":"offline.scored","counselor":"K1","activity":"O1","person":"T1","score":{written}}}"#
            );
            match Line::parse(&text).expect(written).event {
                Event::OfflineScored { score, .. } => assert_eq!(score, read, "{written}"),
                other => panic!("{other:?}"),
            }
        }
        let text = r#"{"at":"2019-10-15T00:00:00Z","type":"offline.scored","counselor":"K1","activity":"O1","person":"T1","score":"7"}"#;
        assert!(Line::parse(text).is_err());
    }

    #[test]
    fn line_that_is_malformed_names_its_cause() {
        let cases = [
            ("[1]", "not a JSON object"),
            ("{", "not a JSON object"),
            (r#"{"at":"2019-09-15T00:00:00+08:00"}"#, "missing field `type`"),
            (r#"{"at":"2019-09-15T00:00:00+08:00","type":"x.y"}"#, "unknown variant"),
            (r#"{"at":"2019-09-15T00:00:00+08:00","type":"learning.opened"}"#, "missing field `county`"),
            (r#"{"at":"2019-09-15T00:00:00","type":"learning.opened","county":"130302"}"#, "no offset"),
            (r#"{"at":"yesterday","type":"learning.opened","county":"130302"}"#, "not an ISO 8601 time"),
            (r#"{"at":"2019-09-15T00:00:00Z","type":"learning.opened","county":130302}"#, "invalid type"),
        ];
        for (text, cause) in cases {
            let error = format!("{:#}", Line::parse(text).expect_err(text));
            assert!(error.contains(cause), "{text}: {error}");
        }
    }
}
