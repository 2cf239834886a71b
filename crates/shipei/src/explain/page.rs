//! A sheet as one HTML page that needs no other file and prints well on A4.

use anyhow::{Context as _, Result};
use askama::Template;

use super::{Language, sheet::Sheet};

/// The page; what it shows and how is in the template.
#[derive(Debug, Template)]
#[template(path = "score_sheet.html")]
struct Page<'a> {
    sheet: &'a Sheet,
    zh: bool,
}

impl Page<'_> {
    /// One of two texts.
    fn say(&self, zh: &'static str, en: &'static str) -> &'static str {
        if self.zh { zh } else { en }
    }
}

/// The page of a sheet.
///
/// # Errors
/// If the template can't be filled.
pub(super) fn page(sheet: &Sheet, language: Language) -> Result<String> {
    Page { sheet, zh: language == Language::Zh }.render().context("the page can't be made")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::sheet::Named;

    #[test]
    fn names_are_text_and_never_markup() {
        let who = vec![Named { label: "姓名", value: "<script>alert(1)</script>".to_owned() }];
        let page = page(&Sheet { who, ..Sheet::default() }, Language::Zh).unwrap();
        assert!(!page.contains("<script>"), "{page}");
        assert!(page.contains("&#60;script&#62;") || page.contains("&lt;script&gt;"), "{page}");
        assert!(page.contains("lang=\"zh-CN\""));
    }
}
