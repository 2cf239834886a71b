//! The fonts on this machine, found by their files. The first is for everything, the others are asked, in their order, for characters
//! that it has not: names in the extensions B to F of Unicode's Han. Each is read when it is first needed, as they are tens of
//! megabytes.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use krilla::text::{Font, GlyphId};
use skrifa::{
    FontRef, MetadataProvider as _,
    instance::{LocationRef, Size},
    string::StringId,
};

/// Where systems keep fonts.
const FOLDERS: [&str; 3] =
    ["/usr/share/fonts", "/usr/local/share/fonts", "/usr/share/texlive/texmf-dist/fonts"];
/// How deep fonts lie in their folder.
const DEPTH_MAX: usize = 8;
/// The family of the first font, in a file that has those of other countries too.
const FAMILY: &str = "Noto Serif CJK SC";
/// The first font, by the names that its files have.
const REGULAR: [&str; 4] = [
    "NotoSerifCJK-Regular.ttc",
    "NotoSerifCJKsc-Regular.otf",
    "NotoSerifSC-Regular.otf",
    "SourceHanSerifSC-Regular.otf",
];
const BOLD: [&str; 4] =
    ["NotoSerifCJK-Bold.ttc", "NotoSerifCJKsc-Bold.otf", "NotoSerifSC-Bold.otf", "SourceHanSerifSC-Bold.otf"];
/// The others: shapes of mainland China first.
const FALLBACKS: [&str; 3] = ["BabelStoneHan.ttf", "HanaMinA.ttf", "HanaMinB.ttf"];

/// Why there are no fonts.
#[derive(Debug, thiserror::Error)]
pub enum FontError {
    /// The first font is not there.
    #[error("no font for certificates: {} is in none of {} (Debian: apt install fonts-noto-cjk)", REGULAR[0], FOLDERS.join(", "))]
    NotFound,
    /// A font can't be read.
    #[error("cannot use the font {0}: {1}")]
    Broken(PathBuf, String),
}

/// A font as it is drawn with.
pub(crate) struct Face {
    pub(crate) font: Font,
    path: PathBuf,
    data: Arc<Vec<u8>>,
    index: u32,
    known: HashMap<char, Option<(GlyphId, f32)>>,
}

impl Face {
    fn read(path: &Path) -> Result<Self, FontError> {
        let broken = |why: &str| FontError::Broken(path.to_owned(), why.to_owned());
        let data = Arc::new(std::fs::read(path).map_err(|error| broken(&error.to_string()))?);
        let index = index_of_family(&data);
        let font =
            Font::new(Arc::clone(&data).into(), index).ok_or_else(|| broken("it is no OpenType font"))?;
        Ok(Self { font, path: path.to_owned(), data, index, known: HashMap::new() })
    }

    /// A character's glyph and how far it advances, in parts of the size.
    fn glyph(&mut self, character: char) -> Option<(GlyphId, f32)> {
        if let Some(known) = self.known.get(&character) {
            return *known;
        }
        let found = FontRef::from_index(&self.data, self.index).ok().and_then(|font| {
            let glyph = font.charmap().map(character)?;
            let metrics = font.glyph_metrics(Size::unscaled(), LocationRef::default());
            let advance = metrics.advance_width(glyph)? / self.font.units_per_em();
            Some((GlyphId::new(glyph.to_u32()), advance))
        });
        self.known.insert(character, found);
        found
    }
}

/// Which font of a collection is ours; 0 in a file of one.
fn index_of_family(data: &[u8]) -> u32 {
    let of_family = |index: &u32| {
        FontRef::from_index(data, *index).is_ok_and(|font| {
            font.localized_strings(StringId::FAMILY_NAME).any(|name| name.to_string() == FAMILY)
        })
    };
    (0..16).find(of_family).unwrap_or(0)
}

/// A character as it is drawn: in which font, as which glyph, how wide.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) face: usize,
    pub(crate) glyph: GlyphId,
    pub(crate) advance: f32,
}

/// The fonts of certificates.
pub struct Fonts {
    faces: Vec<Face>,
    /// Fonts that nobody has needed yet, the next one last.
    unread: Vec<PathBuf>,
}

/// The bold one is the second, where there is one.
const BOLD_FACE: usize = 1;

impl std::fmt::Debug for Fonts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.names()).finish()
    }
}

impl Fonts {
    /// Finds them where systems keep fonts, and in the folders that are given, which come first.
    ///
    /// # Errors
    /// [`FontError`] when the first one is not there or can't be read.
    pub fn find(folders: &[PathBuf]) -> Result<Self, FontError> {
        let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/share/fonts"));
        let mut files = HashMap::new();
        for folder in folders.iter().cloned().chain(FOLDERS.map(PathBuf::from)).chain(home) {
            look_into(&folder, DEPTH_MAX, &mut files);
        }
        let first_of = |names: &[&str]| names.iter().find_map(|name| files.get(*name)).cloned();
        let regular = first_of(&REGULAR).ok_or(FontError::NotFound)?;
        let bold = first_of(&BOLD).unwrap_or_else(|| regular.clone());
        let faces = vec![Face::read(&regular)?, Face::read(&bold)?];
        let unread = FALLBACKS.iter().rev().filter_map(|name| files.get(*name)).cloned().collect();
        Ok(Self { faces, unread })
    }

    /// The files that are used, and those that may be.
    pub fn names(&self) -> Vec<String> {
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let read = self.faces.iter().map(|face| name(&face.path));
        read.chain(self.unread.iter().rev().map(|path| name(path))).collect()
    }

    /// The characters of a text that no font has, each once; none of a text that can be printed.
    ///
    /// # Errors
    /// When a font can't be read.
    pub fn missing(&mut self, text: &str) -> Result<Vec<char>, FontError> {
        let mut missing = Vec::new();
        for character in text.chars() {
            if self.shape(character, false)?.is_none() && !missing.contains(&character) {
                missing.push(character);
            }
        }
        Ok(missing)
    }

    pub(crate) fn font(&self, face: usize) -> Font {
        self.faces[face].font.clone()
    }

    /// How a character is drawn; `None` when no font has it.
    pub(crate) fn shape(&mut self, character: char, bold: bool) -> Result<Option<Shape>, FontError> {
        let mut face = if bold { BOLD_FACE } else { 0 };
        loop {
            if let Some((glyph, advance)) = self.faces[face].glyph(character) {
                return Ok(Some(Shape { face, glyph, advance }));
            }
            face = face.max(BOLD_FACE) + 1;
            if face == self.faces.len() {
                let Some(path) = self.unread.pop() else { return Ok(None) };
                self.faces.push(Face::read(&path)?);
            }
        }
    }
}

/// The files below a folder by their names, the first of each name.
fn look_into(folder: &Path, depth: usize, files: &mut HashMap<String, PathBuf>) {
    let Some(depth) = depth.checked_sub(1) else { return };
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            look_into(&path, depth, files);
        } else if let Some(name) = path.file_name().and_then(|name| name.to_str()) {
            files.entry(name.to_owned()).or_insert_with(|| path.clone());
        }
    }
}
