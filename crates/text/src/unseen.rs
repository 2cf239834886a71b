//! What has no ink, and letters and digits of other widths.
//!
//! Copies from web pages and chats bring zero width blanks, marks of direction and byte order marks along; spreadsheets
//! put an apostrophe before what is to stay text; input methods write digits of full width. Around ids and numbers all
//! of that means nothing.

use std::borrow::Cow;

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{DefaultIgnorableCodePoint, GeneralCategory},
};

/// The most characters of a code that [`clean_code`] looks at: what is longer is no code.
const CODE_CHARACTERS_MAX: usize = 256;

/// Whether a character has no ink and is no blank: controls, formats, default-ignorable code points, the blank of
/// Braille.
pub fn is_unseen(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_control() && !character.is_ascii_whitespace();
    }
    let category = CodePointMapData::<GeneralCategory>::new().get(character);
    character == '\u{2800}'
        || matches!(category, GeneralCategory::Control | GeneralCategory::Format)
        || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character)
}

/// The text without blanks and unseen characters around it.
pub fn trim_unseen(text: &str) -> &str {
    text.trim_matches(|character: char| character.is_whitespace() || is_unseen(character))
}

/// Letters, digits and signs of full width as ASCII, the ideographic blank as a blank.
pub fn fold_width(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_wide_ascii) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(narrow).collect())
}

fn is_wide_ascii(character: char) -> bool {
    matches!(character, '\u{FF01}'..='\u{FF5E}' | '\u{3000}')
}

fn narrow(character: char) -> char {
    match character {
        '\u{3000}' => ' ',
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(u32::from(character) - 0xFEE0).unwrap_or(character),
        character => character,
    }
}

/// An id, a code or a number as it was meant: without what can't be seen around it, without the apostrophe that a
/// spreadsheet puts before text, its letters and digits in ASCII.
pub fn clean_code(text: &str) -> Cow<'_, str> {
    let text = trim_unseen(text);
    let text = match text.strip_prefix(['\'', '’', '‘', '＇', '`']) {
        Some(rest) => trim_unseen(rest),
        None => text,
    };
    if text.is_ascii() || text.chars().count() > CODE_CHARACTERS_MAX {
        return Cow::Borrowed(text);
    }
    fold_width(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_cleaned_of_what_cannot_be_seen() {
        for text in [
            "T01",
            " T01 ",
            "'T01",
            "\u{FEFF}T01",
            "T01\u{200B}",
            "\u{202D}T01\u{202C}",
            "\u{A0}T01\u{3000}",
            "Ｔ０１",
            "‘T01",
            "\u{2060}\u{AD}T01\u{FE0F}",
            "\t'\u{200E}T01\r\n",
            "\u{2800}T01\u{3164}",
        ] {
            assert_eq!(clean_code(text), "T01", "{text:?}");
        }
        assert_eq!(clean_code("T\u{200B}01"), "T\u{200B}01");
        assert_eq!(clean_code("张三"), "张三");
        assert_eq!(clean_code("\u{200B}"), "");
    }

    #[test]
    fn character_with_ink_is_seen() {
        for character in ['a', '张', '·', '，', '𠀀', '👍', ' ', '\n', '\u{3000}'] {
            assert!(!is_unseen(character), "{character:?}");
        }
        for character in
            ['\0', '\u{7F}', '\u{85}', '\u{200B}', '\u{202E}', '\u{FEFF}', '\u{E0100}', '\u{115F}']
        {
            assert!(is_unseen(character) || character.is_whitespace(), "{character:?}");
        }
    }
}
