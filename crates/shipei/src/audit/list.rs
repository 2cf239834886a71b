//! `shipei audit list`: the audit logs of all services, of one programme: exports, searches for people, calls that were refused.

use anyhow::{Result, anyhow};
use chrono::{DateTime, FixedOffset};
use clap::{Args, ValueEnum, builder::PossibleValuesParser};
use serde::Serialize;
use shipei_client::client::{Clients, explain};
use shipei_contracts::event::v1::{
    AuditEntry, AuditKind, ListAuditRequest, ListAuditResponse, audit_service_client::AuditServiceClient,
};
use shipei_service_kit::to_timestamp;
use tonic::Response;

use crate::{
    ask::{PAGE_SIZE, Server, instant, programme, scheme_of},
    display::{columns, say, table},
    explain::Language,
    services::service_names,
};

/// What is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Lists that were given as files.
    Export,
    /// Searches for people by an identity number.
    SearchByNumber,
    /// Searches for people by a name.
    SearchByName,
    /// Identity numbers that were shown whole.
    Unmasked,
    /// People who were erased.
    Erased,
    /// People of whom everything that is kept was given out.
    PersonExported,
    /// Calls that were refused for lack of a right.
    Denial,
}

impl From<Kind> for AuditKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Export => Self::Export,
            Kind::SearchByNumber => Self::SearchByNumber,
            Kind::SearchByName => Self::SearchByName,
            Kind::Unmasked => Self::Unmasked,
            Kind::Erased => Self::Erased,
            Kind::PersonExported => Self::PersonExported,
            Kind::Denial => Self::Denial,
        }
    }
}

/// What of the audit logs.
#[derive(Debug, Args)]
pub struct ListOptions {
    /// The programme.
    #[arg(long)]
    programme: String,
    /// Only of this service.
    #[arg(long, value_name = "SERVICE", value_parser = PossibleValuesParser::new(service_names()))]
    source: Option<String>,
    /// Only of this kind.
    #[arg(long)]
    kind: Option<Kind>,
    /// Only what this person did, by id.
    #[arg(long, value_name = "ID")]
    who: Option<String>,
    /// Only from then on, e.g. 2019-11-01T00:00:00+08:00.
    #[arg(long, value_name = "TIME")]
    from: Option<DateTime<FixedOffset>>,
    /// Only before then.
    #[arg(long, value_name = "TIME")]
    until: Option<DateTime<FixedOffset>>,
    /// The language; what LANG says if it isn't given.
    #[arg(long)]
    lang: Option<Language>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

/// An entry as JSON.
#[derive(Debug, Serialize)]
struct Shown {
    source: &'static str,
    number: i64,
    at: String,
    kind: &'static str,
    actor: String,
    address: String,
    method: String,
    region_code: String,
    ids: Vec<String>,
    count: i64,
    cause: String,
    trace: String,
}

/// Lists the entries.
pub(super) async fn run(options: &ListOptions) -> Result<()> {
    let clients = &options.server.connect().await?;
    let zone = scheme_of(&programme(clients, &options.programme).await?)?.zone;
    let mut shown = Vec::new();
    for source in service_names() {
        if options.source.as_deref().is_none_or(|only| only == source) {
            for entry in entries(clients, options, source).await? {
                let at = crate::ask::local_minute(entry.recorded_time.as_ref(), zone);
                shown.push((instant(entry.recorded_time.as_ref()), to_shown(source, at, entry)));
            }
        }
    }
    shown.sort_by_key(|(at, _)| *at);
    let shown: Vec<Shown> = shown.into_iter().map(|(_, entry)| entry).collect();
    if options.json {
        say(&serde_json::to_string_pretty(&shown)?);
        return Ok(());
    }
    let language = options.lang.unwrap_or_else(Language::of_terminal);
    let headings = match language {
        Language::Zh => ["时间", "服务", "何事", "何人", "地址", "接口", "区划", "内容", "次数"],
        Language::En => ["at", "service", "what", "who", "address", "RPC", "region", "of", "times"],
    };
    let rows: Vec<Vec<String>> = shown.iter().map(|entry| row(entry, language)).collect();
    say(table(columns(), language.pick("审计日志", "Audit log"), &headings, &rows).trim_end());
    Ok(())
}

async fn entries(clients: &Clients, options: &ListOptions, source: &'static str) -> Result<Vec<AuditEntry>> {
    let mut entries = Vec::new();
    let mut page_token = String::new();
    loop {
        let message = ListAuditRequest {
            source: source.to_owned(),
            programme_id: options.programme.clone(),
            kind: options.kind.map_or(AuditKind::Unspecified, AuditKind::from).into(),
            subject: options.who.clone().unwrap_or_default(),
            from_time: options.from.map(|at| to_timestamp(at.to_utc())),
            until_time: options.until.map(|at| to_timestamp(at.to_utc())),
            page_size: PAGE_SIZE,
            page_token,
        };
        let asking = clients.call(|| {
            let request = Clients::about_log(source, clients.unary(message.clone()));
            let mut client = AuditServiceClient::new(clients.channel(source))
                .max_decoding_message_size(clients.message_bytes_max());
            async move { client.list_audit(request).await }
        });
        let answer = asking.await.map(Response::into_inner);
        let page: ListAuditResponse = answer.map_err(|status| anyhow!("{}", explain(&status)))?;
        entries.extend(page.entries);
        if page.next_page_token.is_empty() {
            return Ok(entries);
        }
        page_token = page.next_page_token;
    }
}

fn to_shown(source: &'static str, at: String, entry: AuditEntry) -> Shown {
    let accessed = entry.accessed.unwrap_or_default();
    Shown {
        source,
        number: entry.number,
        at,
        kind: match accessed.kind() {
            AuditKind::Export => "export",
            AuditKind::SearchByNumber => "search_by_number",
            AuditKind::SearchByName => "search_by_name",
            AuditKind::Unmasked => "unmasked",
            AuditKind::Erased => "erased",
            AuditKind::PersonExported => "person_exported",
            AuditKind::Denial => "denial",
            AuditKind::Unspecified => "",
        },
        actor: entry.actor,
        address: entry.address,
        method: accessed.method,
        region_code: entry.region_code,
        ids: accessed.ids,
        count: accessed.count,
        cause: entry.cause,
        trace: entry.trace_parent,
    }
}

fn row(entry: &Shown, language: Language) -> Vec<String> {
    let kind = match entry.kind {
        "export" => language.pick("导出", "export"),
        "search_by_number" => language.pick("按身份证号查人", "search by number"),
        "search_by_name" => language.pick("按姓名查人", "search by name"),
        "unmasked" => language.pick("查看完整身份证号", "unmasked"),
        "erased" => language.pick("删除个人信息", "erased"),
        "person_exported" => language.pick("导出个人信息", "person exported"),
        _ => language.pick("越权被拒", "denial"),
    };
    // Of a path only what tells it apart.
    let method = entry.method.rsplit('.').next().unwrap_or_default();
    vec![
        entry.at.clone(),
        entry.source.to_owned(),
        kind.to_owned(),
        entry.actor.clone(),
        entry.address.clone(),
        method.to_owned(),
        entry.region_code.clone(),
        entry.ids.join(" "),
        entry.count.to_string(),
    ]
}
