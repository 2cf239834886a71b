//! The subjects that somebody teaches or leads, and those that a course is for: several in one text, as people write them, in one way
//! to write them, so that the same subjects are the same text.

/// What stands between subjects, as people write it.
const SEPARATORS: [char; 8] = ['、', '/', '／', ';', '；', ',', '，', '\u{ff64}'];
/// What stands between them here.
const BETWEEN: &str = "、";

/// The subjects of a text as people write it, each once, in the order of their code points, with 、 between them; empty for none.
pub fn written(text: &str) -> String {
    let mut subjects: Vec<&str> =
        text.split(SEPARATORS).map(str::trim).filter(|subject| !subject.is_empty()).collect();
    subjects.sort_unstable();
    subjects.dedup();
    subjects.join(BETWEEN)
}

/// Each of the subjects of a text that is written as [`written`] has it.
pub fn each(subjects: &str) -> impl Iterator<Item = &str> {
    subjects.split(BETWEEN).filter(|subject| !subject.is_empty())
}

/// Whether two such texts have a subject in common.
pub fn have_common(one: &str, other: &str) -> bool {
    each(one).any(|subject| each(other).any(|of| of == subject))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_subjects_are_the_same_text() {
        for (text, expected) in [
            ("", ""),
            ("语文", "语文"),
            (" 语文 ", "语文"),
            ("语文、数学", "数学、语文"),
            ("数学/语文", "数学、语文"),
            ("语文；数学;语文", "数学、语文"),
            ("语文， 数学,英语", "数学、英语、语文"),
            ("语文／数学、", "数学、语文"),
            ("、/;", ""),
        ] {
            assert_eq!(written(text), expected, "{text}");
            assert_eq!(written(&written(text)), expected, "{text}");
        }
    }

    #[test]
    fn common_is_any_of_them() {
        for (one, other, expected) in [
            ("语文", "语文", true),
            ("语文", "数学", false),
            ("数学、语文", "语文", true),
            ("数学、语文", "英语、语文", true),
            ("数学、语文", "英语", false),
            // One is no part of the other's name.
            ("数学", "数学史", false),
            ("", "语文", false),
            ("", "", false),
        ] {
            assert_eq!(have_common(one, other), expected, "{one} {other}");
            assert_eq!(have_common(other, one), expected, "{other} {one}");
        }
    }
}
