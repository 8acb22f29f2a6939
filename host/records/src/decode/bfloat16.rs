//! 16-bit floats, the upper half of a Float32, for which Rust has no type.

use std::cmp::Ordering;

/// The BFloat16 nearest to a number's text, ties to even; `None` if it is out of range. The server would cut off the
/// lower half of a Float32, which rounds towards zero.
pub fn bfloat16(text: &str) -> Option<f32> {
    let nearest: f32 = fast_float2::parse(text).ok()?;
    let value: f64 = fast_float2::parse(text).ok()?;
    // Rounding twice can give the wrong result. So first round towards zero, with a sticky last bit if anything was cut
    // off.
    let bits = match f64::from(nearest).abs().total_cmp(&value.abs()) {
        Ordering::Equal => nearest.to_bits(),
        Ordering::Greater => (nearest.to_bits() - 1) | 1,
        Ordering::Less => nearest.to_bits() | 1,
    };
    let half = 0x7fff + ((bits >> 16) & 1);
    let rounded = f32::from_bits(bits.checked_add(half)? & 0xffff_0000);
    rounded.is_finite().then_some(rounded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_is_taken_and_the_even_one_of_two() {
        let table = [
            ("0", Some(0.0)),
            ("-0", Some(-0.0)),
            ("1", Some(1.0)),
            ("0.1", Some(0.100_097_656)),
            // Half way between 1 and the next, then a little more, which a Float32 cannot represent.
            ("1.00390625", Some(1.0)),
            ("1.0039062500001", Some(1.007_812_5)),
            ("-1.01171875", Some(-1.015_625)),
            ("3.3895313892515355e38", Some(3.389_531_4e38)),
            ("3.3961775e38", Some(3.389_531_4e38)),
            ("3.3961776e38", None),
            ("-1e300", None),
            ("1e400", None),
            ("9.183549615799121e-41", Some(9.183_55e-41)),
            ("4e-41", Some(0.0)),
        ];
        for (text, expected) in table {
            assert_eq!(bfloat16(text).map(f32::to_bits), expected.map(f32::to_bits), "{text}");
        }
    }
}
