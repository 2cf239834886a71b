//! What a consistency token says, as few bytes. Why: it travels in the metadata of every call, of which clients take 8 KiB,
//! and somebody who writes for a whole province names all partitions of four logs. Each log is named once, by two bytes, and
//! its numbers are written as what they are above the least of them, in as many bits as the largest needs: 256 positions
//! with numbers up to four million are less than a kilobyte as text.
//!
//! Version, then for each log: key (2), bits of each number and whether all partitions are there (1), which those are (8,
//! unless all), least number (varint), the numbers (bits, from the lowest of the first byte, filled up to a byte).

use std::collections::BTreeMap;

use shipei_store::{Partition, Positions};

/// How a token names a log.
pub(crate) type SourceKey = u16;

/// The version of the format. The one before was a protobuf message, which never begins with this byte.
const VERSION: u8 = 2;
/// Of the byte of bits: that every partition is there.
const ALL: u8 = 0x80;

/// The key of a log's name: FNV-1a, folded. The suite's own names have different ones (`tests` below).
pub(crate) fn source_key(source: &str) -> SourceKey {
    let mut hash: u32 = 0x811c_9dc5;
    for byte in source.bytes() {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    let [a, b, c, d] = hash.to_be_bytes();
    u16::from_be_bytes([a ^ c, b ^ d])
}

pub(crate) fn write(sources: &BTreeMap<SourceKey, Positions>) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    for (key, positions) in sources.iter().filter(|(_, positions)| !positions.is_empty()) {
        let numbers: Vec<(Partition, u64)> =
            positions.iter().map(|(partition, number)| (partition, number.unsigned_abs())).collect();
        let least = numbers.iter().map(|(_, number)| *number).min().unwrap_or_default();
        let most = numbers.iter().map(|(_, number)| number - least).max().unwrap_or_default();
        let bits = u64::BITS - most.leading_zeros();
        let is_all = numbers.len() == Partition::all().count();
        bytes.extend(key.to_be_bytes());
        bytes.push(u8::try_from(bits).unwrap_or(64) | if is_all { ALL } else { 0 });
        if !is_all {
            let present =
                numbers.iter().fold(0_u64, |present, (partition, _)| present | 1 << partition.index());
            bytes.extend(present.to_be_bytes());
        }
        write_varint(&mut bytes, least);
        let (mut pending, mut length) = (0_u128, 0);
        for (_, number) in &numbers {
            pending |= u128::from(number - least) << length;
            length += bits;
            while length >= 8 {
                bytes.push((pending & 0xff) as u8);
                pending >>= 8;
                length -= 8;
            }
        }
        if length > 0 {
            bytes.push((pending & 0xff) as u8);
        }
    }
    bytes
}

/// None when these bytes are nothing that [`write`] gives.
pub(crate) fn read(bytes: &[u8], sources_max: usize) -> Option<BTreeMap<SourceKey, Positions>> {
    let mut rest = bytes;
    let mut sources = BTreeMap::new();
    if take(&mut rest, 1)? != [VERSION] {
        return None;
    }
    while !rest.is_empty() {
        let key = SourceKey::from_be_bytes(take(&mut rest, 2)?.try_into().ok()?);
        let head = *take(&mut rest, 1)?.first()?;
        let present = match head & ALL {
            0 => u64::from_be_bytes(take(&mut rest, 8)?.try_into().ok()?),
            _ => u64::MAX,
        };
        let bits = u32::from(head & !ALL);
        let least = read_varint(&mut rest)?;
        if bits > u64::BITS - 1 || present == 0 {
            return None;
        }
        let length = (present.count_ones() * bits).div_ceil(8);
        let mut packed = take(&mut rest, usize::try_from(length).ok()?)?.iter();
        let (mut pending, mut length) = (0_u128, 0);
        let mut positions = Positions::new();
        for partition in Partition::all().filter(|partition| present & 1 << partition.index() != 0) {
            while length < bits {
                pending |= u128::from(*packed.next()?) << length;
                length += 8;
            }
            let above = u64::try_from(pending & ((1_u128 << bits) - 1)).ok()?;
            pending >>= bits;
            length -= bits;
            let number = i64::try_from(least.checked_add(above)?).ok().filter(|number| *number > 0)?;
            positions.set(partition, number);
        }
        // What fills up the last byte is nothing.
        if pending != 0 || sources.insert(key, positions).is_some() || sources.len() > sources_max {
            return None;
        }
    }
    Some(sources)
}

fn take<'bytes>(rest: &mut &'bytes [u8], count: usize) -> Option<&'bytes [u8]> {
    let (taken, behind) = rest.split_at_checked(count)?;
    *rest = behind;
    Some(taken)
}

fn write_varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn read_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for place in 0..9 {
        let byte = *take(rest, 1)?.first()?;
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use shipei_store::crypto::random_bytes;

    use super::*;

    const SOURCES: [&str; 6] = shipei_contracts::services::ALL;

    /// Numbers below `most` of some partitions, at random.
    fn some(most: i64, of_ten: u8) -> Positions {
        let mut positions = Positions::new();
        for partition in Partition::all() {
            let [chance, number @ ..]: [u8; 9] = random_bytes().unwrap();
            if chance % 10 < of_ten {
                positions.set(partition, 1 + i64::from_be_bytes(number).unsigned_abs() as i64 % most);
            }
        }
        positions
    }

    #[test]
    fn logs_of_the_suite_have_keys_of_their_own() {
        let keys: std::collections::BTreeSet<_> = SOURCES.map(source_key).into_iter().collect();
        assert_eq!(keys.len(), SOURCES.len());
    }

    #[test]
    fn whatever_is_written_is_read_again() {
        for round in 0..2000 {
            let most = [1, 2, 300, 70_000, 3_000_000, i64::MAX / 2][round % 6];
            let of_ten = [0, 1, 5, 10][round % 4];
            let sources: BTreeMap<_, _> = SOURCES[..round % 7]
                .iter()
                .map(|source| (source_key(source), some(most, of_ten)))
                .filter(|(_, positions)| !positions.is_empty())
                .collect();
            assert_eq!(read(&write(&sources), 8).as_ref(), Some(&sources));
        }
    }

    #[test]
    fn province_late_in_a_season_is_less_than_a_kilobyte() {
        let sources: BTreeMap<_, _> =
            SOURCES[..4].iter().map(|source| (source_key(source), some(4_000_000, 10))).collect();
        assert_eq!(sources.values().map(|positions| positions.iter().count()).sum::<usize>(), 256);
        let text = URL_SAFE_NO_PAD.encode(write(&sources));
        assert!(text.len() < 1000, "{}", text.len());
    }

    #[test]
    fn other_bytes_are_refused_and_never_more_than_that() {
        let good = write(&BTreeMap::from([(1, some(70_000, 5)), (2, some(9, 10))]));
        for round in 0..20_000 {
            let [place, value, cut, ..]: [u8; 8] = random_bytes().unwrap();
            let mut bytes = good.clone();
            let place = usize::from(place) % bytes.len();
            bytes[place] = value;
            if round % 3 == 0 {
                bytes.truncate(usize::from(cut) % bytes.len());
            }
            if let Some(sources) = read(&bytes, 8) {
                assert_eq!(read(&write(&sources), 8), Some(sources));
            }
        }
        for bytes in [&[][..], &[1], &[10, 2, 3], &[VERSION, 0], &[VERSION, 0, 1, 0xff, 1]] {
            assert!(read(bytes, 8).is_none(), "{bytes:?}");
        }
        assert!(read(&good, 1).is_none());
    }
}
