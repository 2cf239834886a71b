//! What was measured, as people read it and as machines do. Integers only: a rate is whole things a second.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{display::table, replay::progress::grouped};

/// So many things in so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: u64,
    /// In how long.
    pub took: Duration,
}

impl Rate {
    /// Whole things a second.
    pub fn per_second(&self) -> u64 {
        let micros = self.took.as_micros().max(1);
        u64::try_from(u128::from(self.count) * 1_000_000 / micros).unwrap_or(u64::MAX)
    }
}

/// One hot path beside its raw limit.
#[derive(Debug, Clone)]
pub struct Measurement {
    /// A stable name, for machines.
    pub name: &'static str,
    /// What was done.
    pub what: String,
    /// What is counted.
    pub unit: &'static str,
    /// How fast the suite did it.
    pub rate: Rate,
    /// What it is held against.
    pub raw_what: String,
    /// How fast that went.
    pub raw: Rate,
}

impl Measurement {
    /// The rate in per cent of the raw limit's.
    pub fn ratio_percent(&self) -> u64 {
        let raw = u128::from(self.raw.per_second().max(1));
        u64::try_from(u128::from(self.rate.per_second()) * 100 / raw).unwrap_or(u64::MAX)
    }
}

/// Where it was measured.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Cores that this process may use.
    pub cores: usize,
    /// The database and how it commits.
    pub database: String,
    /// Bare appends of one page, each followed by fdatasync, in the folder of the databases; none for a server's.
    pub syncs: Option<Rate>,
}

/// All of it.
#[derive(Debug, Clone)]
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// How many learners there were.
    pub learners: u64,
    /// What.
    pub measurements: Vec<Measurement>,
    /// How instances share the work; empty unless it was asked for.
    pub scaled: Vec<Scaled>,
}

/// So many instances of learning-progress and of assessment, each a process of its own.
#[derive(Debug, Clone, Copy)]
pub struct Scaled {
    /// How many of each.
    pub instances: usize,
    /// Heartbeats over as many streams as there are in every measurement, spread over the instances.
    pub study: Rate,
    /// Events scored from nothing.
    pub scored: Rate,
}

impl Report {
    /// For a terminal.
    pub fn text(&self) -> String {
        let rows: Vec<Vec<String>> = self
            .measurements
            .iter()
            .map(|measured| {
                vec![
                    measured.what.clone(),
                    grouped(measured.rate.per_second()),
                    grouped(measured.raw.per_second()),
                    format!("{}%", measured.ratio_percent()),
                    format!("{}/s", measured.unit),
                    measured.raw_what.clone(),
                ]
            })
            .collect();
        let headings = ["what", "rate", "raw limit", "ratio", "unit", "the raw limit is"];
        let title = format!("shipei bench: {} learners, all five services in this process", self.learners);
        let Machine { cores, database, syncs } = &self.machine;
        let syncs = syncs.map(|rate| format!(", {} bare fdatasync/s", grouped(rate.per_second())));
        format!(
            "{}\n{}{cores} cores, {database}{}\n",
            table(&title, &headings, &rows),
            self.scaled_text(),
            syncs.unwrap_or_default()
        )
    }

    fn scaled_text(&self) -> String {
        let Some(one) = self.scaled.first() else { return String::new() };
        let percent = |rate: Rate, of: Rate| {
            format!("{}%", u128::from(rate.per_second()) * 100 / u128::from(of.per_second().max(1)))
        };
        let row = |scaled: &Scaled| {
            vec![
                scaled.instances.to_string(),
                grouped(scaled.study.per_second()),
                percent(scaled.study, one.study),
                grouped(scaled.scored.per_second()),
                percent(scaled.scored, one.scored),
            ]
        };
        let rows: Vec<Vec<String>> = self.scaled.iter().map(row).collect();
        let headings = ["instances of each", "heartbeats/s", "of one", "events scored/s", "of one"];
        table(
            "The same work on more instances, each a process; all share this machine and its database",
            &headings,
            &rows,
        ) + "\n"
    }

    /// For a machine.
    pub fn json(&self) -> Value {
        let measurements: Vec<Value> = self
            .measurements
            .iter()
            .map(|measured| {
                json!({
                    "name": measured.name,
                    "what": measured.what,
                    "unit": measured.unit,
                    "count": measured.rate.count,
                    "took_micros": micros(measured.rate),
                    "rate_per_second": measured.rate.per_second(),
                    "raw_limit": measured.raw_what,
                    "raw_count": measured.raw.count,
                    "raw_took_micros": micros(measured.raw),
                    "raw_per_second": measured.raw.per_second(),
                    "ratio_percent": measured.ratio_percent(),
                })
            })
            .collect();
        json!({
            "machine": {
                "cores": self.machine.cores,
                "database": self.machine.database,
                "fdatasyncs_per_second": self.machine.syncs.map(|rate| rate.per_second()),
            },
            "learners": self.learners,
            "measurements": measurements,
            "instances": self.scaled.iter().map(|scaled| json!({
                "instances": scaled.instances,
                "heartbeats_per_second": scaled.study.per_second(),
                "events_scored_per_second": scaled.scored.per_second(),
            })).collect::<Vec<Value>>(),
        })
    }
}

fn micros(rate: Rate) -> u64 {
    u64::try_from(rate.took.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratio_is_whole_per_cent_of_the_raw_limit() {
        let rate = |count, millis| Rate { count, took: Duration::from_millis(millis) };
        let measured = Measurement {
            name: "test",
            what: "test".to_owned(),
            unit: "calls",
            rate: rate(500, 250),
            raw_what: "test".to_owned(),
            raw: rate(3_000, 1_000),
        };
        assert_eq!(measured.rate.per_second(), 2_000);
        assert_eq!(measured.ratio_percent(), 66);
        assert_eq!(rate(7, 0).per_second(), 7_000_000);
    }
}
