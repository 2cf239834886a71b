//! How any service of the suite runs; no domain words. A service crate brings handlers and statements; from here
//! come the path of every write and read ([`Kit`]), errors and their statuses, the event feed and its followers,
//! the server with health, reflection, deadlines and shutdown, access policies, and the clock. To add something
//! that every service needs, add a module to the room that it passes through; what only one needs stays there.
//!
//! The rooms, from the lowest: [`telemetry`] and [`soft_state`], [`answer`], [`identity`], [`call`], `web`, [`write`](mod@write), [`feed`],
//! [`follow`](mod@follow), [`serve`]. A room knows those below it and none above (`tests/architecture.rs` has the list).

pub mod answer;
pub mod call;
pub mod clock;
pub mod descriptors;
pub mod feed;
pub mod follow;
pub mod identity;
pub mod serve;
pub mod shutdown;
pub mod soft_state;
pub mod telemetry;
pub mod testing;
pub mod testing_redis;
#[cfg(test)]
mod tests;
pub(crate) mod web;
pub mod write;

pub use answer::{cells, convert, error, page, status};
pub use call::{access, consistency, reach};
pub use feed::{event_feed, subscription};
pub use serve::{config, connection, key_file, server};
pub use write::{export, kit, observe, parts, people, quota, room, unit};

pub use answer::{
    broken::set_aside,
    convert::{Fields, to_int32, to_timestamp},
    error::{Error, FieldViolation, Refusal, Result},
    page::{Listing, Page},
};
pub use call::{
    access::Policies,
    admit::{Admitted, AdmittedStream},
    at_once::CallerLimits,
    consistency::{Applied, TOKEN_HEADER, Token},
    identify::Identification,
    metadata::Call,
    proxies::{InvalidNetwork, TrustedProxies},
    reach::Reach,
    rights::Thing,
    stated_time::StatedTimes,
    things::Things,
};
pub use clock::Clock;
pub use follow::{
    dispatch,
    dispatch::{Fact, Handles},
    follow, follow_in_shards,
    projector::Projector,
    retracted::learn as learn_retractions,
};
pub use identity::{
    KeySource, KeysError,
    caller::{Caller, CallerKind},
    claims::{Claims, Grant, Place},
    service_token::service_token,
    verifier::{TokenSettings, Verifier},
};
pub use serve::{
    checkpoints::{Checkpoint, CheckpointKey, Checkpoints, Destination},
    connection::{InMemory, connect_lazily},
    connections::{ConnectionLimits, ProcessBounds},
    server::{Server, ServerBuilder, StartError},
    service::{Peers, Service},
    tls::{ListenerFiles, ListenerTls, PeerFiles, PeerTls, TlsError},
};
pub use shutdown::Shutdown;
pub use soft_state::{Instance, SoftState};
pub use web::cors::{CorsOrigins, InvalidOrigin};
pub use write::{
    facts::{Facts, StoredFact, Why},
    kit::Kit,
    origin::Origin,
    parts::Parts,
    people::PersonTable,
    quota::{Quota, Whose},
    road::Committed,
    room::WriteBounds,
    unit::{ReadUnit, Unit},
    wrapped::{Piece, Wrapped},
};

/// The prost that [`handles!`] expands to.
pub use prost;
