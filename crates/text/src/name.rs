//! Names and other texts that people are shown: what is refused in them, how they are kept, how they are compared.
//!
//! A name is one line. Line ends, control characters and marks of direction in one are slips of a file or an attempt to
//! show something else than is there; a character of private use shows another one on every machine; U+FFFD says that a
//! character was lost before. None of them is stored.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;

use crate::{holds_identity_number, holds_valid_identity_number, is_unseen};

/// What is wrong with a text. Never shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextFault {
    /// A line end where there is one line only.
    #[error("has a line break")]
    LineEnd,
    /// A control character.
    #[error("has a control character")]
    Control,
    /// A mark that turns the direction of writing.
    #[error("has a mark of writing direction, which can't be seen")]
    Direction,
    /// A code point of private use.
    #[error("has a character of private use, which looks different on every computer")]
    PrivateUse,
    /// U+FFFD, or no character.
    #[error("has the sign of a character that was lost (U+FFFD)")]
    Lost,
    /// What looks like an identity number.
    #[error("holds what looks like an identity number")]
    IdentityNumber,
}

impl TextFault {
    /// The same for a Chinese reader.
    pub fn zh(self) -> &'static str {
        match self {
            Self::LineEnd => "含有换行符",
            Self::Control => "含有控制字符",
            Self::Direction => "含有看不见的书写方向标记",
            Self::PrivateUse => "含有自造字（私用区字符），在别的电脑上显示不同",
            Self::Lost => "含有已丢失字符的标记（U+FFFD）",
            Self::IdentityNumber => "含有疑似身份证号码的内容",
        }
    }
}

/// What is wrong with a text of one line, a name or a title; `None` when nothing is.
pub fn fault_of_line(text: &str) -> Option<TextFault> {
    let in_characters = text.chars().find_map(|character| match character {
        '\n' | '\r' | '\u{B}' | '\u{C}' | '\u{85}' | '\u{2028}' | '\u{2029}' => Some(TextFault::LineEnd),
        character => fault_of_character(character),
    });
    let holds = || holds_identity_number(text).then_some(TextFault::IdentityNumber);
    in_characters.or_else(holds)
}

/// What is wrong with a text of any length, a post or a comment; `None` when nothing is. Lines and tabs are part of it.
pub fn fault_of_text(text: &str) -> Option<TextFault> {
    let in_characters = text.chars().find_map(|character| match character {
        '\n' | '\r' | '\t' => None,
        '\u{FFFD}' => None,
        character => fault_of_character(character).filter(|fault| *fault == TextFault::Control),
    });
    let holds = || holds_valid_identity_number(text).then_some(TextFault::IdentityNumber);
    in_characters.or_else(holds)
}

fn fault_of_character(character: char) -> Option<TextFault> {
    match character {
        '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => {
            Some(TextFault::Direction)
        }
        '\u{E000}'..='\u{F8FF}' | '\u{F0000}'..='\u{10FFFF}' => Some(TextFault::PrivateUse),
        '\u{FFFD}' | '\u{FFFE}' | '\u{FFFF}' | '\u{FDD0}'..='\u{FDEF}' => Some(TextFault::Lost),
        '\t' => Some(TextFault::Control),
        character if character.is_control() => Some(TextFault::Control),
        _ => None,
    }
}

/// A name as it is kept: composed (NFC), without what can't be seen but variation selectors and joiners, blanks around it
/// gone and those within it single.
pub fn normal(text: &str) -> String {
    let composed = ComposingNormalizerBorrowed::new_nfc().normalize(text);
    let mut kept = String::with_capacity(composed.len());
    let mut blank = false;
    for character in composed.chars() {
        if character.is_whitespace() {
            blank = true;
            continue;
        }
        let belongs_to_another = matches!(character, '\u{200C}' | '\u{200D}' | '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}');
        if is_unseen(character) && (!belongs_to_another || kept.is_empty()) {
            continue;
        }
        if blank && !kept.is_empty() {
            kept.push(' ');
        }
        blank = false;
        kept.push(character);
    }
    kept
}

/// What two ways to write one name have in common: compatibility forms composed (NFKC), without blanks, without what
/// can't be seen, without the dots between the parts of a name, small letters.
pub fn same_name_key(text: &str) -> String {
    let text: Cow<'_, str> = ComposingNormalizerBorrowed::new_nfkc().normalize(text);
    text.chars()
        .filter(|character| {
            let is_dot =
                matches!(character, '·' | '•' | '‧' | '・' | '∙' | '⋅' | '.' | '．' | '。' | '･' | 'ㆍ');
            !(is_dot || character.is_whitespace() || is_unseen(*character))
        })
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_with_a_fault_is_named_for_it() {
        for (text, fault) in [
            ("张三\n李四", TextFault::LineEnd),
            ("张三\r", TextFault::LineEnd),
            ("张\u{2028}三", TextFault::LineEnd),
            ("张\0三", TextFault::Control),
            ("张\t三", TextFault::Control),
            ("张\u{1B}[1m三", TextFault::Control),
            ("\u{202E}三张", TextFault::Direction),
            ("张三\u{200F}", TextFault::Direction),
            ("张\u{E816}", TextFault::PrivateUse),
            ("张\u{FFFD}", TextFault::Lost),
            ("张三 130302 19800101 0118", TextFault::IdentityNumber),
        ] {
            assert_eq!(fault_of_line(text), Some(fault), "{text:?}");
            assert!(!fault.to_string().is_empty() && !fault.zh().is_ascii());
        }
        for text in
            ["", "张三", "阿依古丽·买买提", "Mary-Jane O'Neil", "𠮷野", "葛󠄀", "2019年秦皇岛市教师培训"]
        {
            assert_eq!(fault_of_line(text), None, "{text:?}");
        }
    }

    #[test]
    fn long_text_has_lines_and_may_have_any_number() {
        assert_eq!(fault_of_text("第一行\r\n\t第二行 130302198001010119"), None);
        assert_eq!(fault_of_text("a\u{0}b"), Some(TextFault::Control));
        assert_eq!(fault_of_text("a\u{7}b"), Some(TextFault::Control));
        assert_eq!(fault_of_text("我的号码是\n130302198001010118。"), Some(TextFault::IdentityNumber));
    }

    #[test]
    fn name_is_kept_in_its_normal_form() {
        assert_eq!(normal(" 张\u{200B}三\u{3000} "), "张三");
        assert_eq!(normal("张  三"), "张 三");
        assert_eq!(normal("e\u{301}"), "é");
        assert_eq!(normal("\u{F914}"), "樂");
        assert_eq!(normal("葛\u{E0100}"), "葛\u{E0100}");
        assert_eq!(normal("\u{FEFF}\u{E0100}"), "");
    }

    #[test]
    fn one_name_written_in_two_ways_has_one_key() {
        for (one, other) in [
            ("张三", "张　三"),
            ("阿依古丽·买买提", "阿依古丽•买买提"),
            ("阿依古丽·买买提", "阿依古丽买买提"),
            ("ＬＩ Ming", "li ming"),
            ("樂", "\u{F914}"),
            ("张三", "张\u{200B}三"),
        ] {
            assert_eq!(same_name_key(one), same_name_key(other), "{one} {other}");
        }
        assert_ne!(same_name_key("张三"), same_name_key("张珊"));
    }
}
