//! Documents in two languages keep pace: what is pasted is the same in both, and no chapter is missing in one.

use std::fs;

use anyhow::{Context as _, Result};

use crate::architecture::root;

/// Documents, each with its translation.
const PAIRS: [(&str, &str); 5] = [
    ("README.md", "README.zh-CN.md"),
    ("docs/files.md", "docs/zh/files.md"),
    ("docs/certificates.md", "docs/zh/certificates.md"),
    ("docs/duties.md", "docs/zh/duties.md"),
    ("docs/streams.md", "docs/zh/streams.md"),
];

/// What a reader would paste: the indented lines without their comments, and how many chapters there are.
fn pasted(document: &str) -> (Vec<String>, usize) {
    let without_comment = |line: &str| line.split("  #").next().unwrap_or(line).trim().to_owned();
    let lines = document.lines().filter(|line| line.starts_with("    ")).map(without_comment).collect();
    (lines, document.lines().filter(|line| line.starts_with("## ")).count())
}

/// A page that is written from the contracts is what they say; with the variable it is written anew first.
pub(crate) fn page_is_current(page: &str, written: &str, variable: &str, command: &str) {
    let file = root().join(page);
    if std::env::var_os(variable).is_some() {
        fs::write(&file, written).unwrap_or_else(|error| panic!("{page}: {error}"));
    }
    let kept = fs::read_to_string(&file).unwrap_or_default();
    assert!(kept == written, "{page} is not current: `{command}` writes it anew");
}

#[test]
fn translations_have_every_chapter_and_every_command() -> Result<()> {
    for (english, other) in PAIRS {
        let read = |name: &str| fs::read_to_string(root().join(name)).with_context(|| name.to_owned());
        let (lines, chapters) = pasted(&read(english)?);
        let (other_lines, other_chapters) = pasted(&read(other)?);
        assert!(chapters > 1, "{english} has no chapters");
        for line in &lines {
            assert!(other_lines.contains(line), "{other} has not: {line}");
        }
        for line in &other_lines {
            assert!(lines.contains(line), "{english} has not: {line}");
        }
        assert_eq!(chapters, other_chapters, "chapters of {english} and {other}");
    }
    Ok(())
}
