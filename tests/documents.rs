//! Documents in two languages keep pace: what is pasted is the same in both, and no chapter is missing in one.

use std::path::Path;

use anyhow::{Context as _, Result};

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

#[test]
fn translations_have_every_chapter_and_every_command() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (english, other) in PAIRS {
        let read = |name: &str| std::fs::read_to_string(root.join(name)).with_context(|| name.to_owned());
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
