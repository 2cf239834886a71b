//! How much of one work stands in another (雷同). What: a text as it is compared, a sketch by which works that share much are found among a
//! million without reading them, how alike two are exactly, and the passages that they share.
//!
//! A text is compared by its letters, digits and Chinese characters alone, in small letters and of one width: blanks, signs and
//! lines that were put between change nothing. Eight of them in a row are a shingle. Two works are as alike as they have
//! shingles in common, of all that either has (Jaccard). A sketch is a MinHash by one permutation (Li, Owen, Zhang 2012), cut into bands
//! of which two works share one or more nearly always when they are alike by 70 in a hundred or more (measured in the tests below).
//! To change any constant of the sketch: everything is to be compared anew, since bands are kept.

use std::collections::HashMap;
use std::ops::Range;

use icu_normalizer::ComposingNormalizerBorrowed;

/// The characters of a shingle: a turn of speech, no word.
const SHINGLE: usize = 8;
/// Works with fewer shingles are not compared: what two sentences share says nothing.
const SHINGLES_MIN: usize = 50;
/// How many bands a sketch has.
pub(crate) const BANDS: usize = 12;
/// And bins to a band.
const BINS_PER_BAND: usize = 4;
const BINS: usize = BANDS * BINS_PER_BAND;
/// What stands in a bin that no shingle fell into.
const EMPTY: u64 = u64::MAX;
/// Works that are less alike than this, in hundredths, are not kept: what a form and its headings make alike is less.
pub(crate) const PERCENT_MIN: i64 = 50;
/// What a list is of that does not say how alike.
pub(crate) const PERCENT_USUAL: i64 = 70;
/// Passages shorter than this many characters are not shown.
const PASSAGE_MIN: usize = 16;
/// At how many places a passage is looked for: of a text that says one thing a thousand times any will do.
const STARTS_MAX: usize = 16;
/// The most passages that are shown.
const PASSAGES_MAX: usize = 200;

/// A text as it is compared.
#[derive(Debug, Clone)]
pub(crate) struct Compared {
    /// What counts of it.
    characters: Vec<char>,
    /// Where each of them stands in the text, counted in characters.
    places: Vec<usize>,
    shingles: Vec<u64>,
    /// Each of them once, in order.
    different: Vec<u64>,
}

/// A stretch that stands in both texts, each counted in characters of the text as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Passage {
    pub(crate) here: Range<usize>,
    pub(crate) there: Range<usize>,
}

impl Compared {
    /// Reads a text.
    pub(crate) fn new(text: &str) -> Compared {
        let (mut characters, mut places) = (Vec::new(), Vec::new());
        let folding = ComposingNormalizerBorrowed::new_nfkc();
        for (place, written) in text.chars().enumerate() {
            // One by one, so that it is known where each stands.
            let folded = folding.normalize_iter(std::iter::once(written)).flat_map(char::to_lowercase);
            for character in folded.filter(|character| character.is_alphanumeric()) {
                characters.push(character);
                places.push(place);
            }
        }
        let shingles: Vec<u64> = characters.windows(SHINGLE).map(hash_of).collect();
        let mut different = shingles.clone();
        different.sort_unstable();
        different.dedup();
        Compared { characters, places, shingles, different }
    }

    /// Whether there is enough of it to be compared.
    pub(crate) fn is_enough(&self) -> bool {
        self.shingles.len() >= SHINGLES_MIN
    }

    /// The bands by which works like it are found; each is mixed with its place.
    pub(crate) fn bands(&self) -> [i64; BANDS] {
        let mut bins = [EMPTY; BINS];
        for shingle in &self.different {
            // The upper half of a hash says which bin, the lower half what is least in it.
            let bin = usize::try_from((shingle >> 32) % BINS as u64).unwrap_or(0);
            bins[bin] = bins[bin].min(shingle & 0xFFFF_FFFF);
        }
        // An empty bin has what the next one that is not has, and how far away that is, so that two of them agree as often as full ones.
        let mut filled = bins;
        for (place, bin) in filled.iter_mut().enumerate() {
            let next = (1..BINS).map(|away| (away, bins[(place + away) % BINS]));
            if *bin == EMPTY
                && let Some((away, value)) = next.into_iter().find(|(_, value)| *value != EMPTY)
            {
                *bin = mix(value ^ ((away as u64) << 32));
            }
        }
        let mut bands = [0; BANDS];
        for (place, (band, bins)) in bands.iter_mut().zip(filled.chunks_exact(BINS_PER_BAND)).enumerate() {
            let hash = bins.iter().fold(place as u64, |hash, value| mix(hash ^ *value));
            *band = i64::from_ne_bytes(hash.to_ne_bytes());
        }
        bands
    }

    /// How alike two are, in hundredths, rounded down: shingles of both, of all that either has.
    pub(crate) fn percent(&self, other: &Compared) -> i64 {
        let (here, there) = (&self.different, &other.different);
        let both = here.iter().filter(|shingle| there.binary_search(shingle).is_ok()).count();
        let all = here.len() + there.len() - both;
        i64::try_from((both * 100).checked_div(all).unwrap_or(0)).unwrap_or(0)
    }

    /// The passages of this text that stand in the other one too, in their order here; each is as long as it can be, and no character here is
    /// in two of them.
    pub(crate) fn passages(&self, other: &Compared) -> Vec<Passage> {
        let mut places: HashMap<u64, Vec<usize>> = HashMap::new();
        for (place, shingle) in other.shingles.iter().enumerate() {
            places.entry(*shingle).or_default().push(place);
        }
        let (mut passages, mut from) = (Vec::new(), 0);
        while from < self.shingles.len() && passages.len() < PASSAGES_MAX {
            let starts = places.get(&self.shingles[from]).into_iter().flatten().take(STARTS_MAX);
            let longest = starts.map(|start| (self.common(from, other, *start), *start)).max();
            match longest.filter(|(length, _)| *length >= PASSAGE_MIN) {
                Some((length, start)) => {
                    passages.push(Passage {
                        here: self.places[from]..self.places[from + length - 1] + 1,
                        there: other.places[start]..other.places[start + length - 1] + 1,
                    });
                    from += length;
                }
                None => from += 1,
            }
        }
        passages
    }

    /// How many characters are the same from here and there on.
    fn common(&self, from: usize, other: &Compared, start: usize) -> usize {
        let pairs = self.characters[from..].iter().zip(&other.characters[start..]);
        pairs.take_while(|(here, there)| here == there).count()
    }
}

/// The same on every machine and in every version: bands are kept.
fn hash_of(characters: &[char]) -> u64 {
    characters
        .iter()
        .fold(0x9E37_79B9_7F4A_7C15, |hash, character| mix(hash ^ u64::from(u32::from(*character))))
}

/// The finishing step of SplitMix64: each bit of what goes in turns about half of those that come out.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// A text of so many characters that says nothing, another one for each seed.
    fn text(seed: u64, length: usize) -> String {
        let mut state = seed;
        let characters = (0..length).map(|_| {
            state = mix(state);
            char::from_u32(0x4E00 + u32::try_from(state % 3000).unwrap()).unwrap()
        });
        characters.collect()
    }

    /// The first text with every `nth` stretch of ten characters replaced.
    fn changed(original: &str, nth: usize) -> String {
        let characters: Vec<char> = original.chars().collect();
        let parts = characters.chunks(10).enumerate().map(|(place, part)| match place % nth {
            0 => text(7_000_000 + place as u64, part.len()),
            _ => part.iter().collect(),
        });
        parts.collect()
    }

    #[test]
    fn blanks_signs_and_widths_change_nothing() {
        let one = Compared::new("《背影》教学设计：ABC 123，父亲的背影。");
        let other = Compared::new("背影 教学设计\nａｂｃ１２３父亲的\u{200B}背影");
        assert_eq!(one.characters, other.characters);
        assert_eq!(one.percent(&other), 100);
        assert_eq!(one.bands(), other.bands());
        assert!(!one.is_enough() && Compared::new(&text(1, SHINGLES_MIN + SHINGLE - 1)).is_enough());
        assert!(!Compared::new(&text(1, SHINGLES_MIN + SHINGLE - 2)).is_enough());
        assert_eq!(Compared::new("").percent(&Compared::new("")), 0);
    }

    /// Bands are kept in databases: they are to be the same for ever.
    #[test]
    fn bands_are_these() {
        let bands = Compared::new(&text(1, 300)).bands();
        assert_eq!(bands[..2], BANDS_OF_ONE);
    }

    const BANDS_OF_ONE: [i64; 2] = [6_894_723_472_575_294_821, 7_994_317_605_110_402_733];

    #[test]
    fn works_that_are_alike_share_a_band_and_others_do_not() {
        let (mut found, mut percents) = (0, Vec::new());
        for seed in 0..400 {
            let original = text(seed, 600);
            let (one, other) = (Compared::new(&original), Compared::new(&changed(&original, 12)));
            percents.push(one.percent(&other));
            let (bands, others) = (one.bands(), other.bands());
            found += usize::from(bands.iter().zip(&others).any(|(one, other)| one == other));
        }
        assert!(percents.iter().all(|percent| (70..80).contains(percent)), "{percents:?}");
        assert!(found >= 380, "{found} of 400 that are alike by 70 to 80 in a hundred");
        let alone: HashSet<i64> =
            (0..400).flat_map(|seed| Compared::new(&text(1_000 + seed, 600)).bands()).collect();
        assert_eq!(alone.len(), 400 * BANDS, "none of 400 that share nothing");
    }

    #[test]
    fn passages_are_found_where_they_were_moved_to() {
        let (first, second) = (text(1, 60), text(2, 60));
        let here = format!("{first}。\n{}，{second}", text(3, 40));
        let there = format!("{second}！{}{first}", text(4, 30));
        let found = Compared::new(&here).passages(&Compared::new(&there));
        assert_eq!(
            found,
            [Passage { here: 0..60, there: 91..151 }, Passage { here: 103..163, there: 0..60 },]
        );
        let characters: Vec<char> = here.chars().collect();
        assert_eq!(characters[found[1].here.clone()].iter().collect::<String>(), second);
        assert_eq!(Compared::new(&first).passages(&Compared::new(&second)), []);
        // No character is in two passages, and one is not longer than the other text.
        let twice = format!("{first}{first}");
        let found = Compared::new(&twice).passages(&Compared::new(&first));
        assert_eq!(found, [Passage { here: 0..60, there: 0..60 }, Passage { here: 60..120, there: 0..60 },]);
    }
}
