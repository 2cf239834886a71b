//! A whole season in through the public API, every role's score out.
//!
//! The season is checked first and sent then, window by window (`season/window.rs`). Within a window enrollment's
//! facts go first, then course selections, then heartbeats and all other calls side by side; the next window's
//! enrollment goes on meanwhile. Calls that have to do with each other keep their order (`schedule.rs`). A line that was refused
//! because of what had not arrived yet is sent again when everything was sent, so that the order of the lines decides nothing. At
//! the end assessment is asked for the scores with the ends of all logs that scores follow from as a token: it answers when it has seen them.

pub mod calls;
pub mod import;
pub mod schedule;
pub mod scores;
pub mod study;
pub mod watcher;

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use shipei_contracts::{common::v1::ErrorReason, enrollment::v1::Programme, services};
use shipei_rules::scheme::Scheme;
use shipei_service_kit::status;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::{
    client::{Clients, explain},
    feed,
    season::{
        Extent, Numbered, Season,
        line::Event,
        step::{Step, step_of},
        window::{Window, Windows},
    },
};
use watcher::Watcher;

/// The most roster rows that were taken of which is said what is odd.
const ODDITIES_SHOWN_MAX: usize = 20;

/// How often a service is asked whether it still works on what follows from what was sent.
const SETTLING_POLL: Duration = Duration::from_millis(50);

/// A roster row that a service refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowRefusal {
    /// The file.
    pub file: &'static str,
    /// The line in it.
    pub line: u64,
    /// The column, where one is to blame.
    pub field: String,
    /// The stable reason.
    pub reason: String,
    /// The cause in words.
    pub message: String,
}

/// What a replay did.
#[derive(Debug)]
pub struct Report {
    /// The programme.
    pub programme: Programme,
    /// The scheme, as parsed here.
    pub scheme: Scheme,
    /// How much there was.
    pub extent: Extent,
    /// Roster rows sent.
    pub roster_rows: u64,
    /// Roster rows refused.
    pub row_refusals: Vec<RowRefusal>,
    /// Lines refused, with the reason.
    pub rejections: BTreeMap<u64, String>,
    /// How long the lines took, import and reading of scores left out.
    pub lines_took: Duration,
    /// How long everything took.
    pub took: Duration,
}

impl Report {
    /// Heartbeats a second while the lines were sent.
    pub fn heartbeats_per_second(&self) -> u64 {
        let micros = self.lines_took.as_micros().max(1);
        u64::try_from(u128::from(self.extent.heartbeats) * 1_000_000 / micros).unwrap_or(u64::MAX)
    }

    /// The reader of the programme's final scores.
    pub fn scores(&self, clients: &Clients) -> scores::Scores {
        scores::Scores::new(clients, &self.programme.programme_id, self.programme.final_time)
    }
}

/// Replays a season and waits until assessment has seen all of it.
pub async fn replay<W: Watcher + Clone + 'static>(
    clients: &Clients,
    season: &Season,
    progress: &W,
) -> Result<Report> {
    let began = Instant::now();
    progress.stage("checking the season's lines");
    let checked = season.clone();
    let extent = tokio::task::spawn_blocking(move || checked.check()).await??;
    let scheme =
        Scheme::parse(&season.scheme_toml()?).map_err(|error| anyhow::anyhow!("scheme.toml: {error}"))?;

    for odd in scheme.oddities() {
        progress.say(&format!("scheme.toml: {}: {} ({})", odd.key, odd.en, odd.zh));
    }

    progress.stage("importing scheme and roster");
    let imported = import::import(clients, season).await?;
    for refusal in &imported.refusals {
        progress
            .say(&format!("{} line {}: {} {}", refusal.file, refusal.line, refusal.field, refusal.message));
    }
    for (line, oddity) in imported.oddities.iter().take(ODDITIES_SHOWN_MAX) {
        progress.say(&format!("people.csv line {line}: {oddity}"));
    }
    if let Some(more) = imported.oddities.len().checked_sub(ODDITIES_SHOWN_MAX).filter(|more| *more > 0) {
        progress.say(&format!("people.csv: {more} more lines are odd, and were taken"));
    }

    progress.begin(extent.heartbeats + extent.calls);
    let lines_began = Instant::now();
    let run = Arc::new(Run {
        clients: clients.clone(),
        programme: imported.programme.programme_id.clone(),
        progress: progress.clone(),
        rejections: Mutex::new(BTreeMap::new()),
        turnable: Mutex::new(BTreeMap::new()),
        authors: Mutex::new(HashMap::new()),
    });
    Arc::clone(&run).send_lines(season).await?;
    run.send_refused_again().await?;
    let lines_took = lines_began.elapsed();

    progress.stage("waiting until assessment has seen everything");
    wait_for_assessment(clients).await?;
    let rejections = std::mem::take(&mut *run.rejections.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Report {
        programme: imported.programme,
        scheme,
        extent,
        roster_rows: imported.rows,
        row_refusals: imported.refusals,
        rejections,
        lines_took,
        took: began.elapsed(),
    })
}

/// Replays a season and writes its four files.
pub async fn replay_to<W: Watcher + Clone + 'static>(
    clients: &Clients,
    season: &Season,
    out: &Path,
    progress: &W,
) -> Result<Report> {
    let report = replay(clients, season, progress).await?;
    progress.stage("reading the scores");
    report.scores(clients).write_files(out, report.scheme.trainee.online.len(), &report.rejections).await?;
    progress.end();
    Ok(report)
}

/// From now on this client's calls to assessment are answered only when it has seen all that is written now.
async fn wait_for_assessment(clients: &Clients) -> Result<()> {
    for source in services::OF_SCORES {
        loop {
            let head = feed::head(clients, source).await;
            let head = head.map_err(|status| anyhow::anyhow!("{source}: {}", explain(&status)))?;
            if !head.settling {
                clients.note_token(head.consistency_token.as_bytes());
                break;
            }
            tokio::time::sleep(SETTLING_POLL).await;
        }
    }
    Ok(())
}

/// A replay under way.
struct Run<W> {
    clients: Clients,
    programme: String,
    progress: W,
    rejections: Mutex<BTreeMap<u64, String>>,
    /// The lines among them whose refusal what was sent after them may have turned.
    turnable: Mutex<BTreeMap<u64, Numbered>>,
    /// The trainees who say that a submission is theirs: one, unless an id is claimed twice, of which one claim is refused.
    authors: Mutex<HashMap<String, Vec<String>>>,
}

impl<W: Watcher + 'static> Run<W> {
    async fn send_lines(self: Arc<Self>, season: &Season) -> Result<()> {
        let mut windows = Windows::new(season.lines()?);
        let mut rest: Option<tokio::task::JoinHandle<Result<()>>> = None;
        loop {
            let (back, window) = tokio::task::spawn_blocking(move || {
                let window = windows.next_window();
                (windows, window)
            })
            .await?;
            windows = back;
            let Some(window) = window? else { break };
            let Window { calls, study, after_all } = window;
            if after_all && let Some(rest) = rest.take() {
                rest.await??;
            }
            let mut steps: BTreeMap<Step, Vec<Numbered>> = BTreeMap::new();
            for numbered in calls {
                steps.entry(step_of(&numbered.line.event)).or_default().push(numbered);
            }
            for step in [Step::Enrollment, Step::Selection] {
                self.send_calls(steps.remove(&step).unwrap_or_default(), 1).await?;
            }
            if let Some(rest) = rest.take() {
                rest.await??;
            }
            let run = Arc::clone(&self);
            let calls = steps.remove(&Step::Rest).unwrap_or_default();
            rest = Some(tokio::spawn(async move {
                let (calls, study) = tokio::join!(run.send_calls(calls, 1), run.send_study(study));
                calls.and(study)
            }));
        }
        if let Some(rest) = rest.take() {
            rest.await??;
        }
        Ok(())
    }

    /// Sends calls, each of which is so much of the replay's progress.
    async fn send_calls(&self, calls: Vec<Numbered>, progress: u64) -> Result<()> {
        for numbered in &calls {
            if let Event::AssignmentSubmitted { person, submission, .. } = &numbered.line.event {
                let mut authors = self.authors.lock().unwrap_or_else(PoisonError::into_inner);
                let claimants = authors.entry(submission.clone()).or_default();
                if !claimants.contains(person) {
                    claimants.push(person.clone());
                }
            }
        }
        let authors = |submission: &str| {
            let authors = self.authors.lock().unwrap_or_else(PoisonError::into_inner);
            authors.get(submission).cloned().unwrap_or_default()
        };
        schedule::run_in_order(
            calls,
            |numbered| calls::keys_of(&numbered.line.event, authors),
            |numbered| async move {
                let answer = calls::send_line(&self.clients, &self.programme, &numbered).await;
                match answer {
                    Ok(()) => self.taken(numbered.number),
                    Err(status) => self.refused(numbered, &status)?,
                }
                self.progress.advance(progress);
                Ok(())
            },
        )
        .await
    }

    /// Sends what was refused for what a later write can turn again, as the law wants it, until that turns nothing any more. In a
    /// season that was told in the order of time nothing turns: whatever came later happened later.
    async fn send_refused_again(&self) -> Result<()> {
        loop {
            let refused = std::mem::take(&mut *self.turnable.lock().unwrap_or_else(PoisonError::into_inner));
            let count = refused.len();
            self.send_calls(refused.into_values().collect(), 0).await?;
            if self.turnable.lock().unwrap_or_else(PoisonError::into_inner).len() == count {
                return Ok(());
            }
        }
    }

    async fn send_study(&self, study: BTreeMap<String, Vec<crate::season::window::Beat>>) -> Result<()> {
        study::send_study(
            &self.clients,
            &self.programme,
            study,
            |line, reason| self.note_rejection(line, reason.to_owned()),
            |beats| self.progress.advance(beats),
        )
        .await
        .map_err(|status| anyhow::anyhow!("heartbeats: {}", explain(&status)))
    }

    /// A refusal with a reason is the season's business; anything else ends the replay.
    fn refused(&self, numbered: Numbered, status: &Status) -> Result<()> {
        let named = |reason| status::reason_name(reason).to_owned();
        let reason = match status.code() {
            // The transport's own refusal of a message that is too large, before any service has seen it.
            Code::OutOfRange | Code::ResourceExhausted => {
                status::reason_of(status).or_else(|| Some(named(ErrorReason::TooMany)))
            }
            Code::InvalidArgument if names_nobody(&numbered.line.event, status) => {
                Some(named(ErrorReason::NotFound))
            }
            // Not what the line says, but what a service could not do.
            Code::Internal | Code::DataLoss | Code::Unknown => None,
            _ => status::reason_of(status),
        };
        let Some(reason) = reason.filter(|_| !crate::client::is_transient(status)) else {
            bail!("season.ndjson line {}: {}", numbered.number, explain(status));
        };
        self.note_rejection(numbered.number, reason);
        if status::may_turn(status) {
            self.turnable.lock().unwrap_or_else(PoisonError::into_inner).insert(numbered.number, numbered);
        }
        Ok(())
    }

    fn taken(&self, line: u64) {
        self.rejections.lock().unwrap_or_else(PoisonError::into_inner).remove(&line);
    }

    fn note_rejection(&self, line: u64, reason: String) {
        self.rejections.lock().unwrap_or_else(PoisonError::into_inner).entry(line).or_insert(reason);
    }
}

/// Whether a line was refused for nothing but ids that can't be ids, of what it says is there. A season's word for an id of
/// nobody and nothing is NOT_FOUND.
fn names_nobody(event: &Event, status: &Status) -> bool {
    let made = match event {
        Event::RemittanceSent { .. } => "ref",
        Event::AssignmentSubmitted { .. } => "submission_id",
        Event::SeminarOpened { .. } => "seminar_id",
        Event::OfflineActivityHeld { .. } => "activity_id",
        _ => "",
    };
    let is_named = |field: &str| {
        let is_id = field.ends_with("_id") || field.ends_with("_code") || field.starts_with("person_ids[");
        field != made && (is_id || field == "ref")
    };
    let violations = status.get_details_bad_request().map(|details| details.field_violations);
    violations.is_some_and(|violations| {
        !violations.is_empty() && violations.iter().all(|violation| is_named(&violation.field))
    })
}
