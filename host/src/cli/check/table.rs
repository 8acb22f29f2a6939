//! Aligned plain text: columns of words with two blanks between them.

use crate::plain::Plain;

/// Widest cell but the last of a row; a longer one, such as the type of an Enum, is cut.
const MAX_CELL: usize = 48;

/// A table with a head, each row on a line of its own.
pub fn aligned(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let head: Vec<String> = head.iter().map(|&cell| cell.to_owned()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(rows).map(plain).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |at: usize| {
        rows.iter().filter_map(|row| Some(row.get(at)?.chars().count())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

/// Cells of one line each, without anything that a terminal would obey.
fn plain(mut row: Vec<String>) -> Vec<String> {
    let last = row.len().saturating_sub(1);
    for (at, cell) in row.iter_mut().enumerate() {
        let shown = Plain(&cell).to_string();
        let is_cut = at < last && shown.chars().count() > MAX_CELL;
        *cell = match is_cut {
            true => shown.chars().take(MAX_CELL - 3).collect::<String>() + "...",
            false => shown,
        };
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_aligned_by_characters_and_lines_end_without_blanks() {
        let rows = [vec!["é".to_owned(), "b".to_owned()], vec!["long".to_owned(), String::new()]];
        assert_eq!(aligned(&["a", "head"], rows.into_iter()), "a     head\né     b\nlong\n");
    }

    #[test]
    fn only_the_last_cell_may_be_long_and_none_holds_control_characters() {
        let long = "x".repeat(100);
        let text = aligned(&["a"], std::iter::once(vec![long.clone(), long.clone()]));
        let row = text.lines().nth(1).unwrap();
        assert_eq!(row.len(), MAX_CELL + 2 + 100);
        let text = aligned(&["a"], std::iter::once(vec!["red\u{1b}[31m\nx".to_owned()]));
        assert_eq!(text, "a\nred\\u{1b}[31m\\nx\n");
    }
}
