//! Reads every role's scores back through the API and writes the four files of a season.
//!
//! The files are written beside their names and moved there when all are whole: a replay that fails leaves none.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::Path,
};

use anyhow::{Context as _, Result};
use prost_types::Timestamp;
use shipei_contracts::assessment::v1::{
    CountyScore, ItemState, ListCountyScoresRequest, ListTraineeScoresRequest, ListTutorScoresRequest,
    ScoreItem, TraineeScore, TutorScore, score_service_client::ScoreServiceClient,
};
use tonic::transport::Channel;

use crate::client::{Clients, explain};

/// Scores of one page.
const PAGE_SIZE: i32 = 1_000;

/// Reads scores of a programme as of its end.
#[derive(Debug, Clone)]
pub struct Scores {
    clients: Clients,
    programme: String,
    as_of: Option<Timestamp>,
}

/// Reads all pages of a list, handing each page's scores on.
macro_rules! pages {
    ($self:ident, $method:ident, $request:expr, |$scores:ident| $each:expr) => {{
        let mut page_token = String::new();
        loop {
            let mut message = $request;
            message.page_token = page_token.clone();
            let answer = $self
                .clients
                .call(|| {
                    let request = $self.clients.unary(message.clone());
                    let mut client = $self.client();
                    async move { client.$method(request).await }
                })
                .await
                .map_err(|status| anyhow::anyhow!("reading scores: {}", explain(&status)))?
                .into_inner();
            let $scores = answer.scores;
            $each;
            page_token = answer.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
    }};
}

impl Scores {
    /// The scores of this programme as of then.
    pub fn new(clients: &Clients, programme: &str, as_of: Option<Timestamp>) -> Scores {
        Scores { clients: clients.clone(), programme: programme.to_owned(), as_of }
    }

    fn client(&self) -> ScoreServiceClient<Channel> {
        ScoreServiceClient::new(self.clients.channel("assessment"))
            .max_decoding_message_size(self.clients.message_bytes_max())
    }

    /// Hands every trainee's score on, by person, in pages.
    pub async fn each_trainee(&self, mut each: impl FnMut(TraineeScore) -> Result<()>) -> Result<()> {
        let request = || ListTraineeScoresRequest {
            programme_id: self.programme.clone(),
            as_of: self.as_of,
            page_size: PAGE_SIZE,
            ..Default::default()
        };
        pages!(self, list_trainee_scores, request(), |scores| {
            for score in scores {
                each(score)?;
            }
        });
        Ok(())
    }

    /// Every tutor's score, by person.
    pub async fn tutors(&self) -> Result<Vec<TutorScore>> {
        let mut all = Vec::new();
        let request = || ListTutorScoresRequest {
            programme_id: self.programme.clone(),
            as_of: self.as_of,
            page_size: PAGE_SIZE,
            ..Default::default()
        };
        pages!(self, list_tutor_scores, request(), |scores| all.extend(scores));
        Ok(all)
    }

    /// Every county's score, by code.
    pub async fn counties(&self) -> Result<Vec<CountyScore>> {
        let mut all = Vec::new();
        let request = || ListCountyScoresRequest {
            programme_id: self.programme.clone(),
            as_of: self.as_of,
            page_size: PAGE_SIZE,
            ..Default::default()
        };
        pages!(self, list_county_scores, request(), |scores| all.extend(scores));
        Ok(all)
    }

    /// Writes `trainees.csv`, `tutors.csv`, `counselors.csv` and `rejections.csv`.
    pub async fn write_files(
        &self,
        out: &Path,
        phases: usize,
        rejections: &BTreeMap<u64, String>,
    ) -> Result<()> {
        fs::create_dir_all(out).with_context(|| format!("cannot make the folder {}", out.display()))?;
        let mut files = Files { out, written: Vec::new() };
        self.write_trainees(&mut files, phases).await?;
        files.write("tutors.csv", TUTORS_HEADER, self.tutors().await?.iter().map(tutor_row))?;
        files.write("counselors.csv", COUNSELORS_HEADER, counselor_rows(&self.counties().await?))?;
        let rejections = rejections.iter().map(|(line, reason)| format!("{line},{reason}"));
        files.write("rejections.csv", "line,reason", rejections)?;
        files.finish()
    }

    async fn write_trainees(&self, files: &mut Files<'_>, phases: usize) -> Result<()> {
        let mut header = "person_id".to_owned();
        for phase in 1..=phases {
            header.push_str(&format!(",phase_{phase}"));
        }
        header.push_str(",assignment,seminar,offline,total,passed,reasons");
        let mut file = files.create("trainees.csv")?;
        writeln!(file, "{header}")?;
        self.each_trainee(|score| Ok(writeln!(file, "{}", trainee_row(&score))?)).await?;
        file.flush().context("cannot write trainees.csv")
    }
}

const TUTORS_HEADER: &str =
    "person_id,marking,bulletins,seminar,total,qualified,late_weeks,disqualified,eligible,excellent";
const COUNSELORS_HEADER: &str =
    "person_id,county_code,active_trainees,registration_login,offline,total,scores_not_distinct";

/// What stands where a county without active trainees would have a score (scoring.md, County counselor).
const NOT_APPLICABLE: &str = "NOT_APPLICABLE";

/// A trainee's line: points by item, and `ITEM:CODE` for each that was missed. An offline activity is no duty that a
/// trainee can miss, so it has points and no reason (seasons/README.md).
pub fn trainee_row(score: &TraineeScore) -> String {
    let mut row = score.person_id.clone();
    for item in &score.items {
        row.push_str(&format!(",{}", item.hundredths / 100));
    }
    row.push_str(&format!(",{},{},{}", score.total, score.passed, reasons(&score.items)));
    row
}

/// The reasons of the items that were missed, as the season's files have them.
pub fn reasons(items: &[ScoreItem]) -> String {
    let mut reasons = Vec::new();
    for item in items {
        if item.state() == ItemState::Missed && item.name != "offline" {
            reasons.push(format!("{}:{}", item.name, item.reason));
        }
    }
    reasons.join(" ")
}

fn tutor_row(score: &TutorScore) -> String {
    // A tutor's bulletins are an item each; the file has one column for all of them.
    let points = |name: &str| -> i32 {
        let items = score.items.iter().filter(|item| item.name.starts_with(name));
        items.map(|item| item.hundredths / 100).sum()
    };
    let mut row =
        format!("{},{},{},{}", score.person_id, points("marking"), points("bulletin"), points("seminar"));
    row.push_str(&format!(
        ",{},{},{},{},{},{}",
        score.total, score.qualified, score.late_weeks, score.disqualified, score.eligible, score.excellent
    ));
    row
}

/// One line for each counselor, by person; a county without active trainees has no score (NOT_APPLICABLE).
fn counselor_rows(counties: &[CountyScore]) -> Vec<String> {
    let mut rows: BTreeMap<&str, String> = BTreeMap::new();
    for county in counties {
        let shown =
            |hundredths| if county.applicable { decimals(hundredths) } else { NOT_APPLICABLE.to_owned() };
        for counselor in &county.counselor_ids {
            let row = format!(
                "{counselor},{},{},{},{},{},{}",
                county.county_code,
                county.active_trainees,
                shown(county.registration_login_hundredths),
                shown(county.offline_hundredths),
                shown(county.total_hundredths),
                county.scores_not_distinct
            );
            rows.insert(counselor, row);
        }
    }
    rows.into_values().collect()
}

/// Hundredths of a point with two decimals.
pub fn decimals(hundredths: i32) -> String {
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// Files that appear under their names all at once.
struct Files<'out> {
    out: &'out Path,
    written: Vec<&'static str>,
}

impl Files<'_> {
    fn create(&mut self, name: &'static str) -> Result<BufWriter<File>> {
        let path = self.out.join(format!("{name}.part"));
        let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        self.written.push(name);
        Ok(BufWriter::new(file))
    }

    fn write(
        &mut self,
        name: &'static str,
        header: &str,
        rows: impl IntoIterator<Item = String>,
    ) -> Result<()> {
        let mut file = self.create(name)?;
        writeln!(file, "{header}")?;
        for row in rows {
            writeln!(file, "{row}")?;
        }
        file.flush().with_context(|| format!("cannot write {name}"))
    }

    fn finish(self) -> Result<()> {
        for name in &self.written {
            let part = self.out.join(format!("{name}.part"));
            fs::rename(&part, self.out.join(name)).with_context(|| format!("cannot write {name}"))?;
        }
        Ok(())
    }
}
