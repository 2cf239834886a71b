//! A real nginx in front of a cluster, with the product's own configuration.
//!
//! `deploy/nginx/nginx.conf` and `upstreams.conf` are taken as they are but for what the place needs: folders, ports,
//! no TLS (tested in `deploy/try`), instances at fixed addresses instead of names, and `http2 on` as Debian's older
//! nginx has it. A line that is to be replaced and isn't there any more is an error, so that the two stay together.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result, bail, ensure};

use super::process::{Kept, free_port};

/// Where Debian has nginx, which is not in everybody's PATH.
const NGINX: &str = "/usr/sbin/nginx";

/// A load balancer; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Balancer {
    _process: Kept,
    /// Where clients call.
    pub(crate) address: String,
}

impl Balancer {
    /// Starts it; `ports` are the instances of each service.
    pub(crate) fn start(folder: &Path, ports: &BTreeMap<&'static str, Vec<u16>>) -> Result<Balancer> {
        let own = folder.join("nginx");
        fs::create_dir_all(&own)?;
        let (port, status_port) = (free_port()?, free_port()?);
        let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/nginx");
        let configuration =
            configured(&fs::read_to_string(deploy.join("nginx.conf"))?, &own, port, status_port)?;
        fs::write(own.join("nginx.conf"), configuration)?;
        let upstreams = with_instances(&fs::read_to_string(deploy.join("upstreams.conf"))?, ports)?;
        fs::write(own.join("upstreams.conf"), upstreams)?;
        let program = if Path::new(NGINX).exists() { NGINX } else { "nginx" };
        let file = own.join("nginx.conf").display().to_string();
        let log = folder.join("nginx.log");
        let log_name = log.display().to_string();
        let arguments = ["-e".to_owned(), log_name, "-c".to_owned(), file];
        let process = Kept::start(&log, Path::new(program), &arguments)?;
        Ok(Balancer { _process: process, address: format!("127.0.0.1:{port}") })
    }
}

/// The product's nginx.conf for this folder and these ports.
fn configured(product: &str, own: &Path, port: u16, status_port: u16) -> Result<String> {
    let folder = own.display().to_string();
    let listen = format!("listen 127.0.0.1:{port} http2;");
    let listen_status = format!("listen 127.0.0.1:{status_port};");
    let (include, log) =
        (format!("include {folder}/upstreams.conf;"), format!("access_log {folder}/calls.json calls;"));
    let replaced = [
        ("include /etc/nginx/upstreams.conf;", include.as_str()),
        ("access_log /dev/stdout calls;", log.as_str()),
        ("listen 7443 ssl;", ""),
        ("listen 7300;", &listen),
        ("listen 8080;", &listen_status),
        ("http2 on;", ""),
        ("http2 off;", ""),
        ("ssl_certificate /run/secrets/balancer-server.crt;", ""),
        ("ssl_certificate_key /run/secrets/balancer-server.key;", ""),
    ];
    let mut text = product.replace(" /tmp/", &format!(" {folder}/"));
    for (from, to) in replaced {
        ensure!(text.contains(from), "deploy/nginx/nginx.conf has no `{from}` any more");
        text = text.replace(from, to);
    }
    // Workers as who runs the tests: another user could not enter the temporary folder.
    let is_root = fs::metadata(own).map(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata) == 0)?;
    Ok(if is_root { format!("user root;\n{text}") } else { text })
}

/// The product's upstreams.conf with these instances in the place of names.
fn with_instances(product: &str, ports: &BTreeMap<&'static str, Vec<u16>>) -> Result<String> {
    let mut text = String::new();
    let mut named = 0;
    for line in product.lines().filter(|line| !line.trim_start().starts_with("resolver")) {
        let Some(server) = line.trim_start().strip_prefix("server ") else {
            text.push_str(line);
            text.push('\n');
            continue;
        };
        let Some((service, options)) = server.split_once(":7300 resolve ") else {
            bail!("deploy/nginx/upstreams.conf: not understood: {line}");
        };
        named += 1;
        for port in ports.get(service).with_context(|| format!("no instance of {service}"))? {
            text.push_str(&format!("    server 127.0.0.1:{port} {options}\n"));
        }
    }
    ensure!(named == ports.len(), "deploy/nginx/upstreams.conf names {named} services");
    Ok(text)
}
