//! A sheet in a terminal: a table of items, bars, and the time line.

use super::{
    Language,
    sheet::{Bar, Sheet, TimeLine},
};
use crate::display::table;

/// The width of a bar, columns.
const BAR_COLUMNS: i32 = 20;
/// The width of the time line, columns.
const TIME_COLUMNS: i32 = 48;
/// Courses that are shown; those that are studied least are what is asked about.
const COURSES_MAX: usize = 20;

/// The sheet for a terminal so many columns wide.
pub(super) fn text(sheet: &Sheet, language: Language, columns: u16) -> String {
    let mut text = format!("{} · {}\n", language.pick("成绩说明书", "score sheet"), sheet.programme);
    let who = sheet.who.iter().map(|named| format!("{} {}", named.label, named.value));
    text.push_str(&who.collect::<Vec<_>>().join("   "));
    text.push('\n');
    if !sheet.as_of.is_empty() {
        text.push_str(&format!("{} {}\n", language.pick("截至", "as of"), sheet.as_of));
    }
    let total = match sheet.total.is_empty() {
        true => sheet.verdict.clone(),
        false => format!("{} {}   {}", language.pick("总分", "total"), sheet.total, sheet.verdict),
    };
    text.push_str(&format!("\n{total}\n"));
    for note in &sheet.notes {
        text.push_str(&format!("  {note}\n"));
    }
    text.push('\n');
    text.push_str(&items(sheet, language, columns));
    if let Some(line) = &sheet.time_line {
        text.push('\n');
        text.push_str(&time_line(line, language, columns));
    }
    text.push_str(&study(sheet, language, columns));
    text
}

fn items(sheet: &Sheet, language: Language, columns: u16) -> String {
    let mut rows = Vec::new();
    for item in &sheet.items {
        let mark = match item.state {
            "earned" => "✓",
            "missed" if item.permille > 0 => "◐",
            "missed" => "✗",
            _ => "…",
        };
        let why = match (item.evidence.is_empty(), item.why.is_empty()) {
            (_, false) => item.why.clone(),
            (false, true) => item.evidence.clone(),
            (true, true) => String::new(),
        };
        let points = format!("{}/{}", item.points, item.points_max);
        rows.push(vec![format!("{mark} {}", item.title), points, why, item.clause.clone()]);
    }
    let headings = [
        language.pick("考核项", "item"),
        language.pick("得分", "points"),
        language.pick("依据或原因", "evidence, or why not"),
        language.pick("条款", "clause"),
    ];
    table(columns, language.pick("各项得分", "items"), &headings, &rows)
}

fn study(sheet: &Sheet, language: Language, columns: u16) -> String {
    let Some(study) = &sheet.study else { return String::new() };
    let mut text = String::new();
    if !study.phases.is_empty() {
        text.push_str(&format!("\n{}\n", language.pick("目前的学习进度", "study by now")));
        text.push_str(&bars(&study.phases, columns));
    }
    if !study.courses.is_empty() {
        text.push_str(&format!("\n{}\n", language.pick("课程", "courses")));
        text.push_str(&bars(study.courses.get(..COURSES_MAX).unwrap_or(&study.courses), columns));
        let more = study.courses.len().saturating_sub(COURSES_MAX);
        if more > 0 {
            text.push_str(&more_of(more, language));
        }
    }
    if study.uncredited.is_empty() {
        return text;
    }
    text.push_str(&format!("\n{}\n", language.pick("未计入的学习时间", "study that was not credited")));
    for lost in &study.uncredited {
        text.push_str(&format!("  {}\n", lost.text));
    }
    let rows: Vec<Vec<String>> = study
        .sessions
        .iter()
        .map(|session| [&session.opened, &session.course, &session.text].map(String::clone).to_vec())
        .collect();
    let headings = [
        language.pick("开始时间", "opened"),
        language.pick("课程", "course"),
        language.pick("未计入", "not credited"),
    ];
    text.push('\n');
    text.push_str(&table(columns, language.pick("涉及的学习", "in these sessions"), &headings, &rows));
    if study.more_sessions > 0 {
        text.push_str(&more_of(study.more_sessions, language));
    }
    text
}

fn more_of(more: usize, language: Language) -> String {
    match language {
        Language::Zh => format!("  另有{more}项（--json 或 --html 查看全部）\n"),
        Language::En => format!("  and {more} more (all with --json)\n"),
    }
}

fn bars(bars: &[Bar], columns: u16) -> String {
    let rows: Vec<Vec<String>> = bars
        .iter()
        .map(|bar| vec![bar.title.clone(), drawn(bar.permille, BAR_COLUMNS), bar.text.clone()])
        .collect();
    // The bars need no headings.
    let table = table(columns, "", &["", "", ""], &rows);
    table
        .lines()
        .filter(|line| !line.trim_matches(['─', ' ']).is_empty())
        .fold(String::new(), |text, line| text + "  " + line.trim_end() + "\n")
}

/// A bar of so many thousandths.
fn drawn(permille: i32, columns: i32) -> String {
    let full = permille * columns / 1_000;
    (0..columns).map(|place| if place < full { '█' } else { '░' }).collect()
}

fn time_line(line: &TimeLine, language: Language, columns: u16) -> String {
    let place = |permille: i32| (permille * TIME_COLUMNS / 1_000).clamp(0, TIME_COLUMNS - 1);
    let mut rows = Vec::new();
    for row in &line.rows {
        let (from, until) = (place(row.from), place(row.until).max(place(row.from) + 1));
        let (dot, now) = (row.dot.map(place), place(line.now));
        let drawn = (0..TIME_COLUMNS).map(|at| match at {
            _ if dot == Some(at) => '●',
            _ if at >= from && at < until => '━',
            _ if at == now => '│',
            _ => '·',
        });
        rows.push(vec![row.title.clone(), drawn.collect(), row.days.clone()]);
    }
    let title = match language {
        Language::Zh => format!("时间轴 {} – {}（━ 时段，● 依据，│ 截至）", line.first, line.last),
        Language::En => {
            format!("time line {} – {} (━ window, ● evidence, │ as of)", line.first, line.last)
        }
    };
    let text = table(columns, &title, &["", "", ""], &rows);
    let lines = text.lines().filter(|line| !line.trim_matches(['─', ' ']).is_empty());
    lines.fold(String::new(), |text, line| text + line.trim_end() + "\n")
}
