//! What an operator answers where exactly_once asks: hosts without a column for tokens pause when they cannot
//! tell whether rows landed, and name the range and the token.

use std::collections::BTreeMap;
use std::path::Path;

use sluicegate_tests::{Job, TABLE, TOPIC};

/// What the host asks to be restarted with.
const ANSWERS: &str = "DELIVERY_ANSWERS=";

/// What was asked and answered so far, by token.
#[derive(Debug, Default)]
pub struct Consulted {
    answers: BTreeMap<String, bool>,
}

/// A range of a partition of which it is asked whether its rows landed.
#[derive(Debug, PartialEq, Eq)]
struct Question {
    token: String,
    partition: i32,
    from: i64,
    to: i64,
}

impl Consulted {
    /// Looks for what hosts ask in their logs, and in the table for the answers. Returns the variable
    /// that hosts are to be restarted with; None where nothing new is asked.
    pub async fn look(&mut self, logs: &Path, job: &Job) -> anyhow::Result<Option<String>> {
        let known = self.answers.len();
        for question in questions(logs)? {
            if self.answers.contains_key(&question.token) {
                continue;
            }
            let Question { token, partition, from, to } = question;
            let sql = format!(
                "SELECT count() FROM {TABLE} WHERE kafka_partition = {partition} AND kafka_offset >= \
                 {from} AND kafka_offset < {to}"
            );
            // An INSERT into one partition of the table is whole or not there.
            let has_landed = job.query(&sql).await? != "0";
            self.answers.insert(token, has_landed);
        }
        let entry = |(token, has_landed): (&String, &bool)| {
            format!("{token}={}", if *has_landed { "landed" } else { "not_landed" })
        };
        let all: Vec<String> = self.answers.iter().map(entry).collect();
        Ok((all.len() > known).then(|| all.join(",")))
    }
}

fn questions(logs: &Path) -> anyhow::Result<Vec<Question>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(logs)? {
        let text = std::fs::read(entry?.path())?;
        let text = String::from_utf8_lossy(&text);
        found.extend(text.lines().filter(|line| line.contains(ANSWERS)).filter_map(question));
    }
    Ok(found)
}

/// Reads `records[3] at the offsets 281..303` and the token out of a line.
fn question(line: &str) -> Option<Question> {
    let (_, token) = line.split_once(ANSWERS)?;
    let token: String = token.chars().take_while(char::is_ascii_hexdigit).collect();
    let (_, place) = line.split_once(&format!("{TOPIC}["))?;
    let (partition, rest) = place.split_once(']')?;
    let range = rest.strip_prefix(" at the offsets ")?;
    let (from, to) = range.split_once("..")?;
    let to: String = to.chars().take_while(char::is_ascii_digit).collect();
    Some(Question {
        token,
        partition: partition.parse().ok()?,
        from: from.parse().ok()?,
        to: to.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_and_its_token_are_read_out_of_what_a_host_asks() {
        let line = "paused: whether the rows of records[3] at the offsets 281..303 landed cannot be told \
                    (why): look for them in the table, and restart with DELIVERY_ANSWERS=5ef0=landed if";
        let expected = Question { token: "5ef0".to_owned(), partition: 3, from: 281, to: 303 };
        assert_eq!(question(line), Some(expected));
        assert_eq!(question("paused: something else"), None);
    }
}
