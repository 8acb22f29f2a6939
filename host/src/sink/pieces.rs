//! A piece of a batch's rows, cut only between records.

use crate::flow::record::Origin;

/// Rows `start..end` of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// First row.
    pub start: usize,
    /// The row after the last.
    pub end: usize,
}

impl Piece {
    /// All `rows` rows.
    pub fn whole(rows: usize) -> Self {
        Self { start: 0, end: rows }
    }

    /// All rows in pieces of at most `max_rows`, the last one first; a larger record is a piece by itself.
    pub fn bounded(origins: &[Origin], max_rows: usize) -> Vec<Self> {
        let (mut open, mut pieces) = (vec![Self::whole(origins.len())], Vec::new());
        while let Some(piece) = open.pop() {
            match piece.split(origins) {
                Some((first, second)) if piece.len() > max_rows => open.extend([first, second]),
                _ => pieces.push(piece),
            }
        }
        pieces
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether it holds no row.
    pub fn is_empty(&self) -> bool {
        self.end <= self.start
    }

    /// The record of each of its rows.
    pub fn of<'a>(&self, origins: &'a [Origin]) -> &'a [Origin] {
        origins.get(self.start..self.end).unwrap_or_default()
    }

    /// The records of its rows, each once.
    pub fn origins(&self, origins: &[Origin]) -> Vec<Origin> {
        let mut of: Vec<Origin> = self.of(origins).to_vec();
        of.dedup();
        of
    }

    /// Two halves with equal numbers of records, whatever their rows, so that log2(records) halvings lead to
    /// one record; `None` for one record.
    pub fn split_by_records(&self, origins: &[Origin]) -> Option<(Self, Self)> {
        let of = self.of(origins);
        let is_border = |row: &usize| of.get(*row) != of.get(row.wrapping_sub(1));
        let borders: Vec<usize> = (1..of.len()).filter(is_border).collect();
        let border = self.start + borders.get(borders.len() / 2)?;
        Some((Self { start: self.start, end: border }, Self { start: border, end: self.end }))
    }

    /// Two halves by rows, cut at the record boundary nearest the middle; `None` for one record.
    pub fn split(&self, origins: &[Origin]) -> Option<(Self, Self)> {
        let middle = self.start + self.len() / 2;
        let is_border = |row: &usize| origins.get(*row) != origins.get(row.wrapping_sub(1));
        let before = (self.start + 1..=middle).rev().find(is_border);
        let after = (middle..self.end).find(|row| *row > self.start && is_border(row));
        let border = match (before, after) {
            (Some(before), Some(after)) if after - middle < middle - before => after,
            (Some(before), _) => before,
            (None, after) => after?,
        };
        Some((Self { start: self.start, end: border }, Self { start: border, end: self.end }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn records_are_halved_whatever_rows_they_make() {
        // Each has twice the rows of the one before it.
        let origins: Vec<Origin> = (0..16_u32).flat_map(|at| vec![at; 1 << at]).collect();
        let (mut open, mut depth) = (vec![Piece::whole(origins.len())], 0);
        while open.iter().any(|piece| piece.split_by_records(&origins).is_some()) {
            let halves = |piece: &Piece| {
                let (first, second) = piece.split_by_records(&origins).unwrap();
                [first, second]
            };
            open = open.iter().flat_map(halves).collect();
            depth += 1;
        }
        assert_eq!((depth, open.len()), (4, 16));
        assert!(open.iter().all(|piece| piece.origins(&origins).len() == 1));
    }

    #[test]
    fn one_record_is_never_cut() {
        assert_eq!(Piece::whole(4).split(&[7, 7, 7, 7]), None);
        assert_eq!(Piece::whole(1).split(&[7]), None);
        let (first, second) = Piece::whole(4).split(&[7, 7, 7, 8]).unwrap();
        assert_eq!((first.len(), second.len()), (3, 1));
    }

    #[test]
    fn pieces_are_bounded_but_for_a_record_that_is_larger() {
        let lens = |origins: &[Origin], max_rows| {
            let pieces = Piece::bounded(origins, max_rows);
            pieces.iter().map(|piece| (piece.start, piece.end)).collect::<Vec<_>>()
        };
        assert_eq!(lens(&[0, 1, 2], 3), [(0, 3)]);
        assert_eq!(lens(&[0, 1, 2, 3], 3), [(2, 4), (0, 2)]);
        assert_eq!(lens(&[0, 0, 0, 0, 1], 2), [(4, 5), (0, 4)]);
        assert_eq!(lens(&[], 3), [(0, 0)]);
    }

    proptest! {
        #[test]
        fn halving_reaches_every_record_alone(counts in prop::collection::vec(1..5_usize, 1..40)) {
            let origins: Vec<Origin> = (0..)
                .zip(&counts)
                .flat_map(|(origin, rows)| std::iter::repeat_n(origin, *rows))
                .collect();
            let (mut open, mut alone) = (vec![Piece::whole(origins.len())], Vec::new());
            while let Some(piece) = open.pop() {
                match piece.split(&origins) {
                    Some((first, second)) => open.extend([second, first]),
                    None => alone.push(piece.origins(&origins)),
                }
            }
            let expected: Vec<Vec<Origin>> = (0..).take(counts.len()).map(|o| vec![o]).collect();
            prop_assert_eq!(alone, expected);
        }
    }
}
