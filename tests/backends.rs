//! Five processes give the same scores as one, on both databases; the season of Qinhuangdao on Postgres in `identity.rs`, with tokens. And a log whose first events are gone is not
//! forgotten.

use anyhow::{Result, bail, ensure};
use shipei::suite::{Storage, forget_learned};
use shipei_contracts::services::{ASSESSMENT, ENROLLMENT};
use shipei_store::{Database, PoolLimits, execute};

use crate::harness::{Backend, KeptState, chains_hold, embedded, five_processes, replay_and_compare};

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

/// A log whose first events are gone can't be learned again, so nothing of it is forgotten.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_learned_again_is_not_forgotten() -> Result<()> {
    let place = KeptState::new(Backend::Postgres)?;
    let (suite, _) = embedded(&place).await?;
    suite.stop().await;
    let limits = PoolLimits::default();
    ensure!(forget_learned(ASSESSMENT, &place.storage, limits).await?, "with all events it is forgotten");
    let Storage::Databases { urls, .. } = &place.storage else { bail!("no Postgres") };
    let enrollment = Database::open(&urls[ENROLLMENT], limits).await?;
    let mut tx = enrollment.begin_write().await?;
    execute!(
        tx,
        "INSERT INTO event_trim (partition, number, link) VALUES (5, 1, $1)",
        [0_u8; 32].as_slice()
    )?;
    tx.commit().await?;
    enrollment.close().await;
    let Err(refused) = forget_learned(ASSESSMENT, &place.storage, limits).await else {
        bail!("it was forgotten")
    };
    ensure!(refused.to_string().contains("log_kept_days"), "{refused:#}");
    Ok(())
}
