//! The programs that tests need beside Rust, installed where that is allowed: Debian's by apt, buf and the Node clients by npm, the
//! Python clients by pip, cargo-deny by cargo. Ours go to `.tools/`, which git does not track.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

/// The version of `@bufbuild/buf` that the protos are linted and called with.
const BUF_VERSION: &str = "1.75.0";
/// What the Python clients are made of, what makes the Python package of the contracts, and what reads its types.
const PYTHON_PACKAGES: [&str; 10] = [
    "grpcio==1.85.1",
    "grpcio-reflection==1.85.1",
    "googleapis-common-protos==1.76.0",
    "redis==8.1.0",
    "grpcio-tools==1.85.1",
    "mypy-protobuf==5.1.0",
    "setuptools==84.2.1",
    "mypy==2.4.1",
    "types-grpcio==1.85.0.20261028",
    "types-protobuf==7.35.1.20260906",
];

/// What the Node clients are made of, and what makes the Node package of the contracts and reads its types.
const NODE_PACKAGES: [&str; 9] = [
    "@grpc/grpc-js@1.14.1",
    "@grpc/proto-loader@0.8.1",
    "@connectrpc/connect@2.3.0",
    "@connectrpc/connect-web@2.3.0",
    "@connectrpc/connect-node@2.3.0",
    "@bufbuild/protobuf@2.17.0",
    "@bufbuild/protoc-gen-es@2.17.0",
    "typescript@7.0.2",
    "@types/node@20.19.43",
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

/// Where what is built goes.
pub(crate) fn target() -> Result<PathBuf> {
    Ok(env::var_os("CARGO_TARGET_DIR").map_or(root()?.join("target"), PathBuf::from))
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

/// The folder with Node's packages.
pub(crate) fn node_modules() -> Result<PathBuf> {
    let folder = root()?.join(".tools/node");
    let done = folder.join("installed");
    let modules = folder.join("node_modules");
    let wanted = NODE_PACKAGES.join(", ");
    if is_installed(&done, &wanted) {
        return Ok(modules);
    }
    if !on_path("npm") {
        apt_install(&["npm"])?;
    }
    std::fs::create_dir_all(&folder)?;
    println!("installing {wanted} into .tools/node");
    quiet(
        Command::new("npm")
            .args(["install", "--silent", "--no-fund", "--no-audit", "--prefix"])
            .arg(&folder)
            .args(NODE_PACKAGES),
    )?;
    std::fs::write(done, wanted)?;
    Ok(modules)
}

/// Whether what is wanted now is what was installed: a list that has changed since is installed anew.
fn is_installed(done: &Path, wanted: &str) -> bool {
    std::fs::read_to_string(done).is_ok_and(|installed| installed == wanted)
}

/// A Python with its packages.
pub(crate) fn python() -> Result<PathBuf> {
    let folder = root()?.join(".tools/python");
    let program = folder.join("bin/python");
    let done = folder.join("installed");
    let wanted = PYTHON_PACKAGES.join(", ");
    if is_installed(&done, &wanted) {
        return Ok(program);
    }
    if !on_path("python3") || !python_has_venv() {
        apt_install(&["python3", "python3-venv"])?;
    }
    println!("installing {wanted} into .tools/python");
    quiet(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    quiet(
        Command::new(&program)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(PYTHON_PACKAGES),
    )?;
    std::fs::write(done, wanted)?;
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
pub(crate) fn quiet(command: &mut Command) -> Result<()> {
    let shown = format!("{command:?}").replace('"', "");
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {shown}"))?;
    if !output.status.success() {
        let stdout = String::from_utf8_lossy(&output.stdout);
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("{shown}: {}\n{stdout}{stderr}", output.status);
    }
    Ok(())
}
