//! Assessment: what follows from the facts that four other services write down, and from what people decided about scores
//! (assessment-decisions). It has no write of its own.
//!
//! It follows five logs (`apply/`), keeps their facts in tables that don't care about order (`facts.rs`, `store/`), and
//! in the same transaction scores everybody whom the facts touch as of the programme's end (`recompute/`, by
//! `shipei_rules`), writing each change to its own log. A read (`read/`) judges the facts as of the time that it asks
//! for. Deleting the database and starting again gives the same scores, digest for digest.
//!
//! How to add an RPC: its message and method in `proto/shipei/assessment/v1`, its line in `handler.rs`, its answer in
//! `read/`. How to add a fact: its table in `migrations/`, its row in `facts.rs`, its statements in `store/`, its event
//! in `apply/`.

mod absent;
pub mod apply;
pub mod assemble;
mod convert;
pub mod domain;
pub mod facts;
mod handler;
mod read;
pub mod recompute;
pub mod store;

use shipei_contracts::{
    assessment::v1::{
        duty_service_server::DutyServiceServer, export_service_server::ExportServiceServer,
        honour_list_service_server::HonourListServiceServer, score_service_server::ScoreServiceServer,
        statistics_service_server::StatisticsServiceServer,
    },
    services::{ASSESSMENT_DECISIONS, ASSIGNMENT_GRADING, ENROLLMENT, LEARNING_PROGRESS, OFFLINE_ACTIVITY},
};
use shipei_mirror::{MirroredThings, Programmes};
use shipei_service_kit::{
    Kit, Peers, ServerBuilder, Service, Shutdown, follow_in_shards, grpc_server, people,
};
use sqlx::migrate::Migrator;

use crate::{
    apply::{
        Behind, assignment::AssignmentProjector, decisions::DecisionsProjector,
        enrollment::EnrollmentProjector, learning::LearningProjector, offline::OfflineProjector,
    },
    recompute::rescore,
};

/// The name of the service, the source of its events.
pub const NAME: &str = shipei_contracts::services::ASSESSMENT;

/// How many parts the logs are cut into for its instances: as many instances can share the work. Each part has four
/// partitions, and a stream to each of the five logs.
pub const SHARDS: u16 = 16;

/// The gRPC services that it serves, by full name.
pub const GRPC_SERVICES: &[&str] = &[
    "shipei.assessment.v1.ScoreService",
    "shipei.assessment.v1.StatisticsService",
    "shipei.assessment.v1.DutyService",
    "shipei.assessment.v1.HonourListService",
    "shipei.assessment.v1.ExportService",
];

/// All that a program needs to put it together with others.
pub const SERVICE: Service = Service {
    name: NAME,
    grpc_services: GRPC_SERVICES,
    migrations,
    follows: &shipei_contracts::services::OF_SCORES,
    asks: &[],
    learned: &[&shipei_mirror::TABLES, &TABLES],
    people: &[store::people::PEOPLE, shipei_mirror::PEOPLE, people::OF_EVERY_SERVICE],
    serve,
    follow,
};

static OWN_MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// Its migrations: the mirror's and its own.
pub fn migrations() -> Migrator {
    shipei_mirror::migrations(&OWN_MIGRATIONS)
}

/// Its tables, all of which follow from the logs of the other services.
pub const TABLES: [&str; 23] = [
    "trainee_place",
    "phase_achieved",
    "submission",
    "mark",
    "mark_judgement",
    "seminar",
    "summary",
    "post",
    "bulletin",
    "tutor_choice",
    "county_fact",
    "attendance",
    "offline_score",
    "adjustment",
    "duty_fact",
    "programme_lock",
    "class_lock",
    "trainee_score",
    "tutor_score",
    "county_score",
    "trainee_count",
    "rescore",
    "due",
];

/// The service; clones are the same one.
#[derive(Debug, Clone)]
pub struct Assessment {
    kit: Kit,
    schemes: Programmes,
    shutdown: Shutdown,
}

/// Adds its gRPC service and its event log to a server.
pub fn serve(builder: ServerBuilder, kit: &Kit) -> ServerBuilder {
    kit.keeps_things(MirroredThings);
    kit.keeps_people(SERVICE.people);
    let scores = Assessment { kit: kit.clone(), schemes: kit.shared(), shutdown: builder.shutdown().clone() };
    builder
        .service(kit, grpc_server!(ScoreServiceServer, scores.clone()))
        .service(kit, grpc_server!(StatisticsServiceServer, scores.clone()))
        .service(kit, grpc_server!(DutyServiceServer, scores.clone()))
        .service(kit, grpc_server!(HonourListServiceServer, scores.clone()))
        .service(kit, grpc_server!(ExportServiceServer, scores))
}

/// Follows the five logs until shutdown, and scores anew what another scheme wants otherwise. `peers` has a channel to each.
pub fn follow(kit: &Kit, peers: &Peers, shutdown: &Shutdown) {
    let (schemes, behind): (Programmes, Behind) = (kit.shared(), Behind::default());
    let to = |source: &str| peers[source].clone();
    let enrollment = EnrollmentProjector { schemes: schemes.clone(), behind: behind.clone() };
    follow_in_shards(kit, to(ENROLLMENT), enrollment, shutdown, SHARDS);
    let learning = LearningProjector { schemes: schemes.clone(), behind: behind.clone() };
    follow_in_shards(kit, to(LEARNING_PROGRESS), learning, shutdown, SHARDS);
    let assignment = AssignmentProjector { schemes: schemes.clone(), behind: behind.clone() };
    follow_in_shards(kit, to(ASSIGNMENT_GRADING), assignment, shutdown, SHARDS);
    let offline = OfflineProjector { schemes: schemes.clone(), behind: behind.clone() };
    follow_in_shards(kit, to(OFFLINE_ACTIVITY), offline, shutdown, SHARDS);
    let decisions = DecisionsProjector { schemes: schemes.clone(), behind: behind.clone() };
    follow_in_shards(kit, to(ASSESSMENT_DECISIONS), decisions, shutdown, SHARDS);
    shutdown.spawn(rescore::run(kit.clone(), schemes, behind, shutdown.clone()));
}
