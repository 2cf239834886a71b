//! What a person sees of a replay: a bar while it runs, a summary when it ends. And what a program sees that does
//! something at a certain point of a replay (the tests of faults do).

use std::{collections::BTreeMap, fmt::Write as _, io::Write as _, path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::watch;

use shipei_client::{
    client::Clients,
    replay::{Report, replay_to, watcher::Watcher},
    season::Season,
};

use crate::display::say;

/// A bar on standard error; hidden in tests, and by itself where there is no terminal.
#[derive(Debug, Clone)]
pub struct Progress {
    bar: ProgressBar,
    /// Operations done; None before the first can be sent.
    done: Arc<watch::Sender<Option<u64>>>,
}

impl Progress {
    /// A bar that shows.
    pub fn visible() -> Progress {
        let bar = ProgressBar::new_spinner();
        bar.enable_steady_tick(Duration::from_millis(120));
        Progress::of(bar)
    }

    /// A bar that does not.
    pub fn hidden() -> Progress {
        Progress::of(ProgressBar::hidden())
    }

    fn of(bar: ProgressBar) -> Progress {
        Progress { bar, done: Arc::new(watch::Sender::new(None)) }
    }

    /// The operations that are done by now; none before scheme and roster are in.
    pub fn done(&self) -> u64 {
        self.done.borrow().unwrap_or(0)
    }

    /// Returns when so many operations are done; with 0, when scheme and roster are in.
    pub async fn reached(&self, operations: u64) {
        let mut done = self.done.subscribe();
        // The sender is ours, so it can't be gone.
        let _ = done.wait_for(|done| done.is_some_and(|done| done >= operations)).await;
    }
}

impl Watcher for Progress {
    fn stage(&self, what: &str) {
        self.bar.set_style(style("{spinner} {msg} ({elapsed})"));
        self.bar.set_message(what.to_owned());
    }

    fn begin(&self, operations: u64) {
        self.bar.set_length(operations);
        self.bar.set_position(0);
        self.done.send_replace(Some(0));
        self.bar.set_message("replaying");
        self.bar
            .set_style(style("{msg} [{bar:40}] {percent}% {human_pos}/{human_len} ({per_sec}, {eta} left)"));
    }

    fn advance(&self, operations: u64) {
        self.bar.inc(operations);
        self.done.send_modify(|done| *done = Some(done.unwrap_or(0) + operations));
    }

    fn say(&self, text: &str) {
        if self.bar.is_hidden() {
            let _ = writeln!(std::io::stderr(), "{text}");
        } else {
            self.bar.println(text);
        }
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

/// The most reasons in one line of a summary.
const REASONS_IN_A_LINE: usize = 3;

/// A number with its thousands apart.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What a replay did, in a few lines.
pub fn summary(report: &Report, out: &Path) -> String {
    let mut text = String::new();
    let mut by_reason: BTreeMap<&str, u64> = BTreeMap::new();
    for reason in report.rejections.values() {
        *by_reason.entry(reason).or_default() += 1;
    }
    let reasons: Vec<String> = by_reason.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
    let _ = writeln!(text, "{} ({})", report.programme.programme_id, report.programme.title);
    let _ = writeln!(
        text,
        "  operations   {} ({} heartbeats, {} calls, {} roster rows)",
        grouped(report.extent.heartbeats + report.extent.calls + report.roster_rows),
        grouped(report.extent.heartbeats),
        grouped(report.extent.calls),
        grouped(report.roster_rows),
    );
    let _ = writeln!(text, "  refused      {} lines", grouped(report.rejections.len() as u64));
    for reasons in reasons.chunks(REASONS_IN_A_LINE) {
        let _ = writeln!(text, "               {}", reasons.join(", "));
    }
    if !report.row_refusals.is_empty() {
        let _ = writeln!(text, "  roster       {} rows not taken, named above", report.row_refusals.len());
    }
    let _ = writeln!(
        text,
        "  heartbeats   {} a second, each on disk when acknowledged",
        grouped(report.heartbeats_per_second())
    );
    let _ = writeln!(text, "  took         {}.{:03} s", report.took.as_secs(), report.took.subsec_millis());
    let _ = writeln!(
        text,
        "  written      {}",
        out.join("{trainees,tutors,counselors,rejections}.csv").display()
    );
    text
}

/// Opens a season, replays it and says what came of it, for the command line.
pub async fn replay(clients: &Clients, season: &Path, out: &Path) -> Result<()> {
    let season = Season::open(season)?;
    let progress = Progress::visible();
    let report = replay_to(clients, &season, out, &progress).await.context("the replay stopped")?;
    say(summary(&report, out).trim_end_matches('\n'));
    Ok(())
}

/// A bar on standard error; by itself hidden where there is no terminal.
pub(crate) fn bar(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::no_length().with_message(what);
    let style =
        ProgressStyle::with_template("{msg} [{bar:40}] {human_pos}/{human_len} ({per_sec}, {eta} left)");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}
