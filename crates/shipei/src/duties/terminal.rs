//! A record in the terminal.

use super::sheet::{Line, Sheet};
use crate::{display::table, explain::Language};

/// The record as a table, in the order in which duties are to be done.
pub(super) fn text(sheet: &Sheet, language: Language, columns: u16) -> String {
    let whose = match sheet.name.is_empty() {
        true => sheet.subject.clone(),
        false => format!("{} {}", sheet.subject, sheet.name),
    };
    let head = format!(
        "{} · {} {whose}   {} {}",
        language.pick("工作记录", "record"),
        sheet.role_said,
        language.pick("截至", "as of"),
        sheet.as_of
    );
    if sheet.withdrawn {
        return format!(
            "{head}\n{}\n",
            language.pick("已退出或离岗，无工作任务", "has left: nothing is owed")
        );
    }
    let (all, share) = (sheet.duties.len(), &sheet.share);
    let mut counts = match language {
        Language::Zh => format!(
            "{all}项：按时{}（{share}），迟办{}，待办{}，逾期未办{}",
            sheet.on_time, sheet.late, sheet.pending, sheet.missed
        ),
        Language::En => format!(
            "{all} duties: {} on time ({share}), {} late, {} pending, {} missed",
            sheet.on_time, sheet.late, sheet.pending, sheet.missed
        ),
    };
    if sheet.excused > 0 {
        counts.push_str(&match language {
            Language::Zh => format!("，核准免办{}", sheet.excused),
            Language::En => format!(", {} excused", sheet.excused),
        });
    }
    let rows: Vec<Vec<String>> = sheet.duties.iter().map(row).collect();
    let headings = match language {
        Language::Zh => ["状态", "工作", "截止", "完成", "依据"],
        Language::En => ["state", "duty", "last day", "done", "shown by"],
    };
    table(columns, &format!("{head}\n{counts}\n"), &headings, &rows)
}

fn row(line: &Line) -> Vec<String> {
    let mark = match line.state {
        "on_time" => "✓",
        "late" => "◐",
        "pending" => "…",
        "excused" => "○",
        _ => "✗",
    };
    let pen = if line.told_by_bearer { " ✎" } else { "" };
    let shown: Vec<&str> =
        [line.told.as_str(), line.evidence.as_str()].into_iter().filter(|part| !part.is_empty()).collect();
    vec![
        format!("{mark} {}", line.state_said),
        format!("{}{pen}\n{}", line.duty, line.code),
        line.until.clone(),
        line.done.clone(),
        shown.join("\n"),
    ]
}
