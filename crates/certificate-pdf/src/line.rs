//! Lines of text: how wide, where they may end, and how large a text can be where it has to stand. Chinese may be broken between any
//! two characters but before a closing mark and after an opening one; words and figures stay whole, unless one is wider than the line.

use crate::{
    error::PrintError,
    fonts::{Fonts, Shape},
};

/// What may not begin a line.
const NOT_FIRST: &str = "，。、；：？！）》」』】”’·…,.;:?!)]}%";
/// What may not end a line.
const NOT_LAST: &str = "（《「『【“‘([{";

/// A text as shapes, at size 1.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) shapes: Vec<Shape>,
}

impl Line {
    /// A text in one line.
    ///
    /// # Errors
    /// When a character is in no font.
    pub(crate) fn shape(fonts: &mut Fonts, text: &str, bold: bool) -> Result<Self, PrintError> {
        let mut shapes = Vec::with_capacity(text.len());
        for character in text.chars() {
            let shape = fonts.shape(character, bold)?;
            shapes.push(shape.ok_or_else(|| PrintError::NoGlyph { text: text.to_owned(), character })?);
        }
        Ok(Self { text: text.to_owned(), shapes })
    }

    /// Whether no other font than the first was needed.
    pub(crate) fn is_of_one_font(&self) -> bool {
        self.shapes.iter().all(|shape| shape.face == self.shapes[0].face)
    }

    /// How wide it is at a size with so much between two characters.
    pub(crate) fn width(&self, size: f32, spacing: f32) -> f32 {
        let between = self.shapes.len().saturating_sub(1);
        self.shapes.iter().map(|shape| shape.advance * size).sum::<f32>() + spacing * count(between)
    }

    /// The same text in lines of at most a width.
    pub(crate) fn broken(&self, size: f32, width: f32) -> Vec<Self> {
        let characters: Vec<char> = self.text.chars().collect();
        let (mut lines, mut from, mut end_at, mut so_far, mut at) = (Vec::new(), 0, 0, 0.0, 0);
        while at < characters.len() {
            so_far += self.shapes[at].advance * size;
            if so_far > width && at > from {
                // Where it may end, or right here if that is nowhere.
                let end = if end_at > from { end_at } else { at };
                lines.push(self.part(&characters, from, end));
                (from, at, so_far, end_at) = (end, end, 0.0, end);
                continue;
            }
            at += 1;
            if at < characters.len() && may_end_between(characters[at - 1], characters[at]) {
                end_at = at;
            }
        }
        lines.push(self.part(&characters, from, characters.len()));
        lines
    }

    fn part(&self, characters: &[char], from: usize, to: usize) -> Self {
        Self { text: characters[from..to].iter().collect(), shapes: self.shapes[from..to].to_vec() }
    }
}

pub(crate) fn count(number: usize) -> f32 {
    f32::from(u16::try_from(number).unwrap_or(u16::MAX))
}

fn may_end_between(before: char, after: char) -> bool {
    let of_word = |character: char| character.is_ascii_alphanumeric() || "-_.:/".contains(character);
    !(NOT_LAST.contains(before) || NOT_FIRST.contains(after) || (of_word(before) && of_word(after)))
}

/// A text in the largest size that fits: as one line if it can, else in lines.
#[derive(Debug)]
pub(crate) struct Fitted {
    pub(crate) lines: Vec<Line>,
    pub(crate) size: f32,
}

/// How a text may be made to fit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) width: f32,
    pub(crate) height: f32,
    /// The largest size, and the smallest with which it is kept in fewer lines.
    pub(crate) sizes: (f32, f32),
    /// From line to line, in sizes.
    pub(crate) leading: f32,
    /// In how many lines it is left before it is made smaller.
    pub(crate) lines: usize,
}

/// The smallest size of anything.
const SIZE_MIN: f32 = 6.0;
const SIZE_STEP: f32 = 0.5;

impl Room {
    /// Sets a line: as large as its few lines allow, then in as many as the height has, then smaller.
    pub(crate) fn fit(&self, line: &Line) -> Fitted {
        let (mut size, smallest) = self.sizes;
        loop {
            let lines = line.broken(size, self.width);
            let high = count(lines.len()) * size * self.leading;
            let few = lines.len() <= self.lines || size <= smallest;
            if (few && high <= self.height) || size <= SIZE_MIN {
                return Fitted { lines, size };
            }
            size -= SIZE_STEP;
        }
    }
}
