//! Finds equal keys of a map after decoding: `"A"` equals `"\u0041"`, and so do two spellings of one UUID.

use std::cmp::Ordering;

use super::{Column, Data};

impl Column {
    /// The first value that repeats an earlier one, among those from `from` on.
    pub fn repeated_from(&self, from: usize) -> Option<usize> {
        // If there are few, each is compared with all before it.
        const FEW: usize = 8;
        if self.len() <= from + FEW {
            let is_repeated =
                |at: &usize| (from..*at).any(|before| self.compare(before, *at).is_eq());
            return (from..self.len()).find(is_repeated);
        }
        let mut order: Vec<usize> = (from..self.len()).collect();
        order.sort_unstable_by(|a, b| self.compare(*a, *b).then(a.cmp(b)));
        let repeated = order.windows(2).filter_map(|pair| match pair {
            [a, b] if self.compare(*a, *b).is_eq() => Some(*b),
            _ => None,
        });
        repeated.min()
    }

    fn compare(&self, a: usize, b: usize) -> Ordering {
        match &self.data {
            Data::I8(values) => values.get(a).cmp(&values.get(b)),
            Data::I16(values) => values.get(a).cmp(&values.get(b)),
            Data::I32(values) | Data::Days(values) | Data::Label(values, _) => {
                values.get(a).cmp(&values.get(b))
            }
            Data::I64(values) | Data::Ticks(values, _) => values.get(a).cmp(&values.get(b)),
            Data::U8(values) => values.get(a).cmp(&values.get(b)),
            Data::U16(values) => values.get(a).cmp(&values.get(b)),
            Data::U32(values) => values.get(a).cmp(&values.get(b)),
            Data::U64(values) => values.get(a).cmp(&values.get(b)),
            // None is NaN, and the two zeros are one key.
            Data::F32(values) | Data::BF16(values) => {
                values.get(a).partial_cmp(&values.get(b)).unwrap_or(a.cmp(&b))
            }
            Data::F64(values) => values.get(a).partial_cmp(&values.get(b)).unwrap_or(a.cmp(&b)),
            Data::Bool(values) => values.get(a).cmp(&values.get(b)),
            Data::Decimal(values, ..) => values.get(a).cmp(&values.get(b)),
            Data::WideDecimal(values, ..) => values.get(a).cmp(&values.get(b)),
            Data::Text { ends, text } => {
                let bytes = text.as_bytes();
                bytes_at(ends, bytes, a).cmp(&bytes_at(ends, bytes, b))
            }
            Data::Bytes { ends, bytes } => bytes_at(ends, bytes, a).cmp(&bytes_at(ends, bytes, b)),
            Data::Fixed { width, bytes } => {
                let at = |at: usize| bytes.get(at * width..(at + 1) * width);
                at(a).cmp(&at(b))
            }
            // Keys have no parts.
            Data::Runs { .. } | Data::Tuples { .. } | Data::Members { .. } => a.cmp(&b),
        }
    }
}

fn bytes_at<'a>(ends: &[i32], bytes: &'a [u8], at: usize) -> Option<&'a [u8]> {
    let start = match at.checked_sub(1) {
        Some(before) => *ends.get(before)?,
        None => 0,
    };
    bytes.get(usize::try_from(start).ok()?..usize::try_from(*ends.get(at)?).ok()?)
}
