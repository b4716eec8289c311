//! Randomness for delimiters and waits.

use std::hash::{BuildHasher, RandomState};

/// 64 bits that nobody can guess: the standard library keys its hasher from the system's random source.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(())
}
