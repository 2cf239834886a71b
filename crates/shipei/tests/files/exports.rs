//! Every list of a whole season as a workbook and as CSV; LibreOffice opens the workbooks, and its cells are compared with
//! those of the CSV files one by one.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum as _;
use shipei::files::Exported;

use crate::server::{Server, said};

/// Lists that this season has no row of: no such thing happens in it.
const EMPTY: [&str; 0] = [];
/// What LibreOffice is asked for: commas, quotation marks, UTF-8, from the first line, cells as they are shown, the first
/// sheet.
const AS_CSV: &str = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false,false,false,0";

/// LibreOffice; `cargo xtask test` installs it.
fn libreoffice() -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found = std::env::split_paths(&path).map(|folder| folder.join("soffice"));
    found
        .find(|program| program.exists())
        .context("LibreOffice (soffice) is not installed: cargo xtask tools")
}

/// The cells of a CSV file.
fn cells(path: &Path) -> Result<Vec<Vec<String>>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
    let mut rows = vec![vec![String::new()]];
    let mut is_quoted = false;
    let mut characters = text.trim_start_matches('\u{FEFF}').chars().peekable();
    while let Some(character) = characters.next() {
        let row = rows.last_mut().context("a row")?;
        let cell = row.last_mut().context("a cell")?;
        match character {
            '"' if is_quoted && characters.peek() == Some(&'"') => {
                characters.next();
                cell.push('"');
            }
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => row.push(String::new()),
            '\r' if !is_quoted => {}
            '\n' if !is_quoted => rows.push(vec![String::new()]),
            _ => cell.push(character),
        }
    }
    rows.pop_if(|row| row.iter().all(String::is_empty));
    Ok(rows)
}

/// Whether two cells say the same: a number may be written with zeros at its end, and what a spreadsheet would take for a
/// formula has an apostrophe before it in CSV.
fn is_same(csv: &str, shown: &str) -> bool {
    let plain = csv.strip_prefix('\'').filter(|rest| rest.starts_with(['=', '+', '-', '@'])).unwrap_or(csv);
    let number = |text: &str| text.parse::<f64>().ok();
    plain == shown || (number(plain).is_some() && number(plain) == number(shown))
}

#[test]
fn every_list_is_written_and_libreoffice_opens_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(&folder.path().join("data"))?;
    let season = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/seasons/edges");
    let (season, out) = (season.display().to_string(), folder.path().join("out").display().to_string());
    let output = server.shipei(&["replay", &season, "--out", &out], "")?;
    ensure!(output.status.success(), "{}", said(&output));
    let programme = season_programme(&output).context("the id of the programme")?;

    let mut names = Vec::new();
    for list in Exported::value_variants() {
        let name = list.to_possible_value().context("a name")?.get_name().to_owned();
        for kind in ["xlsx", "csv"] {
            let file = folder.path().join(format!("{name}.{kind}")).display().to_string();
            let output = server.shipei(&["export", &name, &file], &programme)?;
            ensure!(output.status.success(), "{name}: {}", said(&output));
        }
        names.push(name);
    }
    let shown = folder.path().join("shown");
    let mut command = Command::new(libreoffice()?);
    command.arg(format!("-env:UserInstallation=file://{}", folder.path().join("profile").display()));
    command.args(["--headless", "--convert-to", AS_CSV, "--outdir"]).arg(&shown);
    command.args(names.iter().map(|name| folder.path().join(format!("{name}.xlsx"))));
    let output = command.stdin(Stdio::null()).output()?;
    ensure!(output.status.success(), "{}", said(&output));

    for name in &names {
        let written = cells(&folder.path().join(format!("{name}.csv")))?;
        let opened = cells(&shown.join(format!("{name}.csv")))?;
        ensure!(written.len() == opened.len(), "{name}: {} rows, shown {}", written.len(), opened.len());
        ensure!(written.len() > 1 || EMPTY.contains(&name.as_str()), "{name} is empty");
        for (row, (written, opened)) in written.iter().zip(&opened).enumerate() {
            ensure!(written.len() == opened.len(), "{name}: row {row}: {written:?}, shown {opened:?}");
            for (written, opened) in written.iter().zip(opened) {
                ensure!(is_same(written, opened), "{name}: row {row}: {written:?}, shown {opened:?}");
            }
        }
    }

    // One county, one role; and what can't be.
    let part = folder.path().join("part.csv").display().to_string();
    let arguments = ["export", "people", &part, "--region", "130302", "--role", "trainee"];
    let output = server.shipei(&arguments, &programme)?;
    ensure!(output.status.success(), "{}", said(&output));
    let people = cells(Path::new(&part))?;
    let is_asked = |row: &Vec<String>| (row[3].as_str(), row[4].as_str()) == ("参训教师", "130302");
    ensure!(people.len() > 2 && people[1..].iter().all(is_asked), "{people:?}");
    let output = server.shipei(&["export", "courses", &part, "--role", "trainee"], &programme)?;
    ensure!(!output.status.success() && said(&output).contains("--role"), "{}", said(&output));
    let output = server.shipei(&["export", "marks", &part], "nothing-2019")?;
    ensure!(!output.status.success() && said(&output).contains("NOT_FOUND"), "{}", said(&output));
    // The file that was there is there still, and no piece of another.
    ensure!(
        cells(Path::new(&part))? == people && !Path::new(&format!("{part}.part")).exists(),
        "half a file"
    );
    Ok(())
}

/// The id in the first line that a replay says.
fn season_programme(output: &std::process::Output) -> Option<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find(|line| line.contains(" (") && line.ends_with(')'))?;
    line.split_once(" (").map(|(id, _)| id.trim().to_owned())
}
