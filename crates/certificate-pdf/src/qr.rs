//! A code as a picture: one pixel a module, with the quiet zone of four around it. As a picture and not as paths, which would be
//! most of a page's bytes.

use std::sync::Arc;

use krilla::image::{BitsPerComponent, CustomImage, Image, ImageColorspace};
use qrcode::{Color, EcLevel, QrCode};

/// How many modules of white the standard asks for around a code.
const QUIET: usize = 4;
/// From how many characters on a code is a long one.
pub(crate) const LONG: usize = 700;
const DARK: u8 = 0;
const LIGHT: u8 = 255;

#[derive(Clone, Hash)]
struct Picture {
    pixels: Arc<Vec<u8>>,
    side: u32,
}

impl CustomImage for Picture {
    fn color_channel(&self) -> &[u8] {
        &self.pixels
    }

    fn alpha_channel(&self) -> Option<&[u8]> {
        None
    }

    fn bits_per_component(&self) -> BitsPerComponent {
        BitsPerComponent::Eight
    }

    fn size(&self) -> (u32, u32) {
        (self.side, self.side)
    }

    fn icc_profile(&self) -> Option<&[u8]> {
        None
    }

    fn color_space(&self) -> ImageColorspace {
        ImageColorspace::Luma
    }
}

/// The picture of a code; `None` when it is too long for any.
pub(crate) fn picture(code: &str) -> Option<Image> {
    // A longer code has smaller modules: fewer of them are worth more than more of correction.
    let level = if code.len() > LONG { EcLevel::L } else { EcLevel::M };
    let qr = QrCode::with_error_correction_level(code, level).ok()?;
    let side = qr.width() + 2 * QUIET;
    let mut pixels = vec![LIGHT; side * side];
    for row in 0..qr.width() {
        for column in 0..qr.width() {
            if qr[(column, row)] == Color::Dark {
                pixels[(row + QUIET) * side + column + QUIET] = DARK;
            }
        }
    }
    let picture = Picture { pixels: Arc::new(pixels), side: u32::try_from(side).ok()? };
    Image::from_custom(picture, false).ok()
}
