//! Where study time went, and the time line.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use prost_types::Timestamp;
use shipei_contracts::{assessment::v1::ScoreItem, learning::v1::UncreditedReason};
use shipei_rules::{calendar::Period, explanation::ItemKey, scheme::Scheme};

use super::{
    Language,
    compose::{Writer, main_line_left, permille, state_of},
    facts::Study,
    sheet::{Bar, Lost, SessionShown, StudyShown, TimeLine, TimeRow},
    words,
};
use crate::ask::instant;

/// The most sessions that are named; those that lost most come first.
const SESSIONS_MAX: usize = 12;

impl Writer<'_> {
    pub(super) fn study(&self, study: &Study) -> StudyShown {
        let phases = study.progress.phases.iter().map(|phase| {
            let left = main_line_left(phase);
            Bar {
                title: item_title(&phase.phase, self.language),
                permille: permille(phase.credited_seconds, phase.required_seconds),
                text: words::phase(phase.credited_seconds, phase.required_seconds, left, self.language),
            }
        });
        let courses = study.progress.courses.iter().map(|course| {
            let (there, whole) =
                (words::minutes_there(course.credited_seconds), words::minutes_there(course.length_seconds));
            Bar {
                title: self.course(study, &course.course_id),
                permille: permille(course.credited_seconds, course.length_seconds),
                text: match self.language {
                    Language::Zh => format!("{there}/{whole}分钟"),
                    Language::En => format!("{there} of {whole} minutes"),
                },
            }
        });
        let mut by_reason: BTreeMap<UncreditedReason, (i32, i32)> = BTreeMap::new();
        let mut losers: Vec<(i32, SessionShown)> = Vec::new();
        for session in &study.sessions {
            let mut lost = 0;
            let mut said = Vec::new();
            for one in &session.uncredited {
                let sum = by_reason.entry(one.reason()).or_default();
                sum.0 = sum.0.saturating_add(one.seconds);
                sum.1 = sum.1.saturating_add(one.heartbeats);
                lost += one.seconds;
                said.push(self.lost(one.reason(), one.seconds, one.heartbeats));
            }
            if said.is_empty() {
                continue;
            }
            let shown = SessionShown {
                session_id: session.session_id.clone(),
                course: self.course(study, &session.course_id),
                opened: self.moment(session.opened_time.as_ref()),
                text: said.join(self.language.pick("；", "; ")),
            };
            losers.push((lost, shown));
        }
        losers.sort_by_key(|(lost, _)| std::cmp::Reverse(*lost));
        let more_sessions = losers.len().saturating_sub(SESSIONS_MAX);
        losers.truncate(SESSIONS_MAX);
        StudyShown {
            phases: phases.collect(),
            courses: courses.collect(),
            uncredited: by_reason
                .into_iter()
                .map(|(reason, (seconds, heartbeats))| Lost {
                    reason: words::uncredited(reason, self.language),
                    seconds,
                    text: self.lost(reason, seconds, heartbeats),
                })
                .collect(),
            sessions: losers.into_iter().map(|(_, shown)| shown).collect(),
            more_sessions,
        }
    }

    fn course(&self, study: &Study, course_id: &str) -> String {
        match study.courses.get(course_id) {
            Some(title) => format!("{title} {course_id}"),
            None => course_id.to_owned(),
        }
    }

    fn lost(&self, reason: UncreditedReason, seconds: i32, heartbeats: i32) -> String {
        let why = words::uncredited(reason, self.language);
        match (self.language, seconds) {
            (Language::Zh, 0) => format!("{why}（{heartbeats}次）"),
            (Language::En, 0) => format!("{why} ({heartbeats} heartbeats)"),
            (Language::Zh, _) => format!("{why}：{}分{}秒", seconds / 60, seconds % 60),
            (Language::En, _) => format!("{why}: {} min {} s", seconds / 60, seconds % 60),
        }
    }

    /// The windows of the items that have one, as parts of the time from the first to the last.
    pub(super) fn time_line(&self, items: &[ScoreItem], as_of: Option<&Timestamp>) -> Option<TimeLine> {
        let mut windows = Vec::new();
        for item in items {
            let period = item.name.parse().ok().and_then(|key| period_of(&self.facts.scheme, key));
            let Some(period) = period else { continue };
            let until = item.missing.as_ref().and_then(|missing| missing.until_time.as_ref());
            let until = instant(until).unwrap_or(period.until).max(period.until);
            windows.push((item, Period { until, ..period }));
        }
        let first = windows.iter().map(|(_, period)| period.from).min()?;
        let last = windows.iter().map(|(_, period)| period.until).max()?;
        let part = |at: DateTime<Utc>| part_of(first, last, at);
        let rows = windows.iter().map(|(item, period)| {
            let (from, until) = period.days();
            let day = |day| words::day(day, self.year, self.language);
            TimeRow {
                title: self.language.pick(&item.name_zh, &item.name_en).to_owned(),
                state: state_of(item.state()).0,
                from: part(period.from),
                until: part(period.until),
                days: format!("{} – {}", day(from), day(until)),
                dot: instant(item.evidence_time.as_ref()).map(part),
            }
        });
        Some(TimeLine {
            first: words::day(self.zone.day_of(first), self.year, self.language),
            last: words::day(self.zone.day_of(last - TimeDelta::microseconds(1)), self.year, self.language),
            now: instant(as_of).map_or(0, part),
            rows: rows.collect(),
        })
    }
}

fn item_title(name: &str, language: Language) -> String {
    let Ok(key) = name.parse::<ItemKey>() else { return name.to_owned() };
    let title = key.title();
    language.pick(&title.zh, &title.en).to_owned()
}

fn period_of(scheme: &Scheme, key: ItemKey) -> Option<Period> {
    match key {
        ItemKey::Phase(index) => scheme.trainee.online.get(index).map(|entry| entry.period),
        ItemKey::Assignment => Some(scheme.trainee.assignment.period),
        ItemKey::Seminar => Some(scheme.trainee.seminar.period),
        ItemKey::Offline => Some(scheme.trainee.offline.period),
        ItemKey::Marking => Some(scheme.trainee.assignment.review_period()),
        ItemKey::Bulletin(number) => {
            scheme.tutor.bulletins.iter().find(|rule| rule.number == number).map(|rule| rule.period)
        }
        ItemKey::Login | ItemKey::County(..) => None,
    }
}

fn part_of(first: DateTime<Utc>, last: DateTime<Utc>, at: DateTime<Utc>) -> i32 {
    let whole = (last - first).num_seconds().max(1);
    let permille = (at - first).num_seconds().clamp(0, whole) * 1_000 / whole;
    i32::try_from(permille).unwrap_or(1_000)
}
