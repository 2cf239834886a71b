//! A fake service, cut like a real one: contract, handler, statements. Texts drive it: `refuse`, `fail`, `hang`,
//! `busy once`, `log`,
//! `locks 1 2`.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use prost::{Message, Name};
use prost_reflect::DescriptorPool;
use prost_types::Timestamp;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver, IncludeFileResolver};
use shipei_contracts::{
    EventMessage, GivesPages, NamesThings, WriteRequest,
    common::v1::{ErrorReason, Named},
};
use shipei_store::{
    StoreError, Tx, execute, fetch_all, sqlx,
    sqlx::{
        SqlSafeStr as _,
        migrate::{Migration, MigrationType, Migrator},
    },
};
use tokio::sync::Barrier;
use tonic::{Request, Response, Status, body::Body, server::NamedService, transport::Channel};

use crate::{
    answer::{
        error::{Error, Refusal},
        size::MESSAGE_BYTES_MAX,
    },
    serve::server::ServerBuilder,
    testing::{TestKit, TestServer},
    write::kit::Kit,
};

pub(crate) const COUNTY: &str = "130302";
pub(crate) const PROGRAMME: &str = "P";
pub(crate) const PUT_NOTE: &str = "/fake.v1.NoteService/PutNote";
pub(crate) const LIST_NOTES: &str = "/fake.v1.NoteService/ListNotes";

const PROTO: &str = r#"
syntax = "proto3";
package fake.v1;
import "shipei/common/v1/access.proto";
import "google/protobuf/timestamp.proto";
service NoteService {
  rpc PutNote(PutNoteRequest) returns (PutNoteResponse) {
    option (shipei.common.v1.access) = {rules: [{role: ROLE_COUNTY_COUNSELOR, scope: SCOPE_REGION}]};
  }
  rpc ListNotes(ListNotesRequest) returns (ListNotesResponse) {
    option (shipei.common.v1.access) = {rules: [{role: ROLE_PROVINCE, scope: SCOPE_PUBLIC}]};
  }
}
message PutNoteRequest {
  string request_id = 1; string county_code = 2 [(shipei.common.v1.named) = NAMED_REGION]; string text = 3; google.protobuf.Timestamp occurred_at = 4;
}
message PutNoteResponse { string text = 1; }
message ListNotesRequest { string county_code = 1 [(shipei.common.v1.named) = NAMED_REGION]; int32 page_size = 2; string page_token = 3; }
message ListNotesResponse { repeated string texts = 1; string next_page_token = 2; }
message NotePut { string text = 1; }
message NoteDropped { string text = 1; }
"#;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct PutNoteRequest {
    #[prost(string, tag = "1")]
    pub(crate) request_id: String,
    #[prost(string, tag = "2")]
    pub(crate) county_code: String,
    #[prost(string, tag = "3")]
    pub(crate) text: String,
    #[prost(message, optional, tag = "4")]
    pub(crate) occurred_at: Option<Timestamp>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct PutNoteResponse {
    #[prost(string, tag = "1")]
    pub(crate) text: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ListNotesRequest {
    #[prost(string, tag = "1")]
    pub(crate) county_code: String,
    #[prost(int32, tag = "2")]
    pub(crate) page_size: i32,
    #[prost(string, tag = "3")]
    pub(crate) page_token: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ListNotesResponse {
    #[prost(string, repeated, tag = "1")]
    pub(crate) texts: Vec<String>,
    #[prost(string, tag = "2")]
    pub(crate) next_page_token: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct NotePut {
    #[prost(string, tag = "1")]
    pub(crate) text: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct NoteDropped {
    #[prost(string, tag = "1")]
    pub(crate) text: String,
}

macro_rules! names {
    ($($message:ident)+) => {$(
        impl Name for $message {
            const NAME: &'static str = stringify!($message);
            const PACKAGE: &'static str = "fake.v1";
        }
    )+};
}

impl EventMessage for NotePut {
    fn programme_id(&self) -> &str {
        PROGRAMME
    }
}

impl EventMessage for NoteDropped {
    fn programme_id(&self) -> &str {
        PROGRAMME
    }
}

impl NamesThings for PutNoteRequest {
    fn tell_named<'a>(&'a self, tell: &mut dyn FnMut(Named, &'static str, &'a str)) {
        tell(Named::Region, "county_code", &self.county_code);
    }
}

impl NamesThings for ListNotesRequest {
    fn tell_named<'a>(&'a self, tell: &mut dyn FnMut(Named, &'static str, &'a str)) {
        tell(Named::Region, "county_code", &self.county_code);
    }

    fn page_token_mut(&mut self) -> Option<&mut String> {
        Some(&mut self.page_token)
    }
}

impl GivesPages for ListNotesResponse {
    fn next_page_token_mut(&mut self) -> Option<&mut String> {
        Some(&mut self.next_page_token)
    }
}

names!(PutNoteRequest ListNotesRequest NotePut NoteDropped);

impl WriteRequest for PutNoteRequest {
    fn request_id(&self) -> &str {
        &self.request_id
    }
    fn validate_only(&self) -> bool {
        self.text.starts_with("only ")
    }

    fn occurred_at(&self) -> Option<Timestamp> {
        self.occurred_at
    }
    fn concerns(&self) -> &str {
        &self.county_code
    }
    fn programme_id(&self) -> &str {
        PROGRAMME
    }
    fn correction(&self) -> Option<&shipei_contracts::common::v1::Correction> {
        None
    }
}

/// The trait as tonic generates it.
#[tonic::async_trait]
pub(crate) trait NoteService: Send + Sync + 'static {
    async fn put_note(&self, request: Request<PutNoteRequest>) -> Result<Response<PutNoteResponse>, Status>;
    async fn list_notes(
        &self,
        request: Request<ListNotesRequest>,
    ) -> Result<Response<ListNotesResponse>, Status>;
}

/// The handler.
#[derive(Debug, Clone)]
pub(crate) struct Notes {
    pub(crate) kit: Kit,
    pub(crate) attempts: Arc<AtomicUsize>,
    pub(crate) refusing: Arc<AtomicBool>,
    /// Where two commands meet that take locks in opposite orders, when each has its first.
    meeting: Arc<Barrier>,
}

impl Notes {
    pub(crate) fn new(kit: &Kit) -> Arc<Self> {
        Arc::new(Self {
            kit: kit.clone(),
            attempts: Arc::default(),
            refusing: Arc::new(AtomicBool::new(true)),
            meeting: Arc::new(Barrier::new(2)),
        })
    }

    /// `locks 1 2`: takes these locks of Postgres in this order. When run again it meets nobody.
    async fn lock(&self, tx: &mut Tx, text: &str) -> crate::Result<()> {
        let Some(order) = text.strip_prefix("locks ") else { return Ok(()) };
        let is_first = self.attempts.fetch_add(1, Ordering::SeqCst) < 2;
        for (place, lock) in order.split(' ').enumerate() {
            execute!(tx, "SELECT pg_advisory_xact_lock($1)", lock.parse::<i64>().unwrap())?;
            if place == 0 && is_first {
                self.meeting.wait().await;
            }
        }
        Ok(())
    }

    fn decide(&self, text: &str) -> crate::Result<()> {
        let attempt = self.attempts.fetch_add(1, Ordering::SeqCst);
        match text {
            "log" => {
                tracing::warn!("a handler says something");
                Ok(())
            }
            "refuse" if self.refusing.load(Ordering::SeqCst) => {
                Err(Refusal::new(ErrorReason::OutOfOrder).with("window", "phase_3").into())
            }
            "fail" => Err(Error::Internal("secret".into())),
            "missing" if self.refusing.load(Ordering::SeqCst) => {
                Err(Refusal::new(ErrorReason::NotFound).field("county_code").into())
            }
            "panic" => panic!("a handler that panics"),
            "lost commit" => Err(StoreError::no_answer().into()),
            "busy once" if attempt == 0 => Err(StoreError::Database(sqlx::Error::WorkerCrashed).into()),
            _ => Ok(()),
        }
    }
}

#[tonic::async_trait]
impl NoteService for Notes {
    async fn put_note(&self, request: Request<PutNoteRequest>) -> Result<Response<PutNoteResponse>, Status> {
        self.kit
            .write(self, request, |notes: Notes, mut unit, request: PutNoteRequest| async move {
                execute!(
                    unit.tx,
                    "INSERT INTO note (county, text) VALUES ($1, $2)",
                    &request.county_code,
                    &request.text
                )?;
                notes.lock(&mut unit.tx, &request.text).await?;
                notes.decide(&request.text)?;
                if request.text == "hang" {
                    std::future::pending::<()>().await;
                }
                unit.emit(&request.county_code, "N1", &NotePut { text: request.text.clone() });
                let text = match request.text.as_str() {
                    "large" => "x".repeat(MESSAGE_BYTES_MAX),
                    _ => request.text,
                };
                Ok((unit, PutNoteResponse { text }))
            })
            .await
    }

    async fn list_notes(
        &self,
        request: Request<ListNotesRequest>,
    ) -> Result<Response<ListNotesResponse>, Status> {
        self.kit
            .read(self, request, |notes: Notes, mut unit, request: ListNotesRequest| async move {
                let filter = [request.county_code.as_str()];
                let page =
                    notes.kit.page::<ListNotesRequest>(&filter, request.page_size, &request.page_token)?;
                let rows = fetch_all!(
                    unit.tx,
                    (String,),
                    "SELECT text FROM note WHERE county = $1 AND text > $2 ORDER BY text LIMIT $3",
                    &request.county_code,
                    page.after(0),
                    page.limit()
                )?;
                let (rows, next_page_token) = page.cut(rows, |row| vec![row.0.clone()]);
                let texts = rows.into_iter().map(|row| row.0).collect();
                Ok((unit, ListNotesResponse { texts, next_page_token }))
            })
            .await
    }
}

/// The server as tonic generates it.
#[derive(Debug, Clone)]
pub(crate) struct NoteServer(pub(crate) Arc<Notes>);

impl NamedService for NoteServer {
    const NAME: &'static str = "fake.v1.NoteService";
}

impl tower::Service<http::Request<Body>> for NoteServer {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let notes = self.0.clone();
        match request.uri().path() {
            PUT_NOTE => Box::pin(async move {
                let service = tower::service_fn(move |request| {
                    let notes = notes.clone();
                    async move { notes.put_note(request).await }
                });
                let mut grpc = tonic::server::Grpc::new(tonic_prost::ProstCodec::default());
                Ok(grpc.unary(service, request).await)
            }),
            _ => Box::pin(async move {
                let service = tower::service_fn(move |request| {
                    let notes = notes.clone();
                    async move { notes.list_notes(request).await }
                });
                let mut grpc = tonic::server::Grpc::new(tonic_prost::ProstCodec::default());
                Ok(grpc.unary(service, request).await)
            }),
        }
    }
}

/// Calls an RPC of the fake service as a generated client does.
pub(crate) async fn call<Req, Res>(
    channel: Channel,
    path: &'static str,
    request: Request<Req>,
) -> Result<Response<Res>, Status>
where
    Req: Message + 'static,
    Res: Message + Default + 'static,
{
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let path = http::uri::PathAndQuery::from_static(path);
    client.unary(request, path, tonic_prost::ProstCodec::default()).await
}

pub(crate) fn put(request_id: &str, text: &str) -> Request<PutNoteRequest> {
    put_in(COUNTY, request_id, text)
}

pub(crate) fn put_in(county: &str, request_id: &str, text: &str) -> Request<PutNoteRequest> {
    Request::new(PutNoteRequest {
        request_id: request_id.to_owned(),
        county_code: county.to_owned(),
        text: text.to_owned(),
        occurred_at: None,
    })
}

/// The contract of the fake service.
pub(crate) fn compile_notes() -> DescriptorPool {
    compile_proto(PROTO)
}

pub(crate) fn migrator() -> Migrator {
    let text = "CREATE TABLE note (county TEXT COLLATE \"C\" NOT NULL, text TEXT COLLATE \"C\" NOT NULL)";
    let migration = Migration::new(100, "note".into(), MigrationType::Simple, text.into_sql_str(), false);
    Migrator::with_migrations(vec![migration])
}

pub(crate) async fn test_kit() -> TestKit {
    test_kit_of("notes").await
}

/// SQLite; or Postgres, when the environment asks for it.
pub(crate) async fn test_kit_of(source: &'static str) -> TestKit {
    if std::env::var_os("SHIPEI_TEST_POSTGRES").is_some() {
        return TestKit::postgres(source, &migrator()).await;
    }
    TestKit::sqlite(source, &migrator()).await
}

pub(crate) async fn test_kit_on_postgres(source: &'static str) -> TestKit {
    TestKit::postgres(source, &migrator()).await
}

pub(crate) async fn note_server(notes: &Arc<Notes>) -> TestServer {
    TestServer::start(|builder| add_notes(builder, notes)).await
}

pub(crate) fn add_notes(builder: ServerBuilder, notes: &Arc<Notes>) -> ServerBuilder {
    builder.descriptors(compile_proto(PROTO)).service(&notes.kit, NoteServer(notes.clone()))
}

/// The notes and the events of a kit's database.
pub(crate) async fn counts(kit: &Kit) -> (i64, i64) {
    let mut tx = kit.database().begin_read().await.unwrap();
    let sql = "SELECT (SELECT COUNT(*) FROM note), (SELECT COUNT(*) FROM event)";
    fetch_all!(tx, (i64, i64), sql).unwrap()[0]
}

/// The contracts, and one proto file more.
pub(crate) fn compile_proto(source: &str) -> DescriptorPool {
    struct Extra(String);
    impl FileResolver for Extra {
        fn open_file(&self, name: &str) -> Result<File, protox::Error> {
            if name != "fake.proto" {
                return Err(protox::Error::file_not_found(name));
            }
            File::from_source(name, &self.0)
        }
    }
    let mut resolver = ChainFileResolver::new();
    resolver.add(Extra(source.to_owned()));
    resolver.add(IncludeFileResolver::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto").into()));
    resolver.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true);
    compiler.open_file("fake.proto").unwrap();
    compiler.open_file("shipei/event/v1/event_feed.proto").unwrap();
    compiler.open_file("shipei/event/v1/correction_service.proto").unwrap();
    compiler.open_file("shipei/event/v1/audit_service.proto").unwrap();
    compiler.open_file("shipei/event/v1/key_service.proto").unwrap();
    compiler.open_file("shipei/event/v1/personal_data_service.proto").unwrap();
    DescriptorPool::decode(compiler.encode_file_descriptor_set().as_slice()).unwrap()
}
