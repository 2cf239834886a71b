//! Seasons by callers with tokens: one process and five, which know each other by the suite's own key; and what a suite that
//! asks for tokens says to who has none.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use shipei_client::{bearer::Bearer, client::Clients};
use shipei_contracts::{
    event::v1::{GetHeadRequest, event_feed_client::EventFeedClient},
    services::PROCESSES,
};
use shipei_service_kit::status::reason_of;
use tonic::{Code, Request};

use crate::{
    cluster::certificates::Certificates,
    harness::{Backend, KeptState, Process, five_processes_with, program, replay_and_compare},
};

const PROGRAMME: &str = "qinhuangdao-2019";
/// Who may do all that a season needs.
const INSTITUTION: [&str; 2] = ["--role", "training_institution"];

/// The keys of an issuer beside the data, and a token by them, both made by `shipei token`.
pub(crate) fn token(place: &KeptState, who: &[&str], programme: &str) -> Result<String> {
    let mut command = Command::new(program());
    command.arg("token").arg("--keys").arg(place.out("keys"));
    command.args(who).args(["--import", "--programme", programme]);
    let output = command.output().context("shipei token")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Asks for tokens instead of being open.
pub(crate) fn asks_for_tokens(place: &KeptState) -> impl Fn(&mut Command) + use<> {
    let keys = place.out("keys").join("issuer.jwks");
    move |command: &mut Command| {
        command.env_remove("SHIPEI_OPEN").env("SHIPEI_TOKEN_KEYS", &keys);
    }
}

async fn refused_without(clients: &Clients) -> Result<()> {
    let request = Request::new(GetHeadRequest { source: "enrollment".into() });
    let answer = EventFeedClient::new(clients.channel("enrollment")).get_head(request).await;
    let status = answer.err().context("nobody asked for a token")?;
    ensure!(status.code() == Code::Unauthenticated, "{status:?}");
    ensure!(reason_of(&status).as_deref() == Some("TOKEN_MISSING"), "{status:?}");
    Ok(())
}

async fn five_with_tokens_give_the_scores(name: &str, backend: Backend) -> Result<()> {
    let place = KeptState::new(backend)?;
    let bearer = Bearer::of_text(&token(&place, &INSTITUTION, PROGRAMME)?)?;
    let (processes, clients) = five_processes_with(&place, &asks_for_tokens(&place)).await?;
    refused_without(&clients).await?;
    replay_and_compare(&clients.bearing(Some(bearer)), name, &place.out("scores")).await?;
    drop(processes);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn season_with_tokens_in_one_process_gives_its_scores() -> Result<()> {
    let place = KeptState::new(Backend::Sqlite)?;
    let bearer = Bearer::of_text(&token(&place, &INSTITUTION, PROGRAMME)?)?;
    let process = Process::serve_with(&[], &place.storage, &[], &asks_for_tokens(&place))?;
    let clients = Clients::connect(std::slice::from_ref(&process.address), None).await?;
    refused_without(&clients).await?;
    let clients = clients.bearing(Some(bearer));
    replay_and_compare(&clients, "qinhuangdao-2019", &place.out("scores")).await?;
    ensure!(process.end()?.success(), "it did not end as it should");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn season_with_tokens_in_five_processes_on_sqlite_gives_its_scores() -> Result<()> {
    five_with_tokens_give_the_scores("edges", Backend::Sqlite).await
}

#[tokio::test(flavor = "multi_thread")]
async fn season_with_tokens_in_five_processes_on_postgres_gives_its_scores() -> Result<()> {
    five_with_tokens_give_the_scores("qinhuangdao-2019", Backend::Postgres).await
}

#[tokio::test(flavor = "multi_thread")]
async fn season_with_tokens_over_mutual_tls_gives_its_scores() -> Result<()> {
    let place = KeptState::new(Backend::Sqlite)?;
    let bearer = Bearer::of_text(&token(&place, &INSTITUTION, PROGRAMME)?)?;
    let certificates = Certificates::make(place.folder.path())?;
    let with_tokens = asks_for_tokens(&place);
    let mut processes: Vec<Process> = Vec::new();
    let mut addresses: Vec<(&str, String)> = Vec::new();
    for services in PROCESSES {
        let service = services[0];
        let peers: Vec<(&str, &str)> = addresses.iter().map(|(name, at)| (*name, at.as_str())).collect();
        let process = Process::serve_with(services, &place.storage, &peers, &|command| {
            with_tokens(command);
            let file = |suffix: &str| certificates.file(&format!("service-{service}.{suffix}"));
            command.env("SHIPEI_TLS_CERTIFICATE", file("crt")).env("SHIPEI_TLS_KEY", file("key"));
            command.env("SHIPEI_TLS_CLIENT_CA_FILE", certificates.authority());
            command.env("SHIPEI_PEERS_CA_FILE", certificates.authority());
        })?;
        let port = process.address.rsplit(':').next().context("a port")?;
        addresses.extend(services.iter().map(|service| (*service, format!("https://localhost:{port}"))));
        processes.push(process);
    }
    let servers: Vec<String> = addresses.iter().map(|(name, address)| format!("{name}={address}")).collect();
    let clients = Clients::connect(&servers, Some(&certificates.authority())).await?;
    refused_without(&clients).await?;
    replay_and_compare(&clients.bearing(Some(bearer)), "edges", &place.out("scores")).await?;
    drop(processes);
    Ok(())
}
