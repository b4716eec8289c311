//! Randomness for delimiters and waits.

use std::hash::{BuildHasher, RandomState};

/// 64 unpredictable bits: the standard library keys its hasher from the system's random source.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(())
}
