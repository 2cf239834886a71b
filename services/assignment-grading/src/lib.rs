//! What a class does under its tutor: practical assignments with their reviews and returns, seminars with posts and
//! summaries, bulletins, and the tutor's list of what is to be marked by Sunday.
//!
//! Why a service of its own: it is what tutors and trainees write, text by text, while nothing here is hot. Who is a
//! trainee, whose class it is and what the scheme says it learns from enrollment's log (`shipei_mirror`) and never
//! asks. Every fact is kept with when it happened, when and from whom the service learned of it, and is told in the
//! event log of the same transaction; no event carries a text that somebody wrote.
//!
//! How to add an RPC: the request in `proto/shipei/assignment/v1`, its command in `convert.rs`, its decision with
//! a table of cases in `domain.rs`, its statements in `store/`, and the few lines that join them in `handler/`.

mod compare;
mod convert;
mod domain;
mod error;
mod handler;
mod projector;
mod store;

use shipei_contracts::assignment::v1::{
    assignment_service_server::AssignmentServiceServer, bulletin_service_server::BulletinServiceServer,
    export_service_server::ExportServiceServer, seminar_service_server::SeminarServiceServer,
    similarity_service_server::SimilarityServiceServer,
};
use shipei_service_kit::{Kit, ServerBuilder, Service, follow, grpc_server, people};
use shipei_store::sqlx::migrate::Migrator;

/// The name of this service, which is the source of its events.
pub const NAME: &str = shipei_contracts::services::ASSIGNMENT_GRADING;

/// The full names of its gRPC services.
pub const GRPC_SERVICES: &[&str] = &[
    "shipei.assignment.v1.AssignmentService",
    "shipei.assignment.v1.BulletinService",
    "shipei.assignment.v1.ExportService",
    "shipei.assignment.v1.SeminarService",
    "shipei.assignment.v1.SimilarityService",
];

/// All that a program needs to put it together with others.
pub const SERVICE: Service = Service {
    name: NAME,
    grpc_services: GRPC_SERVICES,
    migrations,
    follows: &[shipei_mirror::SOURCE],
    asks: &[],
    learned: &[&shipei_mirror::TABLES],
    people: &[store::people::PEOPLE, shipei_mirror::PEOPLE, people::OF_EVERY_SERVICE],
    serve,
    follow: |kit, peers, shutdown| {
        follow(kit, peers[shipei_mirror::SOURCE].clone(), projector::GradingProjector::default(), shutdown);
    },
};

static OWN_MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// Its migrations, with the mirror's before them, for `Database::migrate`.
pub fn migrations() -> Migrator {
    shipei_mirror::migrations(&OWN_MIGRATIONS)
}

/// Adds its gRPC services and its event log to a server.
pub fn serve(builder: ServerBuilder, kit: &Kit) -> ServerBuilder {
    kit.keeps_facts(handler::facts::Keeping::default());
    kit.keeps_things(store::things::Graded);
    kit.keeps_people(SERVICE.people);
    let handler = handler::Handler::new(kit.clone());
    let shutdown = builder.shutdown();
    shutdown.spawn(compare::run(kit.clone(), shutdown.clone()));
    builder
        .service(kit, grpc_server!(AssignmentServiceServer, handler.clone()))
        .service(kit, grpc_server!(BulletinServiceServer, handler.clone()))
        .service(kit, grpc_server!(SeminarServiceServer, handler.clone()))
        .service(kit, grpc_server!(SimilarityServiceServer, handler.clone()))
        .service(kit, grpc_server!(ExportServiceServer, handler))
}
