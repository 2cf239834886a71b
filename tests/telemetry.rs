//! What processes tell a collector: traces through the event log from one service to the next, metrics under the names
//! of `deploy/observability`, log lines with trace ids. And what a collector that is away, dies, or was never named
//! does to the suite: nothing. The names of metrics are one contract: code, alarms, dashboards, docs/operations.md.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    path::Path,
    process::{ChildStderr, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Instant,
};

use anyhow::{Context as _, Result, bail, ensure};
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind, status::StatusCode};
use prost_types::Timestamp;
use serde_json::Value;
use shipei::progress::Progress;
use shipei_client::{client::Clients, replay, season::Season};
use shipei_contracts::{
    assessment::v1::{GetTraineeScoreRequest, score_service_client::ScoreServiceClient},
    enrollment::v1::{ListProgrammesRequest, programme_service_client::ProgrammeServiceClient},
    event::v1::{Event, SubscribeRequest, event_feed_client::EventFeedClient},
    learning::v1::{RecordHeartbeatRequest, study_service_client::StudyServiceClient},
};
use tonic::{Request, Status};

use crate::{
    bad_input::{copy_of_edges, edit},
    collector::{Collector, PATIENCE, SeenSpan, labels},
    harness::{Backend, KeptState, Process, five_processes_with},
};

const PROGRAMME: &str = "qinhuangdao-2019";
/// 2019-09-20 10:00 in China.
const STUDY_BEGINS: i64 = 1_568_944_800;
/// Whose trace the calls of these tests are a part of.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER_SPAN: &str = "b7ad6b7169203331";

/// Everybody is enrolled and logged in, nobody has studied; two minutes are a phase.
async fn enrolled(clients: &Clients, place: &KeptState) -> Result<()> {
    let folder = place.out("season");
    copy_of_edges(&folder)?;
    edit(&folder.join("scheme.toml"), |text| text.replace("minutes    = 200", "minutes    = 2"))?;
    let kinds = ["remittance", "invoice", "roster.reported", "person.logged_in", "learning.opened"];
    let is_kept = |line: &&str| kinds.iter().any(|kind| line.contains(&format!("\"type\":\"{kind}")));
    edit(&folder.join("season.ndjson"), |text| {
        text.lines().filter(is_kept).flat_map(|line| [line, "\n"]).collect()
    })?;
    replay::replay_to(clients, &Season::open(&folder)?, &place.out("scores"), &Progress::hidden()).await?;
    Ok(())
}

/// A request that is a part of [`TRACE`].
fn traced<T>(clients: &Clients, message: T) -> Request<T> {
    let mut request = clients.unary(message);
    let trace = format!("00-{TRACE}-{CALLER_SPAN}-01");
    request.metadata_mut().insert("traceparent", trace.parse().expect("plain text"));
    request
}

/// One heartbeat: what it is worth, in seconds.
async fn heartbeat(clients: &Clients, course: &str, session: &str, seq: i64) -> Result<i32, Status> {
    let message = RecordHeartbeatRequest {
        programme_id: PROGRAMME.into(),
        person_id: "T01".into(),
        course_id: course.into(),
        session_id: session.into(),
        seq,
        occurred_at: Some(Timestamp { seconds: STUDY_BEGINS + seq * 120, nanos: 0 }),
    };
    let mut client = StudyServiceClient::new(clients.channel("learning-progress"));
    let response = client.record_heartbeat(traced(clients, message)).await?;
    clients.note(&response);
    Ok(response.into_inner().credited_seconds)
}

/// The points of a trainee, after everything that was written.
async fn points(clients: &Clients) -> Result<i32> {
    let message = GetTraineeScoreRequest {
        programme_id: PROGRAMME.into(),
        person_id: "T01".into(),
        ..Default::default()
    };
    let mut client = ScoreServiceClient::new(clients.channel("assessment"));
    let score = client.get_trainee_score(traced(clients, message)).await?.into_inner().score;
    Ok(score.context("a score")?.total)
}

/// The first event of a type in the log of a service that `is_it` knows.
async fn event(
    clients: &Clients,
    source: &'static str,
    kind: &str,
    is_it: impl Fn(&Event) -> bool,
) -> Result<Event> {
    let request =
        SubscribeRequest { source: source.to_owned(), types: vec![kind.to_owned()], ..Default::default() };
    let mut client = EventFeedClient::new(clients.channel(source));
    let mut stream = client.subscribe(clients.request(request)).await?.into_inner();
    let found = async {
        while let Some(response) = stream.message().await? {
            if let Some(found) = response.events.into_iter().find(&is_it) {
                return Ok(found);
            }
        }
        bail!("the stream of {source} ended")
    };
    tokio::time::timeout(PATIENCE, found).await.with_context(|| format!("no {kind} of {source}"))?
}

/// The lines that a process logs, as they come.
struct Log(Receiver<Value>);

impl Log {
    fn of(stderr: ChildStderr) -> Self {
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                // Read on when nobody looks any more: a full pipe would stop the process.
                let _ = sender.send(line);
            }
        });
        Self(receiver)
    }

    /// The first line that `is_it` knows.
    fn line(&self, is_it: impl Fn(&Value) -> bool) -> Result<Value> {
        let end = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        while let Ok(line) = self.0.recv_timeout(end.saturating_duration_since(Instant::now())) {
            if is_it(&line) {
                return Ok(line);
            }
            seen.push(line.to_string());
        }
        bail!("no such line among\n{}", seen.join("\n"))
    }
}

fn hexadecimal(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn traceparent(span: &Span) -> String {
    format!("00-{}-{}-01", hexadecimal(&span.trace_id), hexadecimal(&span.span_id))
}

/// Is it the span of this RPC, in [`TRACE`]?
fn answers<'a>(service: &'a str, name: &'a str) -> impl Fn(&SeenSpan) -> bool + 'a {
    move |seen| {
        seen.resource["service.name"] == service
            && seen.span.name == name
            && hexadecimal(&seen.span.trace_id) == TRACE
    }
}

fn tell(command: &mut Command, address: &str) {
    command
        .env("SHIPEI_OTLP", format!("http://{address}"))
        .env("SHIPEI_LOG", "info")
        .env("SHIPEI_LOG_FORMAT", "json")
        .env("OTEL_METRIC_EXPORT_INTERVAL", "100")
        .env("OTEL_BSP_SCHEDULE_DELAY", "100")
        .stderr(Stdio::piped());
}

/// The five services as five processes that tell a collector; the log of learning-progress.
async fn five_told(place: &KeptState, collector: &Collector) -> Result<(Vec<Process>, Clients, Log)> {
    let address = collector.address.to_string();
    let (mut processes, clients) = five_processes_with(place, &|command| tell(command, &address)).await?;
    let mut logs: Vec<Log> = processes.iter_mut().filter_map(Process::take_log).map(Log::of).collect();
    Ok((processes, clients, logs.swap_remove(1)))
}

/// The five services as one process.
async fn one(place: &KeptState, configure: &dyn Fn(&mut Command)) -> Result<(Process, Clients)> {
    let process = Process::serve_with(&[], &place.storage, &[], configure)?;
    let clients = Clients::connect(std::slice::from_ref(&process.address), None).await?;
    Ok((process, clients))
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeat_is_traced_through_the_event_log_to_the_score() -> Result<()> {
    let (collector, place) = (Collector::start()?, KeptState::new(Backend::Sqlite)?);
    let (processes, clients, _log) = five_told(&place, &collector).await?;
    enrolled(&clients, &place).await?;
    heartbeat(&clients, "P1", "S1", 0).await?;
    ensure!(heartbeat(&clients, "P1", "S1", 1).await? == 120);
    points(&clients).await?;

    // The phase that the second heartbeat achieved, as learning-progress tells it.
    let achieved = event(&clients, "learning-progress", "shipei.learning.v1.PhaseAchieved", |_| true).await?;
    let name = "shipei.learning.v1.StudyService/RecordHeartbeat";
    let is_producer = |seen: &SeenSpan| traceparent(&seen.span) == achieved.trace_parent;
    let produced = collector.span("the producer's span", is_producer).await?;
    ensure!(answers("learning-progress", name)(&produced), "{produced:?}");
    ensure!(hexadecimal(&produced.span.parent_span_id) == CALLER_SPAN);
    ensure!(produced.span.kind == SpanKind::Server as i32);
    let attributes = labels(&produced.span.attributes);
    for (key, value) in [
        ("rpc.system", "grpc"),
        ("rpc.service", "shipei.learning.v1.StudyService"),
        ("rpc.method", "RecordHeartbeat"),
        ("rpc.grpc.status_code", "0"),
    ] {
        ensure!(attributes.get(key).is_some_and(|given| given == value), "{key} of {attributes:?}");
    }
    ensure!(produced.resource["service.namespace"] == "shipei");
    ensure!(!produced.resource["service.instance.id"].is_empty());
    ensure!(!produced.resource["service.version"].is_empty());

    // The batch that assessment applied it in links there, and is where the score changed.
    let links_there =
        |seen: &SeenSpan| {
            seen.span.links.iter().any(|link| {
                (&link.trace_id, &link.span_id) == (&produced.span.trace_id, &produced.span.span_id)
            }) && seen.resource["service.name"] == "assessment"
        };
    let consumed = collector.span("the consumer's span", links_there).await?;
    ensure!(consumed.span.kind == SpanKind::Consumer as i32);
    ensure!(consumed.span.name == "process learning-progress");
    ensure!(hexadecimal(&consumed.span.trace_id) != TRACE && consumed.span.parent_span_id.is_empty());
    let changed = "shipei.assessment.v1.TraineeScoreChanged";
    let is_it = |event: &Event| event.trace_parent == traceparent(&consumed.span) && event.subject == "T01";
    event(&clients, "assessment", changed, is_it).await?;

    // Calls of one caller's trace, in three services.
    let mut programmes = ProgrammeServiceClient::new(clients.channel("enrollment"));
    programmes.list_programmes(traced(&clients, ListProgrammesRequest::default())).await?;
    for (service, name) in [
        ("enrollment", "shipei.enrollment.v1.ProgrammeService/ListProgrammes"),
        ("learning-progress", name),
        ("assessment", "shipei.assessment.v1.ScoreService/GetTraineeScore"),
    ] {
        collector.span(name, answers(service, name)).await?;
    }

    // A call without a caller's trace begins one of its own, which is kept or not; the event names it either way.
    let opened = event(&clients, "enrollment", "shipei.enrollment.v1.LearningOpened", |_| true).await?;
    ensure!(opened.trace_parent.starts_with("00-") && !opened.trace_parent.contains(TRACE));
    for process in processes {
        ensure!(process.end()?.success());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn refusal_is_in_span_metric_and_log_line_with_its_reason() -> Result<()> {
    let (collector, place) = (Collector::start()?, KeptState::new(Backend::Sqlite)?);
    let address = collector.address.to_string();
    let (mut process, clients) = one(&place, &|command| tell(command, &address)).await?;
    let log = Log::of(process.take_log().context("a log")?);
    enrolled(&clients, &place).await?;
    let refused = heartbeat(&clients, "NO-COURSE", "SECRET-SESSION", 0).await;
    ensure!(refused.is_err_and(|status| status.code() == tonic::Code::NotFound));

    let name = "shipei.learning.v1.StudyService/RecordHeartbeat";
    let seen = collector.span(name, answers("shipei", name)).await?;
    let attributes = labels(&seen.span.attributes);
    ensure!(attributes["rpc.grpc.status_code"] == "5" && attributes["shipei.reason"] == "NOT_FOUND");
    // It is the caller's mistake and no fault of the service.
    ensure!(seen.span.status.unwrap_or_default().code == StatusCode::Unset as i32);

    let series = "rpc.server.duration{rpc.grpc.status_code=5,rpc.method=RecordHeartbeat,\
                  rpc.service=shipei.learning.v1.StudyService,shipei.reason=NOT_FOUND}";
    collector.point("shipei", series, 1.0).await?;

    let line = log.line(|line| line["trace_id"] == TRACE)?;
    ensure!(line["span_id"] == hexadecimal(&seen.span.span_id), "{line}");
    ensure!(line["method"] == format!("/{name}") && line["reason"] == "NOT_FOUND", "{line}");
    ensure!(line["service"] == "shipei", "{line}");
    ensure!(line["instance"] == seen.resource["service.instance.id"], "{line}");
    ensure!(!line.to_string().contains("SECRET-SESSION"), "{line}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_have_the_names_and_labels_of_the_dashboards() -> Result<()> {
    let (collector, place) = (Collector::start()?, KeptState::new(Backend::Postgres)?);
    let address = collector.address.to_string();
    let nobody = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let configure = |command: &mut Command| {
        tell(command, &address);
        command.env("SHIPEI_INSTANCE", "one").env("SHIPEI_REDIS", format!("redis://{nobody}"));
    };
    let (mut process, clients) = one(&place, &configure).await?;
    let _log = process.take_log().map(Log::of);
    enrolled(&clients, &place).await?;
    heartbeat(&clients, "P1", "S1", 0).await?;
    heartbeat(&clients, "P1", "S1", 1).await?;
    heartbeat(&clients, "P1", "S1", 1).await?;
    ensure!(heartbeat(&clients, "NO-COURSE", "S2", 0).await.is_err());

    let calls = "rpc.server.duration{rpc.grpc.status_code=0,rpc.method=RecordHeartbeat,\
                 rpc.service=shipei.learning.v1.StudyService}";
    let streams = "shipei.calls.in_flight{rpc.method=Subscribe,rpc.service=shipei.event.v1.EventFeed}";
    let applied = "shipei.event_log.apply.duration{consumer=assessment,source=learning-progress}";
    for (series, least, kind, unit) in [
        (calls, 3.0, "histogram", "ms"),
        // Three mirrors follow enrollment's log, assessment all four.
        (streams, 7.0, "up-down counter", "{call}"),
        ("shipei.heartbeats{outcome=opened}", 1.0, "counter", "{heartbeat}"),
        ("shipei.heartbeats{outcome=credited}", 1.0, "counter", "{heartbeat}"),
        ("shipei.heartbeats{outcome=uncredited,reason=DUPLICATE}", 1.0, "counter", "{heartbeat}"),
        ("shipei.heartbeats{outcome=refused,reason=NOT_FOUND}", 1.0, "counter", "{heartbeat}"),
        ("shipei.batch.size{what=heartbeats}", 4.0, "histogram", ""),
        ("shipei.batch.size{what=events applied}", 1.0, "histogram", ""),
        (applied, 1.0, "histogram", "ms"),
        ("shipei.lease.held{instance=one,service=assessment}", 16.0, "gauge", "{lease}"),
        ("shipei.event_log.lag{consumer=assessment,partition=0,source=enrollment}", 0.0, "gauge", "{event}"),
        ("shipei.redis.failures{what=hearing wakes}", 1.0, "counter", "{failure}"),
        ("shipei.pool.connections{service=enrollment,state=idle}", 1.0, "gauge", "{connection}"),
        ("shipei.pool.connections{service=assessment,state=used}", 0.0, "gauge", "{connection}"),
        ("shipei.disk.reserve{service=enrollment}", 1.0, "gauge", "By"),
        ("shipei.clock.step{}", 0.0, "gauge", "s"),
        ("shipei.pool.connections{service=assessment,state=unopened}", 0.0, "gauge", "{connection}"),
    ] {
        let point = collector.point("shipei", series, least).await?;
        ensure!((point.kind, point.unit.as_str()) == (kind, unit), "{series}: {point:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn last_spans_and_metrics_are_sent_when_a_process_ends() -> Result<()> {
    let (collector, place) = (Collector::start()?, KeptState::new(Backend::Sqlite)?);
    let never = |command: &mut Command| {
        tell(command, &collector.address.to_string());
        command.env("OTEL_METRIC_EXPORT_INTERVAL", "3600000").env("OTEL_BSP_SCHEDULE_DELAY", "3600000");
    };
    let process = Process::serve_with(&["enrollment"], &place.storage, &[], &never)?;
    let clients = Clients::connect(std::slice::from_ref(&process.address), None).await?;
    let mut programmes = ProgrammeServiceClient::new(clients.channel("enrollment"));
    programmes.list_programmes(traced(&clients, ListProgrammesRequest::default())).await?;
    ensure!(process.end()?.success());
    let name = "shipei.enrollment.v1.ProgrammeService/ListProgrammes";
    collector.span(name, answers("enrollment", name)).await?;
    let series = "rpc.server.duration{rpc.grpc.status_code=0,rpc.method=ListProgrammes,\
                  rpc.service=shipei.enrollment.v1.ProgrammeService}";
    collector.point("enrollment", series, 1.0).await?;
    collector.point("enrollment", "shipei.disk.free{service=enrollment}", 1.0).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn collector_that_dies_changes_no_answer_and_is_told_once() -> Result<()> {
    let (collector, place) = (Collector::start()?, KeptState::new(Backend::Sqlite)?);
    let (processes, clients, log) = five_told(&place, &collector).await?;
    enrolled(&clients, &place).await?;
    heartbeat(&clients, "P1", "S1", 0).await?;
    let before = points(&clients).await?;
    let name = "shipei.learning.v1.StudyService/RecordHeartbeat";
    collector.span(name, answers("learning-progress", name)).await?;

    drop(collector);
    let is_told =
        |line: &Value| line["message"].as_str().is_some_and(|text| text.contains("collector takes nothing"));
    let told = log.line(is_told)?;
    ensure!(heartbeat(&clients, "P1", "S1", 1).await? == 120);
    ensure!(points(&clients).await? > before);
    // The end of a process waits for it, within bounds.
    for process in processes {
        ensure!(process.end()?.success());
    }
    // Once of traces, once of metrics.
    let mut told = vec![told["what"].to_string()];
    told.extend(log.0.iter().filter(is_told).map(|line| line["what"].to_string()));
    let kinds: BTreeSet<&String> = told.iter().collect();
    ensure!(kinds.len() == told.len(), "it was told again: {told:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn collector_that_never_was_there_changes_no_answer() -> Result<()> {
    let nobody = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    let place = KeptState::new(Backend::Sqlite)?;
    let quiet = |command: &mut Command| {
        tell(command, &nobody);
        command.stderr(Stdio::null());
    };
    let (process, clients) = one(&place, &quiet).await?;
    enrolled(&clients, &place).await?;
    heartbeat(&clients, "P1", "S1", 0).await?;
    ensure!(heartbeat(&clients, "P1", "S1", 1).await? == 120);
    points(&clients).await?;
    ensure!(process.end()?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_collector_nothing_connects_and_traces_only_pass_through() -> Result<()> {
    let place = KeptState::new(Backend::Sqlite)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = format!("http://{}", listener.local_addr()?);
    // What the SDK may be told besides the collector's address doesn't turn it on.
    let off = |command: &mut Command| {
        command.env_remove("SHIPEI_OTLP").env_remove("OTEL_EXPORTER_OTLP_ENDPOINT");
        command.env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &address);
        command.env("OTEL_METRIC_EXPORT_INTERVAL", "1").env("OTEL_BSP_SCHEDULE_DELAY", "1");
    };
    let (process, clients) = one(&place, &off).await?;
    enrolled(&clients, &place).await?;
    heartbeat(&clients, "P1", "S1", 0).await?;
    let opened = event(&clients, "learning-progress", "shipei.learning.v1.SessionOpened", |_| true).await?;
    ensure!(opened.trace_parent == format!("00-{TRACE}-{CALLER_SPAN}-01"));
    ensure!(process.end()?.success());
    listener.set_nonblocking(true)?;
    let came = listener.accept();
    ensure!(came.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock), "somebody came");
    Ok(())
}

/// The names of metrics in a text, as they are written in code and docs.
fn names_with_dots(text: &str) -> BTreeSet<String> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || b"._".contains(&byte);
    let is_name = |word: &&str| {
        let ours = word.starts_with("shipei.") || *word == "rpc.server.duration";
        ours && !word.ends_with('.') && word.bytes().all(is_plain)
    };
    text.split(['"', '`']).filter(is_name).map(str::to_owned).collect()
}

/// The names of metrics in an expression, as Prometheus has them.
fn names_with_underscores(text: &str) -> BTreeSet<String> {
    let words = text.split(|byte: char| !(byte.is_ascii_alphanumeric() || byte == '_'));
    let is_name = |word: &&str| word.starts_with("shipei_") || word.starts_with("rpc_server_");
    words.filter(is_name).map(str::to_owned).collect()
}

#[test]
fn alarms_dashboards_and_docs_name_what_is_exported() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |path: &str| fs::read_to_string(root.join(path)).with_context(|| path.to_owned());
    let mut exported = names_with_dots(&read("crates/service-kit/src/telemetry/metrics.rs")?);
    exported.append(&mut names_with_dots(&read("services/learning-progress/src/pipeline/tally.rs")?));
    // An attribute.
    exported.remove("shipei.reason");
    ensure!(exported.len() >= 10, "{exported:?}");

    let mut known = BTreeSet::from(
        ["shipei_reason", "shipei_calls_per_second", "shipei_heartbeats_per_second"].map(str::to_owned),
    );
    for name in exported.iter().map(|name| name.replace('.', "_")) {
        known.extend(["_bucket", "_sum", "_count"].map(|part| format!("{name}{part}")));
        known.insert(name);
    }
    let mut used = BTreeSet::new();
    let alarms = "deploy/observability/prometheus/alarms.yml".to_owned();
    let mut files = vec![alarms, "deploy/kubernetes/prometheus-adapter.yaml".to_owned()];
    for dashboard in fs::read_dir(root.join("deploy/observability/grafana/dashboards"))? {
        let name = dashboard?.file_name().to_string_lossy().into_owned();
        files.push(format!("deploy/observability/grafana/dashboards/{name}"));
    }
    for file in files {
        let names = names_with_underscores(&read(&file)?);
        let unknown: Vec<&String> = names.difference(&known).collect();
        ensure!(unknown.is_empty(), "{file} names {unknown:?}");
        used.extend(names);
    }
    let docs = read("docs/operations.md")?;
    let documented = names_with_dots(&docs);
    for name in &exported {
        ensure!(documented.contains(name), "docs/operations.md does not say what {name} is");
        let shown = name.replace('.', "_");
        ensure!(used.iter().any(|used| used.starts_with(&shown)), "no dashboard and no alarm shows {name}");
    }
    for alarm in read("deploy/observability/prometheus/alarms.yml")?.lines() {
        if let Some(name) = alarm.trim().strip_prefix("- alert: ") {
            ensure!(
                docs.contains(&format!("| {name} |")),
                "docs/operations.md does not say what to do about {name}"
            );
        }
    }
    Ok(())
}
