//! New inputs from known ones.

use fastrand::Rng;

/// Longest input, bytes. Longer ones are slower and seldom reach anything else.
const MAX_BYTES: usize = 4_096;
/// Most times that a part is repeated: deeper than the nesting that any reader here takes.
const MAX_REPEATS: usize = 300;

/// Bytes that mean something to a reader of text, or of UTF-8.
const BYTES: &[u8] = b"\"\\{}[]()',:;.`/ \n\r\t\x00\x1f\x7f0123456789-+.eEtfnul\xff\xc3\xa9\xed\xa0\x80\xf0\xef\xbb\xbf";

/// Numbers at a border of some type.
const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "1",
    "-1",
    "-2",
    "9",
    "10",
    "38",
    "39",
    "76",
    "77",
    "127",
    "128",
    "255",
    "256",
    "65535",
    "65536",
    "2147483647",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551616",
    "1e400",
    "1e-400",
    "1e999999999",
    "0.1",
    "ffffffffffffffff",
    "170141183460469231731687303715884105728",
    "01",
    "1.",
    "+1",
];

/// The same as bytes, little-endian as in IPC messages.
const WORDS: &[i64] =
    &[0, 1, -1, 2, 7, 8, 63, 64, 1 << 16, 1 << 31, (1 << 31) - 1, 1 << 32, i64::MAX, i64::MIN];

/// An input near `base`; `other` lends parts of itself.
pub fn mutated(rng: &mut Rng, base: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = base.to_vec();
    for _ in 0..rng.usize(1..=4) {
        mutate(rng, &mut bytes, other);
        bytes.truncate(MAX_BYTES);
    }
    bytes
}

fn mutate(rng: &mut Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    let at = rng.usize(..=bytes.len());
    match rng.u8(..12) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(part(rng, bytes.len(), 16))),
        2 => bytes.insert(at, chosen(rng, BYTES)),
        3 => change(bytes, at, |byte| byte ^ (1 << rng.u8(..8))),
        4 => change(bytes, at, |_| chosen(rng, BYTES)),
        5 => {
            let copied = bytes.get(part(rng, bytes.len(), 64)).unwrap_or_default().to_vec();
            bytes.splice(at..at, copied);
        }
        6 => {
            let lent = other.get(part(rng, other.len(), 64)).unwrap_or_default();
            bytes.splice(at..at, lent.iter().copied());
        }
        7 => {
            bytes.truncate(at);
            bytes.extend(other.get(rng.usize(..=other.len())..).unwrap_or_default());
        }
        8 => {
            let repeated = bytes.get(part(rng, bytes.len(), 8)).unwrap_or_default();
            let repeated = repeated.repeat(rng.usize(..MAX_REPEATS));
            bytes.splice(at..at, repeated);
        }
        9 | 10 => number(rng, bytes, at),
        _ => word(rng, bytes, at),
    }
}

/// Puts a number in the place of the next run of digits, if any.
fn number(rng: &mut Rng, bytes: &mut Vec<u8>, at: usize) {
    let rest = bytes.get(at..).unwrap_or_default();
    let Some(from) = rest.iter().position(u8::is_ascii_digit).map(|digit| at + digit) else {
        return;
    };
    let digits = bytes.iter().skip(from).take_while(|byte| byte.is_ascii_digit()).count();
    let text = rng.choice(NUMBERS).copied().unwrap_or_default();
    bytes.splice(from..from + digits, text.bytes());
}

/// Puts a number of 4 or 8 bytes at a place that is a multiple of 4.
fn word(rng: &mut Rng, bytes: &mut [u8], at: usize) {
    let word = rng.choice(WORDS).copied().unwrap_or_default().to_le_bytes();
    let wide = if rng.bool() { 8 } else { 4 };
    for (byte, new) in bytes.iter_mut().skip(at / 4 * 4).zip(word).take(wide) {
        *byte = new;
    }
}

fn part(rng: &mut Rng, len: usize, most: usize) -> std::ops::Range<usize> {
    let from = rng.usize(..=len);
    from..(from + rng.usize(..=most)).min(len)
}

fn chosen(rng: &mut Rng, bytes: &[u8]) -> u8 {
    rng.choice(bytes).copied().unwrap_or_default()
}

fn change(bytes: &mut [u8], at: usize, to: impl FnOnce(u8) -> u8) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte = to(*byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_inputs_again_and_none_is_too_long() {
        let inputs = |seed| -> Vec<Vec<u8>> {
            let mut rng = Rng::with_seed(seed);
            (0..1_000).map(|_| mutated(&mut rng, b"{\"a\":[1,2.5]}", b"[null]")).collect()
        };
        assert_eq!(inputs(7), inputs(7));
        assert_ne!(inputs(7), inputs(8));
        assert!(inputs(7).iter().all(|input| input.len() <= MAX_BYTES));
    }

    #[test]
    fn no_base_is_too_short_to_be_changed() {
        let mut rng = Rng::with_seed(1);
        for base in [&b""[..], b"1"] {
            assert!((0..1_000).any(|_| mutated(&mut rng, base, b"") != base));
        }
    }
}
