//! A database that was restored from a back-up: readers who had read on after it are told (EPOCH_CHANGED), and never
//! continued in silence; who had not, goes on; and what is done again comes to the right scores.

use std::{cell::RefCell, collections::BTreeMap, path::Path};

use anyhow::{Context as _, Result, bail, ensure};
use shipei_client::{
    client::{Clients, SERVICES},
    feed,
};
use shipei_contracts::event::v1::{SubscribeRequest, event_feed_client::EventFeedClient};
use shipei_service_kit::{status::reason_of, telemetry::Sometimes};
use tonic::{Code, Status};

use super::{QINHUANGDAO, QINHUANGDAO_OPERATIONS, replay_while};
use crate::{
    cluster::{Cluster, Network, THREE},
    harness::log_lengths,
};

/// Where a reader of each log stands.
type Cursors = BTreeMap<&'static str, String>;

/// Reads a log from a cursor up to its end of now; gives the cursor there and the number of events.
async fn read_on(clients: &Clients, source: &'static str, cursor: &str) -> Result<(String, i64), Status> {
    let mut client =
        EventFeedClient::new(clients.channel(source)).max_decoding_message_size(clients.message_bytes_max());
    let head = feed::head(clients, source).await?.positions;
    let request =
        SubscribeRequest { source: source.to_owned(), cursor: cursor.to_owned(), ..Default::default() };
    let mut responses =
        client.subscribe(Clients::about_log(source, clients.request(request))).await?.into_inner();
    let mut events = 0;
    loop {
        let Some(response) = responses.message().await? else {
            return Err(Status::unavailable("the stream ended before the end of the log"));
        };
        events += response.events.len() as i64;
        let reached = head.iter().all(|end| {
            let same = response.positions.iter().find(|position| position.partition == end.partition);
            same.is_some_and(|position| position.number >= end.number)
        });
        if reached {
            return Ok((response.cursor, events));
        }
    }
}

async fn read_all(clients: &Clients, from: &Cursors) -> Result<Cursors> {
    let mut cursors = Cursors::new();
    for source in SERVICES {
        let cursor = from.get(source).map_or("", String::as_str);
        let (cursor, _) =
            read_on(clients, source, cursor).await.with_context(|| format!("the log of {source}"))?;
        cursors.insert(source, cursor);
    }
    Ok(cursors)
}

async fn expect_refused(clients: &Clients, when: &str, cursors: &Cursors) -> Result<()> {
    for (source, cursor) in cursors {
        match read_on(clients, source, cursor).await {
            Ok((_, events)) => {
                bail!("{when}: {events} events of the log of {source} were given to a cursor of another past")
            }
            Err(status) => {
                let reason = reason_of(&status).unwrap_or_default();
                ensure!(
                    reason == "EPOCH_CHANGED" && status.code() != Code::Unavailable,
                    "{when}: the log of {source} answers {reason}: {status}"
                );
            }
        }
    }
    Ok(())
}

fn restore(cluster: &Cluster, dump: &Path) -> Result<()> {
    cluster.postgres_program("dropdb", &["shipei"])?;
    cluster.postgres_program("createdb", &["shipei"])?;
    let dump = dump.display().to_string();
    cluster.postgres_program("pg_restore", &["--exit-on-error", "--dbname=shipei", &dump])?;
    Ok(())
}

async fn back_up_and_restore(cluster: &Cluster) -> Result<()> {
    let dump = cluster.out("shipei.dump");
    let before = RefCell::new(Cursors::new());
    // The back-up is made while the season goes on, as operators make it.
    let (_, clients) = replay_while(cluster, QINHUANGDAO, async |progress| {
        progress.reached(QINHUANGDAO_OPERATIONS / 8).await;
        let clients = cluster.clients().await?;
        *before.borrow_mut() = read_all(&clients, &Cursors::new()).await?;
        let file = dump.display().to_string();
        cluster.postgres_program("pg_dump", &["--format=custom", "--file", &file, "shipei"])?;
        ensure!(progress.done() < QINHUANGDAO_OPERATIONS, "the replay was over before the back-up was made");
        Ok(())
    })
    .await?;
    let before = before.into_inner();
    // Read on to the end, once assessment has written all of its own.
    let after = read_all(&clients, &before).await?;
    let lengths_after = log_lengths(&clients).await?;

    cluster.stop_all().await?;
    restore(cluster, &dump)?;
    cluster.start_all().await?;
    let clients = cluster.clients().await?;
    let lengths = log_lengths(&clients).await?;
    let lost: Cursors =
        after.into_iter().filter(|(source, _)| lengths[source] < lengths_after[source]).collect();
    // Assessment's is the last log to end; which of the others end before a slow dump has begun is for the machine to say.
    let names: Vec<&&str> = lost.keys().collect();
    ensure!(
        lost.contains_key("assessment") && lost.len() > 1,
        "the back-up holds too much, it lacks of {names:?}"
    );
    expect_refused(&clients, "right after the restore", &lost).await?;
    read_all(&clients, &before).await.context("a cursor from before the back-up")?;

    // The season again: what the back-up lacks is done again, in another order and at another time, so that the logs
    // grow over the lost ends.
    replay_while(cluster, QINHUANGDAO, async |_| Ok(())).await.context("the season after the restore")?;
    let clients = cluster.clients().await?;
    expect_refused(&clients, "when the logs have grown over the lost ends", &lost).await?;
    for (source, cursor) in &before {
        read_on(&clients, source, cursor)
            .await
            .with_context(|| format!("{source} from before the back-up"))?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn cursor_from_after_a_restored_back_up_is_refused() -> Result<()> {
    let cluster = Cluster::start(THREE, Network::Direct).await?;
    let result = back_up_and_restore(&cluster).await;
    let result = result.and_then(|()| cluster.must_have_happened(&[Sometimes::RefusedEpoch]));
    cluster.judge("restore of a back-up", result)
}
