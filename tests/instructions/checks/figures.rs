//! The figures in the repository, and how what is counted is held against them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Set to write the figures anew.
pub const UPDATE: &str = "SLUICEGATE_UPDATE_INSTRUCTIONS";

/// Writes the figures anew.
pub const COMMAND: &str = "SLUICEGATE_UPDATE_INSTRUCTIONS=1 cargo xtask test --suite instructions";

/// How far a count may be from its figure, in percent, either way.
const ALLOWED_PERCENT: f64 = 3.0;

/// And in instructions a record, where that is more: check takes two, where nothing is bad.
const ALLOWED: f64 = 1.0;

/// Counts, as they stand in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    /// What the compiler says of itself.
    pub toolchain: String,
    /// Instructions a record, by case.
    pub of_case: BTreeMap<String, f64>,
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "# Instructions a record, profile dev, x86-64. Not written by hand:")?;
        writeln!(f, "# {COMMAND}")?;
        writeln!(f, "# with {}", self.toolchain)?;
        self.of_case.iter().try_for_each(|(case, count)| writeln!(f, "{count:>9.1}  {case}"))
    }
}

impl Figures {
    /// What stands in a file.
    pub fn read(text: &str) -> Self {
        let toolchain = text.lines().find_map(|line| line.strip_prefix("# with "));
        let figures = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
            let (count, case) = line.trim().split_once("  ").unwrap();
            (case.to_owned(), count.parse().unwrap())
        });
        Self { toolchain: toolchain.unwrap_or_default().to_owned(), of_case: figures.collect() }
    }

    /// What is to be done about these counts, if anything.
    pub fn complaint(&self, expected: &Self) -> Option<String> {
        let lines: Vec<String> = self
            .of_case
            .iter()
            .filter_map(|(case, count)| difference(case, *count, expected.of_case.get(case)))
            .chain(
                expected
                    .of_case
                    .keys()
                    .filter(|case| !self.of_case.contains_key(*case))
                    .map(|case| format!("{case}: has a figure and is counted no more")),
            )
            .collect();
        if lines.is_empty() {
            return None;
        }
        let mut text = format!(
            "instructions a record are not those of tests/instructions/expected.txt:\n  {}\n",
            lines.join("\n  ")
        );
        if self.toolchain != expected.toolchain {
            // Writing to a String cannot fail.
            let _written = writeln!(
                text,
                "the figures are of {}, this is {}: a new toolchain means new figures",
                expected.toolchain, self.toolchain
            );
        }
        text.push_str("where this is meant to be, write the figures anew and commit them:\n  ");
        text.push_str(COMMAND);
        Some(text)
    }
}

fn difference(case: &str, count: f64, expected: Option<&f64>) -> Option<String> {
    let Some(expected) = expected else {
        return Some(format!("{case}: {count:.1}, and there is no figure for it"));
    };
    let grown = count - expected;
    if grown.abs() <= ALLOWED.max(expected * ALLOWED_PERCENT / 100.0) {
        return None;
    }
    let percent = grown.abs() / expected * 100.0;
    let verdict = if grown > 0.0 {
        format!("more, {ALLOWED_PERCENT} % are allowed")
    } else {
        "fewer, well done: write it down, lest it be lost again".to_owned()
    };
    Some(format!("{case}: expected {expected:.1}, counted {count:.1}: {percent:.1} % {verdict}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(of_case: &[(&str, f64)]) -> Figures {
        let of_case = of_case.iter().map(|(case, count)| ((*case).to_owned(), *count)).collect();
        Figures { toolchain: "rustc 1".to_owned(), of_case }
    }

    #[test]
    fn figures_are_read_as_they_were_written() {
        let figures = figures(&[("decode a, 0 % bad", 1_234.5), ("push a, 0 % bad", 7.0)]);
        assert_eq!(Figures::read(&figures.to_string()), figures);
    }

    #[test]
    fn counts_within_the_allowance_pass() {
        let expected = figures(&[("a", 1_000.0), ("b", 1_000.0), ("small", 2.0)]);
        assert_eq!(
            figures(&[("a", 1_029.0), ("b", 971.0), ("small", 2.9)]).complaint(&expected),
            None
        );
    }

    #[test]
    fn growth_is_told_with_the_case_both_counts_and_the_command() {
        let expected = figures(&[("a", 1_000.0), ("b", 1_000.0)]);
        let told = figures(&[("a", 1_031.0), ("b", 1_000.0)]).complaint(&expected).unwrap();
        assert!(told.contains("a: expected 1000.0, counted 1031.0: 3.1 % more"), "{told}");
        assert!(told.ends_with(COMMAND) && !told.contains("b:"), "{told}");
        assert!(COMMAND.starts_with(UPDATE));
    }

    #[test]
    fn a_gain_has_to_be_written_down() {
        let told = figures(&[("a", 960.0)]).complaint(&figures(&[("a", 1_000.0)])).unwrap();
        assert!(told.contains("4.0 % fewer, well done"), "{told}");
    }

    #[test]
    fn a_case_without_a_figure_and_a_figure_without_a_case_are_told() {
        let told = figures(&[("new", 1.0)]).complaint(&figures(&[("old", 1.0)])).unwrap();
        assert!(told.contains("new: 1.0, and there is no figure"), "{told}");
        assert!(told.contains("old: has a figure and is counted no more"), "{told}");
    }

    #[test]
    fn another_toolchain_is_named_where_counts_differ_and_passes_where_they_do_not() {
        let (counted, mut expected) = (figures(&[("a", 1_000.0)]), figures(&[("a", 1_000.0)]));
        expected.toolchain = "rustc 0".to_owned();
        assert_eq!(counted.complaint(&expected), None);
        expected.of_case.insert("a".to_owned(), 900.0);
        let told = counted.complaint(&expected).unwrap();
        assert!(told.contains("the figures are of rustc 0, this is rustc 1"), "{told}");
    }
}
