//! The audit as an operator uses it: who looked at what is listed, what was done to a log is found by `verify`, and a log that was
//! made anew by the checkpoints that the server wrote.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use shipei_client::client::Clients;
use shipei_contracts::enrollment::v1::{FindPersonsRequest, person_service_client::PersonServiceClient};
use shipei_store::{Database, Partition, PoolLimits, event_log, execute};

use crate::server::{Server, said, shipei, with_county};

/// What `verify --json` says of enrollment: whether it exited with 0, and what it found.
fn verify(data: &str, checkpoints: &str) -> Result<(bool, Value)> {
    let arguments = ["audit", "verify", "enrollment", "--data", data, "--json", "--checkpoints", checkpoints];
    let output = shipei(&arguments)?;
    let found: Value = serde_json::from_slice(&output.stdout).with_context(|| said(&output))?;
    Ok((output.status.success(), found["services"][0].clone()))
}

#[tokio::test]
async fn operator_lists_the_audit_and_finds_what_was_done_to_a_log() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (data, checkpoints) = (folder.path().join("data"), folder.path().join("checkpoints"));
    let place = |path: &Path| path.to_str().map(str::to_owned).context("UTF-8");
    let (data_text, checkpoints_text) = (place(&data)?, place(&checkpoints)?);
    let server = Server::start_with(&data, &["--audit-checkpoints", &checkpoints_text])?;
    let programme = with_county(&server.1).await?;
    let clients = Clients::connect(std::slice::from_ref(&server.1), None).await?;
    let sought = FindPersonsRequest {
        programme_id: programme.clone(),
        name: "张三".to_owned(),
        ..FindPersonsRequest::default()
    };
    PersonServiceClient::new(clients.channel("enrollment")).find_persons(clients.unary(sought)).await?;
    let file = place(&folder.path().join("regions.csv"))?;
    let exported = server.shipei(&["export", "regions", &file], &programme)?;
    ensure!(exported.status.success(), "{}", said(&exported));

    let listed = server.shipei(&["audit", "list", "--json"], &programme)?;
    ensure!(!said(&listed).contains("张三"), "what was asked for is nobody's business");
    let listed: Value = serde_json::from_slice(&listed.stdout).with_context(|| said(&listed))?;
    let kinds: Vec<&str> =
        listed.as_array().context("a list")?.iter().filter_map(|entry| entry["kind"].as_str()).collect();
    assert_eq!(kinds, ["search_by_name", "export"]);
    assert_eq!(
        (&listed[1]["ids"][0], &listed[1]["address"]),
        (&"EXPORT_LIST_REGIONS".into(), &"127.0.0.1".into())
    );
    let table = server.shipei(&["audit", "list", "--kind", "export", "--lang", "zh"], &programme)?;
    ensure!(said(&table).contains("导出") && !said(&table).contains("按姓名查人"), "{}", said(&table));

    // While it is served the file has one user.
    let busy = shipei(&["audit", "verify", "--data", &data_text])?;
    ensure!(!busy.status.success() && said(&busy).contains("another process has"), "{}", said(&busy));
    ensure!(server.end()?, "it ends softly, and writes a last checkpoint");

    let (holds, found) = verify(&data_text, &checkpoints_text)?;
    ensure!(holds && found["breaks"] == 0, "{found}");
    let events = found["events"].as_i64().context("events")?;
    ensure!(events > 4 && found["checkpoint_links"].as_i64() > Some(0), "{found}");
    let key = shipei(&["audit", "key", "--data", &data_text])?;
    ensure!(String::from_utf8(key.stdout)?.trim().len() == 43, "a public key");

    // One event is changed, and found by its place.
    let database =
        Database::open(&format!("sqlite:{data_text}/enrollment.sqlite"), PoolLimits::default()).await?;
    let region = Partition::of("130302");
    let mut tx = database.begin_write().await?;
    let kept = event_log::read_after(&mut tx, region, 0, 100, &[], &[]).await?.events;
    let last = kept.last().context("an event of the county")?;
    let change = "UPDATE event SET actor = $1 WHERE partition = $2 AND number = $3";
    execute!(tx, change, "province:P1", region.number(), last.position.number)?;
    tx.commit().await?;
    database.close().await;
    let (holds, found) = verify(&data_text, &checkpoints_text)?;
    ensure!(!holds && found["breaks"] == 1, "{found}");
    let broken = &found["first_breaks"][0];
    let place = (&broken["partition"], &broken["number"], &broken["flaw"]);
    assert_eq!(place, (&region.number().into(), &last.position.number.into(), &"changed".into()));
    let words = shipei(&["audit", "verify", "enrollment", "--data", &data_text, "--lang", "zh"])?;
    let told = format!("enrollment {}-{}", region.number(), last.position.number);
    ensure!(said(&words).contains(&told) && said(&words).contains("已断"), "{}", said(&words));

    // Its chain is made anew from there on: it holds by itself, and not against the checkpoints.
    let database =
        Database::open(&format!("sqlite:{data_text}/enrollment.sqlite"), PoolLimits::default()).await?;
    let mut tx = database.begin_write().await?;
    let before = kept.len().checked_sub(2).map(|place| kept[place].link);
    let number = last.position.number - 1;
    execute!(tx, "DELETE FROM event WHERE partition = $1 AND number > $2", region.number(), number)?;
    execute!(
        tx,
        "UPDATE event_head SET position = $2, link = $3 WHERE partition = $1",
        region.number(),
        number,
        before.map(|link| link.as_bytes().to_vec())
    )?;
    let anew = event_log::NewEvent {
        partition: region,
        kind: last.kind.clone(),
        programme: last.programme.clone(),
        subject: last.subject.clone(),
        region: last.region.clone(),
        occurred_at: last.occurred_at,
        actor: "province:P1".to_owned(),
        address: last.address.clone(),
        cause: last.cause.clone(),
        trace: last.trace.clone(),
        transaction_size: 1,
        transaction_place: 1,
        data: last.data.clone(),
        fact_id: last.fact_id.clone(),
    };
    event_log::append(&mut tx, &[anew], last.recorded_at).await?;
    tx.commit().await?;
    database.close().await;
    let alone = shipei(&["audit", "verify", "enrollment", "--data", &data_text])?;
    ensure!(alone.status.success(), "{}", said(&alone));
    let (holds, found) = verify(&data_text, &checkpoints_text)?;
    ensure!(!holds && found["first_breaks"][0]["flaw"] == "rewritten", "{found}");
    Ok(())
}
