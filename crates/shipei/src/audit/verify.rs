//! `shipei audit verify`: walks every chain of every log, and holds it against checkpoints. Why straight from the databases and
//! by no RPC: who asks a server believes the server, and a back-up is verified as well as what is served. On Postgres the
//! suite goes on meanwhile; a SQLite file has one user.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use anyhow::{Context as _, Result};
use clap::Args;
use indicatif::ProgressBar;
use serde_json::{Value, json};
use shipei_service_kit::{
    Checkpoint, CheckpointKey,
    serve::checkpoints::{NoCheckpoint, read_folder},
};
use shipei_store::{
    Database, Link, Partition,
    chain::{Break, Flaw, Found, Walk},
    event_log,
};

use crate::{
    config::{self, Config},
    display::{columns, say, table},
    explain::Language,
    progress::bar,
    services::service_of,
};

/// Which logs, against what.
#[derive(Debug, Args)]
pub struct VerifyOptions {
    #[command(flatten)]
    options: config::Options,
    /// The folder of checkpoints that were written down elsewhere.
    #[arg(long, value_name = "DIR")]
    checkpoints: Option<PathBuf>,
    /// A key that checkpoints are verified by (`shipei audit key`); those of the key file without.
    #[arg(long, value_name = "KEY", requires = "checkpoints")]
    key: Vec<CheckpointKey>,
    /// The language; what LANG says if it isn't given.
    #[arg(long)]
    lang: Option<Language>,
    /// Print JSON: a list with what was found of each service.
    #[arg(long)]
    json: bool,
}

impl VerifyOptions {
    pub(super) fn options(&self) -> &config::Options {
        &self.options
    }
}

/// Links that were written down of one log, by chain and number.
type Witnesses = BTreeMap<Partition, BTreeMap<i64, Link>>;

/// What was found of one log.
#[derive(Debug, Default)]
struct Verified {
    service: &'static str,
    events: i64,
    compared: i64,
    /// Chains of which old months were dropped.
    trimmed: usize,
    /// Checkpoints of another life of the log.
    of_another_life: usize,
    breaks: usize,
    first: Vec<(Partition, Break)>,
}

impl Verified {
    fn holds(&self) -> bool {
        self.breaks == 0 && self.of_another_life == 0
    }

    fn take(&mut self, partition: Partition, found: Found) {
        self.events += found.events;
        self.compared += found.compared;
        self.trimmed += usize::from(found.trimmed > 0);
        self.breaks += found.breaks;
        self.first.extend(found.first.into_iter().map(|broken| (partition, broken)));
    }
}

/// Verifies the logs; false when something does not hold.
pub(super) async fn run(options: &VerifyOptions, config: &Config) -> Result<bool> {
    let language = options.lang.unwrap_or_else(Language::of_terminal);
    let (checkpoints, others) = match &options.checkpoints {
        Some(folder) => {
            let keys = match options.key.as_slice() {
                [] => {
                    let keys = config.storage.load_keys()?;
                    CheckpointKey::all_of(&keys.context("there is no key file: give --key")?)?
                }
                given => given.to_vec(),
            };
            read_folder(folder, &keys).with_context(|| format!("cannot read {}", folder.display()))?
        }
        None => (Vec::new(), Vec::new()),
    };
    let bar = bar(language.pick("验证", "verifying"));
    bar.set_length(0);
    let mut all = Vec::new();
    for service in &config.services {
        let _claim = config.storage.claim(service)?;
        let migrations = (service_of(service)?.migrations)();
        let (database, _) = config.storage.open(service, &migrations, config.limits, false).await?;
        let verified = verify(service, &database, &checkpoints, &bar).await;
        database.close().await;
        all.push(verified.with_context(|| format!("the database of {service}"))?);
    }
    bar.finish_and_clear();
    let changed: Vec<&str> = others
        .iter()
        .filter(|(_, why)| *why == NoCheckpoint::Signature)
        .map(|(place, _)| place.as_str())
        .collect();
    match options.json {
        true => say(&to_json(&all, &changed).to_string()),
        false => say(to_words(&all, &others, language).trim_end()),
    }
    Ok(all.iter().all(Verified::holds) && changed.is_empty())
}

async fn verify(
    service: &'static str,
    database: &Database,
    checkpoints: &[Checkpoint],
    bar: &ProgressBar,
) -> Result<Verified> {
    let mut verified = Verified { service, ..Verified::default() };
    let mut tx = database.begin_read().await?;
    let epoch = event_log::epoch(&mut tx).await?;
    tx.rollback().await?;
    let mut witnesses = Witnesses::new();
    for checkpoint in checkpoints.iter().filter(|checkpoint| checkpoint.source == service) {
        if checkpoint.epoch != epoch {
            verified.of_another_life += 1;
            continue;
        }
        for (partition, number, link) in &checkpoint.ends {
            let known = witnesses.entry(*partition).or_default().insert(*number, *link);
            if known.is_some_and(|known| known != *link) {
                // Both were signed: what is there now can be one of them at most.
                let broken = Break { number: *number, flaw: Flaw::Rewritten };
                verified.breaks += 1;
                verified.first.push((*partition, broken));
            }
        }
    }
    for partition in Partition::chained() {
        let mut tx = database.begin_read().await?;
        let own = witnesses.remove(&partition).unwrap_or_default();
        let mut walk = Walk::begin(&mut tx, partition, own).await?;
        bar.inc_length(u64::try_from(walk.left()).unwrap_or_default());
        loop {
            let before = walk.left();
            let goes_on = walk.step(&mut tx).await?;
            bar.inc(u64::try_from(before - walk.left()).unwrap_or_default());
            // A snapshot that is held for long keeps a database from clearing away.
            tx.rollback().await?;
            if !goes_on {
                break;
            }
            tx = database.begin_read().await?;
        }
        verified.take(partition, walk.found);
    }
    Ok(verified)
}

/// What a flaw is called in JSON.
fn name(flaw: Flaw) -> &'static str {
    match flaw {
        Flaw::Missing => "missing",
        Flaw::Changed => "changed",
        Flaw::End => "end",
        Flaw::Beyond => "beyond",
        Flaw::Trimmed => "trimmed",
        Flaw::Rewritten => "rewritten",
        Flaw::Shortened => "shortened",
    }
}

fn words(flaw: Flaw, language: Language) -> &'static str {
    match flaw {
        Flaw::Missing => language.pick("缺少事件，已被删除", "no such event: it was removed"),
        Flaw::Changed => language.pick(
            "与链不符：该事件或其前一事件被修改或调换",
            "does not follow: it or the one before was changed or put in another's place",
        ),
        Flaw::End => language.pick("链尾与分区头不符", "the end is not what the partition's head says"),
        Flaw::Beyond => {
            language.pick("超出分区头，是插入的事件", "beyond the partition's head: it was put there")
        }
        Flaw::Trimmed => {
            language.pick("声称已按月清除的事件仍在", "said to be dropped with an old month, and there")
        }
        Flaw::Rewritten => language.pick(
            "与检查点不符：到此为止的链被重写",
            "not what a checkpoint says: the chain up to here was made anew",
        ),
        Flaw::Shortened => language.pick(
            "检查点有此事件而日志没有：尾部被删除，或恢复到了旧状态",
            "a checkpoint has it, the log ends before: its end was removed, or an older state restored",
        ),
    }
}

fn to_json(all: &[Verified], changed: &[&str]) -> Value {
    let services = all.iter().map(|verified| {
        let breaks = verified.first.iter().map(|(partition, broken)| {
            json!({ "partition": partition.number(), "number": broken.number, "flaw": name(broken.flaw) })
        });
        json!({
            "service": verified.service,
            "holds": verified.holds(),
            "events": verified.events,
            "checkpoint_links": verified.compared,
            "chains_trimmed": verified.trimmed,
            "checkpoints_of_another_life": verified.of_another_life,
            "breaks": verified.breaks,
            "first_breaks": breaks.collect::<Vec<Value>>(),
        })
    });
    json!({ "services": services.collect::<Vec<Value>>(), "checkpoints_changed": changed })
}

fn to_words(all: &[Verified], others: &[(String, NoCheckpoint)], language: Language) -> String {
    let headings = match language {
        Language::Zh => ["服务", "事件", "比对的检查点链接", "结果"],
        Language::En => ["service", "events", "links of checkpoints", "the chain"],
    };
    let row = |verified: &Verified| {
        let verdict = match verified.holds() {
            true => language.pick("完整", "holds"),
            false => language.pick("已断", "BROKEN"),
        };
        let (events, compared) = (verified.events.to_string(), verified.compared.to_string());
        vec![verified.service.to_owned(), events, compared, verdict.to_owned()]
    };
    let rows: Vec<Vec<String>> = all.iter().map(row).collect();
    let mut text = table(columns(), language.pick("审计链验证", "Chains of the logs"), &headings, &rows);
    for verified in all {
        let service = verified.service;
        let mut told = BTreeSet::new();
        for (partition, broken) in &verified.first {
            let (partition, number) = (partition.number(), broken.number);
            if told.insert((partition, number, name(broken.flaw))) {
                text.push_str(&format!("{service} {partition}-{number}: {}\n", words(broken.flaw, language)));
            }
        }
        let untold = verified.breaks.saturating_sub(verified.first.len());
        if untold > 0 {
            let more = language.pick("处断点未列出", "more breaks");
            text.push_str(&format!("{service}: {untold} {more}\n"));
        }
        if verified.trimmed > 0 {
            let trimmed = verified.trimmed;
            let says =
                language.pick("个分区清除过旧月份，从留存的链接起验证", "chains begin behind dropped months");
            text.push_str(&format!("{service}: {trimmed} {says}\n"));
        }
        if verified.of_another_life > 0 {
            let count = verified.of_another_life;
            let says = language.pick(
                "个检查点属于另一个日志：数据库被换过",
                "checkpoints of another log: the database was replaced",
            );
            text.push_str(&format!("{service}: {count} {says}\n"));
        }
    }
    for (place, why) in others {
        let says = match why {
            NoCheckpoint::Form => {
                language.pick("不是检查点（可能未写完）", "no checkpoint, maybe broken off")
            }
            NoCheckpoint::Signature => language.pick("签名不符", "its signature does not hold"),
        };
        text.push_str(&format!("{place}: {says}\n"));
    }
    text
}
