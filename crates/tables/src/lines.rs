//! Rows of a text file: one line, one row. What: cells between separators, in quotation marks or not. Why a row never
//! goes on in the next line: one quotation mark too many would swallow the rows below it, and the cells of these tables
//! are single words. So a quotation mark that its line doesn't close is a fault of that line alone.

use crate::Row;

/// The separators that are looked for, in this order.
pub(crate) const SEPARATORS: [char; 5] = [',', '\t', ';', '，', '|'];

/// The separator that a first line `sep=;` names.
pub(crate) fn named_separator(line: &str) -> Option<char> {
    let line = line.trim_start_matches('\u{FEFF}').trim_matches(['"', ' ']);
    let (name, separator) = line.split_at_checked(4)?;
    let mut characters = separator.chars();
    let separator = characters.next()?;
    (name.eq_ignore_ascii_case("sep=") && characters.all(|rest| rest == separator || rest == ' '))
        .then_some(separator)
}

/// Whether a character is a blank that may stand around quotation marks.
fn is_margin(character: char) -> bool {
    matches!(character, ' ' | '\u{3000}' | '\u{A0}' | '\u{FEFF}')
}

/// Reads a line into the row.
pub(crate) fn read(line: &str, separator: char, row: &mut Row) {
    let mut rest = line;
    loop {
        let cell = rest.trim_start_matches(is_margin);
        let after = match cell.strip_prefix('"') {
            Some(quoted) => read_quoted(quoted, separator, row),
            None => {
                let (cell, after) = split(rest, separator);
                if let Some(at) = row.push(cell)
                    && cell.contains('"')
                {
                    row.quotes.push(at);
                }
                after
            }
        };
        match after {
            Some(after) if !row.is_too_wide => rest = after,
            _ => return,
        }
    }
}

fn split(text: &str, separator: char) -> (&str, Option<&str>) {
    match text.split_once(separator) {
        Some((cell, after)) => (cell, Some(after)),
        None => (text, None),
    }
}

/// Reads a cell in quotation marks, of which the first is gone; what comes behind its separator, if there is one.
fn read_quoted<'line>(quoted: &'line str, separator: char, row: &mut Row) -> Option<&'line str> {
    let mut content = String::new();
    let mut rest = quoted;
    let mut has_quote = false;
    loop {
        let Some((part, after)) = rest.split_once('"') else {
            content.push_str(rest);
            row.push(&content);
            row.is_open = true;
            return None;
        };
        content.push_str(part);
        if let Some(after) = after.strip_prefix('"') {
            content.push('"');
            has_quote = true;
            rest = after;
            continue;
        }
        let (behind, after) = split(after, separator);
        if !behind.trim_matches(is_margin).is_empty() {
            // Something between the closing mark and the separator: the mark did not belong there.
            content.push('"');
            content.push_str(behind);
            has_quote = true;
        }
        if let Some(at) = row.push(&content)
            && has_quote
        {
            row.quotes.push(at);
        }
        return after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(line: &str, separator: char) -> (Vec<String>, Vec<usize>, bool) {
        let mut row = Row::default();
        row.begin(1);
        read(line, separator, &mut row);
        (row.texts().to_vec(), row.quotes.clone(), row.is_open)
    }

    #[test]
    fn line_is_cut_into_cells() {
        for (line, expected, quotes, is_open) in [
            ("a,b,", vec!["a", "b", ""], vec![], false),
            ("\"a\" , \"b,c\",d", vec!["a", "b,c", "d"], vec![], false),
            ("\"a\"\"b\",c", vec!["a\"b", "c"], vec![0], false),
            ("a\"b,c", vec!["a\"b", "c"], vec![0], false),
            ("T5,\"教师,1,L1", vec!["T5", "教师,1,L1"], vec![], true),
            ("T5,\"教师\"师,1", vec!["T5", "教师\"师", "1"], vec![1], false),
            ("教师\",1", vec!["教师\"", "1"], vec![0], false),
            ("\"", vec![""], vec![], true),
            ("\"\",x", vec!["", "x"], vec![], false),
        ] {
            let found = cells(line, ',');
            let expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
            assert_eq!(found, (expected, quotes, is_open), "{line}");
        }
        assert_eq!(cells("a\tb,c\t", '\t').0, ["a", "b,c", ""]);
        assert_eq!(cells("甲，乙", '，').0, ["甲", "乙"]);
    }

    #[test]
    fn row_is_cut_at_its_widest() {
        let (cells, _, _) = cells(&",".repeat(1_000_000), ',');
        assert_eq!(cells.len(), crate::CELLS_MAX);
        let mut row = Row::default();
        row.begin(1);
        read(&"x,".repeat(10_000), ',', &mut row);
        assert!(row.is_too_wide && row.texts().len() == crate::CELLS_MAX);
    }

    #[test]
    fn separator_is_named_by_the_first_line() {
        for (line, separator) in [
            ("sep=;", Some(';')),
            ("\"sep=,\"", Some(',')),
            ("SEP=\t", Some('\t')),
            ("sep=", None),
            ("a,b", None),
            ("é", None),
        ] {
            assert_eq!(named_separator(line), separator, "{line}");
        }
    }
}
