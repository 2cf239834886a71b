//! learning-progress: courses, selections, and study time. Players send heartbeats; this service says of every second
//! whether it was credited and, if not, why, and tells when a course is complete and a phase achieved.
//!
//! It is the hot path of the suite, so its state is a few small rows for each learner, course, phase and session, never
//! a row for each heartbeat, and heartbeats of many streams share transactions (`pipeline`). Who may study it learns
//! from enrollment's event log (`shipei_mirror`); it calls nobody.
//!
//! A request goes `handler` -> `convert` -> `domain` -> `store`. To add an RPC, see `handler`; a new rule of study time
//! belongs into `shipei_rules::study_time`, a new consequence of a heartbeat into `domain::study`. What follows for
//! everybody from a course that changed is done in the background (`anew`).

mod anew;
mod catalogue;
mod convert;
mod domain;
mod handler;
mod log;
mod pipeline;
mod projector;
mod store;
mod united;
mod whole;

use std::sync::Arc;

use shipei_contracts::learning::v1::course_service_server::{self, CourseServiceServer};
use shipei_contracts::learning::v1::export_service_server::{self, ExportServiceServer};
use shipei_contracts::learning::v1::study_service_server::{self, StudyServiceServer};
use shipei_mirror::{MirroredThings, Programmes};
use shipei_service_kit::{
    Kit, ServerBuilder, Service, Shutdown, follow, grpc_server, people, soft_state::presence::Presence,
};
use shipei_store::sqlx::migrate::Migrator;

use crate::catalogue::Catalogues;
use crate::handler::{CourseHandler, PRESENCE_WINDOW, StudyHandler};
use crate::pipeline::Pipeline;
use crate::projector::LearningProjector;

/// The name of the service, and the source of its events.
pub const NAME: &str = shipei_contracts::services::LEARNING_PROGRESS;

/// The gRPC services that it serves.
pub const GRPC_SERVICES: &[&str] = &[
    course_service_server::SERVICE_NAME,
    export_service_server::SERVICE_NAME,
    study_service_server::SERVICE_NAME,
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
    serve: |builder, kit| start(kit, builder.shutdown()).serve_with(builder),
    follow: |kit, peers, shutdown| {
        follow(kit, peers[shipei_mirror::SOURCE].clone(), LearningProjector::default(), shutdown);
    },
};

/// The service's own migrations.
static OWN_MIGRATIONS: Migrator = shipei_store::sqlx::migrate!("./migrations");

/// Everything that its database needs beside the store's tables: the mirror's migrations and its own.
pub fn migrations() -> Migrator {
    shipei_mirror::migrations(&OWN_MIGRATIONS)
}

/// The service, ready to be served.
#[derive(Debug, Clone)]
pub struct LearningProgress {
    kit: Kit,
    courses: CourseHandler,
    study: StudyHandler,
}

/// Starts the writers of heartbeats over a migrated database. They end with `shutdown`.
pub fn start(kit: &Kit, shutdown: &Shutdown) -> LearningProgress {
    let (programmes, catalogues) = (Programmes::default(), Catalogues::default());
    let presence = Presence::start(kit.instance(), kit.clock(), PRESENCE_WINDOW, shutdown);
    let pipeline = Pipeline::start(kit, &programmes, &catalogues, &presence, shutdown);
    shutdown.spawn(anew::run(kit.clone(), programmes.clone(), catalogues.clone(), shutdown.clone()));
    LearningProgress {
        kit: kit.clone(),
        courses: CourseHandler {
            kit: kit.clone(),
            programmes: programmes.clone(),
            catalogues: catalogues.clone(),
        },
        study: StudyHandler {
            kit: kit.clone(),
            programmes,
            catalogues,
            pipeline,
            presence,
            shutdown: shutdown.clone(),
            streams: Arc::default(),
        },
    }
}

impl LearningProgress {
    /// Adds its gRPC services to a server.
    pub fn serve_with(self, builder: ServerBuilder) -> ServerBuilder {
        self.kit.keeps_things(MirroredThings);
        self.kit.keeps_people(SERVICE.people);
        self.kit.keeps_facts(handler::facts::Keeping {
            programmes: self.courses.programmes.clone(),
            catalogues: self.study.catalogues.clone(),
        });
        builder
            .service(&self.kit, grpc_server!(CourseServiceServer, self.courses.clone()))
            .service(&self.kit, grpc_server!(ExportServiceServer, self.courses))
            .service(&self.kit, grpc_server!(StudyServiceServer, self.study))
    }
}
