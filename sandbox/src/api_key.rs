//! API keys in nuget.org's format ("v5", NuGet/NuGetGallery `ApiKeyV5.cs`).
//!
//! 84 characters: 52 random, `JQQJ99`, year and month, `N5` and the environment, the owner's number (6), day, hour and
//! minute, the kind, the lifetime (3), `NUGT`, and a checksum (4).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::Rng;
use rand::distributions::Alphanumeric;
use time::OffsetDateTime;

/// The digits of date codes: the base64 alphabet.
const BASE64_DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// The digits of numbers.
const BASE62_DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A short-lived key of a local gallery for the account with the number `owner`, created at `now`, valid for
/// `lifetime_minutes` (a multiple of 5). The format contains the time to the minute.
pub(crate) fn create(now: OffsetDateTime, owner: u32, lifetime_minutes: u32) -> String {
    let random: String = rand::thread_rng().sample_iter(Alphanumeric).take(52).map(char::from).collect();
    assemble(&random, now, 'L', owner, lifetime_minutes)
}

fn assemble(random: &str, now: OffsetDateTime, environment: char, owner: u32, lifetime_minutes: u32) -> String {
    let digit = |value: u8| char::from(BASE64_DIGITS[usize::from(value)]);
    let year = digit(u8::try_from(now.year() - 2024).expect("the format begins in 2024"));
    let month = digit(u8::from(now.month()) - 1);
    let (day, hour, minute) = (digit(now.day() - 1), digit(now.hour()), digit(now.minute()));
    let owner = base62(owner, 6);
    let lifetime = base62(lifetime_minutes / 5, 3);
    let key = format!("{random}JQQJ99{year}{month}N5{environment}{owner}{day}{hour}{minute}S{lifetime}NUGT");
    let checksum = checksum(&key);
    key + &checksum
}

/// The last four characters of a key: Marvin32 of the decoded bytes before them, with its four bytes reversed, in base
/// 62 (microsoft/security-utilities, `IdentifiableSecrets.cs`).
fn checksum(key: &str) -> String {
    let bytes = STANDARD.decode(key).expect("80 characters of base64");
    let number = marvin32(&bytes, u64::from_be_bytes(*b"Default0")).swap_bytes();
    let digits = base62(number, 1);
    format!("{digits:0<4}")[..4].to_owned()
}

/// `number` in base 62, padded with zeros to `width` digits.
fn base62(mut number: u32, width: usize) -> String {
    let mut digits = Vec::new();
    while number > 0 {
        digits.push(char::from(BASE62_DIGITS[(number % 62) as usize]));
        number /= 62;
    }
    let digits: String = digits.into_iter().rev().collect();
    format!("{digits:0>width$}")
}

/// The Marvin hash, reduced to 32 bits. The length of `bytes` is a multiple of 4.
fn marvin32(bytes: &[u8], seed: u64) -> u32 {
    fn mix(low: u32, high: u32) -> (u32, u32) {
        let high = high ^ low;
        let low = low.rotate_left(20).wrapping_add(high);
        let high = high.rotate_left(9) ^ low;
        let low = low.rotate_left(27).wrapping_add(high);
        (low, high.rotate_left(19))
    }
    let (mut low, mut high) = (seed as u32, (seed >> 32) as u32);
    for word in bytes.chunks_exact(4) {
        low = low.wrapping_add(u32::from_le_bytes(word.try_into().expect("4 bytes")));
        (low, high) = mix(low, high);
    }
    let (low, high) = mix(low.wrapping_add(0x80), high);
    let (low, high) = mix(low, high);
    low ^ high
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    /// The example in the gallery's source.
    #[test]
    fn a_key_equals_the_gallerys_key_of_the_same_parts() {
        let key = assemble(&"a".repeat(52), datetime!(2024-12-05 13:30 UTC), 'Z', 1337, 15);
        assert_eq!(key, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaJQQJ99ALN5Z0000LZENeS003NUGT3OrW");
    }

    #[test]
    fn two_keys_of_the_same_time_and_owner_differ() {
        let now = datetime!(2026-11-22 12:00 UTC);
        let (one, other) = (create(now, 1, 60), create(now, 1, 60));
        assert_eq!((one.len(), &one[52..80]), (84, "JQQJ99CKN5L000001VMAS00CNUGT"));
        assert_ne!(one[..52], other[..52]);
    }
}
