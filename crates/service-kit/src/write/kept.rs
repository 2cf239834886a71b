//! How an answer is kept under its request id: as what it says besides its request. What: [`pack`] replaces every part of
//! an answer that stands in its request by where it stands there, [`unpack`] puts it back from the request that was sent
//! again, which is the same byte for byte (its digest says so). Why: an answer shows what was sent, texts above all, and
//! those are kept already where they belong; so a record stays small however long the texts are.
//!
//! Kept is a row of parts, each a number (its length, doubled, one more for a part of the request), then the part's bytes
//! or the number of its place in the request. Numbers are varints, as in protobuf.

use std::collections::HashMap;

use prost::encoding::{decode_varint, encode_varint};

/// The least that is worth looking for in the request, bytes.
const BLOCK: usize = 32;

/// An answer's bytes, without what stands in the request's.
pub(super) fn pack(answer: &[u8], request: &[u8]) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut own_from = 0;
    if answer.len() >= 2 * BLOCK {
        let mut places: HashMap<&[u8], usize> = HashMap::with_capacity(request.len() / BLOCK);
        for (index, block) in request.chunks_exact(BLOCK).enumerate() {
            // The first of equal ones has the most behind it.
            places.entry(block).or_insert(index * BLOCK);
        }
        let mut at = 0;
        while at + BLOCK <= answer.len() {
            let Some(&place) = places.get(&answer[at..at + BLOCK]) else {
                at += 1;
                continue;
            };
            let before = common(answer[own_from..at].iter().rev(), request[..place].iter().rev());
            let behind = common(answer[at..].iter(), request[place..].iter());
            push_own(&mut kept, &answer[own_from..at - before]);
            push_number(&mut kept, (before + behind) << 1 | 1);
            push_number(&mut kept, place - before);
            at += behind;
            own_from = at;
        }
    }
    push_own(&mut kept, &answer[own_from..]);
    kept
}

/// The answer again; None when that can't be what was kept of it.
pub(super) fn unpack(kept: &[u8], request: &[u8]) -> Option<Vec<u8>> {
    let (mut kept, mut answer) = (kept, Vec::new());
    while !kept.is_empty() {
        let head = usize::try_from(decode_varint(&mut kept).ok()?).ok()?;
        let (length, is_of_the_request) = (head >> 1, head & 1 == 1);
        if is_of_the_request {
            let place = usize::try_from(decode_varint(&mut kept).ok()?).ok()?;
            answer.extend_from_slice(request.get(place..place.checked_add(length)?)?);
        } else {
            let (own, rest) = kept.split_at_checked(length)?;
            answer.extend_from_slice(own);
            kept = rest;
        }
    }
    Some(answer)
}

fn common<'a>(one: impl Iterator<Item = &'a u8>, other: impl Iterator<Item = &'a u8>) -> usize {
    one.zip(other).take_while(|(one, other)| one == other).count()
}

fn push_own(kept: &mut Vec<u8>, part: &[u8]) {
    if !part.is_empty() {
        push_number(kept, part.len() << 1);
        kept.extend_from_slice(part);
    }
}

fn push_number(kept: &mut Vec<u8>, number: usize) {
    encode_varint(number as u64, kept);
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// Texts of few different bytes, so that much of them is the same.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let run = (0..4_u8, 1..90_usize).prop_map(|(byte, count)| vec![byte; count]);
        vec(run, 0..12).prop_map(|runs| runs.concat())
    }

    proptest! {
        #[test]
        fn answer_comes_back_byte_for_byte(parts in vec(bytes(), 0..6), request in bytes(), cuts in vec(0..500_usize, 6)) {
            let mut answer = Vec::new();
            for (part, cut) in parts.iter().zip(cuts) {
                answer.extend_from_slice(part);
                answer.extend_from_slice(&request[cut.min(request.len())..]);
            }
            prop_assert_eq!(unpack(&pack(&answer, &request), &request), Some(answer));
        }

        #[test]
        fn bytes_that_nobody_packed_are_no_answer_or_one(kept in vec(any::<u8>(), 0..40), request in bytes()) {
            let answer = unpack(&kept, &request);
            prop_assert!(answer.is_none_or(|answer| answer.len() <= kept.len() * request.len().max(1)));
        }
    }

    #[test]
    fn what_the_request_says_is_not_kept_again() {
        let text: String =
            (0..20_000).map(|number| char::from_u32(0x4e00 + number * 7 % 20_000).unwrap()).collect();
        let request = format!("R-1 some person {text} and a title");
        let answer = format!("id 17 {text} at noon, and a title that is another one");
        let kept = pack(answer.as_bytes(), request.as_bytes());
        assert!(kept.len() < 100, "{} bytes", kept.len());
        assert_eq!(unpack(&kept, request.as_bytes()).unwrap(), answer.as_bytes());
        assert_eq!(unpack(&kept, b"another request"), None);
        assert_eq!(pack(b"", request.as_bytes()), b"");
    }
}
