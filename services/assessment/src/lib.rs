//! Assessment: what follows from the facts that the other four services write down. It has no write of its own.
//!
//! It follows four logs (`apply/`), keeps their facts in tables that don't care about order (`facts.rs`, `store/`), and
//! in the same transaction scores everybody whom the facts touch as of the programme's end (`recompute/`, by
//! `shipei_rules`), writing each change to its own log. A read (`read/`) judges the facts as of the time that it asks
//! for. Deleting the database and starting again gives the same scores, digest for digest.
//!
//! How to add an RPC: its message and method in `proto/shipei/assessment/v1`, its line in `handler.rs`, its answer in
//! `read/`. How to add a fact: its table in `migrations/`, its row in `facts.rs`, its statements in `store/`, its event
//! in `apply/`.

pub mod apply;
pub mod assemble;
mod convert;
pub mod domain;
pub mod facts;
mod handler;
mod read;
pub mod recompute;
pub mod store;

use shipei_contracts::assessment::v1::score_service_server::ScoreServiceServer;
use shipei_mirror::Programmes;
use shipei_service_kit::{Kit, Shutdown, follow_in_shards};
use sqlx::migrate::Migrator;
use tonic::transport::Channel;

use crate::{
    apply::{
        assignment::AssignmentProjector, enrollment::EnrollmentProjector, learning::LearningProjector,
        offline::OfflineProjector,
    },
    recompute::rescore,
};

/// The name of the service, the source of its events.
pub const NAME: &str = "assessment";

/// How many parts the logs are cut into for its instances: as many instances can share the work. Each part has four
/// partitions, and a stream to each of the four logs.
pub const SHARDS: u16 = 16;

/// The gRPC services that it serves, by full name.
pub const GRPC_SERVICES: &[&str] = &["shipei.assessment.v1.ScoreService"];

static OWN_MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// Its migrations: the mirror's and its own.
pub fn migrations() -> Migrator {
    shipei_mirror::migrations(&OWN_MIGRATIONS)
}

/// Its tables, all of which follow from the logs of the other services.
pub const TABLES: [&str; 18] = [
    "trainee_place",
    "phase_achieved",
    "submission",
    "mark",
    "seminar",
    "post",
    "bulletin",
    "tutor_choice",
    "county_fact",
    "attendance",
    "offline_score",
    "programme_lock",
    "class_lock",
    "trainee_score",
    "tutor_score",
    "county_score",
    "county_count",
    "rescore",
];

/// The service; clones are the same one.
#[derive(Debug, Clone)]
pub struct Assessment {
    kit: Kit,
    schemes: Programmes,
}

/// Where the logs are that it follows.
#[derive(Debug, Clone)]
pub struct Peers {
    /// To enrollment.
    pub enrollment: Channel,
    /// To learning-progress.
    pub learning_progress: Channel,
    /// To assignment-grading.
    pub assignment_grading: Channel,
    /// To offline-activity.
    pub offline_activity: Channel,
}

/// The gRPC service over a migrated database, following nothing: for tests.
pub fn service(kit: &Kit) -> ScoreServiceServer<Assessment> {
    ScoreServiceServer::new(Assessment { kit: kit.clone(), schemes: Programmes::default() })
}

/// Starts following the four logs until shutdown, and gives the gRPC service to be served. The kit's database is
/// migrated by [`migrations`].
pub fn start(kit: &Kit, peers: Peers, shutdown: &Shutdown) -> ScoreServiceServer<Assessment> {
    let schemes = Programmes::default();
    follow_in_shards(
        kit,
        peers.enrollment,
        EnrollmentProjector { schemes: schemes.clone() },
        shutdown,
        SHARDS,
    );
    follow_in_shards(
        kit,
        peers.learning_progress,
        LearningProjector { schemes: schemes.clone() },
        shutdown,
        SHARDS,
    );
    follow_in_shards(
        kit,
        peers.assignment_grading,
        AssignmentProjector { schemes: schemes.clone() },
        shutdown,
        SHARDS,
    );
    follow_in_shards(
        kit,
        peers.offline_activity,
        OfflineProjector { schemes: schemes.clone() },
        shutdown,
        SHARDS,
    );
    shutdown.spawn(rescore::run(kit.clone(), schemes.clone(), shutdown.clone()));
    ScoreServiceServer::new(Assessment { kit: kit.clone(), schemes })
}
