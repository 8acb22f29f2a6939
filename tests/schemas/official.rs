//! The official JSON-Schema-Test-Suite, through the path that runs the schemas of users.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use sluicegate::user_schema::UserSchema;
use sluicegate_tests::path_of;

/// The drafts: what they are called, the folder, and the `$schema` that its schemas leave out.
const DRAFTS: &[(&str, &str, Option<&str>)] = &[
    ("4", "draft4", Some("http://json-schema.org/draft-04/schema#")),
    ("6", "draft6", Some("http://json-schema.org/draft-06/schema#")),
    ("7", "draft7", Some("http://json-schema.org/draft-07/schema#")),
    ("2019-09", "draft2019-09", None),
    ("2020-12", "draft2020-12", None),
];

/// A schema and what is to be said of values.
#[derive(Deserialize)]
struct Case {
    description: String,
    schema: Value,
    tests: Vec<Test>,
}

#[derive(Deserialize)]
struct Test {
    description: String,
    data: Box<RawValue>,
    valid: bool,
}

/// How a part of the suite went.
#[derive(Default)]
struct Score {
    passed: u64,
    /// The schema was refused at the start, since it leads out of itself.
    refused: u64,
    failed: Vec<String>,
}

impl Score {
    fn words(&self) -> String {
        let all = self.passed + self.refused + self.failed.len() as u64;
        match self.refused {
            0 => format!("{} of {all}", self.passed),
            refused => format!("{} of {all}; {refused} refused at the start", self.passed),
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    for path in entries {
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

fn run(file: &Path, named: Option<&str>, score: &mut Score) {
    let cases: Vec<Case> = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    for Case { description: case, mut schema, tests } in cases {
        if let (Some(named), Value::Object(keywords)) = (named, &mut schema) {
            keywords.entry("$schema").or_insert_with(|| named.into());
        }
        let compiled = UserSchema::new(&schema.to_string());
        for Test { description, data, valid } in tests {
            match &compiled {
                Ok(schema) if schema.judge(data.get().as_bytes()).is_ok() == valid => {
                    score.passed += 1;
                }
                Err(problem) if problem.hint.contains("no schema is fetched") => score.refused += 1,
                Err(problem) if problem.found.contains("unknown draft") => score.refused += 1,
                _ => {
                    let name = file.file_name().unwrap().to_string_lossy();
                    score.failed.push(format!("{name}: {case}: {description}"));
                }
            }
        }
    }
}

#[test]
fn the_count_of_passes_by_draft_is_that_of_the_docs() {
    let suite = path_of("SLUICEGATE_JSON_SCHEMA_SUITE").unwrap().join("tests");
    let mut table =
        "| draft | required | optional | optional, `format` |\n|---|---|---|---|\n".to_owned();
    for (draft, folder, named) in DRAFTS {
        let (mut required, mut optional, mut formats) =
            (Score::default(), Score::default(), Score::default());
        for file in files(&suite.join(folder)) {
            let inner = file.strip_prefix(suite.join(folder)).unwrap();
            let score = match (inner.starts_with("optional/format"), inner.starts_with("optional"))
            {
                (true, _) => &mut formats,
                (_, true) => &mut optional,
                _ => &mut required,
            };
            run(&file, *named, score);
        }
        for score in [&required, &optional] {
            assert!(score.failed.is_empty(), "draft {draft}: {:#?}", score.failed);
        }
        let [required, optional, formats] =
            [required, optional, formats].map(|score| score.words());
        writeln!(table, "| {draft} | {required} | {optional} | {formats} |").unwrap();
    }
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/json-schema.md");
    let docs = std::fs::read_to_string(docs).unwrap_or_default();
    assert!(docs.contains(&table), "the table of docs/json-schema.md should read:\n\n{table}");
}
