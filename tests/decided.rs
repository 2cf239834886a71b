//! What people decide about scores, through the public API and the command line, on both databases: it counts, the computed value
//! stays beside it, and neither a scores database that is lost nor a suite that learns everything again loses any of it.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use shipei::suite::forget_learned;
use shipei_client::client::{Clients, SERVICES};
use shipei_contracts::{
    assessment::v1::{GetTraineeScoreRequest, TraineeScore, score_service_client::ScoreServiceClient},
    decisions::v1::{
        AdjustItemRequest, Adjustment, AdjustmentKind, ListAdjustmentsRequest,
        decision_service_client::DecisionServiceClient,
    },
    event::v1::{
        GetHeadRequest, RetractRequest, correction_service_client::CorrectionServiceClient,
        event_feed_client::EventFeedClient,
    },
    services::ASSESSMENT_DECISIONS,
};
use shipei_store::PoolLimits;

use crate::{
    harness::{Backend, KeptState, Process, digest, embedded, program, replay_and_compare, season_folder},
    places::ask,
};

/// A trainee of the season who did not pass: everything but the seminar.
const TRAINEE: &str = "T02";

async fn score(clients: &Clients, programme: &str) -> Result<TraineeScore> {
    let request = GetTraineeScoreRequest {
        programme_id: programme.to_owned(),
        person_id: TRAINEE.to_owned(),
        as_of: None,
    };
    let answer = clients.call(|| {
        let request = clients.unary(request.clone());
        let mut client = ScoreServiceClient::new(clients.channel("assessment"));
        async move { client.get_trainee_score(request).await }
    });
    answer.await?.into_inner().score.context("a score")
}

async fn decisions(clients: &Clients, programme: &str) -> Result<Vec<Adjustment>> {
    let request = ListAdjustmentsRequest {
        programme_id: programme.to_owned(),
        with_retracted: true,
        ..Default::default()
    };
    let mut client = DecisionServiceClient::new(clients.channel(ASSESSMENT_DECISIONS));
    Ok(client.list_adjustments(clients.unary(request)).await?.into_inner().adjustments)
}

async fn decided(backend: Backend) -> Result<()> {
    let mut place = KeptState::new(backend)?;
    let (suite, clients) = embedded(&place).await?;
    let programme = replay_and_compare(&clients, "edges", &place.out("once")).await?.programme.programme_id;
    let computed = digest(&clients, &programme).await?;
    let before = score(&clients, &programme).await?;
    ensure!(!before.passed && before.total == 90, "{before:?}");
    let adjust = |request_id: &str, item: &str, points| AdjustItemRequest {
        programme_id: programme.clone(),
        person_id: TRAINEE.to_owned(),
        item: item.to_owned(),
        points,
        kind: AdjustmentKind::LateMedicalLeave.into(),
        reason: "住院，市级核准".to_owned(),
        request_id: request_id.to_owned(),
        ..Default::default()
    };
    ask!(clients, DecisionServiceClient, "assessment-decisions", adjust_item, adjust("D1", "seminar", 10));
    ask!(clients, DecisionServiceClient, "assessment-decisions", adjust_item, adjust("D2", "offline", 0));
    let adjusted = score(&clients, &programme).await?;
    ensure!(adjusted.passed && adjusted.total == 90, "{adjusted:?}");
    let with_decisions = digest(&clients, &programme).await?;
    ensure!(with_decisions != computed);
    let kept = decisions(&clients, &programme).await?;
    ensure!(kept.len() == 2, "{kept:?}");
    suite.stop().await;

    // Scores are derived; what was decided is not.
    place.lose_assessment()?;
    let (suite, clients) = embedded(&place).await?;
    send_again(&clients, &place).await?;
    ensure!(digest(&clients, &programme).await? == with_decisions, "another digest after the rebuild");
    ensure!(decisions(&clients, &programme).await? == kept);
    suite.stop().await;
    for service in SERVICES {
        forget_learned(service, &place.storage, PoolLimits::default()).await?;
    }
    let (suite, clients) = embedded(&place).await?;
    send_again(&clients, &place).await?;
    ensure!(digest(&clients, &programme).await? == with_decisions, "another digest after it was relearned");
    ensure!(decisions(&clients, &programme).await? == kept);

    for fact_id in ["D1", "D2"] {
        let request = RetractRequest {
            source: ASSESSMENT_DECISIONS.to_owned(),
            programme_id: programme.clone(),
            fact_id: fact_id.to_owned(),
            reason: "核准有误".to_owned(),
            ..Default::default()
        };
        ask!(clients, CorrectionServiceClient, "assessment-decisions", retract, request);
    }
    let given_back = score(&clients, &programme).await?;
    ensure!(TraineeScore { as_of: before.as_of, ..given_back } == before, "the computed value is back");
    ensure!(digest(&clients, &programme).await? == computed);
    suite.stop().await;
    Ok(())
}

/// Sends the season again, after which the client knows the ends of all logs.
async fn send_again(clients: &Clients, place: &KeptState) -> Result<()> {
    let folder = season_folder("edges");
    let season = shipei_client::season::Season::open(&folder)?;
    let out = place.out("again");
    shipei_client::replay::replay_to(clients, &season, &out, &shipei::progress::Progress::hidden()).await?;
    crate::harness::compare_some(&folder, &folder.join("expected"), &out, &["rejections.csv"])
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_outlive_scores_on_sqlite() -> Result<()> {
    decided(Backend::Sqlite).await
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_outlive_scores_on_postgres() -> Result<()> {
    decided(Backend::Postgres).await
}

#[tokio::test(flavor = "multi_thread")]
async fn clerk_decides_looks_and_takes_back_at_a_terminal() -> Result<()> {
    let place = KeptState::new(Backend::Sqlite)?;
    let process = Process::serve_with(&[], &place.storage, &[], &|_| {})?;
    let clients = Clients::connect(std::slice::from_ref(&process.address), None).await?;
    let programme = replay_and_compare(&clients, "edges", &place.out("once")).await?.programme.programme_id;
    let shipei = |arguments: &[&str]| -> Result<(bool, String, String)> {
        let mut command = std::process::Command::new(program());
        let to = ["--programme", &programme, "--server", &process.address];
        let output = command.args(arguments).args(to).env("SHIPEI_LOG", "warn").output()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok((output.status.success(), text(&output.stdout), text(&output.stderr)))
    };
    let reason = ["--reason", "住院，市级核准"];
    let (taken, out, err) = shipei(
        &[&["adjust", "item", TRAINEE, "seminar", "10", "--kind", "excuse", "--json"], &reason[..]].concat(),
    )?;
    ensure!(taken, "{err}");
    let decided: Value = serde_json::from_str(&out)?;
    let fact = decided[0]["fact_id"].as_str().context("an id")?.to_owned();
    ensure!(decided[0]["points"] == 10 && decided[0]["kind"] == "excuse", "{out}");
    let (taken, _, err) =
        shipei(&[&["adjust", "item", TRAINEE, "seminar", "11", "--kind", "excuse"], &reason[..]].concat())?;
    ensure!(!taken && err.contains("SCORE_OUT_OF_RANGE"), "{err}");

    // Who asks from another process has no token of what was decided here.
    let head = GetHeadRequest { source: ASSESSMENT_DECISIONS.to_owned() };
    let head = ask!(clients, EventFeedClient, "assessment-decisions", get_head, head);
    clients.note_token(head.consistency_token.as_bytes());
    ensure!(score(&clients, &programme).await?.passed);
    let (_, out, err) = shipei(&["explain", TRAINEE, "--lang", "zh"])?;
    let flat: String = out.split_whitespace().collect();
    ensure!(flat.contains("核准按10分计"), "{out}{err}");
    let (_, out, _) = shipei(&["explain", TRAINEE, "--lang", "en", "--json"])?;
    let sheet: Value = serde_json::from_str(&out)?;
    let items = sheet["items"].as_array().context("items")?;
    let item = items.iter().find(|item| item["key"] == "seminar").context("the seminar")?;
    ensure!(item["decided"]["computed"] == "0" && item["decided"]["reason"] == reason[1], "{item}");
    ensure!(item["why"].as_str().is_some_and(|why| why.contains("counts as 10")), "{item}");
    let html = place.out("sheet.html");
    let (taken, _, err) =
        shipei(&["explain", TRAINEE, "--lang", "zh", "--html", &html.display().to_string()])?;
    ensure!(taken, "{err}");
    let page = std::fs::read_to_string(html)?;
    ensure!(page.contains("核准按10分计（原计算值0分）") && page.contains(reason[1]), "{page}");

    let (_, out, _) = shipei(&["adjust", "list"])?;
    ensure!(out.contains(TRAINEE) && out.contains("10/10"), "{out}");
    let (taken, _, err) = shipei(&["adjust", "undo", &fact, "--reason", "核准有误"])?;
    ensure!(taken, "{err}");
    let (_, out, _) = shipei(&["adjust", "list", "--json"])?;
    ensure!(serde_json::from_str::<Value>(&out)? == serde_json::json!([]), "{out}");
    let (_, out, _) = shipei(&["adjust", "list", "--json", "--all"])?;
    ensure!(serde_json::from_str::<Value>(&out)?[0]["retracted"] == true, "{out}");
    Ok(())
}
