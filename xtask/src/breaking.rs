//! What a change of the contracts would break for who has code of them: `buf breaking` against the last release, or, before there is one,
//! the commit that the change begins at. Before 1.0 it is shown, from 1.0 on it fails.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use anyhow::{Context as _, Result, bail};

use crate::tools::{buf, quiet, root, target};

/// What buf ends with when something breaks; everything else is a failure of its own.
const BREAKS: i32 = 100;

/// Compares the contracts with those of before.
pub(crate) fn check() -> Result<()> {
    let root = root()?;
    let Some(base) = base(&root)? else {
        println!("not compared: there is no commit before this one here");
        return Ok(());
    };
    // As files, since buf reads no git folder that is a worktree's.
    let folder = target()?.join("contracts-before");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let archive = folder.join("proto.tar");
    quiet(git(&root, &["archive", "--output"]).arg(&archive).args([&base, "proto"]))?;
    quiet(Command::new("tar").arg("xf").arg(&archive).arg("-C").arg(&folder))?;

    let mut command = Command::new(buf()?);
    command.args(["breaking", "--against"]).arg(folder.join("proto")).current_dir(root.join("proto"));
    let Output { status, stdout, stderr } = command.output().context("cannot run buf")?;
    let (said, failure) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    print!("{said}");
    if status.success() {
        println!("nothing breaks since {base}");
    } else if status.code() == Some(BREAKS) && may_break(env!("CARGO_PKG_VERSION")) {
        println!("taken before 1.0: {} places would break consumers since {base}", said.lines().count());
    } else {
        bail!("buf breaking since {base}: {status} {failure}");
    }
    Ok(())
}

/// Before 1.0 a contract may still become another one.
fn may_break(version: &str) -> bool {
    version.starts_with("0.")
}

/// What there is code of: the last release from 1.0 on; before it what a change began at, which is where its branch left main, or
/// on main itself the commit before, or the last one while something is not committed yet; none in a clone without history.
fn base(root: &Path) -> Result<Option<String>> {
    let released = said(root, &["describe", "--tags", "--abbrev=0", "--match", "v[1-9]*"])?;
    if released.is_some() {
        return Ok(released);
    }
    let head = said(root, &["rev-parse", "HEAD"])?;
    for main in ["origin/main", "main"] {
        let left = said(root, &["merge-base", "HEAD", main])?;
        if left.is_some() && left != head {
            return Ok(left);
        }
    }
    if !git(root, &["diff", "--quiet", "HEAD", "--", "proto"]).status()?.success() {
        return Ok(head);
    }
    said(root, &["rev-parse", "--verify", "--quiet", "HEAD~1"])
}

fn git(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(root).args(arguments);
    command
}

/// What git says, if it knows.
fn said(root: &Path, arguments: &[&str]) -> Result<Option<String>> {
    let output = git(root, arguments).output().context("cannot run git")?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok(output.status.success().then_some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contracts_are_bound_from_one_on() {
        assert!(may_break("0.1.0") && may_break("0.99.0"));
        assert!(!may_break("1.0.0") && !may_break("1.0.0-rc.1") && !may_break("10.2.0"));
    }
}
