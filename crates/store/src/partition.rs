//! The partitions of a log: what is in order with what.

/// The number of partitions of every log. Written into the databases: never change it.
pub const PARTITIONS: u16 = 64;

/// One of the log's partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(u16);

impl Partition {
    /// Where an audit log stands beside the log: chained like its partitions, and none of them. Nobody who follows the log
    /// sees it, and it has no place in a vector of positions.
    pub const AUDIT: Partition = Partition(PARTITIONS);

    /// The partition of a key: FNV-1a (64 bit) of its UTF-8 bytes, modulo 64. Events that must stay in order have
    /// one key. Stable for ever, since it says where stored events are.
    pub fn of(key: &str) -> Partition {
        let mut hash = Fnv::new();
        hash.add(key.as_bytes());
        Partition((hash.0 % u64::from(PARTITIONS)) as u16)
    }

    /// The partition with this number, if there is one.
    pub fn from_number(number: i64) -> Option<Partition> {
        u16::try_from(number).ok().filter(|number| *number < PARTITIONS).map(Partition)
    }

    /// Whatever has a chain of its own: every partition, ascending, and the audit log.
    pub fn chained() -> impl Iterator<Item = Partition> {
        Partition::all().chain([Partition::AUDIT])
    }

    /// Every partition, ascending.
    pub fn all() -> impl DoubleEndedIterator<Item = Partition> {
        (0..PARTITIONS).map(Partition)
    }

    /// Its number, 0 to 63; 64 of the audit log.
    pub fn number(self) -> i64 {
        i64::from(self.0)
    }

    /// Its number as an index.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// FNV-1a, 64 bit: the same on every machine and in every version, which Rust's own hasher is not.
pub(crate) struct Fnv(pub(crate) u64);

impl Fnv {
    pub(crate) fn new() -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }

    pub(crate) fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 ^= u64::from(*byte);
            self.0 = self.0.wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}
