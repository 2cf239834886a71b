//! A province's roster: people by ImportRoster, from the first row until every service has learned of all of them, in a
//! process of its own whose memory can be read. Beside it the same rows, inserted in bulk by plain statements.

use std::{path::Path, process::Command, time::Instant};

use anyhow::{Context as _, Result, ensure};
use shipei_client::replay::watcher::Watcher as _;
use shipei_client::{client::Clients, replay};
use shipei_store::{Database, PoolLimits};
use tonic::transport::Endpoint;

use super::{
    Bench,
    process::Process,
    raw,
    report::{Imported, Rate},
    setup,
};
use crate::services::service_names;

/// The most people; ids and birthdays are made for so many.
pub(super) const PEOPLE_MAX: u64 = 1_000_000;
/// Counties of the programme.
const COUNTIES: usize = 64;
/// The name of the raw limit's own database.
pub(super) const RAW: &str = "import-raw";

/// Measures; the process ends with this.
pub(super) async fn measure(bench: &Bench, folder: &Path, people: u64) -> Result<Imported> {
    bench.progress.stage("the same rows by plain statements");
    let database = Database::open(&bench.places.url(RAW), PoolLimits::default()).await?;
    let raw = raw::people(&database, people).await;
    database.close().await;

    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["serve", "--open", "--listen", "127.0.0.1:0", "--migrate", "--data"])
        .arg(folder.join("import"));
    if bench.places.postgres.is_some() {
        let url = |name| format!("{name}={}", bench.places.url(&schema(name)));
        let databases: Vec<String> = service_names().into_iter().map(url).collect();
        command.env("SHIPEI_DATABASE", databases.join(" "));
        command.arg("--key-file").arg(folder.join("import.key"));
    }
    let mut suite = Process::spawn(command)?;
    suite.wait_until_it_listens()?;
    let season = setup::season(&folder.join("import-season"), people, COUNTIES)?;
    let (before, _) = suite.memory_mib()?;
    let channel = Endpoint::from_shared(format!("http://{}", suite.address))?.connect().await?;
    let began = Instant::now();
    let report = replay::replay(&Clients::of_channel(&channel), &season, &bench.progress).await?;
    let took = began.elapsed();
    ensure!(report.row_refusals.is_empty(), "rows were refused: {:?}", report.row_refusals.first());
    let (_, most) = suite.memory_mib().context("its memory")?;
    Ok(Imported {
        rate: Rate { count: people, took },
        raw: raw?,
        memory_mib: most,
        memory_before_mib: before,
    })
}

/// The name of a service's schema here.
fn schema(service: &str) -> String {
    format!("import-{service}")
}

/// The names of the schemas that it makes.
pub(super) fn schemas() -> Vec<String> {
    service_names().into_iter().map(schema).chain([RAW.to_owned()]).collect()
}
