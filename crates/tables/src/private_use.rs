//! Characters that older tables of GB 18030 and GBK put into the private use area. The edition of 2022 gives each of them a
//! code point of its own; files made before still carry the old ones, and show as empty boxes.
//!
//! Two runs of the standard's double bytes were laid into private use in their order, so what stands there is found by
//! decoding the very bytes with today's table: 0xA6D9.. (vertical punctuation) and 0xFE50.. (ideographs and radicals).

use encoding_rs::GB18030;

/// Where the ideographs and radicals of 0xFE50 to 0xFEA0 were.
const IDEOGRAPHS: std::ops::RangeInclusive<u32> = 0xE815..=0xE864;

/// The character that a code point of private use stands for; `None` when the standard knows none.
pub(crate) fn modern(character: char) -> Option<char> {
    let code = u32::from(character);
    // Six ideographs whose double bytes stayed in private use: the standard gives the characters four bytes.
    let ideograph = match code {
        0xE816 => '\u{20087}',
        0xE817 => '\u{20089}',
        0xE818 => '\u{200CC}',
        0xE831 => '\u{215D7}',
        0xE83B => '\u{2298F}',
        0xE855 => '\u{241FE}',
        _ => return modern_of_bytes(code),
    };
    Some(ideograph)
}

/// The character that the bytes of an old code point are today.
fn modern_of_bytes(code: u32) -> Option<char> {
    let bytes = match code {
        // Ten signs for vertical writing, in three runs.
        0xE78D..=0xE793 => [0xA6, 0xD9 + low(code - 0xE78D)],
        0xE794..=0xE795 => [0xA6, 0xEC + low(code - 0xE794)],
        0xE796 => [0xA6, 0xF3],
        // Two letters of Pinyin.
        0xE7C7 => [0xA8, 0xBC],
        0xE7C8 => [0xA8, 0xBF],
        // The ideographic variation mark and the twelve descriptions of ideographs.
        0xE7E7..=0xE7F3 => [0xA9, 0x89 + low(code - 0xE7E7)],
        _ if IDEOGRAPHS.contains(&code) => {
            let trail = 0x50 + low(code - 0xE815);
            // 0x7F is no second byte.
            [0xFE, trail + u8::from(trail >= 0x7F)]
        }
        _ => return None,
    };
    let text = GB18030.decode_without_bom_handling_and_without_replacement(&bytes)?;
    let mut characters = text.chars();
    let character = characters.next().filter(|_| characters.next().is_none())?;
    (!is_private(character)).then_some(character)
}

fn low(offset: u32) -> u8 {
    u8::try_from(offset).unwrap_or(0)
}

fn is_private(character: char) -> bool {
    matches!(character, '\u{E000}'..='\u{F8FF}')
}

/// Adds a text, its characters of private use as what they stand for where that is known.
pub(crate) fn push_modern(to: &mut String, text: &str) {
    // All of them begin with 0xEE or 0xEF in UTF-8.
    if !text.bytes().any(|byte| byte == 0xEE || byte == 0xEF) {
        to.push_str(text);
        return;
    }
    for character in text.chars() {
        to.push(if is_private(character) { modern(character).unwrap_or(character) } else { character });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_points_of_the_old_tables_become_those_of_2022() {
        for (old, new) in [
            ('\u{E78D}', '\u{FE10}'),
            ('\u{E78E}', '\u{FE12}'),
            ('\u{E78F}', '\u{FE11}'),
            ('\u{E793}', '\u{FE16}'),
            ('\u{E794}', '\u{FE17}'),
            ('\u{E795}', '\u{FE18}'),
            ('\u{E796}', '\u{FE19}'),
            ('\u{E7C7}', '\u{1E3F}'),
            ('\u{E816}', '\u{20087}'),
            ('\u{E817}', '\u{20089}'),
            ('\u{E818}', '\u{200CC}'),
            ('\u{E81E}', '\u{9FB4}'),
            ('\u{E826}', '\u{9FB5}'),
            ('\u{E82B}', '\u{9FB6}'),
            ('\u{E82C}', '\u{9FB7}'),
            ('\u{E831}', '\u{215D7}'),
            ('\u{E832}', '\u{9FB8}'),
            ('\u{E83B}', '\u{2298F}'),
            ('\u{E843}', '\u{9FB9}'),
            ('\u{E854}', '\u{9FBA}'),
            ('\u{E855}', '\u{241FE}'),
            ('\u{E864}', '\u{9FBB}'),
        ] {
            assert_eq!(modern(old), Some(new), "{:X}", u32::from(old));
        }
        for unknown in ['\u{E000}', '\u{E5E5}', '\u{F8FF}', '张'] {
            assert_eq!(modern(unknown), None);
        }
        let mut text = String::new();
        push_modern(&mut text, "王\u{E81E}\u{E000}，");
        assert_eq!(text, "王\u{9FB4}\u{E000}，");
    }
}
