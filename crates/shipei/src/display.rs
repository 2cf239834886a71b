//! Text for the terminal: lines, and tables and plots with columns that stay aligned when Chinese text is in them.

use std::io::Write as _;

use comfy_table::{Cell, CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

/// One line under the headings and no other: many rows fit on a screen.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// The width of a plot's longest bar, columns.
const BAR_COLUMNS: u64 = 50;

/// A line of standard output, or several. That nobody reads them any more (`shipei migrate | head -1`) is no reason to end
/// with half of the work done, as `println!` would.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// A table: a title, headings, rows. Columns of numbers stand to the right.
pub fn table(title: &str, headings: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headings);
    for row in rows {
        table.add_row(row.iter().map(Cell::new));
    }
    for (place, _) in headings.iter().enumerate() {
        let numeric = rows.iter().filter_map(|row| row.get(place)).all(|text| is_number(text));
        if numeric && let Some(column) = table.column_mut(place) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!("{title}\n{table}\n")
}

fn is_number(text: &str) -> bool {
    text.chars().all(|character| character.is_ascii_digit() || ".,%-".contains(character))
}

/// A plot of how often each value occurs: one bar for each bucket, drawn to an eighth of a column.
pub fn histogram(title: &str, buckets: &[(String, u64)]) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let most = buckets.iter().map(|(_, count)| *count).max().unwrap_or(0).max(1);
    let total: u64 = buckets.iter().map(|(_, count)| *count).sum::<u64>().max(1);
    let width = buckets.iter().map(|(label, _)| unicode_width::UnicodeWidthStr::width(label.as_str())).max();
    let width = width.unwrap_or(0);
    let mut text = format!("{title}\n");
    for (label, count) in buckets {
        let eighths = count * BAR_COLUMNS * 8 / most;
        let bar = "█".repeat(usize::try_from(eighths / 8).unwrap_or(0));
        let tip = EIGHTHS[usize::try_from(eighths % 8).unwrap_or(0)];
        let pad = " ".repeat(width - unicode_width::UnicodeWidthStr::width(label.as_str()));
        text.push_str(&format!("  {pad}{label} │{bar}{tip} {count} ({}%)\n", count * 100 / total));
    }
    text
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr as _;

    use super::*;

    #[test]
    fn table_with_chinese_text_stays_aligned() {
        let rows = vec![
            vec!["海港区".to_owned(), "91.44".to_owned()],
            vec!["Beidaihe".to_owned(), "9.00".to_owned()],
        ];
        let text = table("县(区)", &["county 县(区)", "total"], &rows);
        let ends: Vec<usize> = text
            .lines()
            .skip(1)
            .filter(|line| line.contains('.'))
            .map(|line| line.trim_end().width())
            .collect();
        assert_eq!(ends.len(), 2);
        assert_eq!(ends[0], ends[1], "{text}");
    }

    #[test]
    fn histogram_bar_grows_with_its_count() {
        let text = histogram("totals", &[("0-9".to_owned(), 1), ("90-100".to_owned(), 4)]);
        let bars: Vec<usize> = text.lines().skip(1).map(|line| line.matches('█').count()).collect();
        assert_eq!(bars, [12, 50]);
        assert!(text.contains("4 (80%)"), "{text}");
    }
}
