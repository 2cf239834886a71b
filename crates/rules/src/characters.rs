//! Counting 字数 as Chinese word processors do (Annex 2: a seminar post of at least 300 characters).
//!
//! Every East Asian character and East Asian punctuation mark (Unicode East Asian Width W or F) is one; every run of
//! other non-blank characters is one, so that an English word, a number or a formula is one. A blank is what Unicode
//! calls White_Space, the ideographic blank U+3000 too although it is wide: it ends a run and counts nothing. Quotation
//! marks and dashes that Unicode calls ambiguous (“ ” —) are "other": alone between East Asian characters each run is one.
//! To count something else, write another function beside `count`: the law names exactly this one.

use icu_properties::CodePointMapData;
use icu_properties::props::EastAsianWidth;

/// The 字数 of a text (scoring.md, Seminar).
pub fn count(text: &str) -> usize {
    let widths = CodePointMapData::<EastAsianWidth>::new();
    let mut characters = 0;
    let mut in_run = false;
    for character in text.chars() {
        if character.is_whitespace() {
            in_run = false;
            continue;
        }
        let width = widths.get(character);
        if width == EastAsianWidth::Wide || width == EastAsianWidth::Fullwidth {
            characters += 1;
            in_run = false;
            continue;
        }
        if !in_run {
            characters += 1;
            in_run = true;
        }
    }
    characters
}

/// Whether a text has nothing but blanks (or nothing at all): such a comment is `COMMENT_REQUIRED`.
pub fn is_blank(text: &str) -> bool {
    text.chars().all(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn count_of_each_kind_of_text_is_as_a_word_processor_says() {
        for (text, characters) in [
            ("", 0),
            (" \n\t\u{3000}", 0),
            ("研", 1),
            ("研讨，好。", 5),
            ("hello", 1),
            ("hello world", 2),
            ("用Rust写", 3),
            ("研\u{3000}讨", 2),
            ("a\u{3000}b", 2),
            ("2019年9月15日", 6),
            ("ＡＢ１", 3),
            ("ｱｲ", 1),
            ("“研”", 3),
            ("研——讨", 3),
            ("don't stop-it", 2),
            ("한국", 2),
            ("𠀀𠀁", 2),
            ("👍", 1),
        ] {
            assert_eq!(count(text), characters, "{text:?}");
        }
        assert_eq!(count(&"研".repeat(299)), 299);
    }

    #[test]
    fn blank_text_is_recognised_with_ideographic_blanks() {
        assert!(is_blank("") && is_blank(" \u{3000}\n"));
        assert!(!is_blank(" 。"));
    }
}
