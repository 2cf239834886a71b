//! The given seasons byte for byte, on both databases, in one process.

use anyhow::{Result, ensure};
use shipei::suite::forget_learned;
use shipei_client::client::SERVICES;
use shipei_store::PoolLimits;

use crate::harness::{Backend, KeptState, chains_hold, digest, embedded, log_lengths, replay_and_compare};

async fn season_gives_its_scores(name: &str, backend: Backend) -> Result<()> {
    let place = KeptState::new(backend)?;
    let (suite, clients) = embedded(&place).await?;
    replay_and_compare(&clients, name, &place.out("scores")).await?;
    suite.stop().await;
    ensure!(chains_hold(&place).await? > 0, "{name}: nothing in the logs");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn edges_on_sqlite_gives_its_scores() -> Result<()> {
    season_gives_its_scores("edges", Backend::Sqlite).await
}

#[tokio::test(flavor = "multi_thread")]
async fn edges_on_postgres_gives_its_scores() -> Result<()> {
    season_gives_its_scores("edges", Backend::Postgres).await
}

#[tokio::test(flavor = "multi_thread")]
async fn qinhuangdao_on_postgres_gives_its_scores() -> Result<()> {
    season_gives_its_scores("qinhuangdao-2019", Backend::Postgres).await
}

/// Every operation sent again, then assessment's database gone and rebuilt from the logs: same files, same digest, and
/// not one event more.
async fn twice_and_rebuilt_is_the_same(name: &str, backend: Backend) -> Result<()> {
    let mut place = KeptState::new(backend)?;
    let (suite, clients) = embedded(&place).await?;
    let report = replay_and_compare(&clients, name, &place.out("once")).await?;
    let programme = report.programme.programme_id;
    let (first, lengths) = (digest(&clients, &programme).await?, log_lengths(&clients).await?);

    replay_and_compare(&clients, name, &place.out("twice")).await?;
    ensure!(digest(&clients, &programme).await? == first, "{name}: another digest after the second time");
    ensure!(log_lengths(&clients).await? == lengths, "{name}: the second time left events");
    suite.stop().await;

    place.lose_assessment()?;
    let (suite, clients) = embedded(&place).await?;
    replay_and_compare(&clients, name, &place.out("rebuilt")).await?;
    ensure!(digest(&clients, &programme).await? == first, "{name}: another digest after the rebuild");
    suite.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn edges_sent_twice_and_rebuilt_on_sqlite_gives_the_same() -> Result<()> {
    twice_and_rebuilt_is_the_same("edges", Backend::Sqlite).await
}

#[tokio::test(flavor = "multi_thread")]
async fn edges_sent_twice_and_rebuilt_on_postgres_gives_the_same() -> Result<()> {
    twice_and_rebuilt_is_the_same("edges", Backend::Postgres).await
}

#[tokio::test(flavor = "multi_thread")]
async fn qinhuangdao_sent_twice_and_rebuilt_on_sqlite_gives_the_same() -> Result<()> {
    twice_and_rebuilt_is_the_same("qinhuangdao-2019", Backend::Sqlite).await
}

/// Facts that tie at one instant, in an order that refuses some of them: told again they are answered the same.
#[tokio::test(flavor = "multi_thread")]
async fn ties_sent_twice_and_rebuilt_on_sqlite_gives_the_same() -> Result<()> {
    twice_and_rebuilt_is_the_same("ties", Backend::Sqlite).await
}

#[tokio::test(flavor = "multi_thread")]
async fn ties_sent_twice_and_rebuilt_on_postgres_gives_the_same() -> Result<()> {
    twice_and_rebuilt_is_the_same("ties", Backend::Postgres).await
}

/// Every service made to forget what it learned of others: started again it knows it all, with the same scores.
async fn relearned_is_the_same(backend: Backend) -> Result<()> {
    let place = KeptState::new(backend)?;
    let (suite, clients) = embedded(&place).await?;
    let programme = replay_and_compare(&clients, "edges", &place.out("once")).await?.programme.programme_id;
    let first = digest(&clients, &programme).await?;
    if backend == Backend::Postgres {
        let refused = forget_learned("assessment", &place.storage, PoolLimits::default()).await;
        let refused = refused.expect_err("a running service can't forget").to_string();
        ensure!(refused.contains("1 instance(s) of assessment are running"), "{refused}");
    }
    suite.stop().await;
    for service in SERVICES {
        let forgot = forget_learned(service, &place.storage, PoolLimits::default()).await?;
        ensure!(forgot == (service != "enrollment"), "{service}");
    }
    let (suite, clients) = embedded(&place).await?;
    replay_and_compare(&clients, "edges", &place.out("relearned")).await?;
    ensure!(digest(&clients, &programme).await? == first, "another digest after it was learned again");
    suite.stop().await;
    ensure!(chains_hold(&place).await? > 0, "nothing in the logs");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn edges_learned_again_on_sqlite_gives_the_same() -> Result<()> {
    relearned_is_the_same(Backend::Sqlite).await
}

#[tokio::test(flavor = "multi_thread")]
async fn edges_learned_again_on_postgres_gives_the_same() -> Result<()> {
    relearned_is_the_same(Backend::Postgres).await
}
