//! The programs of examples/ as anybody runs them: on the contracts' packages of `cargo xtask packages`, installed as packages are.

mod consumers;
mod flaky;
mod trainees;

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

pub(crate) use self::consumers::consumers_of_other_languages_go_on;
use crate::{
    architecture::root,
    clients::tool,
    harness::{Backend, KeptState},
};

/// Where Python's package is installed, and a folder of Node's with the examples made into JavaScript.
pub(crate) struct Examples {
    python_packages: PathBuf,
    node: PathBuf,
}

impl Examples {
    /// Installs both packages below a folder; no registry is asked. What does not agree with its types is an error.
    pub(crate) async fn install(folder: &Path) -> Result<Self> {
        let examples = Self { python_packages: folder.join("python"), node: folder.join("node") };
        let mut pip = Command::new(tool("SHIPEI_TEST_PYTHON", "python/bin/python")?);
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-index",
            "--no-deps",
        ]);
        pip.arg("--target").arg(&examples.python_packages).arg(package("whl")?);
        printed(&mut pip).await?;

        let (modules, from) = (examples.node.join("node_modules"), root().join("examples/node"));
        fs::create_dir_all(modules.join("@shipei"))?;
        for entry in fs::read_dir(tool("SHIPEI_TEST_NODE_MODULES", "node/node_modules")?)? {
            let entry = entry?;
            symlink(entry.path(), modules.join(entry.file_name()))?;
        }
        let mut unpack = Command::new("tar");
        unpack.arg("xzf").arg(package("tgz")?).arg("-C").arg(modules.join("@shipei"));
        printed(&mut unpack).await?;
        // What npm calls the folder in each package that it makes.
        fs::rename(modules.join("@shipei/package"), modules.join("@shipei/contracts"))?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                fs::copy(entry.path(), examples.node.join(entry.file_name()))?;
            }
        }
        let mut compile = Command::new("node");
        compile.arg(modules.join("typescript/bin/tsc")).arg("--project").arg(&examples.node);
        printed(&mut compile).await?;
        Ok(examples)
    }

    /// An example in Python; it ends when this is dropped.
    pub(crate) fn python(&self, name: &str) -> Result<Command> {
        let mut command = Command::new(tool("SHIPEI_TEST_PYTHON", "python/bin/python")?);
        command.env("PYTHONPATH", &self.python_packages).arg(root().join("examples/python").join(name));
        command.stdin(Stdio::null()).kill_on_drop(true);
        Ok(command)
    }

    /// An example in TypeScript; it ends when this is dropped.
    pub(crate) fn node(&self, name: &str) -> Command {
        let mut command = Command::new("node");
        command.arg(self.node.join("made").join(name).with_extension("js"));
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }
}

/// The package that was made, by the end of its name.
fn package(extension: &str) -> Result<PathBuf> {
    let folder = std::env::var_os("SHIPEI_TEST_PACKAGES")
        .map_or_else(|| root().join("target/packages"), PathBuf::from);
    let missing = || format!("no package in {}: run `cargo xtask packages` once", folder.display());
    let entries = fs::read_dir(&folder).with_context(missing)?;
    let paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    let is_it = |path: &PathBuf| path.extension().is_some_and(|end| end == extension);
    paths.into_iter().find(is_it).with_context(missing)
}

/// What a program prints that ends well.
async fn printed(command: &mut Command) -> Result<String> {
    let output = command.output().await.with_context(|| format!("{command:?}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    ensure!(output.status.success(), "{command:?}: {}{}", text(&output.stdout), text(&output.stderr));
    Ok(text(&output.stdout))
}

#[tokio::test(flavor = "multi_thread")]
async fn packages_have_the_version_of_the_suite_and_the_types_of_what_they_hold() -> Result<()> {
    let place = KeptState::new(Backend::Sqlite)?;
    let examples = Examples::install(&place.out("examples")).await?;
    let version = env!("CARGO_PKG_VERSION");
    let mut asked = Command::new(tool("SHIPEI_TEST_PYTHON", "python/bin/python")?);
    asked.env("PYTHONPATH", &examples.python_packages);
    asked.args(["-c", "import importlib.metadata as m; print(m.version('shipei-contracts'))"]);
    let found = printed(&mut asked).await?;
    ensure!(found.trim() == version, "{found}");
    let said = fs::read_to_string(examples.node.join("node_modules/@shipei/contracts/package.json"))?;
    ensure!(said.contains(&format!("\"version\": \"{version}\"")), "{said}");
    // tsc has read Node's when it was installed.
    let mut check = Command::new(tool("SHIPEI_TEST_PYTHON", "python/bin/python")?);
    check.env("PYTHONPATH", &examples.python_packages).env("MYPYPATH", &examples.python_packages);
    check
        .args(["-m", "mypy", "--strict", "--cache-dir"])
        .arg(place.out("mypy"))
        .arg(root().join("examples/python"));
    printed(&mut check).await?;
    Ok(())
}
