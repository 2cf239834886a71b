//! A record as one HTML page that needs no other file and prints well on A4.

use anyhow::{Context as _, Result};
use askama::Template;

use super::sheet::{Sheet, Stage};
use crate::explain::Language;

/// The page; what it shows and how is in the template.
#[derive(Template)]
#[template(path = "duty_record.html")]
struct Page<'a> {
    sheet: &'a Sheet,
    stages: Vec<Stage<'a>>,
    zh: bool,
}

/// How many duties are in a state.
struct Count {
    /// Its class in the page's style.
    state: &'static str,
    count: i32,
    said: &'static str,
    /// Of all duties, for the bar.
    percent: i32,
}

impl Page<'_> {
    /// One of two texts.
    fn say(&self, zh: &'static str, en: &'static str) -> &'static str {
        if self.zh { zh } else { en }
    }

    /// How many duties are in which state; those of which there are none are left out.
    fn counts(&self) -> Vec<Count> {
        let sheet = self.sheet;
        let all = [
            ("on_time", sheet.on_time, self.say("按时完成", "on time")),
            ("late", sheet.late, self.say("迟办", "late")),
            ("pending", sheet.pending, self.say("待办", "pending")),
            ("missed", sheet.missed, self.say("逾期未办", "missed")),
            ("excused", sheet.excused, self.say("核准免办", "excused")),
        ];
        let whole: i32 = all.iter().map(|(_, count, _)| count).sum();
        let there = all.into_iter().filter(|(_, count, _)| *count > 0);
        there.map(|(state, count, said)| Count { state, count, said, percent: count * 100 / whole }).collect()
    }
}

/// The page of a record.
///
/// # Errors
/// If the template can't be filled.
pub(super) fn page(sheet: &Sheet, language: Language) -> Result<String> {
    let page = Page { sheet, stages: sheet.stages(language), zh: language == Language::Zh };
    page.render().context("the page can't be made")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duties::sheet::Line;

    #[test]
    fn what_people_wrote_is_text_and_never_markup() {
        let told = "<script>alert(1)</script>".to_owned();
        let line = Line { told: told.clone(), window: "reporting".to_owned(), ..Line::default() };
        let sheet = Sheet { name: told, duties: vec![line], missed: 1, ..Sheet::default() };
        let page = page(&sheet, Language::Zh).unwrap();
        assert!(!page.contains("<script>"), "{page}");
        assert_eq!(page.matches("alert(1)").count(), 2, "{page}");
        assert!(page.contains("lang=\"zh-CN\"") && page.contains("上报信息") && page.contains("逾期未办"));
    }

    #[test]
    fn page_is_in_the_order_of_the_notice() {
        let line = |window: &str, place| Line { window: window.to_owned(), place, ..Line::default() };
        let duties = vec![line("summary", 3), line("phase_1", 1), line("reporting", 0), line("phase_1", 2)];
        let sheet = Sheet { duties, ..Sheet::default() };
        let stages = sheet.stages(Language::En);
        let found: Vec<(&str, usize)> = stages.iter().map(|stage| (stage.title, stage.lines.len())).collect();
        assert_eq!(found, [("Reporting", 1), ("Training, phase 1", 2), ("Summary", 1)]);
    }
}
