//! Enrollment keeps programmes and their schemes, the region tree, schools, classes, people and their roles, and
//! Annex 1: rosters reported and compiled, money remitted, learning opened, log-ins, training before the job, leaving
//! and moving, and the choice of excellent tutors.
//!
//! Why a service of its own: it is the one that everybody else learns from. It follows nobody's log; the other four
//! follow its own and ask it nothing. Identity numbers stay here, sealed, found by a keyed digest, shown masked; no
//! name, identity number or reason for leaving is in an event, an error or a log.
//!
//! How to add an RPC: the request in `proto/shipei/enrollment/v1`, its reading in `convert.rs`, its decision with a
//! table of cases in `domain.rs`, its statements in `store/`, and the few lines that join them in `handler/`. A new
//! column of the roster begins in `roster.rs`.

mod convert;
mod domain;
mod error;
mod handler;
mod roster;
mod schemes;
mod store;

use sha2::{Digest as _, Sha256};
use shipei_contracts::enrollment::v1::{
    county_service_server::CountyServiceServer, export_service_server::ExportServiceServer,
    extension_service_server::ExtensionServiceServer, honour_service_server::HonourServiceServer,
    person_service_server::PersonServiceServer, place_service_server::PlaceServiceServer,
    programme_service_server::ProgrammeServiceServer, region_service_server::RegionServiceServer,
};
use shipei_service_kit::{Kit, ServerBuilder, Service, grpc_server, people};
use shipei_store::{crypto, sqlx::migrate::Migrator};

pub use roster::{COLUMNS, MAX_ROSTER_ROWS};

/// The name of this service, which is the source of its events.
pub const NAME: &str = shipei_contracts::services::ENROLLMENT;

/// The full names of its gRPC services.
pub const GRPC_SERVICES: &[&str] = &[
    "shipei.enrollment.v1.ProgrammeService",
    "shipei.enrollment.v1.RegionService",
    "shipei.enrollment.v1.PlaceService",
    "shipei.enrollment.v1.PersonService",
    "shipei.enrollment.v1.CountyService",
    "shipei.enrollment.v1.HonourService",
    "shipei.enrollment.v1.ExtensionService",
    "shipei.enrollment.v1.ExportService",
];

/// All that a program needs to put it together with others.
pub const SERVICE: Service = Service {
    name: NAME,
    grpc_services: GRPC_SERVICES,
    migrations,
    follows: &[],
    asks: &[],
    learned: &[],
    people: &[store::people::PEOPLE, people::OF_EVERY_SERVICE],
    serve,
    follow: Service::follow_nobody,
};

/// Its migrations, for `Database::migrate`.
pub fn migrations() -> Migrator {
    sqlx::migrate!("./migrations")
}

/// Adds its gRPC services and its event log to a server. People's keys, which the kit's wrap, seal identity numbers.
pub fn serve(builder: ServerBuilder, kit: &Kit) -> ServerBuilder {
    kit.keeps_facts(handler::facts::Keeping);
    kit.keeps_things(store::things::Enrolled);
    kit.keeps_wrapped(store::person_key::PersonKeys);
    kit.keeps_people(SERVICE.people);
    kit.reveals(handler::reveal::Revealing);
    let handler = handler::Handler::new(kit.clone());
    builder
        .service(kit, grpc_server!(ProgrammeServiceServer, handler.clone()))
        .service(kit, grpc_server!(RegionServiceServer, handler.clone()))
        .service(kit, grpc_server!(PlaceServiceServer, handler.clone()))
        .service(kit, grpc_server!(PersonServiceServer, handler.clone()))
        .service(kit, grpc_server!(CountyServiceServer, handler.clone()))
        .service(kit, grpc_server!(HonourServiceServer, handler.clone()))
        .service(kit, grpc_server!(ExtensionServiceServer, handler.clone()))
        .service(kit, grpc_server!(ExportServiceServer, handler))
}

/// The digest of a scheme: SHA-256 of its text, hexadecimal.
fn scheme_digest(scheme_toml: &str) -> String {
    crypto::hex(&Sha256::digest(scheme_toml.as_bytes()))
}
