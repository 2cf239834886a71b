//! What a page is drawn with: colours, lines, texts by where they stand.

use krilla::{
    color::rgb,
    geom::{PathBuilder, Point, Rect, Transform},
    image::Image,
    num::NormalizedF32,
    paint::{Fill, Stroke, StrokeDash},
    surface::Surface,
    text::KrillaGlyph,
};

use crate::{fonts::Fonts, line::Line};

/// Red of the title and the frame.
pub(crate) const RED: (u8, u8, u8) = (0xA6, 0x1C, 0x20);
/// Gold of the inner frame.
pub(crate) const GOLD: (u8, u8, u8) = (0xB8, 0x8A, 0x3A);
/// What is read.
pub(crate) const INK: (u8, u8, u8) = (0x1E, 0x1E, 0x1E);
/// What stands beside.
pub(crate) const GREY: (u8, u8, u8) = (0x6B, 0x6B, 0x6B);
/// Where the seal goes.
pub(crate) const PALE: (u8, u8, u8) = (0xC9, 0xB8, 0xB0);

fn colour((red, green, blue): (u8, u8, u8)) -> krilla::paint::Paint {
    rgb::Color::new(red, green, blue).into()
}

/// A page that is being drawn.
pub(crate) struct Canvas<'a, 'b> {
    pub(crate) surface: Surface<'a>,
    pub(crate) fonts: &'b Fonts,
}

/// To which side of its point a text stands.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Align {
    Left,
    Centre,
}

impl Canvas<'_, '_> {
    /// A text on one line, its base line at `at`.
    pub(crate) fn text(
        &mut self,
        line: &Line,
        (x, y): (f32, f32),
        align: Align,
        (size, spacing): (f32, f32),
        ink: (u8, u8, u8),
    ) {
        let fill = Fill { paint: colour(ink), opacity: NormalizedF32::ONE, ..Fill::default() };
        self.surface.set_stroke(None);
        self.surface.set_fill(Some(fill));
        let width = line.width(size, spacing);
        let mut x = match align {
            Align::Left => x,
            Align::Centre => x - width / 2.0,
        };
        // A run of characters of one font at a time.
        let characters: Vec<(usize, char)> = line.text.char_indices().collect();
        let mut from = 0;
        while from < line.shapes.len() {
            let face = line.shapes[from].face;
            let run = line.shapes[from..].iter().take_while(|shape| shape.face == face).count();
            let begins = characters[from].0;
            let mut glyphs = Vec::with_capacity(run);
            let of_run = characters[from..].iter().zip(&line.shapes[from..]).take(run);
            for ((start, character), shape) in of_run {
                let start = start - begins;
                let advance = shape.advance + spacing / size;
                let range = start..start + character.len_utf8();
                glyphs.push(KrillaGlyph::new(shape.glyph, advance, 0.0, 0.0, 0.0, range, None));
            }
            let ends = characters.get(from + run).map_or(line.text.len(), |(at, _)| *at);
            let advance: f32 = glyphs.iter().map(|glyph| glyph.x_advance * size).sum();
            let font = self.fonts.font(face);
            self.surface.draw_glyphs(
                Point::from_xy(x, y),
                &glyphs,
                font,
                &line.text[begins..ends],
                size,
                false,
            );
            x += advance;
            from += run;
        }
    }

    /// The outline of a rectangle, so far from the page's edges.
    pub(crate) fn frame(
        &mut self,
        (page_width, page_height): (f32, f32),
        inset: f32,
        width: f32,
        ink: (u8, u8, u8),
    ) {
        let (right, bottom) = (page_width - 2.0 * inset, page_height - 2.0 * inset);
        let Some(rect) = Rect::from_xywh(inset, inset, right, bottom) else { return };
        let mut path = PathBuilder::new();
        path.push_rect(rect);
        self.stroke(path, width, ink, None);
    }

    /// Straight lines from point to point.
    pub(crate) fn lines(&mut self, points: &[(f32, f32)], width: f32, ink: (u8, u8, u8)) {
        let mut path = PathBuilder::new();
        for (at, (x, y)) in points.iter().enumerate() {
            if at == 0 { path.move_to(*x, *y) } else { path.line_to(*x, *y) }
        }
        self.stroke(path, width, ink, None);
    }

    /// A broken circle.
    pub(crate) fn circle(&mut self, (x, y): (f32, f32), radius: f32, ink: (u8, u8, u8)) {
        // How far the handles of four curves are off for a circle.
        let handle = radius * 0.552_284_8;
        let mut path = PathBuilder::new();
        path.move_to(x + radius, y);
        path.cubic_to(x + radius, y + handle, x + handle, y + radius, x, y + radius);
        path.cubic_to(x - handle, y + radius, x - radius, y + handle, x - radius, y);
        path.cubic_to(x - radius, y - handle, x - handle, y - radius, x, y - radius);
        path.cubic_to(x + handle, y - radius, x + radius, y - handle, x + radius, y);
        path.close();
        self.stroke(path, 0.6, ink, Some(StrokeDash { array: vec![3.0, 3.0], offset: 0.0 }));
    }

    /// A picture with its upper left corner at a point.
    pub(crate) fn picture(&mut self, image: Image, (x, y): (f32, f32), side: f32) {
        let Some(size) = krilla::geom::Size::from_wh(side, side) else { return };
        self.surface.push_transform(&Transform::from_translate(x, y));
        self.surface.draw_image(image, size);
        self.surface.pop();
    }

    fn stroke(&mut self, path: PathBuilder, width: f32, ink: (u8, u8, u8), dash: Option<StrokeDash>) {
        let Some(path) = path.finish() else { return };
        self.surface.set_fill(None);
        self.surface.set_stroke(Some(Stroke { paint: colour(ink), width, dash, ..Stroke::default() }));
        self.surface.draw_path(&path);
    }
}
