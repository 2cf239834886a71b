//! Certificates (年度培训合格证书) on paper: A4 landscape, one a page, as PDF. Apart from everything else, since fonts and PDF are heavy and no
//! service needs them: only the command line sets pages.
//!
//! A person's name is printed in the characters that it has, or not at all: a character that no font on the machine has is an
//! error that names it ([`Fonts::missing`]), to be found before a certificate is issued, and never a box on the paper.
#![expect(
    clippy::float_arithmetic,
    reason = "places on a page are fractions of a point; nothing is counted here"
)]

mod draw;
mod error;
mod fonts;
mod line;
mod page;
mod qr;

pub use error::PrintError;
pub use fonts::{FontError, Fonts};
pub use page::{Printed, print};
