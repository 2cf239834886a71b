//! `shipei demo`: the main job once, on nothing but this machine: the season of Qinhuangdao 2019 (300 synthetic
//! trainees in four counties) replayed through the public API, and the scores shown as people want to see them.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result};
use shipei_contracts::{
    assessment::v1::{CountyScore, TraineeScore, TutorScore},
    enrollment::v1::{ListRegionsRequest, region_service_client::RegionServiceClient},
};
use shipei_store::crypto::make_private_folder;

use crate::{
    client::{Clients, call, explain},
    display::{histogram, say, table},
    replay::{
        self,
        progress::{Progress, summary},
        scores::{decimals, reasons},
    },
    season::Season,
    suite::{Storage, Suite},
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

/// Trainees shown.
const SAMPLE: usize = 12;

/// What the demo counts while it reads all trainees.
#[derive(Default)]
struct Counted {
    trainees: u64,
    passed: u64,
    by_total: BTreeMap<i64, u64>,
    sample: Vec<Vec<String>>,
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
    let suite = Suite::start_embedded(&Storage::Directory(data.to_owned())).await?;
    let clients = Clients::of_channel(&suite.channel());
    let progress = Progress::visible();
    let season = Season::open(&season_folder)?;
    let out = data.join("scores");
    let report = replay::replay_to(&clients, &season, &out, &progress).await?;

    let scores = report.scores(&clients);
    let mut counted = Counted::default();
    scores
        .each_trainee(|score| {
            count(&mut counted, &score);
            Ok(())
        })
        .await?;
    let names = county_names(&clients, &report.programme.programme_id).await?;
    say(&counties(&scores.counties().await?, &names));
    say(&tutors(&scores.tutors().await?));
    say(&trainees(&counted));
    say(&distribution(&counted));
    say(&summary(&report, &out));
    say(&next(data, &report.programme.programme_id));
    suite.stop().await;
    Ok(())
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
        let reasons: Vec<String> = score
            .items
            .iter()
            .filter(|item| !reasons(std::slice::from_ref(item)).is_empty())
            .map(|item| format!("{}: {}", item.name_zh, item.explanation_zh))
            .collect();
        row.push(reasons.join("; "));
        counted.sample.push(row);
    }
}

fn trainees(counted: &Counted) -> String {
    let headings = ["参训教师", "phase_1", "phase_2", "作业", "研修", "线下", "总分", "结论", "原因 reasons"];
    let title = format!(
        "参训教师 trainees: {} of {} passed ({}%); some of them",
        counted.passed,
        counted.trainees,
        counted.passed * 100 / counted.trainees.max(1)
    );
    table(&title, &headings, &counted.sample)
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

fn counties(scores: &[CountyScore], names: &BTreeMap<String, String>) -> String {
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
    let headings =
        ["县(区)", "code", "trainees", "报名登录 /70", "线下研修 /30", "总分", "辅导员 counselors"];
    table("县(区)辅导员 counties", &headings, &rows)
}

fn tutors(scores: &[TutorScore]) -> String {
    let yes = |value: bool| if value { "是 yes" } else { "否 no" }.to_owned();
    let rows: Vec<Vec<String>> = scores
        .iter()
        .map(|score| {
            let points = |name: &str| -> i64 {
                score
                    .items
                    .iter()
                    .filter(|item| item.name.starts_with(name))
                    .map(|item| item.hundredths / 100)
                    .sum()
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
        "辅导教师",
        "class",
        "批阅 /60",
        "简报 /30",
        "研修 /10",
        "总分",
        "late weeks",
        "合格",
        "可评优",
        "优秀",
    ];
    table("班级辅导教师 class tutors", &headings, &rows)
}

async fn county_names(clients: &Clients, programme: &str) -> Result<BTreeMap<String, String>> {
    let channel = clients.channel("enrollment");
    let regions = call(|| {
        let request = clients.unary(ListRegionsRequest {
            programme_id: programme.to_owned(),
            page_size: 1_000,
            ..Default::default()
        });
        let mut client = RegionServiceClient::new(channel.clone());
        async move { client.list_regions(request).await }
    })
    .await
    .map_err(|status| anyhow::anyhow!("{}", explain(&status)))?;
    Ok(regions.into_inner().regions.into_iter().map(|region| (region.code, region.name)).collect())
}

/// Lines to paste; `buf` is `npx -y @bufbuild/buf`.
fn next(data: &Path, programme: &str) -> String {
    let data = data.display();
    let curl = "npx -y @bufbuild/buf curl --protocol grpc --http2-prior-knowledge";
    let service = "http://127.0.0.1:7300/shipei";
    format!(
        "What to try next\n\n\
         Serve what this demo made, in another terminal:\n  \
           cargo run --release -- serve --data {data}\n\n\
         Why did T000008 not pass? (any gRPC client will do: reflection is on)\n  \
           {curl} \\\n    -d '{{\"programme_id\":\"{programme}\",\"person_id\":\"T000008\",\"as_of\":\"2020-01-01T00:00:00Z\"}}' \\\n    \
           {service}.assessment.v1.ScoreService/GetTraineeScore\n\n\
         Which seconds of study were not credited, and why?\n  \
           {curl} \\\n    -d '{{\"programme_id\":\"{programme}\",\"person_id\":\"T000008\"}}' \\\n    \
           {service}.learning.v1.StudyService/ListSessions\n\n\
         Follow the scores as they change:\n  \
           {curl} \\\n    -d '{{\"source\":\"assessment\"}}' \\\n    {service}.event.v1.EventFeed/Subscribe\n\n\
         Replay a season of your own:\n  \
           cargo run --release -- replay SEASON --out DIR\n"
    )
}
