//! Columns, and how a header names them: by their name here, in Chinese as offices write it, in any case and width, with
//! blanks, stars and remarks in brackets around.

use icu_normalizer::ComposingNormalizerBorrowed;

use crate::{Row, TableError};

/// A column of a kind of table.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it is called in Chinese; the first one stands in templates.
    pub zh: &'static [&'static str],
    /// Whether a file must have it.
    pub required: bool,
    /// Whether cells are single words of an id, a code or a number: quotation marks in them are faults.
    pub is_code: bool,
}

/// Where the columns stand in a file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Header {
    /// The place of each column that was asked for.
    pub(crate) places: Vec<Option<usize>>,
    /// The names of the file's columns that mean nothing here.
    pub(crate) ignored: Vec<String>,
    /// The header's cells as they stand in the file.
    pub(crate) cells: Vec<String>,
    /// How many columns it has, unnamed ones at its end too.
    pub(crate) width: usize,
}

/// What two ways to write the name of a column have in common.
fn key(name: &str) -> String {
    let name = ComposingNormalizerBorrowed::new_nfkc().normalize(name);
    // A remark in brackets: 身份证号（18位）, 姓名(必填).
    let name = match name.find(['(', '[', '【', '〔']) {
        Some(0) | None => name.as_ref(),
        Some(at) => &name[..at],
    };
    name.chars().filter(|character| character.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Reads a row as a header. How many columns it knows says how much of a header it is.
pub(crate) fn read(row: &Row, columns: &[Column]) -> (usize, Result<Header, TableError>) {
    let mut header = Header { places: vec![None; columns.len()], ..Header::default() };
    header.cells = row.texts().iter().map(|cell| shipei_text::trim_unseen(cell).to_owned()).collect();
    header.width = header.cells.len();
    let mut known = 0;
    let mut twice = None;
    for (place, cell) in header.cells.iter().enumerate() {
        let wanted = key(cell);
        if wanted.is_empty() {
            continue;
        }
        let found = columns
            .iter()
            .position(|column| key(column.name) == wanted || column.zh.iter().any(|zh| key(zh) == wanted));
        match found {
            Some(index) if header.places[index].is_some() => twice = Some(columns[index].name),
            Some(index) => {
                header.places[index] = Some(place);
                known += 1;
            }
            None => header.ignored.push(cell.clone()),
        }
    }
    if let Some(name) = twice {
        return (known, Err(TableError::DuplicateColumn(name.to_owned())));
    }
    let missing: Vec<String> = columns
        .iter()
        .zip(&header.places)
        .filter(|(column, place)| column.required && place.is_none())
        .map(|(column, _)| match column.zh.first() {
            Some(zh) => format!("{} ({zh})", column.name),
            None => column.name.to_owned(),
        })
        .collect();
    if !missing.is_empty() {
        return (known, Err(TableError::MissingColumns(missing)));
    }
    (known, Ok(header))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_of_a_column_is_known_however_it_is_written() {
        for (one, other) in [
            ("person_id", "Person ID"),
            ("person_id", "PERSON-ID"),
            ("身份证号", " 身份证号 （18位）"),
            ("姓名", "*姓　名"),
            ("姓名", "姓名："),
            ("role", "ＲＯＬＥ"),
            ("身份证号", "身份证\n号"),
        ] {
            assert_eq!(key(one), key(other), "{one} {other}");
        }
        assert_ne!(key("school_code"), key("school_name"));
        assert_eq!(key("(备注)"), "备注");
    }
}
