//! Five processes give the same scores as one, on both databases; the season of Qinhuangdao on Postgres in `identity.rs`, with tokens.

use anyhow::{Result, ensure};

use crate::harness::{Backend, KeptState, chains_hold, five_processes, replay_and_compare};

async fn five_give_the_scores(name: &str, backend: Backend) -> Result<()> {
    let place = KeptState::new(backend)?;
    let (processes, clients) = five_processes(&place).await?;
    replay_and_compare(&clients, name, &place.out("scores")).await?;
    // Killed as they are: what they had kept is whole.
    drop(processes);
    ensure!(chains_hold(&place).await? > 0, "{name}: nothing in the logs");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn edges_in_five_processes_on_sqlite_gives_its_scores() -> Result<()> {
    five_give_the_scores("edges", Backend::Sqlite).await
}

#[tokio::test(flavor = "multi_thread")]
async fn qinhuangdao_in_five_processes_on_sqlite_gives_its_scores() -> Result<()> {
    five_give_the_scores("qinhuangdao-2019", Backend::Sqlite).await
}

#[tokio::test(flavor = "multi_thread")]
async fn edges_in_five_processes_on_postgres_gives_its_scores() -> Result<()> {
    five_give_the_scores("edges", Backend::Postgres).await
}
