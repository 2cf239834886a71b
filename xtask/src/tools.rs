//! The programs that tests need beside Rust, installed where that is allowed: Debian's by apt, buf by npm, the Python
//! client by pip, cargo-deny by cargo. Ours go to `.tools/`, which git does not track.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

/// The version of `@bufbuild/buf` that the protos are linted and called with.
const BUF_VERSION: &str = "1.75.0";
/// What the Python client is made of.
const PYTHON_PACKAGES: [&str; 3] =
    ["grpcio==1.85.1", "grpcio-reflection==1.85.1", "googleapis-common-protos==1.76.0"];

/// What the Node client is made of.
const NODE_PACKAGES: [&str; 5] = [
    "@grpc/grpc-js@1.14.1",
    "@grpc/proto-loader@0.8.1",
    "@connectrpc/connect@2.3.0",
    "@connectrpc/connect-web@2.3.0",
    "@bufbuild/protobuf@2.17.0",
];

/// The version of cargo-deny that looks at what comes from the registries.
const DENY_VERSION: &str = "0.20.2";

/// Where the tools are.
#[derive(Debug)]
pub(crate) struct Tools {
    buf: PathBuf,
    python: PathBuf,
    node_modules: PathBuf,
}

impl Tools {
    /// The variables that tell the tests.
    pub(crate) fn variables(&self) -> [(&'static str, &Path); 3] {
        [
            ("SHIPEI_TEST_BUF", &self.buf),
            ("SHIPEI_TEST_PYTHON", &self.python),
            ("SHIPEI_TEST_NODE_MODULES", &self.node_modules),
        ]
    }
}

/// Everything that `cargo xtask test` needs.
pub(crate) fn install_all() -> Result<Tools> {
    let mut missing = Vec::new();
    if !has_postgres() {
        missing.push("postgresql");
    }
    if !on_path("redis-server") {
        missing.push("redis-server");
    }
    if !on_path("openssl") {
        missing.push("openssl");
    }
    if !on_path("nginx") && !Path::new("/usr/sbin/nginx").exists() {
        missing.push("nginx-light");
    }
    if !on_path("python3") || !python_has_venv() {
        missing.extend(["python3", "python3-venv"]);
    }
    if !on_path("npm") {
        missing.push("npm");
    }
    if !on_path("soffice") {
        missing.push("libreoffice-calc-nogui");
    }
    if !on_path("pdftotext") {
        missing.push("poppler-utils");
    }
    // Certificates are set in them.
    for (font, package) in [
        ("opentype/noto/NotoSerifCJK-Regular.ttc", "fonts-noto-cjk"),
        ("truetype/babelstone/BabelStoneHan.ttf", "fonts-babelstone-han"),
        ("truetype/hanazono/HanaMinB.ttf", "fonts-hanazono"),
    ] {
        if !Path::new("/usr/share/fonts").join(font).exists() {
            missing.push(package);
        }
    }
    apt_install(&missing)?;
    Ok(Tools { buf: buf()?, python: python()?, node_modules: node_modules()? })
}

/// The workspace's folder.
pub(crate) fn root() -> Result<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(own.parent().context("xtask lies in the workspace")?.to_owned())
}

/// The buf program.
pub(crate) fn buf() -> Result<PathBuf> {
    let folder = root()?.join(".tools/buf");
    let program = folder.join("node_modules/.bin/buf");
    if program.exists() {
        return Ok(program);
    }
    if !on_path("npm") {
        apt_install(&["npm"])?;
    }
    std::fs::create_dir_all(&folder)?;
    println!("installing @bufbuild/buf {BUF_VERSION} into .tools/buf");
    let package = format!("@bufbuild/buf@{BUF_VERSION}");
    quiet(
        Command::new("npm")
            .args(["install", "--silent", "--no-fund", "--no-audit", "--prefix"])
            .arg(&folder)
            .arg(package),
    )?;
    Ok(program)
}

/// cargo-deny, made from the registry without optimisation: it runs for seconds, and is compiled for minutes.
pub(crate) fn deny() -> Result<PathBuf> {
    let folder = root()?.join(".tools/deny");
    let program = folder.join("bin/cargo-deny");
    if program.exists() {
        return Ok(program);
    }
    println!("installing cargo-deny {DENY_VERSION} into .tools/deny");
    let version = format!("cargo-deny@{DENY_VERSION}");
    quiet(
        Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["install", "--quiet", "--locked", "--root"])
            .arg(&folder)
            .arg(version)
            // Not into our own target folder, and not by our toolchain's settings.
            .env("CARGO_TARGET_DIR", folder.join("target"))
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
    )?;
    std::fs::remove_dir_all(folder.join("target"))?;
    Ok(program)
}

/// The folder with the packages of the Node client.
fn node_modules() -> Result<PathBuf> {
    let folder = root()?.join(".tools/node");
    let done = folder.join("installed");
    let modules = folder.join("node_modules");
    if done.exists() {
        return Ok(modules);
    }
    std::fs::create_dir_all(&folder)?;
    println!("installing {} into .tools/node", NODE_PACKAGES.join(", "));
    quiet(
        Command::new("npm")
            .args(["install", "--silent", "--no-fund", "--no-audit", "--prefix"])
            .arg(&folder)
            .args(NODE_PACKAGES),
    )?;
    std::fs::write(done, "")?;
    Ok(modules)
}

/// A Python with grpcio and its reflection client.
fn python() -> Result<PathBuf> {
    let folder = root()?.join(".tools/python");
    let program = folder.join("bin/python");
    let done = folder.join("installed");
    if done.exists() {
        return Ok(program);
    }
    println!("installing {} into .tools/python", PYTHON_PACKAGES.join(", "));
    quiet(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    quiet(
        Command::new(&program)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(PYTHON_PACKAGES),
    )?;
    std::fs::write(done, "")?;
    Ok(program)
}

/// Installs Debian packages, or says in one line what somebody with the right must do.
fn apt_install(packages: &[&str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let wanted = packages.join(" ");
    let is_root = output("id", &["-u"]).is_some_and(|id| id.trim() == "0");
    let sudo = !is_root && output("sudo", &["-n", "true"]).is_some();
    if !on_path("apt-get") || !(is_root || sudo) {
        bail!(
            "missing: {wanted}; install it (on Debian: sudo apt-get install -y {wanted}) and run this again"
        );
    }
    println!("installing {wanted} by apt");
    for arguments in [
        vec!["update", "-qq"],
        [vec!["install", "-y", "-qq", "--no-install-recommends"], packages.to_vec()].concat(),
    ] {
        let mut command = Command::new(if sudo { "sudo" } else { "apt-get" });
        if sudo {
            command.args(["-n", "apt-get"]);
        }
        // A service that Debian would start by itself would be in the way of the tests' own.
        command.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1").args(arguments);
        quiet(&mut command).with_context(|| format!("missing: {wanted}"))?;
    }
    Ok(())
}

fn has_postgres() -> bool {
    if on_path("initdb") && on_path("postgres") {
        return true;
    }
    let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") else { return false };
    versions.flatten().any(|version| version.path().join("bin/initdb").exists())
}

fn python_has_venv() -> bool {
    output("python3", &["-c", "import venv, ensurepip"]).is_some()
}

fn on_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).exists())
}

/// What a program prints, if it succeeds.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output =
        Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a command in silence; if it fails, what it printed is in the error.
fn quiet(command: &mut Command) -> Result<()> {
    let shown = format!("{command:?}").replace('"', "");
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {shown}"))?;
    if !output.status.success() {
        let stdout = String::from_utf8_lossy(&output.stdout);
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("{shown}: {}\n{stdout}{stderr}", output.status);
    }
    Ok(())
}
