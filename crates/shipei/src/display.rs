//! Text for the terminal: lines, and tables and plots with columns that stay aligned when Chinese text is in them.

use std::io::Write as _;

use comfy_table::{Cell, CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

/// One line under the headings and no other: many rows fit on a screen.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// The width of a plot's longest bar, columns.
const BAR_COLUMNS: u64 = 40;
/// How wide text is where nobody says how wide the terminal is.
const COLUMNS_DEFAULT: u16 = 120;
/// The narrowest terminal that text is fitted into.
const COLUMNS_MIN: u16 = 40;

/// A line of standard output, or several. That nobody reads them any more (`shipei migrate | head -1`) is no reason to end
/// with half of the work done, as `println!` would.
pub fn say(text: &str) {
    let _ = said(text);
}

/// As [`say`]; false when nobody reads any more, for what would go on without end.
pub fn said(text: &str) -> bool {
    writeln!(std::io::stdout(), "{text}").is_ok()
}

/// How wide the terminal is: what `COLUMNS` says, or the terminal itself.
pub fn columns() -> u16 {
    let said = std::env::var("COLUMNS").ok().and_then(|text| text.trim().parse().ok());
    said.or_else(|| Table::new().width()).unwrap_or(COLUMNS_DEFAULT).max(COLUMNS_MIN)
}

/// A table for a terminal so many columns wide: a title, headings, rows; what is too long is broken within its column.
/// Columns of numbers stand to the right.
pub fn table(columns: u16, title: &str, headings: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Dynamic).set_width(columns);
    table.set_header(headings);
    for row in rows {
        table.add_row(row.iter().map(Cell::new));
    }
    for (place, _) in headings.iter().enumerate() {
        let numeric = rows.iter().filter_map(|row| row.get(place)).all(|text| is_number(text));
        let Some(column) = table.column_mut(place) else { continue };
        column.set_padding((0, 0));
        if numeric {
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
        text.push_str(&format!("  {pad}{label} │{bar}{tip} {count} ({})\n", percent(*count, total)));
    }
    text
}

/// A share as a percentage with one decimal, rounded.
pub fn percent(part: u64, whole: u64) -> String {
    let whole = whole.max(1);
    let tenths = (part * 1_000 + whole / 2) / whole;
    format!("{}.{}%", tenths / 10, tenths % 10)
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
        let text = table(80, "县(区)", &["county 县(区)", "total"], &rows);
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
    fn table_is_no_wider_than_the_terminal() {
        let long = "未在规定时段内完成本阶段学习；未参加本班研修活动".repeat(4);
        let rows = vec![vec!["T000008".to_owned(), long, "39".to_owned()]];
        for columns in [40, 80, 120] {
            let text = table(columns, "trainees", &["trainee", "reasons", "total"], &rows);
            let widest = text.lines().map(|line| line.trim_end().width()).max().unwrap();
            assert!(widest <= usize::from(columns), "{columns}: {widest}\n{text}");
        }
    }

    #[test]
    fn histogram_bar_grows_with_its_count() {
        let text = histogram("totals", &[("0-9".to_owned(), 1), ("90-100".to_owned(), 4)]);
        let bars: Vec<usize> = text.lines().skip(1).map(|line| line.matches('█').count()).collect();
        assert_eq!(bars, [10, 40]);
        assert!(text.contains("4 (80.0%)"), "{text}");
        assert_eq!((percent(162, 296), percent(0, 0)), ("54.7%".to_owned(), "0.0%".to_owned()));
    }
}
