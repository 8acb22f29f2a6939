//! Column types by JSON forms: each text goes through ClickHouse's own JSONEachRow and through the host into
//! a second table of the same engine. With COERCION=lenient the host stores the same value, or refuses what
//! ClickHouse refuses, or what it would not store as it is: then for a reason that stands in `kinds` and in
//! docs/types.md. Without it, what the host takes is what ClickHouse takes.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod cells;
mod field_cases;
mod kinds;

use std::collections::BTreeMap;

use cells::{Cell, Matrix, OF_NULLS};
use kinds::{BEYOND, KINDS, OTHER, Rule};
use sluicegate::schema::plan::Rules;
use sluicegate::schema::source::OnInvalid;

const PAGE: &str = include_str!("../../docs/types.md");

/// The rules under this heading of the page: what stands in the first column of its table.
fn documented(heading: &str) -> Vec<&'static str> {
    let lines = PAGE.lines().skip_while(|line| *line != heading);
    let rows = lines.skip_while(|line| !line.starts_with('|')).skip(2);
    let rows = rows.take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches(['|', ' ']).split(" | ").next().unwrap()).collect()
}

#[test]
fn the_page_names_each_rule() {
    let named = |rules: &[Rule]| rules.iter().map(|rule| rule.name).collect::<Vec<_>>();
    assert_eq!(documented("### What lenient refuses and ClickHouse takes"), named(KINDS));
    let beyond: Vec<_> = BEYOND.iter().chain(OTHER).copied().collect();
    assert_eq!(documented("### What sluicegate takes and ClickHouse does not"), named(&beyond));
}

/// How often each verdict was given, and what has none.
#[derive(Default)]
struct Verdicts {
    counts: BTreeMap<&'static str, usize>,
    failures: Vec<String>,
}

impl Verdicts {
    fn give(&mut self, verdict: &'static str) {
        *self.counts.entry(verdict).or_default() += 1;
    }

    /// Gives the verdict of the first rule that holds for the cell.
    fn by(&mut self, rules: &[Rule], cell: &Cell) {
        match rules.iter().find(|rule| (rule.holds)(cell)) {
            Some(rule) => self.give(rule.name),
            None => {
                let Cell { ty, form, clickhouse, host } = cell;
                self.failures.push(format!("{ty}\t{form}\t{clickhouse:?}\t{host:?}"));
            }
        }
    }

    fn end(self, rules: &[Rule]) {
        for (verdict, cells) in &self.counts {
            println!("{cells:>7} {verdict}");
        }
        if let Ok(file) = std::env::var("SLUICEGATE_MATRIX_FAILURES") {
            std::fs::write(file, self.failures.join("\n")).unwrap();
        }
        let some: Vec<_> = self.failures.iter().take(50).collect();
        assert!(some.is_empty(), "{} cells: {some:#?}", self.failures.len());
        for rule in rules {
            assert!(self.counts.contains_key(rule.name), "no cell is held by: {}", rule.name);
        }
    }
}

#[tokio::test]
async fn lenient_takes_what_jsoneachrow_takes() -> anyhow::Result<()> {
    let cells = Matrix::get().await?.cells(true).await?;
    assert!(cells.len() > 5_000, "{}", cells.len());
    println!("{} cells", cells.len());
    let mut verdicts = Verdicts::default();
    for cell in &cells {
        match (&cell.clickhouse, &cell.host) {
            (None, None) => verdicts.give("both refuse"),
            (Some(value), Some(stored)) if value == stored => verdicts.give("the same value"),
            (Some(_), None) => verdicts.by(KINDS, cell),
            (None, Some(_)) => verdicts.by(BEYOND, cell),
            (Some(_), Some(_)) => verdicts.by(OTHER, cell),
        }
    }
    let rules: Vec<_> = KINDS.iter().chain(BEYOND).chain(OTHER).copied().collect();
    verdicts.end(&rules);
    Ok(())
}

#[tokio::test]
async fn strict_takes_nothing_that_jsoneachrow_reads_otherwise() -> anyhow::Result<()> {
    let mut verdicts = Verdicts::default();
    for cell in &Matrix::get().await?.cells(false).await? {
        match (&cell.clickhouse, &cell.host) {
            (None, None) => verdicts.give("both refuse"),
            (Some(_), None) => verdicts.give("the host alone refuses"),
            (Some(value), Some(stored)) if value == stored => verdicts.give("the same value"),
            (None, Some(_)) => verdicts.by(BEYOND, cell),
            (Some(_), Some(_)) => verdicts.by(OTHER, cell),
        }
    }
    verdicts.end(&[]);
    Ok(())
}

#[tokio::test]
async fn the_default_of_an_invalid_value_is_that_of_a_null_or_refused_at_the_start()
-> anyhow::Result<()> {
    let matrix = Matrix::get().await?;
    let on_invalid = vec![("c".to_owned(), OnInvalid::Default)];
    let rules = Rules { on_invalid, ..Rules::default() };
    for ty in OF_NULLS {
        let (of_null, _) = matrix.through_the_host(ty, &Rules::default(), &["null"]).await?;
        match matrix.through_the_host(ty, &rules, &["[[[true]]]"]).await {
            Ok((of_invalid, _)) => assert_eq!((of_invalid.len(), of_invalid), (1, of_null), "{ty}"),
            Err(error) => {
                assert!(format!("{error}").contains("COLUMN_ON_INVALID"), "{ty}: {error}");
                assert!(of_null.is_empty(), "{ty}: {of_null:?}");
            }
        }
    }
    Ok(())
}
