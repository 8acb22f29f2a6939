//! Integers of up to 256 bits, for which Rust has no type.

use std::fmt;

use arrow_buffer::i256;

use super::number::{Magnitude, Misfit, scaled};
use crate::schema::types::WideInt;

/// An unsigned integer of 256 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct U256 {
    high: u128,
    low: u128,
}

impl U256 {
    /// A tenth, and the remainder.
    fn tenth(self) -> (Self, u8) {
        let mut left = 0;
        // The remainder takes at most 4 bits, so 64 more fit after it.
        let mut part = |bits: u128| {
            let whole = (left << 64) | bits;
            left = whole % 10;
            whole / 10
        };
        let low_bits = u128::from(u64::MAX);
        let mut half = |half: u128| (part(half >> 64) << 64) | part(half & low_bits);
        let (high, low) = (half(self.high), half(self.low));
        (Self { high, low }, u8::try_from(left).unwrap_or(0))
    }
}

impl Magnitude for U256 {
    const ZERO: Self = Self { high: 0, low: 0 };

    fn append(self, digit: u8) -> Option<Self> {
        let low_bits = u128::from(u64::MAX);
        let first = (self.low & low_bits) * 10 + u128::from(digit);
        let second = (self.low >> 64) * 10 + (first >> 64);
        let high = self.high.checked_mul(10)?.checked_add(second >> 64)?;
        Some(Self { high, low: (second << 64) | (first & low_bits) })
    }
}

/// A signed integer with a magnitude of at most 256 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wide {
    is_negative: bool,
    magnitude: U256,
}

impl Wide {
    /// Parses an integer; `1.0` and `1e3` are integers too.
    pub fn integer(text: &str) -> Result<Self, Misfit> {
        let (is_negative, magnitude) = scaled(text, 0)?;
        Ok(Self { is_negative, magnitude })
    }

    /// The bytes in two's complement, lowest first; a 128-bit type takes the first 16. `None` if the type does not hold
    /// it.
    pub fn bytes(self, kind: WideInt) -> Option<[u8; 32]> {
        self.fits(kind).then(|| self.complement().to_le_bytes())
    }

    /// Whether the type holds it.
    pub fn fits(self, kind: WideInt) -> bool {
        const HALF: u128 = 1 << 127;
        let (high, low) = match (kind, self.is_negative) {
            (WideInt::I128, false) => (0, HALF - 1),
            (WideInt::I128, true) => (0, HALF),
            (WideInt::U128, false) => (0, u128::MAX),
            (WideInt::I256, false) => (HALF - 1, u128::MAX),
            (WideInt::I256, true) => (HALF, 0),
            (WideInt::U256, false) => (u128::MAX, u128::MAX),
            (WideInt::U128 | WideInt::U256, true) => (0, 0),
        };
        self.magnitude <= U256 { high, low }
    }

    fn complement(self) -> i256 {
        let U256 { high, low } = self.magnitude;
        let value = i256::from_parts(low, high as i128);
        if self.is_negative { value.wrapping_neg() } else { value }
    }
}

impl fmt::Display for Wide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut rest, mut digits) = (self.magnitude, Vec::with_capacity(78));
        while rest != U256::ZERO || digits.is_empty() {
            let digit;
            (rest, digit) = rest.tenth();
            digits.push(char::from(b'0' + digit));
        }
        let sign = if self.is_negative { "-" } else { "" };
        write!(f, "{sign}{}", digits.iter().rev().collect::<String>())
    }
}

/// A decimal of at most `precision` digits, up to 76, with `scale` of them after the point.
pub fn wide_decimal(text: &str, precision: u8, scale: u8) -> Result<i256, Misfit> {
    let (is_negative, magnitude) = scaled(text, scale)?;
    let bound = (0..precision).try_fold(U256 { high: 0, low: 1 }, |bound, _| bound.append(0));
    let is_within = bound.is_none_or(|bound| magnitude < bound);
    let value = Wide { is_negative, magnitude };
    if is_within && value.fits(WideInt::I256) { Ok(value.complement()) } else { Err(Misfit::Range) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_width_holds_its_range_and_no_more() {
        use WideInt::*;
        let table = [
            (
                I128,
                (
                    "-170141183460469231731687303715884105728",
                    "-170141183460469231731687303715884105729",
                ),
                (
                    "170141183460469231731687303715884105727",
                    "170141183460469231731687303715884105728",
                ),
            ),
            (
                U128,
                ("0", "-1"),
                (
                    "340282366920938463463374607431768211455",
                    "340282366920938463463374607431768211456",
                ),
            ),
            (
                I256,
                (
                    "-57896044618658097711785492504343953926634992332820282019728792003956564819968",
                    "-57896044618658097711785492504343953926634992332820282019728792003956564819969",
                ),
                (
                    "57896044618658097711785492504343953926634992332820282019728792003956564819967",
                    "57896044618658097711785492504343953926634992332820282019728792003956564819968",
                ),
            ),
            (
                U256,
                ("0", "-1"),
                (
                    "115792089237316195423570985008687907853269984665640564039457584007913129639935",
                    "115792089237316195423570985008687907853269984665640564039457584007913129639936",
                ),
            ),
        ];
        for (kind, (lowest, below), (highest, above)) in table {
            let fits = |text| Wide::integer(text).is_ok_and(|value| value.fits(kind));
            assert!(fits(lowest) && fits(highest), "{kind:?}");
            assert!(!fits(below) && !fits(above), "{kind:?}");
            for border in [lowest, highest] {
                assert_eq!(Wide::integer(border).unwrap().to_string(), border);
            }
        }
    }

    #[test]
    fn bytes_are_in_twos_complement_with_the_lowest_first() {
        let bytes = |text: &str, kind| Wide::integer(text).unwrap().bytes(kind).unwrap();
        assert_eq!(bytes("-1", WideInt::I256), [0xff; 32]);
        assert_eq!(bytes("258", WideInt::U128)[..3], [2, 1, 0]);
        assert_eq!(bytes("-258", WideInt::I128)[..3], [0xfe, 0xfe, 0xff]);
        let lowest = bytes(&i128::MIN.to_string(), WideInt::I128);
        assert_eq!(lowest[..16], i128::MIN.to_le_bytes());
    }

    #[test]
    fn a_decimal_keeps_76_digits() {
        let nines = "9".repeat(76);
        let value = |text: &str| i256::from_string(text).unwrap();
        assert_eq!(wide_decimal(&nines, 76, 0), Ok(value(&nines)));
        assert_eq!(wide_decimal(&format!("-0.{nines}"), 76, 76), Ok(value(&format!("-{nines}"))));
        assert_eq!(wide_decimal(&format!("1{}", "0".repeat(76)), 76, 0), Err(Misfit::Range));
        assert_eq!(wide_decimal("1", 76, 76), Err(Misfit::Range));
        assert_eq!(wide_decimal(&format!("0.{nines}9"), 76, 76), Err(Misfit::Fraction));
        assert_eq!(wide_decimal("1.5e1", 39, 2), Ok(value("1500")));
    }

    proptest! {
        #[test]
        fn any_integer_comes_back_as_it_was_written(
            digits in "[1-9][0-9]{0,75}",
            is_negative in any::<bool>(),
        ) {
            let text = if is_negative { format!("-{digits}") } else { digits };
            let value = Wide::integer(&text).unwrap();
            prop_assert_eq!(value.to_string(), text.clone());
            let bytes = value.bytes(WideInt::I256).unwrap();
            prop_assert_eq!(i256::from_le_bytes(bytes), i256::from_string(&text).unwrap());
        }
    }
}
