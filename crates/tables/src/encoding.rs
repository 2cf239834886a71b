//! Which encoding a text file is in, decided by the whole of it.
//!
//! A byte order mark says it. UTF-16 without one shows by its zeros. Else every line is asked: is it UTF-8, and does it
//! hold Chinese then; is it GB 18030, and does it hold the ideographs that people write then. A file whose lines agree is
//! read; lines that differ from most are faults of their rows; a file of two halves is refused, and so is one that is
//! text by accident in either. Nothing is taken for what it only might be: garbage that is stored is worse than a file
//! that is sent again.

use encoding_rs::{GB18030, UTF_16BE, UTF_16LE};

use crate::TableError;

/// Of how many bytes the zeros are counted.
const ZEROS_COUNTED_MAX: usize = 64 * 1024;
/// Lines that don't fit are named up to one in so many; beyond, the file is refused.
const ODD_LINES_ONE_IN: usize = 4;

/// An encoding that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8, with or without a byte order mark.
    Utf8,
    /// UTF-16, the low byte first.
    Utf16Le,
    /// UTF-16, the high byte first.
    Utf16Be,
    /// GB 18030, and what came before it: GB 2312, GBK.
    Gb18030,
}

impl Encoding {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Utf16Le | Self::Utf16Be => "UTF-16",
            Self::Gb18030 => "GB 18030",
        }
    }
}

/// A file as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decoded {
    pub(crate) text: String,
    pub(crate) encoding: Encoding,
    /// The lines that don't fit, from 1, ascending. Their text has U+FFFD where nothing can be read.
    pub(crate) odd_lines: Vec<u64>,
}

/// Decodes a whole file.
pub(crate) fn decode(bytes: Vec<u8>) -> Result<Decoded, TableError> {
    match bytes.as_slice() {
        [0xFF, 0xFE, body @ ..] => return Ok(decode_utf16(body, Encoding::Utf16Le)),
        [0xFE, 0xFF, body @ ..] => return Ok(decode_utf16(body, Encoding::Utf16Be)),
        [0xEF, 0xBB, 0xBF, ..] => return decode_marked(bytes),
        body => {
            if let Some(encoding) = utf16_by_zeros(body) {
                return Ok(decode_utf16(body, encoding));
            }
        }
    }
    match String::from_utf8(bytes) {
        Ok(text) => plausible_utf8(text),
        Err(error) => by_lines(error.as_bytes()),
    }
}

/// UTF-16 text has a zero in every other byte wherever it is ASCII, and codes, digits and separators are.
fn utf16_by_zeros(bytes: &[u8]) -> Option<Encoding> {
    let counted = &bytes[..bytes.len().min(ZEROS_COUNTED_MAX)];
    let mut zeros = [0_usize; 2];
    for (at, byte) in counted.iter().enumerate() {
        zeros[at % 2] += usize::from(*byte == 0);
    }
    let many = counted.len() / 8;
    match zeros {
        [0, odd] if odd > many => Some(Encoding::Utf16Le),
        [even, 0] if even > many => Some(Encoding::Utf16Be),
        _ => None,
    }
}

fn decode_utf16(body: &[u8], encoding: Encoding) -> Decoded {
    let decoder = if encoding == Encoding::Utf16Be { UTF_16BE } else { UTF_16LE };
    let (text, has_errors) = decoder.decode_without_bom_handling(body);
    let text = text.into_owned();
    let odd_lines = match has_errors {
        false => Vec::new(),
        true => lines(text.as_bytes())
            .filter(|(_, line)| String::from_utf8_lossy(line).contains('\u{FFFD}'))
            .map(|(number, _)| number)
            .collect(),
    };
    Decoded { text, encoding, odd_lines }
}

/// A file that says that it is UTF-8.
fn decode_marked(mut bytes: Vec<u8>) -> Result<Decoded, TableError> {
    bytes.drain(..3);
    let bytes = match String::from_utf8(bytes) {
        Ok(text) => return Ok(Decoded { text, encoding: Encoding::Utf8, odd_lines: Vec::new() }),
        Err(error) => error.into_bytes(),
    };
    let kinds: Vec<(u64, Kind)> = lines(&bytes).map(|(number, line)| (number, kind_of(line))).collect();
    let is_odd = |kind: Kind| matches!(kind, Kind::Other | Kind::BrokenUtf8);
    decode_with_odd(&bytes, Encoding::Utf8, &kinds, is_odd)
}

/// What a line may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// In every encoding the same.
    Ascii,
    /// UTF-8 with characters beyond U+07FF, which no other text is by accident.
    Utf8,
    /// UTF-8 of two bytes a character: it may be GB 18030 as well.
    MaybeUtf8,
    /// UTF-8 but for a few bytes.
    BrokenUtf8,
    /// No UTF-8.
    Other,
}

fn kind_of(line: &[u8]) -> Kind {
    if line.is_ascii() {
        return Kind::Ascii;
    }
    let is_far = |character: char| u32::from(character) > 0x7FF;
    match std::str::from_utf8(line) {
        Ok(text) if text.chars().any(is_far) => Kind::Utf8,
        Ok(_) => Kind::MaybeUtf8,
        Err(_) => {
            let (mut far, mut broken) = (0, 0);
            for chunk in line.utf8_chunks() {
                far += chunk.valid().chars().filter(|character| is_far(*character)).count();
                broken += usize::from(!chunk.invalid().is_empty());
            }
            if far > broken { Kind::BrokenUtf8 } else { Kind::Other }
        }
    }
}

/// A file that is UTF-8 throughout. Short GB 18030 text may be that too: then every character of it has two bytes.
fn plausible_utf8(text: String) -> Result<Decoded, TableError> {
    let mut all_near = !text.is_ascii();
    let mut near = 0_usize;
    for character in text.chars().filter(|character| !character.is_ascii()) {
        all_near &= u32::from(character) <= 0x7FF;
        // The dot between the parts of a name, which is 路 in GB 18030, says nothing.
        near += usize::from(character != '·');
        if !all_near {
            break;
        }
    }
    if all_near && near > 0 && looks_gb18030(text.as_bytes()) {
        let mut odd = lines(text.as_bytes()).filter(|(_, line)| !line.is_ascii());
        let line = odd.next().map_or(1, |(number, _)| number);
        return Err(TableError::AmbiguousEncoding { line });
    }
    Ok(Decoded { text, encoding: Encoding::Utf8, odd_lines: Vec::new() })
}

/// A file that is not UTF-8 throughout.
fn by_lines(bytes: &[u8]) -> Result<Decoded, TableError> {
    let kinds: Vec<(u64, Kind)> = lines(bytes).map(|(number, line)| (number, kind_of(line))).collect();
    let count = |wanted: &[Kind]| kinds.iter().filter(|(_, kind)| wanted.contains(kind)).count();
    let utf8 = count(&[Kind::Utf8, Kind::BrokenUtf8]);
    let broken = count(&[Kind::BrokenUtf8]);
    let other = count(&[Kind::Other]);
    let maybe = count(&[Kind::MaybeUtf8]);
    let all = utf8 + other + maybe;
    if utf8 > 0 && (other + maybe) * ODD_LINES_ONE_IN <= all {
        let is_odd = |kind| matches!(kind, Kind::Other | Kind::MaybeUtf8 | Kind::BrokenUtf8);
        return decode_with_odd(bytes, Encoding::Utf8, &kinds, is_odd);
    }
    if utf8 * ODD_LINES_ONE_IN <= all && broken * ODD_LINES_ONE_IN <= all {
        let evidence: Vec<u8> = lines(bytes)
            .zip(&kinds)
            .filter(|(_, (_, kind))| matches!(kind, Kind::Other | Kind::MaybeUtf8))
            .flat_map(|((_, line), _)| line.iter().copied().chain([b'\n']))
            .collect();
        if looks_gb18030(&evidence) {
            return decode_with_odd(bytes, Encoding::Gb18030, &kinds, |kind| {
                matches!(kind, Kind::Utf8 | Kind::BrokenUtf8)
            });
        }
        let first = kinds.iter().find(|(_, kind)| *kind == Kind::Other);
        return Err(TableError::UnknownEncoding { line: first.map_or(1, |(number, _)| *number) });
    }
    // The first line that is of another kind than the first that is of any.
    let of_one = |kind: Kind| matches!(kind, Kind::Utf8 | Kind::BrokenUtf8);
    let told = kinds.iter().filter(|(_, kind)| *kind != Kind::Ascii);
    let mut told = told.skip_while(|(_, kind)| *kind == Kind::MaybeUtf8);
    let first = told.next().map_or(Kind::Ascii, |(_, kind)| *kind);
    let line = told.find(|(_, kind)| of_one(*kind) != of_one(first)).map_or(1, |(number, _)| *number);
    Err(TableError::MixedEncodings { line })
}

/// Decodes line by line. What can't be read is odd, whatever its kind.
fn decode_with_odd(
    bytes: &[u8],
    encoding: Encoding,
    kinds: &[(u64, Kind)],
    is_odd: impl Fn(Kind) -> bool,
) -> Result<Decoded, TableError> {
    let mut text = String::with_capacity(bytes.len() + bytes.len() / 2);
    let mut odd_lines = Vec::new();
    let mut told = 0_usize;
    let mut at = 0;
    for ((number, line), (_, kind)) in lines(bytes).zip(kinds) {
        let decoded = match encoding {
            Encoding::Gb18030 => GB18030.decode_without_bom_handling_and_without_replacement(line),
            _ => std::str::from_utf8(line).ok().map(Into::into),
        };
        told += usize::from(*kind != Kind::Ascii);
        if decoded.is_none() || is_odd(*kind) {
            odd_lines.push(number);
        }
        match decoded {
            Some(decoded) => text.push_str(&decoded),
            None if encoding == Encoding::Gb18030 => {
                text.push_str(&GB18030.decode_without_bom_handling(line).0)
            }
            None => text.push_str(&String::from_utf8_lossy(line)),
        }
        // The line end as it is, so that lines keep their numbers.
        at += line.len();
        let rest = bytes.get(at..).unwrap_or_default();
        let end = usize::from(!rest.is_empty()) + usize::from(rest.starts_with(b"\r\n"));
        rest.iter().take(end).for_each(|byte| text.push(char::from(*byte)));
        at += end;
    }
    let first = odd_lines.first().copied().unwrap_or(1);
    // One odd line of a small file is named; when most are odd, nobody knows what the file is.
    if odd_lines.len() > 1 && odd_lines.len() * ODD_LINES_ONE_IN > told {
        return Err(TableError::UnknownEncoding { line: first });
    }
    Ok(Decoded { text, encoding, odd_lines })
}

/// Whether bytes are GB 18030 text that people write: most of its double bytes are the 6,763 ideographs of GB 2312.
fn looks_gb18030(bytes: &[u8]) -> bool {
    let (mut common, mut rare) = (0_usize, 0_usize);
    let mut at = 0;
    while let Some(lead) = bytes.get(at) {
        let trail = bytes.get(at + 1).copied().unwrap_or_default();
        match lead {
            0x00..=0x80 => {
                at += 1;
                continue;
            }
            // Four bytes: an ideograph of a rare name, say.
            _ if trail.is_ascii_digit() => {
                at += 4;
                continue;
            }
            // Punctuation, and letters of full width.
            0xA1 | 0xA3 => {}
            0xB0..=0xF7 if trail >= 0xA1 => common += 1,
            _ => rare += 1,
        }
        at += 2;
    }
    common > 0 && common * 10 >= (common + rare) * 6
}

/// The lines of a file with their numbers from 1, without their ends, which are CRLF, LF or CR.
pub(crate) fn lines(bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let mut rest = Some(bytes);
    let mut number = 0;
    std::iter::from_fn(move || {
        let bytes = rest?;
        number += 1;
        let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
            rest = None;
            return Some((number, bytes));
        };
        let ends = if bytes[end..].starts_with(b"\r\n") { 2 } else { 1 };
        rest = Some(&bytes[end + ends..]);
        Some((number, &bytes[..end]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "姓名,学科\r\n张三,语文\r\n李四,数学\n王五,英语\r赵六,物理\n";

    fn gb(text: &str) -> Vec<u8> {
        GB18030.encode(text).0.into_owned()
    }

    fn utf16(text: &str, big: bool) -> Vec<u8> {
        let order = if big { u16::to_be_bytes } else { u16::to_le_bytes };
        text.encode_utf16().flat_map(order).collect()
    }

    #[test]
    fn text_of_one_encoding_is_read_as_it_is() {
        let ascii = "person_id,name,subject,id_number\n";
        let text = format!("{ascii}{TEXT}");
        for (bytes, encoding) in [
            (TEXT.as_bytes().to_vec(), Encoding::Utf8),
            ([b"\xEF\xBB\xBF", TEXT.as_bytes()].concat(), Encoding::Utf8),
            (gb(TEXT), Encoding::Gb18030),
            ([b"\xFF\xFE".to_vec(), utf16(TEXT, false)].concat(), Encoding::Utf16Le),
            ([b"\xFE\xFF".to_vec(), utf16(TEXT, true)].concat(), Encoding::Utf16Be),
        ] {
            let decoded = decode(bytes).unwrap();
            assert_eq!((decoded.text.as_str(), decoded.encoding), (TEXT, encoding));
            assert_eq!(decoded.odd_lines, []);
        }
        for (bytes, encoding) in
            [(utf16(&text, false), Encoding::Utf16Le), (utf16(&text, true), Encoding::Utf16Be)]
        {
            let decoded = decode(bytes).unwrap();
            assert_eq!((decoded.text.as_str(), decoded.encoding), (text.as_str(), encoding));
        }
    }

    #[test]
    fn line_of_another_encoding_is_named() {
        let rows: Vec<String> = (0..9).map(|row| format!("T{row},教师{row},语文")).collect();
        let strange = "T9,教师,语文";
        let mixed = [rows.join("\n").into_bytes(), b"\n".to_vec(), gb(strange)].concat();
        let decoded = decode(mixed.clone()).unwrap();
        assert_eq!((decoded.encoding, decoded.odd_lines), (Encoding::Utf8, vec![10]));
        let marked = [b"\xEF\xBB\xBF".to_vec(), mixed].concat();
        assert_eq!(decode(marked).unwrap().odd_lines, [10]);
        let mixed = [gb(&rows.join("\n")), b"\n".to_vec(), strange.as_bytes().to_vec()].concat();
        let decoded = decode(mixed).unwrap();
        assert_eq!((decoded.encoding, decoded.odd_lines), (Encoding::Gb18030, vec![10]));
        let halves = [rows.join("\n").into_bytes(), b"\n".to_vec(), gb(&rows.join("\n"))].concat();
        assert_eq!(decode(halves), Err(TableError::MixedEncodings { line: 10 }));
    }

    #[test]
    fn file_that_is_cut_within_a_character_names_its_last_line() {
        for (text, cut) in [
            (TEXT.trim_end().as_bytes().to_vec(), 1),
            (TEXT.trim_end().as_bytes().to_vec(), 2),
            ("T1,教师,语文".as_bytes().to_vec(), 1),
            ("T1,教师,语文".as_bytes().to_vec(), 2),
            (gb(TEXT.trim_end()), 1),
            ([b"\xFF\xFE".to_vec(), utf16(TEXT.trim_end(), false)].concat(), 1),
        ] {
            let last = lines(&text).count() as u64;
            let last = if text.starts_with(b"\xFF\xFE") { 5 } else { last };
            let decoded = decode(text[..text.len() - cut].to_vec()).unwrap();
            assert_eq!(decoded.odd_lines, [last], "{cut} of {text:?}");
        }
    }

    #[test]
    fn what_nobody_can_tell_is_refused() {
        // Big5, Shift JIS, Latin-1.
        let big5 = encoding_rs::BIG5.encode("姓名,學科\n陳小明,國語\n王大同,數學\n").0.into_owned();
        let japanese = encoding_rs::SHIFT_JIS.encode("なまえ,きょうか\nたなか,こくご\n").0.into_owned();
        let latin = b"name\nJos\xE9,Espa\xF1ol\nZo\xEB,Fran\xE7ais\n".to_vec();
        for bytes in [big5, japanese, latin, vec![0x81, 0xFF, 0xFF]] {
            assert!(matches!(decode(bytes), Err(TableError::UnknownEncoding { .. })));
        }
        // 每 is the two bytes of a letter of UTF-8, and so is the rest.
        let ambiguous = gb("a,b\n1,每\n");
        assert!(std::str::from_utf8(&ambiguous).is_ok() && std::str::from_utf8(&gb("每")).is_ok());
        assert_eq!(decode(ambiguous), Err(TableError::AmbiguousEncoding { line: 2 }));
        assert!(decode("a·b,c\n".as_bytes().to_vec()).is_ok());
    }

    proptest::proptest! {
        #[test]
        fn chinese_text_comes_back_from_every_encoding(text in "[a-z0-9,\n一-龥]{0,40}[张王李赵语数英]{6,9}") {
            for bytes in [text.as_bytes().to_vec(), gb(&text)] {
                let decoded = decode(bytes);
                if let Ok(decoded) = decoded && decoded.odd_lines.is_empty() {
                    proptest::prop_assert_eq!(decoded.text, text.clone());
                }
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let count = lines(&bytes).count();
            let has_mark = bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF");
            if let Ok(decoded) = decode(bytes) && !has_mark && decoded.encoding == Encoding::Utf8 {
                proptest::prop_assert_eq!(lines(decoded.text.as_bytes()).count(), count);
            }
        }
    }
}
