//! Aligned plain text: columns separated by two blanks.

use crate::words::plain::Plain;

/// Widest cell that others are aligned with; a longer one, such as an Enum type, shifts the rest of its row.
const MAX_CELL: usize = 48;

/// A table with a header, each row on a line of its own.
pub fn aligned(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let head: Vec<String> = head.iter().map(|&cell| cell.to_owned()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(rows).map(|row| plain(&row)).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |at: usize| {
        let widths = rows.iter().filter_map(|row| Some(row.get(at)?.chars().count()));
        widths.filter(|width| *width <= MAX_CELL).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

/// Cells of one line each, without terminal control characters.
fn plain(row: &[String]) -> Vec<String> {
    row.iter().map(|cell| Plain(cell).to_string()).collect()
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
    fn no_cell_is_cut_and_a_long_one_moves_the_rest_of_its_own_row_alone() {
        let cells = |of: &[&str]| of.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>();
        let long = "x".repeat(MAX_CELL + 1);
        let rows = [cells(&["a", &long, "the end"]), cells(&["b", "short", "the end"])];
        let expected = format!("n  takes  missing\na  {long}  the end\nb  short  the end\n");
        assert_eq!(aligned(&["n", "takes", "missing"], rows.into_iter()), expected);
    }

    #[test]
    fn no_cell_holds_control_characters() {
        let text = aligned(&["a"], std::iter::once(vec!["red\u{1b}[31m\nx".to_owned()]));
        assert_eq!(text, "a\nred\\u{1b}[31m\\nx\n");
    }
}
