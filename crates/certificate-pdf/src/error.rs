//! Why nothing was printed.

use crate::fonts::FontError;

/// Why nothing was printed.
#[derive(Debug, thiserror::Error)]
pub enum PrintError {
    /// A character that no font has.
    #[error("no font on this machine has the character {character} (U+{:04X}) of “{text}”", u32::from(*character))]
    NoGlyph {
        /// The text that it is in.
        text: String,
        /// The character.
        character: char,
    },
    /// A font can't be read.
    #[error(transparent)]
    Font(#[from] FontError),
    /// A code that is too long for a QR code.
    #[error("the code of certificate {0} is too long for a QR code")]
    Code(String),
    /// The PDF can't be made.
    #[error("the PDF can't be made: {0}")]
    Pdf(String),
}
