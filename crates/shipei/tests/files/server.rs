//! A server in a process of its own, as the commands of those who keep lists find it.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use shipei_client::client::Clients;
use shipei_contracts::enrollment::v1::{
    self as enrollment, programme_service_client::ProgrammeServiceClient,
    region_service_client::RegionServiceClient,
};

/// A server; killed when dropped.
pub(crate) struct Server(Child, pub(crate) String);

impl Server {
    pub(crate) fn start(data: &Path) -> Result<Server> {
        Server::start_with(data, &[])
    }

    /// With more settings.
    pub(crate) fn start_with(data: &Path, settings: &[&str]) -> Result<Server> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shipei"));
        command.args(["serve", "--open", "--listen", "127.0.0.1:0", "--data"]).arg(data).args(settings);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("piped")?).read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening on ").unwrap_or_default().to_owned();
        let server = Server(child, address);
        ensure!(!server.1.is_empty(), "it did not start: {line}");
        Ok(server)
    }

    /// Ends it softly; whether it ended well.
    pub(crate) fn end(mut self) -> Result<bool> {
        let ended = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status()?;
        ensure!(ended.success(), "it could not be told to end");
        Ok(self.0.wait()?.success())
    }

    /// Runs a command against it; an empty programme is not named.
    pub(crate) fn shipei(&self, arguments: &[&str], programme: &str) -> Result<Output> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shipei"));
        command.args(arguments).args(["--server", &self.1]);
        if !programme.is_empty() {
            command.args(["--programme", programme]);
        }
        Ok(command.stdin(Stdio::null()).output()?)
    }
}

/// Runs a command that needs no server.
pub(crate) fn shipei(arguments: &[&str]) -> Result<Output> {
    Ok(Command::new(env!("CARGO_BIN_EXE_shipei")).args(arguments).stdin(Stdio::null()).output()?)
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A programme with a province, a city and a county; its id.
pub(crate) async fn with_county(address: &str) -> Result<String> {
    let clients = Clients::connect(&[address.to_owned()], None).await?;
    clients.require_services().await?;
    let scheme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/seasons/edges/scheme.toml");
    let request = enrollment::CreateProgrammeRequest {
        scheme_toml: std::fs::read_to_string(scheme)?,
        ..Default::default()
    };
    let mut programmes = ProgrammeServiceClient::new(clients.channel("enrollment"));
    let created = programmes.create_programme(clients.unary(request)).await?.into_inner();
    let programme = created.programme.context("a programme")?.programme_id;
    let mut regions = RegionServiceClient::new(clients.channel("enrollment"));
    for (code, name, level, parent) in [
        ("130000", "河北省", enrollment::RegionLevel::Province, ""),
        ("130300", "秦皇岛市", enrollment::RegionLevel::City, "130000"),
        ("130302", "海港区", enrollment::RegionLevel::County, "130300"),
    ] {
        let request = enrollment::CreateRegionRequest {
            programme_id: programme.clone(),
            code: code.to_owned(),
            name: name.to_owned(),
            level: level.into(),
            parent_code: parent.to_owned(),
            ..Default::default()
        };
        regions.create_region(clients.unary(request)).await?;
    }
    Ok(programme)
}

pub(crate) fn said(output: &Output) -> String {
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{out}{error}")
}
