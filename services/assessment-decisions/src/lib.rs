//! What people decide about scores: adjustments (excuses, appeals), final versions, certificates; and what they tell of their duties
//! (evidence, and its being sent back).
//!
//! Why a service of its own: scores follow from facts, so assessment's tables may be emptied and built again at any time;
//! decisions follow from nothing, so they stand in a database and a log that nothing empties. Assessment follows this log like
//! those of facts. Deployments serve both in one process. Who is a trainee where, and what the scheme says, it learns from
//! enrollment's log (`shipei_mirror`).
//!
//! How to add a kind of decision: its request in `proto/shipei/decisions/v1`, its command in `convert.rs`, what is decided in
//! `domain.rs`, its table in `migrations/`, its statements in `store/`, the lines that join them in `handler/`, and what follows
//! from it in assessment's `apply/decisions.rs`.

mod convert;
mod domain;
mod error;
mod handler;
mod others;
mod store;

use shipei_contracts::decisions::v1::{
    certificate_service_server::CertificateServiceServer, decision_service_server::DecisionServiceServer,
    evidence_service_server::EvidenceServiceServer, final_version_service_server::FinalVersionServiceServer,
};
use shipei_mirror::{MirrorProjector, MirroredThings};
use shipei_service_kit::{Kit, ServerBuilder, Service, follow, grpc_server, people};
use shipei_store::sqlx::migrate::Migrator;

/// The name of this service, which is the source of its events.
pub const NAME: &str = shipei_contracts::services::ASSESSMENT_DECISIONS;

/// The full names of its gRPC services.
pub const GRPC_SERVICES: &[&str] = &[
    "shipei.decisions.v1.DecisionService",
    "shipei.decisions.v1.FinalVersionService",
    "shipei.decisions.v1.CertificateService",
    "shipei.decisions.v1.EvidenceService",
];

/// All that a program needs to put it together with others. Only the mirror is learned: no decision is ever forgotten.
pub const SERVICE: Service = Service {
    name: NAME,
    grpc_services: GRPC_SERVICES,
    migrations,
    follows: &[shipei_mirror::SOURCE],
    asks: &[shipei_contracts::services::ASSESSMENT],
    learned: &[&shipei_mirror::TABLES],
    people: &[store::people::PEOPLE, shipei_mirror::PEOPLE, people::OF_EVERY_SERVICE],
    serve,
    follow: |kit, peers, shutdown| {
        kit.shared::<others::Others>().are_at(peers);
        follow(
            kit,
            peers[shipei_mirror::SOURCE].clone(),
            MirrorProjector { people: store::people::PEOPLE },
            shutdown,
        );
    },
};

static OWN_MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// Its migrations, with the mirror's before them, for `Database::migrate`.
pub fn migrations() -> Migrator {
    shipei_mirror::migrations(&OWN_MIGRATIONS)
}

/// Adds its gRPC service and its event log to a server.
pub fn serve(builder: ServerBuilder, kit: &Kit) -> ServerBuilder {
    kit.keeps_facts(handler::facts::Keeping::default());
    kit.keeps_things(MirroredThings);
    kit.keeps_people(SERVICE.people);
    kit.reveals(handler::reveal::Revealing);
    let handler = handler::Handler::new(kit.clone());
    builder
        .service(kit, grpc_server!(DecisionServiceServer, handler.clone()))
        .service(kit, grpc_server!(FinalVersionServiceServer, handler.clone()))
        .service(kit, grpc_server!(CertificateServiceServer, handler.clone()))
        .service(kit, grpc_server!(EvidenceServiceServer, handler))
}
