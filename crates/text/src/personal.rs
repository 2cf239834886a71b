//! Texts that hold a citizen identity number (GB 11643), or what looks like one.
//!
//! People write numbers with blanks, hyphens and brackets, in full-width digits, with a phone number behind them, and the
//! old ones of fifteen digits. So a text is read as runs of digits with such separators between them; a number is
//! eighteen digits of a run (the last may be X), or fifteen, that begin and end where a group of digits does and have a
//! province and a birth date where a number has them.
//!
//! [`holds_identity_number`] asks for no more, since a mistyped number is somebody's number all the same: it is for names
//! and other short texts, and for cells of tables that people filled in. [`holds_valid_identity_number`] asks for the
//! check digit too: it is for ids, which machines make by the million, and for long texts, where eighteen digits may be
//! anything.

/// Weights of the first seventeen digits (ISO 7064 MOD 11-2, GB 11643).
const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
const CHECK_DIGITS: &[u8; 11] = b"10X98765432";
/// The first two digits of the divisions that numbers are issued in (GB/T 2260).
const PROVINCES: [u32; 35] = [
    11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37, 41, 42, 43, 44, 45, 46, 50, 51, 52, 53, 54,
    61, 62, 63, 64, 65, 71, 81, 82, 83,
];
/// The latest birth year that is believed of a number whose check digit is wrong: eighteen digits that begin with a
/// region and go on with a recent day are somebody's own numbering more often.
const BIRTH_YEAR_MAX_UNCHECKED: u32 = 2010;
/// The earliest year of a number of fifteen digits, which have two for the year.
const SHORT_YEAR_MIN: u32 = 30;

/// Whether a text holds what looks like an identity number, mistyped ones too.
pub fn holds_identity_number(text: &str) -> bool {
    any_run(text, false)
}

/// Whether a text holds an identity number whose check digit is right, or one of the old kind, without a check digit.
pub fn holds_valid_identity_number(text: &str) -> bool {
    any_run(text, true)
}

/// A digit (or X) of a run, and whether something stood between it and the one before.
#[derive(Clone, Copy)]
struct RunDigit {
    digit: u8,
    begins_group: bool,
}

fn any_run(text: &str, checked: bool) -> bool {
    if text.len() < 15 {
        return false;
    }
    let mut run: Vec<RunDigit> = Vec::new();
    let mut begins_group = true;
    for character in text.chars() {
        match kind_of(character) {
            Kind::Digit(digit) => {
                run.push(RunDigit { digit, begins_group });
                begins_group = false;
            }
            Kind::X if !run.is_empty() => {
                run.push(RunDigit { digit: b'X', begins_group });
                if run_holds(&run, checked) {
                    return true;
                }
                run.clear();
                begins_group = true;
            }
            Kind::Separator => begins_group = true,
            Kind::X | Kind::Other => {
                if run_holds(&run, checked) {
                    return true;
                }
                run.clear();
                begins_group = true;
            }
        }
    }
    run_holds(&run, checked)
}

enum Kind {
    Digit(u8),
    X,
    Separator,
    Other,
}

fn kind_of(character: char) -> Kind {
    if let Some(digit) = digit_of(character) {
        return Kind::Digit(digit);
    }
    match character {
        // As it is written, in full width, as a Roman ten, as the Cyrillic letter, as the sign of multiplication.
        'X' | 'x' | 'Ｘ' | 'ｘ' | 'Ⅹ' | 'ⅹ' | 'Х' | 'х' | '×' | '✕' | '✖' => Kind::X,
        '-' | '_' | '.' | ':' | '/' | '\\' | '|' | '~' | '*' | '\'' | '"' | ',' | ';' | '(' | ')' | '['
        | ']' | '{' | '}' | '<' | '>' => Kind::Separator,
        '‐' | '‑' | '‒' | '–' | '—' | '―' | '−' | '－' | '＿' | '．' | '：' | '／' | '·' | '•' | '・'
        | '，' | '；' | '、' | '。' | '（' | '）' | '【' | '】' | '［' | '］' | '〔' | '〕' | '《' | '》'
        | '〈' | '〉' | '「' | '」' | '“' | '”' | '‘' | '’' => Kind::Separator,
        character if character.is_whitespace() || crate::is_unseen(character) => Kind::Separator,
        _ => Kind::Other,
    }
}

/// The digit that a character shows: ASCII, full width, mathematical, circled.
fn digit_of(character: char) -> Option<u8> {
    let digit = match character {
        '0'..='9' => u32::from(character) - u32::from('0'),
        '０'..='９' => u32::from(character) - u32::from('０'),
        '\u{1D7CE}'..='\u{1D7FF}' => (u32::from(character) - 0x1D7CE) % 10,
        '①'..='⑨' => u32::from(character) - u32::from('①') + 1,
        '⓪' => 0,
        _ => return None,
    };
    u8::try_from(digit).ok().map(|digit| digit + b'0')
}

fn run_holds(run: &[RunDigit], checked: bool) -> bool {
    (0..run.len()).any(|start| {
        let long = run.get(start..start + 18).is_some_and(|window| {
            let is_aligned = ends_group(run, start, 18);
            let has_check_digit = has_check_digit(window);
            is_plausible_long(window, has_check_digit) && (has_check_digit || (is_aligned && !checked))
        });
        long || run.get(start..start + 15).is_some_and(|window| {
            ends_group(run, start, 15) && is_grouped_as_short(window) && is_plausible_short(window)
        })
    })
}

/// Whether a window begins where a group begins and ends where one ends.
fn ends_group(run: &[RunDigit], start: usize, length: usize) -> bool {
    run[start].begins_group && run.get(start + length).is_none_or(|next| next.begins_group)
}

/// Fifteen digits have no check digit, so only what is written in one piece or as region, birth date, serial is one.
fn is_grouped_as_short(window: &[RunDigit]) -> bool {
    let breaks: Vec<usize> =
        (1..window.len()).filter(|at| window.get(*at).is_some_and(|place| place.begins_group)).collect();
    breaks.iter().all(|at| [6, 12].contains(at))
}

fn number(window: &[RunDigit]) -> Option<u32> {
    let mut number = 0;
    for place in window {
        if !place.digit.is_ascii_digit() {
            return None;
        }
        number = number * 10 + u32::from(place.digit - b'0');
    }
    Some(number)
}

fn is_province(window: &[RunDigit]) -> bool {
    number(&window[..2]).is_some_and(|province| PROVINCES.contains(&province))
}

fn is_day(month: Option<u32>, day: Option<u32>) -> bool {
    let days = match month {
        Some(1 | 3 | 5 | 7 | 8 | 10 | 12) => 31,
        Some(4 | 6 | 9 | 11) => 30,
        Some(2) => 29,
        _ => return false,
    };
    day.is_some_and(|day| (1..=days).contains(&day))
}

fn is_plausible_long(window: &[RunDigit], has_check_digit: bool) -> bool {
    let year_max = if has_check_digit { 2099 } else { BIRTH_YEAR_MAX_UNCHECKED };
    window[..17].iter().all(|place| place.digit.is_ascii_digit())
        && is_province(window)
        && number(&window[6..10]).is_some_and(|year| (1900..=year_max).contains(&year))
        && is_day(number(&window[10..12]), number(&window[12..14]))
}

fn is_plausible_short(window: &[RunDigit]) -> bool {
    window.iter().all(|place| place.digit.is_ascii_digit())
        && is_province(window)
        && number(&window[6..8]).is_some_and(|year| year >= SHORT_YEAR_MIN)
        && is_day(number(&window[8..10]), number(&window[10..12]))
}

fn has_check_digit(window: &[RunDigit]) -> bool {
    let mut sum = 0;
    for (place, weight) in window.iter().zip(WEIGHTS) {
        if !place.digit.is_ascii_digit() {
            return false;
        }
        sum += u32::from(place.digit - b'0') * weight;
    }
    window.get(17).is_some_and(|last| last.digit == CHECK_DIGITS[(sum % 11) as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_is_seen_however_it_is_written() {
        for text in [
            "11010519491231002X",
            "11010519491231002x",
            "张三 11010519491231002X",
            "张三（110105 19491231 002X）",
            "张三110105-1949-1231-002X女",
            "１１０１０５１９４９１２３１００２Ｘ",
            "1 1 0 1 0 5 1 9 4 9 1 2 3 1 0 0 2 X",
            "110105\u{200B}19491231\u{FEFF}002X",
            "T130302198001010118",
            "130302198001010118,13800138000",
            "13030219800101011813800138000",
            "1380013800013030219800101011８",
            "1：130302198001010118",
            "11010519491231002×",
        ] {
            assert!(holds_identity_number(text), "{text}");
            assert!(holds_valid_identity_number(text), "{text}");
        }
    }

    #[test]
    fn mistyped_number_is_seen_in_short_texts_only() {
        for text in ["130302198001010119", "王五130302198001010119", "(130302)19800101(0119)"] {
            assert!(holds_identity_number(text), "{text}");
            assert!(!holds_valid_identity_number(text), "{text}");
        }
    }

    #[test]
    fn number_of_fifteen_digits_is_seen() {
        for text in
            ["130302800101011", "李四130302800101011", "130302 800101 011", "１３０３０２８００１０１０１１"]
        {
            assert!(holds_identity_number(text), "{text}");
            assert!(holds_valid_identity_number(text), "{text}");
        }
    }

    #[test]
    fn other_numbers_are_left_alone() {
        for text in [
            "",
            "张三",
            "13800138000",
            "2019-09-15 08:00 至 2019-10-30 18:00",
            "130302S0",
            "130302201909150001",
            "130302190915001",
            "130302202913150118",
            "qinhuangdao-2019:12:0123456789abcdef",
            "550e8400-e29b-41d4-a716-446655440000",
            "991302198001010118",
            "13030219800101011",
            "1303 0219 8001 0101",
            "第1303021980010101号",
        ] {
            assert!(!holds_identity_number(text), "{text}");
            assert!(!holds_valid_identity_number(text), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn number_is_found_wherever_it_stands(
            year in 1930_u32..2005, month in 1_u32..=12, day in 1_u32..=28, serial in 0_u32..1000,
            before in "[a-z张 ，]{0,8}", after in "[a-w张 ，]{0,8}", gap in "[ ，\u{200B}\u{3000}-]{0,2}",
        ) {
            let digits = format!("130302{year}{month:02}{day:02}{serial:03}");
            let places: Vec<RunDigit> = digits.bytes().map(|digit| RunDigit { digit, begins_group: false }).collect();
            let sum: u32 =
                places.iter().zip(WEIGHTS).map(|(place, weight)| u32::from(place.digit - b'0') * weight).sum();
            let check = char::from(CHECK_DIGITS[(sum % 11) as usize]);
            let text = format!("{before}{}{gap}{}{check}{after}", &digits[..6], &digits[6..]);
            proptest::prop_assert!(holds_identity_number(&text));
            proptest::prop_assert!(holds_valid_identity_number(&text));
        }
    }
}
