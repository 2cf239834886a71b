//! The roster files of a season, as tables with line numbers.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use shipei_tables::Column;

/// The columns of each roster file.
pub const REGIONS: [&str; 4] = ["code", "name", "level", "parent_code"];
/// `schools.csv`.
pub const SCHOOLS: [&str; 3] = ["school_code", "name", "county_code"];
/// `classes.csv`.
pub const CLASSES: [&str; 4] = ["class_id", "name", "region_code", "tutor_id"];
/// `courses.csv`.
pub const COURSES: [&str; 7] =
    ["course_id", "title", "category", "main_line", "minutes", "subject", "education_stage"];
/// `people.csv`.
pub const PEOPLE: [&str; 10] = [
    "person_id",
    "name",
    "id_number",
    "role",
    "county_code",
    "school_code",
    "education_stage",
    "subject",
    "development_stage",
    "class_id",
];

/// A roster file of a season, whole.
#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<&'static str>,
    rows: Vec<(u64, Vec<String>)>,
}

/// One row of it.
#[derive(Debug, Clone, Copy)]
pub struct Row<'table> {
    /// The line of the file, from 1.
    pub line: u64,
    columns: &'table [&'static str],
    cells: &'table [String],
}

impl<'table> Row<'table> {
    /// The cell of a column; empty when there is no such column.
    pub fn get(&self, column: &str) -> &'table str {
        let place = self.columns.iter().position(|name| *name == column);
        place.and_then(|place| self.cells.get(place)).map_or("", String::as_str)
    }
}

impl Table {
    /// The rows, in the order of the file.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = Row<'_>> {
        self.rows.iter().map(|(line, cells)| Row { line: *line, columns: &self.columns, cells })
    }
}

/// Reads a table; the error names the file and the cause, or the first line that can't be read.
pub fn read(path: &Path, names: &[&'static str]) -> Result<Table> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let columns: Vec<Column> =
        names.iter().map(|name| Column { name, zh: &[], required: true, is_code: false }).collect();
    let named = |error| anyhow::anyhow!("{}: {error}", path.display());
    let file = shipei_tables::Table::open(bytes, &columns).map_err(named)?;
    let mut table = Table { columns: names.to_vec(), rows: Vec::new() };
    let mut fault = None;
    let read = file.visit(|row| {
        fault = row.faults.first().map(|fault| (row.line, fault.en.clone()));
        table.rows.push((row.line, (0..names.len()).map(|place| row.get(place).to_owned()).collect()));
        fault.is_none()
    });
    read.map_err(named)?;
    if let Some((line, fault)) = fault {
        bail!("{} line {line}: {fault}", path.display());
    }
    Ok(table)
}
