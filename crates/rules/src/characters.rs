//! Counting 字数 as Chinese word processors do (Annex 2: a seminar post of at least 300 characters).
//!
//! Every East Asian character and East Asian punctuation mark (Unicode East Asian Width W or F) is one; every run of
//! other visible characters is one, so that an English word, a number or a formula is one. Quotation marks and dashes
//! that Unicode calls ambiguous (“ ” —) are "other": alone between East Asian characters each run is one.
//!
//! What can't be seen counts nothing, and is blank. It is of two kinds. A *blank* has a width (white space, the
//! ideographic blank U+3000, the fillers of Hangul and Braille): it ends a run. A *mark without ink* has none (control and
//! format characters, variation selectors, whatever else Unicode calls default-ignorable): the run goes on as if it were
//! not there, because it belongs to the character before it.
//!
//! To count something else, write another function beside `count`: the law names exactly this one.

use icu_properties::props::{DefaultIgnorableCodePoint, EastAsianWidth, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};

/// Characters that a font draws as a blank though Unicode doesn't call them white space: the fillers of Hangul, and the
/// Braille pattern without a dot.
const FILLERS: [char; 5] = ['\u{115F}', '\u{1160}', '\u{3164}', '\u{FFA0}', '\u{2800}'];

/// The 字数 of a text (scoring.md, Seminar).
pub fn count(text: &str) -> usize {
    let widths = CodePointMapData::<EastAsianWidth>::new();
    let mut characters = 0;
    let mut in_run = false;
    for character in text.chars() {
        match visibility(character) {
            Visibility::Blank => in_run = false,
            Visibility::NoInk => {}
            Visibility::Visible => {
                let width = widths.get(character);
                let is_wide = width == EastAsianWidth::Wide || width == EastAsianWidth::Fullwidth;
                if is_wide || !in_run {
                    characters += 1;
                }
                in_run = !is_wide;
            }
        }
    }
    characters
}

/// Whether nothing of a text can be seen: such a comment is `COMMENT_REQUIRED`.
pub fn is_blank(text: &str) -> bool {
    !text.chars().any(|character| visibility(character) == Visibility::Visible)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Visibility {
    /// It has ink.
    Visible,
    /// It has a width and no ink.
    Blank,
    /// It has neither.
    NoInk,
}

fn visibility(character: char) -> Visibility {
    if character.is_whitespace() || FILLERS.contains(&character) {
        return Visibility::Blank;
    }
    if character.is_ascii_graphic() {
        return Visibility::Visible;
    }
    let category = CodePointMapData::<GeneralCategory>::new().get(character);
    let has_no_ink = matches!(category, GeneralCategory::Control | GeneralCategory::Format)
        || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character);
    if has_no_ink { Visibility::NoInk } else { Visibility::Visible }
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
            ("研\u{200B}讨", 2),
            ("名\u{E0101}字", 2),
            ("hel\u{AD}lo", 1),
            ("A\u{FE0F}B", 1),
            ("a\u{2800}b", 2),
            ("a\u{3164}b", 2),
            ("a\u{7}b", 1),
            ("\u{3164}\u{115F}\u{1160}\u{FFA0}\u{2800}", 0),
        ] {
            assert_eq!(count(text), characters, "{text:?}");
        }
        assert_eq!(count(&"研".repeat(299)), 299);
    }

    /// What has no ink, one of each kind: format characters, default-ignorable ones, variation selectors, tags, controls.
    const WITHOUT_INK: [char; 18] = [
        '\u{200B}',
        '\u{200C}',
        '\u{200D}',
        '\u{200F}',
        '\u{202D}',
        '\u{2060}',
        '\u{2069}',
        '\u{FEFF}',
        '\u{AD}',
        '\u{34F}',
        '\u{61C}',
        '\u{180B}',
        '\u{17B4}',
        '\u{FE00}',
        '\u{E0100}',
        '\u{E0041}',
        '\u{0}',
        '\u{9F}',
    ];

    #[test]
    fn what_has_no_ink_counts_nothing_and_is_blank() {
        for mark in WITHOUT_INK {
            let marked: String = "研讨".repeat(75).chars().flat_map(|character| [character, mark]).collect();
            assert_eq!(count(&marked), 150, "{mark:?}");
            assert_eq!(count(&format!("wo{mark}rd {mark} word{mark}")), 2, "{mark:?}");
            assert!(is_blank(&format!("{mark} {mark}")), "{mark:?}");
        }
    }

    #[test]
    fn blank_text_is_recognised_with_ideographic_blanks() {
        assert!(is_blank("") && is_blank(" \u{3000}\n") && is_blank("\u{2800}") && is_blank("\u{3164}"));
        for text in [" 。", "\u{200B}.", "\u{301}", "\u{E000}", "⠁"] {
            assert!(!is_blank(text), "{text:?}");
        }
    }
}
