//! How far a log was written or read: one number for each partition.
//!
//! Zero means nothing of that partition. As bytes only partitions above zero are written, since a token with them
//! travels in headers.

use sha2::{Digest, Sha256};

use crate::partition::{PARTITIONS, Partition};

/// The length of a digest of marks, bytes.
pub const MARKS_DIGEST_BYTES: usize = 16;

/// The first byte of the encoding, so that it can change one day.
const ENCODING: u8 = 1;

/// A vector of partition positions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Positions {
    numbers: [i64; PARTITIONS as usize],
}

/// The marks of the events at some positions ([`crate::StoredEvent::mark`]): what a log that was restored from a back-up
/// and written on has not got at the same places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks {
    marks: [u64; PARTITIONS as usize],
}

impl Default for Marks {
    fn default() -> Marks {
        Marks { marks: [0; PARTITIONS as usize] }
    }
}

impl Marks {
    /// Sets the mark of the event at one partition's position.
    pub fn set(&mut self, partition: Partition, mark: u64) {
        self.marks[partition.index()] = mark;
    }

    /// The mark at one partition's position; 0 where nothing was read.
    pub fn get(&self, partition: Partition) -> u64 {
        self.marks[partition.index()]
    }

    /// One digest of all marks, [`MARKS_DIGEST_BYTES`] long.
    pub fn digest(&self) -> Vec<u8> {
        let mut digest = Sha256::new();
        for mark in self.marks {
            digest.update(mark.to_be_bytes());
        }
        digest.finalize()[..MARKS_DIGEST_BYTES].to_vec()
    }
}

/// Bytes that are no positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these bytes are no log positions")]
pub struct InvalidPositions;

impl Default for Positions {
    fn default() -> Positions {
        Positions::new()
    }
}

impl Positions {
    /// Nothing read of any partition.
    pub fn new() -> Positions {
        Positions { numbers: [0; PARTITIONS as usize] }
    }

    /// The position in one partition; 0 is before its first event.
    pub fn get(&self, partition: Partition) -> i64 {
        self.numbers[partition.index()]
    }

    /// Sets the position in one partition, also backwards.
    pub fn set(&mut self, partition: Partition, number: i64) {
        self.numbers[partition.index()] = number;
    }

    /// Moves one partition forward; a smaller number changes nothing.
    pub fn raise(&mut self, partition: Partition, number: i64) {
        let own = &mut self.numbers[partition.index()];
        *own = number.max(*own);
    }

    /// Takes the further position of each partition.
    pub fn merge(&mut self, other: &Positions) {
        for (own, number) in self.numbers.iter_mut().zip(other.numbers) {
            *own = number.max(*own);
        }
    }

    /// Whether everything up to `other` is within these positions.
    pub fn covers(&self, other: &Positions) -> bool {
        self.numbers.iter().zip(other.numbers).all(|(own, number)| *own >= number)
    }

    /// The partitions in which these positions are beyond `other`, ascending.
    pub fn ahead_of(&self, other: &Positions) -> Vec<Partition> {
        Partition::all().filter(|partition| self.get(*partition) > other.get(*partition)).collect()
    }

    /// Whether nothing was read of any partition.
    pub fn is_empty(&self) -> bool {
        self.numbers.iter().all(|number| *number == 0)
    }

    /// The partitions above zero with their numbers, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (Partition, i64)> + '_ {
        Partition::all().map(|partition| (partition, self.get(partition))).filter(|(_, number)| *number != 0)
    }

    /// The positions as bytes: the same positions are the same bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![ENCODING];
        for (partition, number) in self.iter() {
            bytes.push(partition.index() as u8);
            let mut left = number.max(0) as u64;
            while left >= 0x80 {
                bytes.push((left as u8 & 0x7f) | 0x80);
                left >>= 7;
            }
            bytes.push(left as u8);
        }
        bytes
    }

    /// Reads what [`Positions::to_bytes`] wrote. No bytes at all are the empty positions.
    pub fn from_bytes(bytes: &[u8]) -> Result<Positions, InvalidPositions> {
        let mut positions = Positions::new();
        let Some((encoding, mut rest)) = bytes.split_first() else {
            return Ok(positions);
        };
        if *encoding != ENCODING {
            return Err(InvalidPositions);
        }
        let mut previous = None;
        while let Some((index, after)) = rest.split_first() {
            let partition = Partition::from_number(i64::from(*index)).ok_or(InvalidPositions)?;
            if previous >= Some(*index) {
                return Err(InvalidPositions);
            }
            previous = Some(*index);
            let (number, after) = read_varint(after)?;
            positions.set(partition, number);
            rest = after;
        }
        Ok(positions)
    }
}

fn read_varint(bytes: &[u8]) -> Result<(i64, &[u8]), InvalidPositions> {
    let mut number: u64 = 0;
    for (place, byte) in bytes.iter().enumerate().take(9) {
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            let number = i64::try_from(number).map_err(|_| InvalidPositions)?;
            return Ok((number, &bytes[place + 1..]));
        }
    }
    Err(InvalidPositions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_survive_their_bytes() {
        let mut positions = Positions::new();
        for (index, number) in [(0, 1), (7, 127), (8, 128), (62, 300_000), (63, i64::MAX)] {
            positions.set(Partition::from_number(index).unwrap(), number);
        }
        assert_eq!(Positions::from_bytes(&positions.to_bytes()), Ok(positions));
        assert_eq!(Positions::from_bytes(&[]), Ok(Positions::new()));
    }

    #[test]
    fn foreign_bytes_are_refused() {
        for bytes in [&[2u8][..], &[1, 64, 1], &[1, 3], &[1, 3, 0x80], &[1, 5, 1, 4, 1], &[1, 5, 1, 5, 1]] {
            assert_eq!(Positions::from_bytes(bytes), Err(InvalidPositions), "{bytes:?}");
        }
        assert_eq!(Positions::from_bytes(&[&[1, 3][..], &[0xff; 12]].concat()), Err(InvalidPositions));
    }

    #[test]
    fn merge_takes_the_further_position() {
        let (first, second) = (Partition::from_number(1).unwrap(), Partition::from_number(2).unwrap());
        let (mut left, mut right) = (Positions::new(), Positions::new());
        left.set(first, 5);
        right.set(first, 3);
        right.set(second, 2);
        assert!(!left.covers(&right));
        assert_eq!(right.ahead_of(&left), vec![second]);
        left.merge(&right);
        assert!(left.covers(&right));
        assert_eq!((left.get(first), left.get(second)), (5, 2));
    }
}
