//! Helpers for tests of services: a kit over a fresh database, and an in-memory server around one service. Only
//! tests use it; it is public because tests of other crates need it too. Panics say what could not be set up.

use chrono::{DateTime, Utc};
use shipei_store::{Database, crypto::Keys, sqlx::migrate::Migrator, testing::TestDatabase};

use crate::{
    clock::Clock,
    serve::{
        connection::InMemory,
        server::{Server, ServerBuilder},
    },
    shutdown::Shutdown,
    soft_state::Instance,
    write::kit::Kit,
};

/// 2023-11-14T22:13:20Z, where the clocks of tests begin.
const START_SECONDS: i64 = 1_700_000_000;
/// The master key of tests.
const MASTER_KEY: [u8; 32] = [7; 32];

/// A kit over a fresh database, with a clock that the test owns. The database goes when this is dropped.
#[derive(Debug)]
pub struct TestKit {
    /// The kit.
    pub kit: Kit,
    /// What is in the kit too.
    pub clock: Clock,
    /// Kept so that it lives as long as the kit.
    pub database: TestDatabase,
}

impl TestKit {
    /// A migrated SQLite file in a temporary folder.
    pub async fn sqlite(source: &'static str, migrator: &Migrator) -> Self {
        Self::over(TestDatabase::sqlite(), source, migrator).await
    }

    /// A migrated schema in the Postgres of this test process.
    pub async fn postgres(source: &'static str, migrator: &Migrator) -> Self {
        Self::over(TestDatabase::postgres(), source, migrator).await
    }

    /// Over a database that the test made.
    ///
    /// # Panics
    /// When it can't be opened or migrated.
    pub async fn over(test_database: TestDatabase, source: &'static str, migrator: &Migrator) -> Self {
        let database = match test_database.open().await {
            Ok(database) => database,
            Err(error) => panic!("the test database can't be opened: {error}"),
        };
        if let Err(error) = database.migrate(migrator).await {
            panic!("the test database can't be migrated: {error}");
        }
        let clock = Clock::manual(start());
        let kit = Self::kit(source, database, &clock);
        Self { kit, clock, database: test_database }
    }

    /// A second kit over the same database, as another instance of the service has it; both have one name, as two
    /// processes by mistake may.
    ///
    /// # Panics
    /// When it can't be opened.
    pub async fn twin(&self) -> Kit {
        match self.database.open().await {
            Ok(database) => Self::kit(self.kit.source(), database, &self.clock),
            Err(error) => panic!("the test database can't be opened again: {error}"),
        }
    }

    fn kit(source: &'static str, database: Database, clock: &Clock) -> Kit {
        let instance = Instance::new("test", None).unwrap_or_else(|error| panic!("{error}"));
        Kit::new(source, database, clock.clone(), &Keys::derive(&MASTER_KEY), instance)
    }
}

/// Where the clocks of tests begin: 2023-11-14T22:13:20Z.
pub fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(START_SECONDS, 0).unwrap_or_default()
}

/// A server in memory, and how to end it.
#[derive(Debug)]
pub struct TestServer {
    /// What the server was built as, to serve it over TCP too.
    pub server: Server,
    /// Its way in.
    pub in_memory: InMemory,
    /// Ends it.
    pub shutdown: Shutdown,
}

impl TestServer {
    /// Serves what `add` puts into the builder.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(add: impl FnOnce(ServerBuilder) -> ServerBuilder) -> Self {
        let shutdown = Shutdown::new();
        match add(ServerBuilder::new(&shutdown)).build().await {
            Ok(server) => Self { in_memory: server.serve_in_memory(), server, shutdown },
            Err(error) => panic!("the test server does not start: {error}"),
        }
    }

    /// A channel with a connection of its own.
    pub fn channel(&self) -> tonic::transport::Channel {
        self.in_memory.channel()
    }
}
