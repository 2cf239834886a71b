//! Helpers for tests of services: a kit over a fresh database, and an in-memory server around one service. Only
//! tests use it; it is public because tests of other crates need it too. Panics say what could not be set up.

use chrono::{DateTime, Utc};
use shipei_store::{Database, crypto::Keys, sqlx::migrate::Migrator, testing::TestDatabase};

use crate::{
    call::reach::Reach,
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
        Self::with_keys(test_database, source, migrator, &Keys::derive(&MASTER_KEY)).await
    }

    /// As [`TestKit::over`], with the keys of an installation that the test made.
    ///
    /// # Panics
    /// As [`TestKit::over`].
    pub async fn with_keys(
        test_database: TestDatabase,
        source: &'static str,
        migrator: &Migrator,
        keys: &Keys,
    ) -> Self {
        let database = match test_database.open().await {
            Ok(database) => database,
            Err(error) => panic!("the test database can't be opened: {error}"),
        };
        if let Err(error) = database.migrate(migrator).await {
            panic!("the test database can't be migrated: {error}");
        }
        let clock = Clock::manual(start());
        let kit = Self::kit(source, database, &clock, keys).await;
        Self { kit, clock, database: test_database }
    }

    /// A second kit over the same database, as another instance of the service has it; both have one name, as two
    /// processes by mistake may.
    ///
    /// # Panics
    /// When it can't be opened.
    pub async fn twin(&self) -> Kit {
        let keys = self.kit.keys().installation();
        match self.database.open().await {
            Ok(database) => Self::kit(self.kit.source(), database, &self.clock, keys).await,
            Err(error) => panic!("the test database can't be opened again: {error}"),
        }
    }

    async fn kit(source: &'static str, database: Database, clock: &Clock, keys: &Keys) -> Kit {
        let instance = Instance::new("test", None).unwrap_or_else(|error| panic!("{error}"));
        let keys = database.data_keys(keys).await;
        let Ok(Some(keys)) = keys else { panic!("the test database has no keys: {keys:?}") };
        Kit::new(source, database, clock.clone(), &keys, instance)
    }
}

/// The tree of tests of reach: a region, the region above it, and since when (empty from the beginning). 130629 lies in
/// 133100 by the tree and in 130600 by its digits; 130632 comes to lie there in mid-season.
pub const TREE: [(&str, &str, &str); 8] = [
    ("130000", "", ""),
    ("130300", "130000", ""),
    ("130600", "130000", ""),
    ("133100", "130000", ""),
    ("130302", "130300", ""),
    ("130629", "133100", ""),
    ("130632", "130600", ""),
    ("130632", "133100", "2019-10-01T00:00:00Z"),
];

/// What a row of a list belongs to; empty parts are none.
#[derive(Debug, Clone, Copy)]
pub struct Belongs<'a> {
    /// The region, as of `at`.
    pub region: &'a str,
    /// The class.
    pub class: &'a str,
    /// The person whom it is about.
    pub person: &'a str,
    /// When the tree is asked.
    pub at: DateTime<Utc>,
}

impl Belongs<'_> {
    /// Whether a reach holds it, told by climbing [`TREE`] step by step.
    pub fn is_reached_by(&self, reach: &Reach) -> bool {
        match reach {
            Reach::Everything => true,
            Reach::Regions(codes) => codes.iter().any(|code| lies_in(self.region, code, self.at)),
            Reach::Classes(ids) => ids.iter().any(|id| !id.is_empty() && id == self.class),
            Reach::Person(id) => !id.is_empty() && id == self.person,
            Reach::Both(both) => self.is_reached_by(&both.0) && self.is_reached_by(&both.1),
            Reach::Any(any) => any.iter().any(|reach| self.is_reached_by(reach)),
            // What this tells of has no subject, and all of it is of one programme.
            Reach::Subject(_) | Reach::ClassesOf(_) | Reach::Programmes(_) => false,
        }
    }
}

fn lies_in(region: &str, within: &str, at: DateTime<Utc>) -> bool {
    if region.is_empty() || region == within {
        return region == within && !region.is_empty();
    }
    let since = |text: &str| text.parse().unwrap_or(DateTime::<Utc>::MIN_UTC);
    let mut known = TREE.iter().rev().filter(|(code, _, from)| *code == region && since(from) <= at);
    known.next().is_some_and(|(_, above, _)| lies_in(above, within, at))
}

/// Every kind of reach, narrow and wide, over [`TREE`], the classes L1 to L3 and the people that are named.
pub fn reaches(people: &[&str]) -> Vec<Reach> {
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<String>>();
    let mut reaches = vec![Reach::Everything, Reach::Regions(Vec::new()), Reach::Classes(Vec::new())];
    for (code, ..) in TREE {
        reaches.push(Reach::Regions(texts(&[code])));
    }
    for codes in [&["130600", "133100"][..], &["130302", "130629"], &["130632", "130300"], &["139999"]] {
        reaches.push(Reach::Regions(texts(codes)));
    }
    for classes in [&["L1"][..], &["L2", "L3"], &["L9"], &[""]] {
        reaches.push(Reach::Classes(texts(classes)));
    }
    reaches.extend(people.iter().chain(&["P9", ""]).map(|person| Reach::Person((*person).to_owned())));
    let of_class = Reach::Classes(texts(&["L1"]));
    reaches.push(of_class.and(Reach::region("130300")));
    reaches.push(Reach::region("130000").and(Reach::region("130302")));
    reaches.push(Reach::region("130302").and(Reach::region("130600")));
    let of_person = people.first().map(|person| Reach::Person((*person).to_owned()));
    reaches.push(Reach::any_of(of_person.into_iter().chain([Reach::region("133100")])));
    reaches.push(Reach::any_of([Reach::Classes(texts(&["L1"])), Reach::region("130302")]));
    reaches.push(Reach::Subject("nobody's".to_owned()));
    reaches.push(Reach::ClassesOf("T1".to_owned()));
    reaches.push(Reach::Programmes(texts(&["another"])));
    reaches
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
