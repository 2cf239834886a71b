//! The contracts as packages of other languages, made from `proto/` into `target/packages`: a wheel for Python, a tarball for Node. What
//! they say of themselves is in `packages/`; their version is the workspace's.
//!
//! Both are made by the protoc of grpcio-tools and not by `buf generate`: buf can't run protoc's own plugin for Python's stubs, and
//! `google.rpc`, which the Node package brings along, comes with a package of PyPI while buf would ask its registry.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::tools::{self, quiet, root, target};

/// What stands in `packages/` for the version.
const NO_VERSION: &str = "0.0.0";
/// The workspace's.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// In which errors say their reason. Python has them from a package of their own.
const ERRORS: [&str; 3] =
    ["google/rpc/code.proto", "google/rpc/error_details.proto", "google/rpc/status.proto"];

/// Makes both, and gives the folder that they are in.
pub(crate) fn build() -> Result<PathBuf> {
    let (with_python, node_modules) = (tools::python()?, tools::node_modules()?);
    let root = root()?;
    let folder = target()?.join("packages");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let protos = Protos::under(&root.join("proto"))?;
    python(&with_python, &protos, &root, &folder)?;
    node(&with_python, &node_modules, &protos, &root, &folder)?;
    Ok(folder)
}

/// The protos, by their paths from the folder of all.
struct Protos {
    folder: PathBuf,
    all: Vec<String>,
    /// Those with a service, which alone have stubs.
    with_services: Vec<String>,
}

impl Protos {
    fn under(folder: &Path) -> Result<Self> {
        let mut protos = Self { folder: folder.to_owned(), all: Vec::new(), with_services: Vec::new() };
        let mut folders = vec![folder.to_owned()];
        while let Some(next) = folders.pop() {
            for entry in fs::read_dir(&next)? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "proto") {
                    let name = path.strip_prefix(folder)?.to_str().context("a name in ASCII")?.to_owned();
                    if fs::read_to_string(&path)?.lines().any(|line| line.starts_with("service ")) {
                        protos.with_services.push(name.clone());
                    }
                    protos.all.push(name);
                }
            }
        }
        // Whatever order the folder has them in, what is made is the same.
        protos.all.sort();
        protos.with_services.sort();
        Ok(protos)
    }
}

/// What says of a package what it is, under a new folder, with this version.
fn begin(root: &Path, kind: &str, folder: &Path) -> Result<PathBuf> {
    let package = folder.join(kind);
    let mut folders = vec![root.join("packages").join(kind)];
    while let Some(next) = folders.pop() {
        let to = package.join(next.strip_prefix(root.join("packages").join(kind))?);
        fs::create_dir_all(&to)?;
        for entry in fs::read_dir(&next)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = fs::read_to_string(&path)?.replace(NO_VERSION, VERSION);
                fs::write(to.join(path.file_name().context("a file's name")?), text)?;
            }
        }
    }
    fs::copy(root.join("LICENSE"), package.join("LICENSE"))?;
    Ok(package)
}

fn protoc(with_python: &Path, protos: &Protos) -> Result<Command> {
    let mut command = Command::new(with_python);
    // Its plugins lie beside the Python.
    let beside = with_python.parent().context("a Python lies in a folder")?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(beside.to_owned()).chain(std::env::split_paths(&path)))?;
    command.env("PATH", path).args(["-m", "grpc_tools.protoc", "--proto_path"]).arg(&protos.folder);
    Ok(command)
}

/// Where a plugin of protoc writes to.
fn out(plugin: &str, folder: &Path) -> String {
    format!("--{plugin}_out={}", folder.display())
}

fn python(with_python: &Path, protos: &Protos, root: &Path, folder: &Path) -> Result<()> {
    let package = begin(root, "python", folder)?;
    let mut messages = protoc(with_python, protos)?;
    messages.arg("--mypy_opt=quiet").arg(out("python", &package)).arg(out("mypy", &package));
    quiet(messages.args(&protos.all))?;
    let mut stubs = protoc(with_python, protos)?;
    stubs.arg("--mypy_grpc_opt=quiet").arg(out("grpc_python", &package)).arg(out("mypy_grpc", &package));
    quiet(stubs.args(&protos.with_services))?;
    // With the setuptools that is installed beside it: a build of its own would ask the registry each time.
    let mut wheel = Command::new(with_python);
    wheel.args(["-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"]);
    quiet(wheel.args(["--no-build-isolation", "--wheel-dir"]).arg(folder).arg(&package))
}

fn node(with_python: &Path, node_modules: &Path, protos: &Protos, root: &Path, folder: &Path) -> Result<()> {
    let package = begin(root, "node", folder)?;
    let of_errors =
        "import google.rpc, pathlib; print(pathlib.Path(list(google.rpc.__path__)[0]).parent.parent)";
    let of_errors = Command::new(with_python).args(["-c", of_errors]).output()?;
    let of_errors = String::from_utf8(of_errors.stdout)?;
    let plugin = node_modules.join(".bin/protoc-gen-es");
    let mut modules = protoc(with_python, protos)?;
    modules
        .args(["--proto_path", of_errors.trim()])
        .arg(format!("--plugin=protoc-gen-es={}", plugin.display()))
        .args(["--es_opt=target=js+dts", "--es_opt=import_extension=js"])
        .arg(out("es", &package));
    quiet(modules.args(&protos.all).args(ERRORS))?;
    let mut pack = Command::new("npm");
    pack.args(["pack", "--silent", "--pack-destination"]).arg(folder);
    quiet(pack.current_dir(&package))
}
