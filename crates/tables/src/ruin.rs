//! What spreadsheets make of ids and numbers that were typed into cells without text format.

/// What a spreadsheet has made of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruin {
    /// A number of more than fifteen digits: the rest became zeros, or a power of ten (`1.30302E+17`).
    Rounded,
    /// A date (`3-1` became the third of January).
    Date,
    /// An error (`#N/A`, `#REF!`, `####`).
    Error,
    /// A formula without a stored result.
    Formula,
}

impl Ruin {
    /// What to say about it.
    pub fn en(self) -> &'static str {
        match self {
            Self::Rounded => {
                "Excel has rounded it: it keeps 15 digits of a number; format the column as text, and type it again"
            }
            Self::Date => "Excel has made a date of it; format the column as text, and type it again",
            Self::Error => "the cell shows an error of the spreadsheet",
            Self::Formula => "the cell has a formula without a stored result; paste values instead",
        }
    }

    /// The same for a Chinese reader.
    pub fn zh(self) -> &'static str {
        match self {
            Self::Rounded => "Excel 只保留 15 位数字，后面的已被舍入；请把该列设为“文本”格式后重新输入",
            Self::Date => "Excel 已把内容变成日期；请把该列设为“文本”格式后重新输入",
            Self::Error => "单元格显示的是表格软件的错误值",
            Self::Formula => "单元格是没有保存结果的公式；请改为粘贴数值",
        }
    }
}

/// What a spreadsheet has made of a text that should be an id or a number; `None` when nothing can be seen of it.
pub fn ruin_of(text: &str) -> Option<Ruin> {
    let text = text.trim();
    if is_power_of_ten(text) || is_rounded_number(text) {
        return Some(Ruin::Rounded);
    }
    if is_error(text) {
        return Some(Ruin::Error);
    }
    is_date(text).then_some(Ruin::Date)
}

/// `1.30302E+17`, `1.30302198001010E17`.
fn is_power_of_ten(text: &str) -> bool {
    let Some((number, power)) = text.split_once(['E', 'e']) else { return false };
    let power = power.strip_prefix('+').unwrap_or(power);
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    whole.len() == 1 && all_digits(whole) && all_digits(part) && power.len() == 2 && all_digits(power)
}

/// Sixteen digits or more of which only the first fifteen are something, perhaps with `.0` or `.00` behind.
fn is_rounded_number(text: &str) -> bool {
    let whole = text.trim_end_matches(['0', '.']);
    let digits = text.split_once('.').map_or(text, |(digits, _)| digits);
    digits.len() >= 16
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (whole.len() <= 15 || text.contains('.'))
        && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

fn is_error(text: &str) -> bool {
    let known = ["#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NULL!", "#NUM!"];
    known.iter().any(|error| text.eq_ignore_ascii_case(error))
        || (text.len() >= 3 && text.bytes().all(|byte| byte == b'#'))
}

/// `3月1日`, `1-Mar`, `Mar-01`, `2019/3/1`.
fn is_date(text: &str) -> bool {
    let has_chinese =
        text.contains('月') && text.ends_with('日') && text.chars().any(|char| char.is_ascii_digit());
    let months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let english = text.split_once('-').is_some_and(|(one, other)| {
        let is_month = |word: &str| months.contains(&word.to_ascii_lowercase().as_str());
        let is_number =
            |word: &str| (1..=2).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit());
        (is_month(one) && is_number(other)) || (is_number(one) && is_month(other))
    });
    let parts: Vec<&str> = text.split('/').collect();
    let slashes = parts.len() == 3
        && parts
            .iter()
            .all(|part| (1..=4).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit()));
    has_chinese || english || slashes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ruin_is_recognised() {
        for (text, ruin) in [
            ("1.30302E+17", Ruin::Rounded),
            ("1.3E+17", Ruin::Rounded),
            ("1.30302198001010e17", Ruin::Rounded),
            ("130302198001010000", Ruin::Rounded),
            ("130302198001010000.00", Ruin::Rounded),
            ("1303021980010100000", Ruin::Rounded),
            ("3月1日", Ruin::Date),
            ("1-Mar", Ruin::Date),
            ("Mar-01", Ruin::Date),
            ("2019/3/1", Ruin::Date),
            ("#N/A", Ruin::Error),
            ("#ref!", Ruin::Error),
            ("########", Ruin::Error),
        ] {
            assert_eq!(ruin_of(text), Some(ruin), "{text}");
            assert!(!ruin.en().is_empty() && !ruin.zh().is_ascii());
        }
        for text in [
            "",
            "T01",
            "130302",
            "130302198001010118",
            "13030219800101100X",
            "E+17",
            "1E5",
            "A-1",
            "3-1",
            "#1",
        ] {
            assert_eq!(ruin_of(text), None, "{text}");
        }
    }
}
