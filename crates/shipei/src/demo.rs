//! `shipei demo`: the main job once, on nothing but this machine: the season of Qinhuangdao 2019 (300 synthetic
//! trainees in four counties) replayed through the public API, and the scores shown as people want to see them.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result};
use shipei_client::{
    client::Clients,
    replay::{
        self,
        scores::{Scores, decimals, reasons},
    },
    season::Season,
};
use shipei_contracts::assessment::v1::{CountyScore, TraineeScore, TutorScore};
use shipei_store::crypto::make_private_folder;

use crate::{
    ask::{programme, region_names},
    display::{columns, histogram, percent, say, table},
    progress::{Progress, summary},
    suite::{Storage, Suite},
    token,
};

/// The season, as files of this program.
const FILES: [(&str, &str); 7] = [
    ("scheme.toml", include_str!("../../../tests/seasons/qinhuangdao-2019/scheme.toml")),
    ("season.ndjson", include_str!("../../../tests/seasons/qinhuangdao-2019/season.ndjson")),
    ("roster/regions.csv", include_str!("../../../tests/seasons/qinhuangdao-2019/roster/regions.csv")),
    ("roster/schools.csv", include_str!("../../../tests/seasons/qinhuangdao-2019/roster/schools.csv")),
    ("roster/classes.csv", include_str!("../../../tests/seasons/qinhuangdao-2019/roster/classes.csv")),
    ("roster/courses.csv", include_str!("../../../tests/seasons/qinhuangdao-2019/roster/courses.csv")),
    ("roster/people.csv", include_str!("../../../tests/seasons/qinhuangdao-2019/roster/people.csv")),
];

/// The season's programme.
const PROGRAMME: &str = "qinhuangdao-2019";
/// The file that says that the whole season is in the databases beside it.
const DONE_FILE: &str = "season-is-in";
/// How long the token holds that is shown at the end, hours.
const TOKEN_HOURS: u32 = 8;
/// Trainees shown.
const SAMPLE: usize = 12;

/// What the demo counts while it reads all trainees.
#[derive(Default)]
struct Counted {
    trainees: u64,
    passed: u64,
    by_total: BTreeMap<i32, u64>,
    sample: Vec<Vec<String>>,
    /// Trainee, item and reason of what the sample missed.
    missed: Vec<Vec<String>>,
}

/// Runs the demo; what it keeps stays in `data`, so that it can be served afterwards.
pub async fn run(data: &Path) -> Result<()> {
    say(&format!(
        "shipei demo: the season of Qinhuangdao 2019, all five services in this process, data in {}\n",
        data.display()
    ));
    make_private_folder(data).with_context(|| format!("cannot make the folder {}", data.display()))?;
    let season_folder = data.join("season");
    for (name, text) in FILES {
        let path = season_folder.join(name);
        let folder = path.parent().context("a file of the season has a folder")?;
        fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    // What it says to try next is pasted: `serve` finds the keys in its data, and the token is by them.
    let (key, _) = token::load_or_make(data)?;
    let suite = Suite::start_embedded(&Storage::Directory(data.to_owned())).await?;
    let clients = Clients::of_channel(&suite.channel());
    let out = data.join("scores");
    let done = data.join(DONE_FILE);
    let was_done = done.exists();
    let summary = match was_done {
        // Sent again, its heartbeats would be told as duplicates of those that are there.
        true => already_there(data, &out),
        false => {
            let season = Season::open(&season_folder)?;
            let report = replay::replay_to(&clients, &season, &out, &Progress::visible()).await?;
            fs::write(&done, "").with_context(|| format!("cannot write {}", done.display()))?;
            summary(&report, &out)
        }
    };

    let programme = programme(&clients, PROGRAMME).await?;
    let programme_id = programme.programme_id.as_str();
    let scores = Scores::new(&clients, programme_id, programme.final_time);
    let columns = columns();
    let mut counted = Counted::default();
    scores
        .each_trainee(|score| {
            count(&mut counted, &score);
            Ok(())
        })
        .await?;
    let names = region_names(&clients, programme_id).await?;
    say(&counties(columns, &scores.counties().await?, &names));
    say(&tutors(columns, &scores.tutors().await?));
    say(&trainees(columns, &counted));
    say(&distribution(&counted));
    say(&summary);
    say(&next(data, programme_id, &token::of_institution(&key, &[programme_id], TOKEN_HOURS)?));
    suite.stop().await;
    Ok(())
}

/// What is said instead of what a replay did.
fn already_there(data: &Path, out: &Path) -> String {
    format!(
        "All of it was there already: an earlier demo has sent the season, nothing was sent now.\n  \
           scores       {}\n  anew         rm -r {} and run it again\n",
        out.display(),
        data.display()
    )
}

fn count(counted: &mut Counted, score: &TraineeScore) {
    counted.trainees += 1;
    counted.passed += u64::from(score.passed);
    *counted.by_total.entry(score.total / 10).or_default() += 1;
    let instructive = !score.passed || counted.sample.len() < SAMPLE / 2;
    if counted.sample.len() < SAMPLE && instructive {
        let mut row = vec![score.person_id.clone()];
        row.extend(score.items.iter().map(|item| (item.hundredths / 100).to_string()));
        row.push(score.total.to_string());
        row.push(if score.passed { "合格 pass" } else { "不合格 fail" }.to_owned());
        counted.sample.push(row);
        for item in &score.items {
            if !reasons(std::slice::from_ref(item)).is_empty() {
                let missed = [&score.person_id, &item.name_zh, &item.explanation_zh];
                counted.missed.push(missed.map(String::clone).to_vec());
            }
        }
    }
}

fn trainees(columns: u16, counted: &Counted) -> String {
    let headings = [
        "参训教师\ntrainee",
        "第1阶段\nphase 1",
        "第2阶段\nphase 2",
        "作业\nwork",
        "研修\nseminar",
        "线下\noffline",
        "总分\ntotal",
        "结论\nresult",
    ];
    let title = format!(
        "参训教师 trainees: {} of {} passed ({}); some of them",
        counted.passed,
        counted.trainees,
        percent(counted.passed, counted.trainees)
    );
    let points = table(columns, &title, &headings, &counted.sample);
    let headings = ["参训教师\ntrainee", "项目\nitem", "原因\nreason"];
    let missed = table(columns, "未得分的项目 what they missed", &headings, &counted.missed);
    format!("{points}\n{missed}")
}

fn distribution(counted: &Counted) -> String {
    let buckets: Vec<(String, u64)> = (0..=10)
        .map(|tens| {
            let label =
                if tens == 10 { "100".to_owned() } else { format!("{}-{}", tens * 10, tens * 10 + 9) };
            (label, counted.by_total.get(&tens).copied().unwrap_or(0))
        })
        .collect();
    histogram("总分分布 totals of all trainees (80 to pass)", &buckets)
}

fn counties(columns: u16, scores: &[CountyScore], names: &BTreeMap<String, String>) -> String {
    let rows: Vec<Vec<String>> = scores
        .iter()
        .map(|score| {
            vec![
                names.get(&score.county_code).cloned().unwrap_or_default(),
                score.county_code.clone(),
                score.active_trainees.to_string(),
                decimals(score.registration_login_hundredths),
                decimals(score.offline_hundredths),
                decimals(score.total_hundredths),
                score.counselor_ids.join(", "),
            ]
        })
        .collect();
    let headings = [
        "县(区)\ncounty",
        "代码\ncode",
        "学员\ntrainees",
        "报名登录/70\nlog-in",
        "线下研修/30\noffline",
        "总分\ntotal",
        "辅导员\ncounselors",
    ];
    table(columns, "县(区)辅导员 county counselors", &headings, &rows)
}

fn tutors(columns: u16, scores: &[TutorScore]) -> String {
    let yes = |value: bool| if value { "是 yes" } else { "否 no" }.to_owned();
    let rows: Vec<Vec<String>> = scores
        .iter()
        .map(|score| {
            let points = |name: &str| -> i32 {
                let items = score.items.iter().filter(|item| item.name.starts_with(name));
                items.map(|item| item.hundredths / 100).sum()
            };
            vec![
                score.person_id.clone(),
                score.class_ids.join(", "),
                points("marking").to_string(),
                points("bulletin").to_string(),
                points("seminar").to_string(),
                score.total.to_string(),
                score.late_weeks.to_string(),
                yes(score.qualified),
                yes(score.eligible),
                yes(score.excellent),
            ]
        })
        .collect();
    let headings = [
        "辅导教师\ntutor",
        "班级\nclass",
        "批阅/60\nmarking",
        "简报/30\nbulletin",
        "研修/10\nseminar",
        "总分\ntotal",
        "迟周\nlate",
        "合格\npass",
        "可评优\neligible",
        "优秀\nbest",
    ];
    table(columns, "班级辅导教师 class tutors", &headings, &rows)
}

/// Lines to paste; `buf` is `npx -y @bufbuild/buf`.
fn next(data: &Path, programme: &str, token: &str) -> String {
    let data = data.display();
    let curl = "npx -y @bufbuild/buf curl --protocol grpc --emit-defaults -H \"authorization: Bearer $SHIPEI_TOKEN\"";
    let service = "http://127.0.0.1:7300/shipei";
    format!(
        "What to try next\n\n\
         Serve what this demo made, in another terminal:\n  \
           cargo run --release -- serve --data {data}\n\n\
         Callers say who they are by a token. This one may do everything in this programme for {TOKEN_HOURS} hours \
         (others: `cargo run --release -- token --help`):\n  \
           export SHIPEI_TOKEN={token}\n\n\
         Why did T000008 not pass, and what was missing? (--lang zh, --html FILE)\n  \
           cargo run --release -- explain T000008 --programme {programme}\n\n\
         Where does each county stand?\n  \
           cargo run --release -- stats --programme {programme} --by county\n\n\
         A score from any gRPC client: reflection is on\n  \
           {curl} \\\n    -d '{{\"programme_id\":\"{programme}\",\"person_id\":\"T000008\",\"as_of\":\"2020-01-01T00:00:00Z\"}}' \\\n    \
           {service}.assessment.v1.ScoreService/GetTraineeScore\n\n\
         Which seconds of study were not credited, and why?\n  \
           {curl} \\\n    -d '{{\"programme_id\":\"{programme}\",\"person_id\":\"T000008\"}}' \\\n    \
           {service}.learning.v1.StudyService/ListSessions\n\n\
         Follow the scores as they change:\n  \
           {curl} \\\n    -d '{{\"source\":\"assessment\",\"start\":\"START_NOW\"}}' \\\n    {service}.event.v1.EventFeed/Subscribe\n\n\
         Replay a season of your own:\n  \
           cargo run --release -- replay SEASON --out DIR\n"
    )
}
