//! Sets of instants as disjoint intervals: what of a learner's time is credited already.
//!
//! Instants are whole microseconds since 1970, as both databases keep them. Neighbours are merged, so that hours of
//! study are one interval, and a set is written in a few bytes ([`Intervals::to_bytes`]). Inserting at the end, where
//! nearly every heartbeat lies, touches only the last interval.

use chrono::{DateTime, Utc};

/// A half-open span of instants: `from <= t < until`, in microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The first instant inside.
    pub from: i64,
    /// The first instant that is no longer inside.
    pub until: i64,
}

impl Span {
    /// From one instant up to another.
    pub fn new(from: DateTime<Utc>, until: DateTime<Utc>) -> Self {
        Self { from: from.timestamp_micros(), until: until.timestamp_micros() }
    }

    /// Its length; 0 when it would run backwards.
    pub fn micros(self) -> i64 {
        (self.until - self.from).max(0)
    }

    /// What lies in both.
    pub fn within(self, other: Span) -> Option<Span> {
        let both = Span { from: self.from.max(other.from), until: self.until.min(other.until) };
        (both.from < both.until).then_some(both)
    }
}

/// Disjoint intervals in order, neighbours merged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Intervals {
    spans: Vec<Span>,
}

impl Intervals {
    /// The intervals, in order.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// How much time they hold.
    pub fn micros(&self) -> i64 {
        self.spans.iter().map(|span| span.micros()).sum()
    }

    /// Adds to `free` what of a span lies in no interval, in order.
    pub fn push_free(&self, span: Span, free: &mut Vec<Span>) {
        let mut from = span.from;
        let first = self.spans.partition_point(|known| known.until <= span.from);
        for known in &self.spans[first..] {
            if known.from >= span.until {
                break;
            }
            if from < known.from {
                free.push(Span { from, until: known.from });
            }
            from = known.until;
        }
        if from < span.until {
            free.push(Span { from, until: span.until });
        }
    }

    /// Adds a span, merged with whatever it touches.
    pub fn insert(&mut self, span: Span) {
        if span.from >= span.until {
            return;
        }
        let first = self.spans.partition_point(|known| known.until < span.from);
        let beyond = first + self.spans[first..].partition_point(|known| known.from <= span.until);
        let merged = self.spans[first..beyond].iter().fold(span, |merged, known| Span {
            from: merged.from.min(known.from),
            until: merged.until.max(known.until),
        });
        self.spans.splice(first..beyond, [merged]);
    }

    /// Takes a span out.
    pub fn remove(&mut self, span: Span) {
        if span.from >= span.until {
            return;
        }
        let mut kept = Vec::with_capacity(self.spans.len() + 1);
        for known in &self.spans {
            let before = Span { from: known.from, until: known.until.min(span.from) };
            let after = Span { from: known.from.max(span.until), until: known.until };
            if known.until <= span.from || known.from >= span.until {
                kept.push(*known);
                continue;
            }
            kept.extend([before, after].into_iter().filter(|part| part.micros() > 0));
        }
        self.spans = kept;
    }

    /// The set in few bytes: for each interval the distance from the end of the one before (of the first one, from
    /// `origin`), and its length.
    pub fn to_bytes(&self, origin: i64) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.spans.len() * 10);
        let mut end = origin;
        for span in &self.spans {
            push_number(&mut bytes, span.from.abs_diff(end));
            push_number(&mut bytes, span.until.abs_diff(span.from));
            end = span.until;
        }
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote; `None` when it did not write that.
    pub fn from_bytes(mut bytes: &[u8], origin: i64) -> Option<Self> {
        let mut spans = Vec::new();
        let mut end = origin;
        while !bytes.is_empty() {
            let from = end.checked_add(i64::try_from(take_number(&mut bytes)?).ok()?)?;
            end = from.checked_add(i64::try_from(take_number(&mut bytes)?).ok()?)?;
            spans.push(Span { from, until: end });
        }
        Some(Self { spans })
    }
}

/// Writes a number, seven bits a byte, the lowest first; the high bit says that more follow.
pub fn push_number(bytes: &mut Vec<u8>, mut number: u64) {
    loop {
        let low = u8::try_from(number & 0x7f).unwrap_or_default();
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}

/// Reads what [`push_number`] wrote, and steps over it.
pub fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f).checked_shl(shift)?;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
