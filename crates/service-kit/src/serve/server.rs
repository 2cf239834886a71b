//! The server of a process: whatever services it was given, their event feed, health, and reflection, over TCP and
//! in memory alike. Why one builder: an RPC without an access policy must not start, on no transport; and limits,
//! deadlines, and shutdown must be the same everywhere. A service crate hands itself over with
//! [`ServerBuilder::service`]; nothing else is needed for one more.

use std::{
    collections::BTreeMap, convert::Infallible, io, net::SocketAddr, num::NonZeroUsize, time::Duration,
};

use http::{Request, Response};
use prost_reflect::{DescriptorPool, ServiceDescriptor};
use shipei_contracts::{
    FILE_DESCRIPTOR_SET,
    event::v1::{
        audit_service_server::AuditServiceServer, correction_service_server::CorrectionServiceServer,
        event_feed_server::EventFeedServer, key_service_server::KeyServiceServer,
        personal_data_service_server::PersonalDataServiceServer,
    },
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_stream::{Stream, StreamExt as _, wrappers::ReceiverStream};
use tonic::{
    body::Body,
    server::NamedService,
    service::{Routes, RoutesBuilder},
    transport::server::{Connected, TcpIncoming},
};
use tonic_health::{
    pb::health_server::HealthServer,
    server::{HealthReporter, HealthService},
};
use tonic_web::GrpcWebLayer;
use tower::{Service, util::option_layer};

use crate::{
    call::{
        access::{Policies, PolicyError},
        budget::Budget,
        denials::Denials,
        gate::GateLayer,
        identify::Identification,
        layer::{Bounds, CallLayer},
        limit::Limit,
        misdelivered::MisdeliveredCalls,
        proxies::TrustedProxies,
        watch::Methods,
    },
    descriptors,
    feed::{
        self, audit::Audit, corrections::Corrections, event_feed::EventFeeds, keys::WrappedKeys,
        personal::PersonalData, wire::MESSAGE_BYTES_MAX,
    },
    serve::{
        checkpoints::{self, Checkpoints},
        connection::{
            Cuttable, HEADER_BYTES_MAX, InMemory, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT,
            SERVER_CONNECTION_WINDOW_BYTES, SERVER_STREAM_WINDOW_BYTES, first_word,
        },
        connections::{ConnectionSlot, Connections, ProcessBounds},
        event_types,
        frames::Paced,
        health::{tell_health, watch_health},
        tls::ListenerTls,
        upkeep::{keep_up, prepare_months, tell_denials},
    },
    shutdown::Shutdown,
    soft_state::rate_limit::RateLimiter,
    web::{self, WebLayer, cors::CorsOrigins},
    write::kit::Kit,
};

/// The pause after a connection that could not be taken.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The most calls of one connection that wait for their first answer; more wait in line.
pub const CONCURRENT_CALLS_MAX: usize = 256;
/// The most streams of one connection.
pub const CONCURRENT_STREAMS_MAX: u32 = 1024;
/// What calls have of the process's budget: one of so many parts.
const CALLS_PART: NonZeroUsize = NonZeroUsize::new(2).unwrap();
/// What streams of events have of it; there may be thousands of them, and each takes something besides.
const STREAMS_PART: NonZeroUsize = NonZeroUsize::new(8).unwrap();
/// The most in-memory connections that wait to be taken.
const CONNECTIONS_WAITING_MAX: usize = 64;
/// The service by which others ask whether this one serves.
const HEALTH_SERVICE: &str = "grpc.health.v1.Health";

#[doc(hidden)]
pub use tonic::codec::CompressionEncoding;

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An RPC without a good access policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The descriptor set can't be reflected.
    #[error("reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// A descriptor set that can't be read.
    #[error("descriptors: {0}")]
    Descriptors(#[from] prost_reflect::DescriptorError),
}

/// Gathers what a process serves.
#[derive(Debug)]
pub struct ServerBuilder {
    shutdown: Shutdown,
    routes: RoutesBuilder,
    /// Each gRPC service by its full name, and the source of its kit.
    services: BTreeMap<&'static str, &'static str>,
    /// Each kit by its source.
    kits: BTreeMap<&'static str, Kit>,
    connection_age_max: Option<Duration>,
    process_bounds: ProcessBounds,
    rate_limiter: Option<RateLimiter>,
    checkpoints: Option<Checkpoints>,
    proxies: TrustedProxies,
    cors: CorsOrigins,
    identification: Identification,
    descriptor_pool: DescriptorPool,
    descriptor_set: Vec<u8>,
}

/// A server that is ready to listen. Clones serve the same services.
#[derive(Debug, Clone)]
pub struct Server {
    routes: Routes,
    policies: Policies,
    misdelivered: MisdeliveredCalls,
    methods: Methods,
    shutdown: Shutdown,
    connection_age_max: Option<Duration>,
    connections: Connections,
    bounds: Bounds,
    limits: Limit,
    web: WebLayer,
    cors: CorsOrigins,
    identification: Identification,
    proxies: TrustedProxies,
    denials: Denials,
}

/// Makes a generated server with the suite's message limits, which takes and, to clients that ask for it, gives messages
/// compressed (gzip, zstd): `grpc_server!(EnrollmentServiceServer, handler)`.
#[macro_export]
macro_rules! grpc_server {
    ($server:ident, $handler:expr) => {
        $server::new($handler)
            .max_decoding_message_size($crate::feed::wire::MESSAGE_BYTES_MAX)
            .max_encoding_message_size($crate::feed::wire::MESSAGE_BYTES_MAX)
            .accept_compressed($crate::server::CompressionEncoding::Zstd)
            .accept_compressed($crate::server::CompressionEncoding::Gzip)
            .send_compressed($crate::server::CompressionEncoding::Zstd)
            .send_compressed($crate::server::CompressionEncoding::Gzip)
    };
}

/// What others generated takes compressed messages too: a client compresses whatever it sends.
macro_rules! taking_compressed {
    ($server:expr) => {
        $server
            .accept_compressed(CompressionEncoding::Zstd)
            .accept_compressed(CompressionEncoding::Gzip)
            .send_compressed(CompressionEncoding::Zstd)
            .send_compressed(CompressionEncoding::Gzip)
    };
}

impl ServerBuilder {
    /// Serves nothing yet; ends with `shutdown`.
    pub fn new(shutdown: &Shutdown) -> Self {
        Self {
            shutdown: shutdown.clone(),
            routes: Routes::builder(),
            services: BTreeMap::new(),
            kits: BTreeMap::new(),
            connection_age_max: None,
            process_bounds: ProcessBounds::default(),
            rate_limiter: None,
            checkpoints: None,
            proxies: TrustedProxies::default(),
            cors: CorsOrigins::default(),
            identification: Identification::default(),
            descriptor_pool: descriptors::pool().clone(),
            descriptor_set: FILE_DESCRIPTOR_SET.to_vec(),
        }
    }

    /// With what it ends, and everything that a service runs beside it.
    pub fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    /// Serves this gRPC service, and the event log of its kit. It is healthy while the kit's database answers.
    /// Make `server` with [`grpc_server!`].
    pub fn service<S>(mut self, kit: &Kit, server: S) -> Self
    where
        S: Service<Request<Body>, Error = Infallible, Response = Response<Body>>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        self.routes.add_service(server);
        self.services.insert(S::NAME, kit.source());
        self.event_log(kit)
    }

    /// Serves the event log of this kit, without a service of its own.
    pub fn event_log(mut self, kit: &Kit) -> Self {
        self.kits.insert(kit.source(), kit.clone());
        self
    }

    /// Asks clients to connect anew, and ends streams, after this age, so that load spreads over replicas again.
    pub fn connection_age_max(mut self, age: Duration) -> Self {
        self.connection_age_max = Some(age);
        self
    }

    /// Holds no more than this for clients.
    #[must_use]
    pub fn bounds(mut self, bounds: ProcessBounds) -> Self {
        self.process_bounds = bounds;
        self
    }

    /// Refuses callers who call too often.
    #[must_use]
    pub fn rate_limiter(mut self, limiter: RateLimiter) -> Self {
        self.rate_limiter = Some(limiter);
        self
    }

    /// Writes checkpoints of the logs; without it there are none.
    #[must_use]
    pub fn checkpoints(mut self, checkpoints: Checkpoints) -> Self {
        self.checkpoints = Some(checkpoints);
        self
    }

    /// Believes these proxies where a call comes from; without it nobody.
    #[must_use]
    pub fn trusted_proxies(mut self, proxies: TrustedProxies) -> Self {
        self.proxies = proxies;
        self
    }

    /// Lets pages of these origins call; without it none may.
    #[must_use]
    pub fn cors(mut self, origins: CorsOrigins) -> Self {
        self.cors = origins;
        self
    }

    /// Knows its callers so; without it the server is open.
    #[must_use]
    pub fn identification(mut self, identification: Identification) -> Self {
        self.identification = identification;
        self
    }

    /// Takes policies and reflection from another descriptor set than the contracts', for tests.
    #[must_use]
    pub fn descriptors(mut self, pool: DescriptorPool) -> Self {
        self.descriptor_set = pool.encode_to_vec();
        self.descriptor_pool = pool;
        self
    }

    /// Checks everything and begins to watch the databases.
    ///
    /// # Errors
    /// An RPC without a good access policy, or a descriptor set that can't be reflected.
    pub async fn build(mut self) -> Result<Server, StartError> {
        let types = event_types::of(&self.descriptor_pool, &self.services, &self.kits);
        let budget = Budget::new(self.process_bounds.budget_bytes);
        let (shutdown, answers) = (self.shutdown.clone(), budget.part(STREAMS_PART));
        let feeds = EventFeeds::new(shutdown, self.connection_age_max, answers).event_types(types);
        for kit in self.kits.values() {
            feeds.add(kit);
        }
        let mut names: Vec<&str> = self.services.keys().copied().collect();
        if !feeds.is_empty() {
            let (corrections, audit) = (Corrections::new(&feeds), Audit::new(&feeds));
            self.routes.add_service(grpc_server!(KeyServiceServer, WrappedKeys::new(&feeds)));
            self.routes.add_service(grpc_server!(PersonalDataServiceServer, PersonalData::new(&feeds)));
            self.routes.add_service(grpc_server!(EventFeedServer, feeds));
            self.routes.add_service(grpc_server!(CorrectionServiceServer, corrections));
            self.routes.add_service(grpc_server!(AuditServiceServer, audit));
            names.extend(feed::SERVICES);
        }
        let policies = Policies::load_from(&self.descriptor_pool, &names)?;
        for kit in self.kits.values() {
            kit.bound_writes(self.process_bounds.writes);
            prepare_months(kit).await;
            let kept = (self.process_bounds.request_records_kept, self.process_bounds.log_kept);
            self.shutdown.spawn(keep_up(kit.clone(), kept, self.shutdown.clone()));
            if let Some(checkpoints) = self.checkpoints.clone() {
                self.shutdown.spawn(checkpoints::keep(kit.clone(), checkpoints, self.shutdown.clone()));
            }
        }
        let denials = Denials::default();
        let owners = (self.services.clone(), self.kits.clone());
        self.shutdown.spawn(tell_denials(denials.clone(), owners, self.shutdown.clone()));
        let misdelivered = MisdeliveredCalls::of(&self.descriptor_pool, &names);
        let methods = Methods::of(&self.descriptor_pool, &names);
        let bounds = Bounds::new(budget.part(CALLS_PART), MESSAGE_BYTES_MAX, self.process_bounds.callers);
        let web = WebLayer::new(self.web_routes(&names)?, bounds.budget.clone(), MESSAGE_BYTES_MAX);

        let health = HealthReporter::new();
        // Asked once before anybody can call: a server whose databases answer is never seen as not serving.
        tell_health(&health, &self.services, &self.kits).await;
        let answers_health = HealthServer::new(HealthService::from_health_reporter(health.clone()));
        self.routes.add_service(taking_compressed!(answers_health));
        self.routes.add_service(taking_compressed!(self.reflection().build_v1()?));
        self.routes.add_service(taking_compressed!(self.reflection().build_v1alpha()?));

        let watch = watch_health(health, self.services, self.kits, self.shutdown.clone());
        self.shutdown.spawn(watch);
        Ok(Server {
            routes: self.routes.routes().prepare(),
            policies,
            misdelivered,
            methods,
            shutdown: self.shutdown,
            connection_age_max: self.connection_age_max,
            connections: Connections::new(self.process_bounds.connections),
            bounds,
            limits: Limit::new(self.rate_limiter, &names),
            web,
            cors: self.cors,
            identification: self.identification,
            proxies: self.proxies,
            denials,
        })
    }

    /// What can be called otherwise than by gRPC: what is served here, health, and reflection.
    fn web_routes(&self, names: &[&str]) -> Result<web::Routes, StartError> {
        let mut routes = web::Routes::default();
        routes.add(&self.descriptor_pool, names);
        for set in [
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
        ] {
            let pool = DescriptorPool::decode(set)?;
            let services: Vec<_> = pool.services().collect();
            routes.add(&pool, &services.iter().map(ServiceDescriptor::full_name).collect::<Vec<_>>());
        }
        Ok(routes)
    }

    /// All services of the contracts, whichever of them are here: who asks through a load balancer reaches any process, and a
    /// call that is misdelivered is told so. With what errors carry, so that tools can read it.
    fn reflection(&self) -> tonic_reflection::server::Builder<'_> {
        let mut builder = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(&self.descriptor_set)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
            .with_service_name(HEALTH_SERVICE);
        for service in self.descriptor_pool.services() {
            builder = builder.with_service_name(service.full_name());
        }
        builder
    }
}

impl Server {
    /// The access policies of what is served.
    pub fn policies(&self) -> &Policies {
        &self.policies
    }

    /// Serves over TCP until shutdown; returns at once, with the address (the port, if it was 0).
    ///
    /// # Errors
    /// When the listener has no address.
    pub fn serve_tcp(&self, listener: TcpListener) -> io::Result<SocketAddr> {
        let (address, cut) = (listener.local_addr()?, self.shutdown.hard_token());
        let words = self.placed(listener).map(move |placed| first_word(placed, cut.clone()));
        let spoken = futures::StreamExt::buffer_unordered(words, self.waiting_max());
        let paced = spoken.filter_map(|io| io.map(|io| io.map(Paced::new)));
        self.serve(paced, self.identification.clone());
        Ok(address)
    }

    /// Serves over TLS until shutdown, as [`Server::serve_tcp`].
    ///
    /// # Errors
    /// When the listener has no address.
    pub fn serve_tls(&self, listener: TcpListener, tls: &ListenerTls) -> io::Result<SocketAddr> {
        let (address, cut, tls) = (listener.local_addr()?, self.shutdown.hard_token(), tls.clone());
        let words = self.placed(listener).map(move |placed| {
            let (word, tls) = (first_word(placed, cut.clone()), tls.clone());
            async move {
                match word.await? {
                    Ok(io) => tls.accept(io).await.map(Ok),
                    Err(error) => Some(Err(error)),
                }
            }
        });
        let spoken = futures::StreamExt::buffer_unordered(words, self.waiting_max());
        let paced = spoken.filter_map(|io| io.map(|io| io.map(Paced::new)));
        self.serve(paced, self.identification.clone());
        Ok(address)
    }

    /// All connections that have a place may wait at once for what their clients say first.
    fn waiting_max(&self) -> usize {
        self.connections.limits().all.saturating_add(1)
    }

    /// The connections for which there is a place.
    fn placed(
        &self,
        listener: TcpListener,
    ) -> impl Stream<Item = io::Result<(TcpStream, ConnectionSlot)>> + use<> {
        let connections = self.connections.clone();
        TcpIncoming::from(listener).with_nodelay(Some(true)).filter_map(move |io| match io {
            Ok(io) => {
                // One that is gone already has no address, and one for which there is no place is closed.
                let place = connections.enter(io.peer_addr().ok()?.ip())?;
                Some(Ok((io, place)))
            }
            Err(error) => Some(Err(error)),
        })
    }

    /// Serves in memory until shutdown; returns at once, with the way in.
    pub fn serve_in_memory(&self) -> InMemory {
        let (sender, receiver) = mpsc::channel(CONNECTIONS_WAITING_MAX);
        let cut = self.shutdown.hard_token();
        let incoming = ReceiverStream::new(receiver).map(move |io| Ok(Cuttable::new(io, cut.clone())));
        self.serve(incoming, self.identification.in_memory());
        InMemory::new(sender)
    }

    fn serve<Io>(
        &self,
        incoming: impl Stream<Item = io::Result<Io>> + Send + 'static,
        identification: Identification,
    ) where
        Io: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
        Io::ConnectInfo: Clone + Send + Sync + 'static,
    {
        let mut server = tonic::transport::Server::builder()
            .accept_http1(true)
            .concurrency_limit_per_connection(CONCURRENT_CALLS_MAX)
            .max_concurrent_streams(CONCURRENT_STREAMS_MAX)
            .initial_stream_window_size(SERVER_STREAM_WINDOW_BYTES)
            .initial_connection_window_size(SERVER_CONNECTION_WINDOW_BYTES)
            .http2_max_header_list_size(HEADER_BYTES_MAX)
            .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT));
        if let Some(age) = self.connection_age_max {
            server = server.max_connection_age(age);
        }
        let server = server
            .layer(option_layer(self.cors.layer()))
            .layer(self.web.clone())
            .layer(GrpcWebLayer::new())
            .layer(CallLayer::new(
                self.methods.clone(),
                self.policies.clone(),
                self.bounds.clone(),
                identification,
                self.proxies.clone(),
                self.denials.clone(),
                self.shutdown.clone(),
            ))
            .layer(GateLayer(self.misdelivered.clone()))
            .layer(GateLayer(self.limits.clone()));
        let incoming = incoming.then(async |io| {
            if let Err(error) = &io {
                // Out of file descriptors: tonic would ask again at once, and in silence.
                tracing::warn!(%error, "a connection could not be taken");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
            io
        });
        let signal = self.shutdown.token().cancelled_owned();
        let serving = server.serve_with_incoming_shutdown(self.routes.clone(), incoming, signal);
        let shutdown = self.shutdown.clone();
        self.shutdown.spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "the server has ended with an error");
                shutdown.fail("nobody can be served any more");
            }
        });
    }
}
