//! Every database of an earlier schema is brought to the newest with what it holds, and its service serves it; and a migration
//! that was applied somewhere keeps its text. A new migration is tried by itself: there is nothing to add here.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use shipei::services::services_of;
use shipei_contracts::event::v1::{GetHeadRequest, event_feed_client::EventFeedClient};
use shipei_service_kit::{
    Service,
    testing::{TestKit, TestServer},
};
use shipei_store::{
    execute,
    testing::TestDatabase,
    testing_migrations::{self as migrations, Held},
};

use crate::{architecture::root, harness::Backend};

/// Set, the texts of all migrations are recorded anew.
const RENEW: &str = "SHIPEI_RENEW_MIGRATIONS";
/// How that is done.
const COMMAND: &str = "SHIPEI_RENEW_MIGRATIONS=1 cargo test -p shipei-tests --test suite migrations::texts";

fn empty(backend: Backend) -> TestDatabase {
    match backend {
        Backend::Sqlite => TestDatabase::sqlite(),
        Backend::Postgres => TestDatabase::postgres(),
    }
}

/// Tables and columns, without rows.
fn shape(held: &Held) -> Vec<String> {
    held.iter().map(|(table, (columns, _))| format!("{table} {columns:?}")).collect()
}

async fn every_schema_comes_to_the_newest(service: &Service, backend: Backend) -> Result<()> {
    let newest = (service.migrations)();
    let fresh = empty(backend);
    let database = fresh.open().await?;
    database.migrate(&newest).await?;
    let expected = shape(&migrations::held(&database).await?);
    database.close().await;
    for versions in migrations::earlier_schemas(&newest, backend == Backend::Postgres)? {
        let old = empty(backend);
        let database = old.open().await?;
        migrations::migrate_to(&database, &newest, &versions).await?;
        migrations::fill(&database, &[]).await.with_context(|| format!("{versions:?}"))?;
        let before = migrations::held(&database).await?;
        ensure!(before.values().all(|(_, rows)| !rows.is_empty()), "a table of {versions:?} is empty");
        database.migrate(&newest).await.with_context(|| format!("from {versions:?}"))?;
        let after = migrations::held(&database).await?;
        migrations::expect_kept(&newest, &before, &after);
        assert_eq!(shape(&after), expected, "from {versions:?}");
        // What was made up there is no key: the service would not start.
        let mut tx = database.begin_write().await?;
        execute!(tx, "DELETE FROM data_key")?;
        tx.commit().await?;
        database.close().await;
        serves(service, old, backend).await.with_context(|| format!("from {versions:?}"))?;
    }
    Ok(())
}

/// The service starts on the database and answers from it.
async fn serves(service: &Service, database: TestDatabase, backend: Backend) -> Result<()> {
    let kit = TestKit::over(database, service.name, &(service.migrations)()).await;
    let server = TestServer::start(|builder| (service.serve)(builder, &kit.kit)).await;
    let request = GetHeadRequest { source: service.name.to_owned() };
    let head = EventFeedClient::new(server.channel()).get_head(request).await;
    server.shutdown.begin();
    head.with_context(|| format!("{} on {backend:?}", service.name))?;
    Ok(())
}

macro_rules! each_service {
    ($($name:ident: $service:literal),+ $(,)?) => {
        mod sqlite {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() -> Result<()> {
                every_schema_comes_to_the_newest(services_of(&[$service.to_owned()])?[0], Backend::Sqlite).await
            })+
        }
        mod postgres {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() -> Result<()> {
                every_schema_comes_to_the_newest(services_of(&[$service.to_owned()])?[0], Backend::Postgres).await
            })+
        }
        const SERVICES: &[&str] = &[$($service),+];
    };
}

each_service! {
    enrollment: "enrollment",
    learning_progress: "learning-progress",
    assignment_grading: "assignment-grading",
    offline_activity: "offline-activity",
    assessment_decisions: "assessment-decisions",
    assessment: "assessment",
}

fn recorded_in(service: &str) -> PathBuf {
    root().join("services").join(service).join("migrations/recorded.txt")
}

/// Until 1.0 there is no database that anybody keeps, so that a migration may be edited and recorded anew; from then on its text
/// stays.
#[test]
fn texts_that_were_recorded_stay() -> Result<()> {
    let services = services_of(&[])?;
    assert_eq!(services.iter().map(|service| service.name).collect::<Vec<_>>(), SERVICES);
    let is_renewed = std::env::var_os(RENEW).is_some();
    for service in services {
        let file = recorded_in(service.name);
        let now = migrations::checksums(&(service.migrations)())?;
        let recorded = std::fs::read_to_string(&file).unwrap_or_default();
        let changed = migrations::changed(&recorded, &now);
        if !env!("CARGO_PKG_VERSION").starts_with("0.") {
            assert!(changed.is_empty(), "{}: applied migrations never change: {changed:?}", file.display());
        }
        if is_renewed {
            std::fs::write(&file, &now)?;
        } else {
            assert_eq!(recorded, now, "{} is of other texts. If that is meant: {COMMAND}", file.display());
        }
    }
    Ok(())
}
