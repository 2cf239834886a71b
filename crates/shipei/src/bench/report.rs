//! What was measured, as people read it and as machines do. Integers only: a rate is whole things a second.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    display::{columns, table},
    progress::grouped,
};

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

/// Suite and raw limit, one right after the other.
#[derive(Debug, Clone, Copy)]
pub struct Round {
    /// How fast the suite did it.
    pub rate: Rate,
    /// How fast the raw limit went.
    pub raw: Rate,
}

impl Round {
    /// The rate in per cent of the raw limit's.
    pub fn ratio_percent(&self) -> u64 {
        let raw = u128::from(self.raw.per_second().max(1));
        u64::try_from(u128::from(self.rate.per_second()) * 100 / raw).unwrap_or(u64::MAX)
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
    /// What it is held against.
    pub raw_what: String,
    /// What came out, round by round.
    pub rounds: Vec<Round>,
}

impl Measurement {
    /// One that has not been made yet.
    pub(super) fn of(name: &'static str, what: String, unit: &'static str, raw_what: &str) -> Measurement {
        Measurement { name, what, unit, raw_what: raw_what.to_owned(), rounds: Vec::new() }
    }

    /// The median of the suite's rates, things a second.
    pub fn rate(&self) -> u64 {
        median(self.rounds.iter().map(|round| round.rate.per_second()))
    }

    /// The median of the raw limit's rates, things a second.
    pub fn raw(&self) -> u64 {
        median(self.rounds.iter().map(|round| round.raw.per_second()))
    }

    /// The least, the median and the largest of the rounds' ratios, in per cent.
    pub fn ratios_percent(&self) -> (u64, u64, u64) {
        let ratios = || self.rounds.iter().map(Round::ratio_percent);
        (ratios().min().unwrap_or_default(), median(ratios()), ratios().max().unwrap_or_default())
    }
}

fn median(values: impl Iterator<Item = u64>) -> u64 {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// A roster, from its first row until every service had learned of its people.
#[derive(Debug, Clone, Copy)]
pub struct Imported {
    /// People, in how long.
    pub rate: Rate,
    /// The same rows, inserted in bulk by plain statements.
    pub raw: Rate,
    /// The most memory that the process of all five services took, MiB.
    pub memory_mib: u64,
    /// What it took before the first row, MiB.
    pub memory_before_mib: u64,
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
    /// How an import went, if it was asked for.
    pub imported: Option<Imported>,
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
                let (least, median, most) = measured.ratios_percent();
                vec![
                    measured.what.clone(),
                    grouped(measured.rate()),
                    grouped(measured.raw()),
                    format!("{median}% ({least}-{most})"),
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
            "{}\n{}{}{cores} cores, {database}{}\n",
            table(columns(), &title, &headings, &rows),
            self.scaled_text(),
            self.imported_text(),
            syncs.unwrap_or_default()
        )
    }

    fn imported_text(&self) -> String {
        let Some(Imported { rate, raw, memory_mib, memory_before_mib }) = &self.imported else {
            return String::new();
        };
        format!(
            "{} people by ImportRoster until all services had learned of them: {} ms, {}/s, {}% of the same rows \
             inserted in bulk ({}/s); memory {memory_before_mib} -> at most {memory_mib} MiB\n",
            grouped(rate.count),
            rate.took.as_millis(),
            grouped(rate.per_second()),
            Round { rate: *rate, raw: *raw }.ratio_percent(),
            grouped(raw.per_second()),
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
            columns(),
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
                let rounds: Vec<Value> = measured
                    .rounds
                    .iter()
                    .map(|round| {
                        json!({
                            "count": round.rate.count,
                            "took_micros": micros(round.rate),
                            "raw_count": round.raw.count,
                            "raw_took_micros": micros(round.raw),
                            "ratio_percent": round.ratio_percent(),
                        })
                    })
                    .collect();
                let (least, median, most) = measured.ratios_percent();
                json!({
                    "name": measured.name,
                    "what": measured.what,
                    "unit": measured.unit,
                    "rate_per_second": measured.rate(),
                    "raw_limit": measured.raw_what,
                    "raw_per_second": measured.raw(),
                    "ratio_percent": median,
                    "ratio_percent_least": least,
                    "ratio_percent_most": most,
                    "rounds": rounds,
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
            "import": self.imported.map(|imported| json!({
                "people": imported.rate.count,
                "took_micros": micros(imported.rate),
                "raw_took_micros": micros(imported.raw),
                "memory_mib_before": imported.memory_before_mib,
                "memory_mib_most": imported.memory_mib,
            })),
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
    fn ratios_are_whole_per_cent_of_the_raw_limit_with_their_spread() {
        let rate = |count, millis| Rate { count, took: Duration::from_millis(millis) };
        let round = |count| Round { rate: rate(count, 250), raw: rate(3_000, 1_000) };
        let rounds = vec![round(500), round(300), round(1_000)];
        let measured = Measurement { rounds, ..Measurement::of("test", "test".to_owned(), "calls", "test") };
        assert_eq!((measured.rate(), measured.raw()), (2_000, 3_000));
        assert_eq!(measured.ratios_percent(), (40, 66, 133));
        assert_eq!(rate(7, 0).per_second(), 7_000_000);
    }
}
