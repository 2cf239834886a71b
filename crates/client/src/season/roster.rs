//! The roster files of a season, as tables with line numbers.

use std::path::Path;

use anyhow::{Context as _, Result};
use shipei_service_kit::table::Table;

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

/// Reads a table; the error names the file and the cause.
pub fn read(path: &Path, columns: &[&str]) -> Result<Table> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Table::parse(&bytes, columns).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))
}
