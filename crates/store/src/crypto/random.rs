//! Random bytes from the operating system, and what is made of them.

use std::time::Duration;

use crate::StoreError;

/// Random bytes from the operating system.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| StoreError::NoRandomness)?;
    Ok(bytes)
}

/// A random name of 32 hexadecimal digits.
pub fn random_name() -> Result<String, StoreError> {
    let bytes: [u8; 16] = random_bytes()?;
    Ok(hex(&bytes))
}

/// Bytes in lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A duration between one half and one whole of `most`, at random: for pauses and poll intervals that should not
/// fall together. Without random bytes it is the whole.
pub fn jitter(most: Duration) -> Duration {
    let random = random_bytes().map_or(u16::MAX, u16::from_be_bytes);
    let half = most / 2;
    let micros = half.as_micros().saturating_mul(u128::from(random)) / u128::from(u16::MAX);
    half + Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_between_half_and_whole() {
        for _ in 0..100 {
            let pause = jitter(Duration::from_millis(100));
            assert!(pause >= Duration::from_millis(50) && pause <= Duration::from_millis(100));
        }
    }
}
