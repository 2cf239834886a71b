//! What each county does offline, for each education stage: plans, activities, attendance, scores, and the results
//! that become its library (地方资源库).
//!
//! Why a service of its own: it is the counselors' part of the programme, by county and in long lists, and needs
//! nothing of what classes do. Who is a counselor or trainee of which county, and what the scheme says, it learns
//! from enrollment's log (`shipei_mirror`) and never asks. Every fact is kept with when it happened, when and from
//! whom the service learned of it, and is told in the event log of the same transaction.
//!
//! How to add an RPC: the request in `proto/shipei/offline/v1`, its command in `convert.rs`, its decision with a
//! table of cases in `domain.rs`, its statements in `store/`, and the few lines that join them in `handler/`.

mod convert;
mod domain;
mod error;
mod handler;
mod store;

use shipei_contracts::offline::v1::{
    export_service_server::ExportServiceServer, offline_service_server::OfflineServiceServer,
};
use shipei_mirror::MirrorProjector;
use shipei_service_kit::{Kit, ServerBuilder, Service, follow, grpc_server, people};
use shipei_store::sqlx::migrate::Migrator;

/// The name of this service, which is the source of its events.
pub const NAME: &str = shipei_contracts::services::OFFLINE_ACTIVITY;

/// The full names of its gRPC services.
pub const GRPC_SERVICES: &[&str] = &["shipei.offline.v1.OfflineService", "shipei.offline.v1.ExportService"];

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
    kit.keeps_things(store::things::Held);
    kit.keeps_people(SERVICE.people);
    let handler = handler::Handler::new(kit.clone());
    builder
        .service(kit, grpc_server!(OfflineServiceServer, handler.clone()))
        .service(kit, grpc_server!(ExportServiceServer, handler))
}
