//! How commands ask a running suite: one call, or all pages of a list; and what several of them ask for.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context as _, Result, anyhow};
use chrono::{DateTime, Utc};
use clap::Args;
use prost_types::Timestamp;
use shipei_client::client::{Clients, explain};
use shipei_contracts::{
    GivesPages,
    common::v1::BrokenRow,
    enrollment::v1::{
        GetProgrammeRequest, ListRegionsRequest, Programme, programme_service_client::ProgrammeServiceClient,
        region_service_client::RegionServiceClient,
    },
    event::v1::{RetractRequest, correction_service_client::CorrectionServiceClient},
};
use shipei_rules::{calendar::Zone, scheme::Scheme};
use shipei_service_kit::convert::from_timestamp;
use shipei_store::crypto::random_name;

use crate::token::TokenOptions;

/// One unary call, tried again as every good client does: `ask!(clients, "enrollment", PersonServiceClient.get_person, message)`.
/// Gives the answer, or an error that names the reason.
macro_rules! ask {
    ($clients:expr, $service:literal, $client:ident . $method:ident, $message:expr) => {{
        let (clients, message) = ($clients, $message);
        clients
            .call(|| {
                let request = clients.unary(message.clone());
                let mut client = $client::new(clients.channel($service))
                    .max_decoding_message_size(clients.message_bytes_max());
                async move { client.$method(request).await }
            })
            .await
            .map(tonic::Response::into_inner)
            .map_err(|status| anyhow::anyhow!("{}", shipei_client::client::explain(&status)))
    }};
}

/// All pages of a list, each given to `$each`: the message is made anew for every page.
macro_rules! each_page {
    ($clients:expr, $service:literal, $client:ident . $method:ident, $message:expr, |$page:ident| $each:expr) => {{
        let mut page_token = String::new();
        loop {
            let mut message = $message;
            message.page_size = $crate::ask::PAGE_SIZE;
            message.page_token = page_token;
            let mut $page = $crate::ask::ask!($clients, $service, $client.$method, message)?;
            page_token = std::mem::take(&mut $page.next_page_token);
            $crate::ask::tell_broken(&$page);
            $each;
            if page_token.is_empty() {
                break;
            }
        }
    }};
}

pub(crate) use {ask, each_page};

/// Says what a page lacks because it can't be read any more: what is shown must not pass for all that there is.
pub(crate) fn tell_broken(page: &impl GivesPages) {
    for row in page.broken() {
        let BrokenRow { key, table, column } = row;
        eprintln!(
            "missing here: {key} ({column} of {table} can't be read any more: restore it from a back-up)"
        );
        eprintln!("此处缺少 {key}：{table} 的 {column} 已损坏，请从备份恢复");
    }
}

/// A running suite, and who asks there.
#[derive(Debug, Args)]
pub struct Server {
    /// A running suite: ADDRESS for all services, or SERVICE=ADDRESS, several times.
    #[arg(long = "server", value_name = "[SERVICE=]ADDRESS", default_value = "127.0.0.1:7300")]
    servers: Vec<String>,
    /// The authority (PEM) that signed the certificate of an https:// address.
    #[arg(long)]
    ca_file: Option<PathBuf>,
    #[command(flatten)]
    token: TokenOptions,
}

impl Server {
    /// A client of it.
    ///
    /// # Errors
    /// When an address or the token can't be.
    pub(crate) async fn connect(&self) -> Result<Clients> {
        let clients = Clients::connect(&self.servers, self.ca_file.as_deref()).await?;
        Ok(clients.bearing(self.token.bearer()?))
    }
}

/// Which programme, where the suite is, and how to show.
#[derive(Debug, Args)]
pub struct Suite {
    /// The programme.
    #[arg(long)]
    pub(crate) programme: String,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: Server,
}

/// Retracts a fact of a service: programme, fact, reason.
pub(crate) async fn retract(
    clients: &Clients,
    source: &'static str,
    (programme_id, fact_id, reason): (&str, &str, &str),
) -> Result<()> {
    let message = RetractRequest {
        source: source.to_owned(),
        programme_id: programme_id.to_owned(),
        fact_id: fact_id.to_owned(),
        reason: reason.to_owned(),
        request_id: random_name()?,
        occurred_at: None,
    };
    let answered = clients.call(|| {
        let request = Clients::about_log(source, clients.unary(message.clone()));
        let mut client = CorrectionServiceClient::new(clients.channel(source));
        async move { client.retract(request).await }
    });
    answered.await.map_err(|status| anyhow!("{}", explain(&status)))?;
    Ok(())
}

/// Rows of one page of a list.
pub(crate) const PAGE_SIZE: i32 = 1_000;

/// A programme, as enrollment has it.
pub(crate) async fn programme(clients: &Clients, programme_id: &str) -> Result<Programme> {
    let asked = GetProgrammeRequest { programme_id: programme_id.to_owned() };
    let answer = ask!(clients, "enrollment", ProgrammeServiceClient.get_programme, asked);
    let programme = answer.context("the programme")?.programme;
    programme.context("enrollment answered without the programme")
}

/// The scheme in force of a programme.
pub(crate) fn scheme_of(programme: &Programme) -> Result<Scheme> {
    let scheme = Scheme::parse(&programme.scheme_toml);
    scheme.map_err(|error| anyhow!("the programme's scheme can't be read: {error}"))
}

/// The names of a programme's regions, by code.
pub(crate) async fn region_names(clients: &Clients, programme_id: &str) -> Result<BTreeMap<String, String>> {
    let mut names = BTreeMap::new();
    let asked = || ListRegionsRequest { programme_id: programme_id.to_owned(), ..Default::default() };
    each_page!(clients, "enrollment", RegionServiceClient.list_regions, asked(), |page| {
        names.extend(page.regions.into_iter().map(|region| (region.code, region.name)));
    });
    Ok(names)
}

/// An instant of an answer; none where there is none.
pub(crate) fn instant(at: Option<&Timestamp>) -> Option<DateTime<Utc>> {
    from_timestamp(at?).ok()
}

/// A local time to the minute; empty where there is none.
pub(crate) fn local_minute(at: Option<&Timestamp>, zone: Zone) -> String {
    let Some(at) = instant(at) else { return String::new() };
    let day = zone.day_of(at);
    let since = (at - zone.start_of(day)).num_minutes();
    format!("{day} {:02}:{:02}", since / 60, since % 60)
}
