//! Properties of the check digit (ISO 7064 MOD 11-2): it finds every single wrong digit and every swap of neighbours.

use proptest::prelude::*;
use shipei_rules::identity_number::{IdentityNumber, complete};

fn any_number() -> impl Strategy<Value = IdentityNumber> {
    (110_000_u32..=659_999, 1900_u32..=2019, 1_u32..=12, 1_u32..=28, 0_u32..=999).prop_map(
        |(region, year, month, day, serial)| {
            complete(&format!("{region}{year}{month:02}{day:02}{serial:03}")).unwrap()
        },
    )
}

proptest! {
    #[test]
    fn number_with_one_character_changed_is_refused(
        number in any_number(), place in 0_usize..18, replacement in "[0-9X]",
    ) {
        let mut text = number.reveal().to_owned();
        prop_assume!(text[place..=place] != replacement);
        text.replace_range(place..=place, &replacement);
        prop_assert!(IdentityNumber::parse(&text).is_err());
    }

    #[test]
    fn number_with_neighbours_swapped_is_refused(number in any_number(), place in 0_usize..17) {
        let mut characters: Vec<char> = number.reveal().chars().collect();
        prop_assume!(characters[place] != characters[place + 1]);
        characters.swap(place, place + 1);
        prop_assert!(IdentityNumber::parse(&characters.into_iter().collect::<String>()).is_err());
    }

    #[test]
    fn number_is_never_shown_by_debug_mask_or_error(number in any_number(), text in "\\PC{0,20}") {
        let shown = format!("{number:?} {}", number.masked());
        prop_assert!(!shown.contains(&number.reveal()[3..16]));
        if let Err(error) = IdentityNumber::parse(&text) {
            prop_assert!(!error.to_string().bytes().any(|byte| byte == b'@'));
        }
        let wrong = format!("{}Z", &number.reveal()[..17]);
        let error = format!("{0} {0:?}", IdentityNumber::parse(&wrong).unwrap_err());
        prop_assert!(!error.contains(&number.reveal()[..6]));
    }
}
