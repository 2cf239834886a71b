//! Whether what many callers saw of one thing at once could have been seen by one after the other (linearizability; the
//! search of Wing and Gong, with the states that were tried remembered, as Lowe has it).

use std::{collections::HashSet, hash::Hash};

/// The most calls of one history.
pub(crate) const CALLS_MAX: usize = 64;

/// A call, as its caller saw it.
#[derive(Debug, Clone)]
pub(crate) struct Seen<Call> {
    /// When it was begun.
    pub(crate) begun: u64,
    /// When it was answered; never, when nobody knows whether it was carried out.
    pub(crate) answered: Option<u64>,
    /// What was asked, and answered if it was.
    pub(crate) call: Call,
}

/// Is there an order of the calls in which each stands between its beginning and its answer, and `step` finds each answer
/// right? A call that was never answered may stand anywhere behind its beginning, or nowhere.
pub(crate) fn is_linearizable<State, Call>(
    start: State,
    history: &[Seen<Call>],
    step: impl Fn(&State, &Call) -> Option<State>,
) -> bool
where
    State: Clone + Eq + Hash,
{
    assert!(history.len() <= CALLS_MAX, "{} calls", history.len());
    let answered = history.iter().enumerate().filter(|(_, seen)| seen.answered.is_some());
    let wanted = answered.fold(0_u64, |wanted, (place, _)| wanted | 1 << place);
    let mut tried = HashSet::new();
    let mut open = vec![(0_u64, start)];
    while let Some((done, state)) = open.pop() {
        if done & wanted == wanted {
            return true;
        }
        if !tried.insert((done, state.clone())) {
            continue;
        }
        let left = history.iter().enumerate().filter(|(place, _)| done & (1 << place) == 0);
        // Whoever began behind an answer stands behind it.
        let first_answer = left.clone().filter_map(|(_, seen)| seen.answered).min().unwrap_or(u64::MAX);
        for (place, seen) in left.filter(|(_, seen)| seen.begun <= first_answer) {
            if let Some(next) = step(&state, &seen.call) {
                open.push((done | 1 << place, next));
            }
        }
    }
    false
}

mod tests {
    use super::{Seen, is_linearizable};

    /// A number that is read and written.
    #[derive(Debug, Clone)]
    enum Call {
        Write(i64),
        Read(i64),
    }

    fn step(state: &i64, call: &Call) -> Option<i64> {
        match call {
            Call::Write(number) => Some(*number),
            Call::Read(number) => (number == state).then_some(*state),
        }
    }

    fn judge(history: &[(u64, u64, Call)]) -> bool {
        let seen = |(begun, answered, call): &(u64, u64, Call)| Seen {
            begun: *begun,
            answered: (*answered > 0).then_some(*answered),
            call: call.clone(),
        };
        is_linearizable(0, &history.iter().map(seen).collect::<Vec<_>>(), step)
    }

    #[test]
    fn history_is_judged_by_what_could_have_been() {
        use Call::{Read, Write};
        for (right, history) in [
            (true, vec![(1, 2, Write(1)), (3, 4, Read(1))]),
            (false, vec![(1, 2, Write(1)), (3, 4, Read(0))]),
            // At the same time either may be first.
            (true, vec![(1, 5, Write(1)), (2, 3, Read(0)), (4, 6, Read(1))]),
            // Once seen it stays.
            (false, vec![(1, 9, Write(1)), (2, 3, Read(1)), (4, 5, Read(0))]),
            (true, vec![(1, 4, Write(1)), (1, 4, Write(2)), (5, 6, Read(1))]),
            (false, vec![(1, 4, Write(1)), (1, 4, Write(2)), (5, 6, Read(1)), (7, 8, Read(2))]),
            // Nobody knows whether it was carried out: late, or never.
            (true, vec![(1, 0, Write(1)), (2, 3, Read(0)), (4, 5, Read(1))]),
            (true, vec![(1, 0, Write(1)), (2, 3, Read(0)), (4, 5, Read(0))]),
            (false, vec![(4, 0, Write(1)), (2, 3, Read(1))]),
            (false, vec![(1, 0, Write(1)), (2, 3, Read(1)), (4, 5, Read(0))]),
        ] {
            assert_eq!(judge(&history), right, "{history:?}");
        }
    }
}
