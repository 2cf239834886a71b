//! Deployments that differ in how many instances there are, who owns what and in which order facts arrive come to the
//! same scores, down to the digest.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use shipei::progress::Progress;
use shipei_client::{client::Clients, feed};
use shipei_contracts::assessment::v1::{GetScoreDigestRequest, score_service_client::ScoreServiceClient};
use shipei_service_kit::{status::reason_of, telemetry::Sometimes};

use super::{QINHUANGDAO, QINHUANGDAO_OPERATIONS, replay_while};
use crate::{
    cluster::{Cluster, Counts, Network, until},
    harness::{
        Backend, KeptState, digest, embedded, replay_and_compare, replay_folder_and_compare_watched,
        season_folder,
    },
};

/// One of each.
const ONE: Counts = [1, 1, 1, 1, 1];
/// Four learning-progress and four assessment instances.
const FOUR: Counts = [1, 4, 1, 1, 4];
/// The longest that assessment may take for one whole log.
const LOG_MAX: Duration = Duration::from_secs(40);

/// One process, SQLite.
async fn in_one_process() -> Result<String> {
    let place = KeptState::new(Backend::Sqlite)?;
    let (suite, clients) = embedded(&place).await?;
    let report = replay_and_compare(&clients, QINHUANGDAO, &place.out("scores")).await?;
    let digest = digest(&clients, &report.programme.programme_id).await?;
    suite.stop().await;
    Ok(digest)
}

/// Two clients send the whole season at the same time, so that every write meets its own double.
async fn by_two_clients_at_once(cluster: &Cluster) -> Result<String> {
    let folder = season_folder(QINHUANGDAO);
    let expected = folder.join("expected");
    let (one, other) = (cluster.clients().await?, cluster.clients().await?);
    let progress = Progress::hidden();
    let (first, second) = (cluster.out("one"), cluster.out("other"));
    let (one_report, other_report) = futures::join!(
        replay_folder_and_compare_watched(&one, &folder, &expected, &first, &progress),
        replay_folder_and_compare_watched(&other, &folder, &expected, &second, &progress),
    );
    let (report, _) = (one_report?, other_report?);
    digest(&one, &report.programme.programme_id).await
}

/// Returns when assessment has applied the log of `source` as it is now.
async fn applied(clients: &Clients, source: &'static str) -> Result<()> {
    let head = feed::head(clients, source).await?;
    clients.note_token(head.consistency_token.as_bytes());
    until(&format!("assessment has applied the log of {source}"), LOG_MAX, async || {
        let mut client = ScoreServiceClient::new(clients.channel("assessment"));
        // Of a programme that nobody knows: what counts is that the answer waits for the token.
        let request = clients.unary(GetScoreDigestRequest { programme_id: "none".to_owned() });
        match client.get_score_digest(request).await {
            Ok(_) => true,
            Err(status) => reason_of(&status).is_some_and(|reason| reason == "NOT_FOUND"),
        }
    })
    .await
}

/// Assessment is away while the season is sent, and hears of the services one after the other: of enrollment, which
/// the others' facts stand on, last.
async fn service_after_service(cluster: &Cluster) -> Result<String> {
    let of = |service: &'static str| cluster.instances().iter().filter(move |one| one.service == service);
    for instance in of("assessment") {
        instance.stop().await?;
    }
    let (report, clients) = replay_while(cluster, QINHUANGDAO, async |progress| {
        progress.reached(QINHUANGDAO_OPERATIONS).await;
        cluster.stop_all().await?;
        for source in ["offline-activity", "assignment-grading", "learning-progress", "enrollment"] {
            for instance in of(source).chain(of("assessment")) {
                instance.start().await?;
                instance.until_healthy().await?;
            }
            let clients = cluster.clients().await?;
            applied(&clients, source).await?;
        }
        Ok(())
    })
    .await?;
    digest(&clients, &report.programme.programme_id).await
}

#[tokio::test(flavor = "multi_thread")]
async fn deployments_of_any_shape_come_to_the_same_digest() -> Result<()> {
    let one_process = in_one_process().await?;

    let cluster = Cluster::start(FOUR, Network::Direct).await?;
    let result = by_two_clients_at_once(&cluster).await.context("two clients, four instances");
    let result = result.and_then(|digest| {
        cluster.must_have_happened(&[Sometimes::AnsweredFromRecord, Sometimes::WaitedForToken])?;
        Ok(digest)
    });
    let four = cluster.judge("four instances, two clients", result)?;
    drop(cluster);

    let cluster = Cluster::start(ONE, Network::Direct).await?;
    let result = service_after_service(&cluster).await;
    let one_of_each = cluster.judge("one of each, service after service", result)?;

    ensure!(one_process == four, "one process: {one_process}, four instances: {four}");
    ensure!(one_process == one_of_each, "one process: {one_process}, one of each: {one_of_each}");
    Ok(())
}
