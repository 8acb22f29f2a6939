//! The rooms of the host depend one way.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Lowest first: a room imports from lower layers only. ARCHITECTURE.md tells what each room holds, in this order.
const LAYERS: &[&[&str]] = &[
    &["words"],
    &["schema"],
    &["flow"],
    &["json_order", "user_schema"],
    &["decode", "check"],
    &["infer"],
    &["base", "limits", "delivery"],
    &["config"],
    &["observe"],
    &["kafka", "clickhouse"],
    &["source", "sink", "dead_letter"],
    &["plugins"],
    &["pipeline"],
    &["life"],
    &["cli"],
];

/// None of them imports another, whatever its layer.
const STAGES: &[&str] = &["source", "decode", "check", "sink", "dead_letter", "plugins"];

/// Where rooms stand: the crate without a clock or a network, and the host.
const CRATES: &[&str] = &["../host/records/src", "../host/src"];

/// Type names that are defined more than once, each with the reason.
const SHARED_NAMES: &[(&str, &str)] = &[
    ("Column", "a column of the table, and its values while records are decoded"),
    ("Envelope", "what surrounds a dead letter's payload, and a record within another one"),
    ("Members", "of a JSON object: while it is read, and as infer has seen them"),
    ("Place", "of a value: while it is decoded, and while infer chooses its type"),
    ("Put", "whether a value was put: three files of decode have their own"),
    ("Reader", "the trait of those that read a record, and the one of JSON columns"),
    ("Room", "what decode may take, and what infer may keep"),
];

/// They stand in for rooms that a build leaves out, under the same names.
const STAND_INS: &[&str] = &["no_hooks.rs", "no_lookups.rs"];

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// Each file with its room.
pub fn host_sources() -> Vec<(String, PathBuf, String)> {
    let mut found = Vec::new();
    for source in CRATES {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
        let mut files = Vec::new();
        rust_files(&source, &mut files);
        found.extend(files.into_iter().map(|path| {
            let inner = path.strip_prefix(&source).unwrap();
            let top = inner.components().next().unwrap().as_os_str().to_string_lossy();
            let text = std::fs::read_to_string(&path).unwrap();
            (top.trim_end_matches(".rs").to_owned(), path.clone(), text)
        }));
    }
    found
}

#[test]
fn no_room_imports_a_higher_one_or_its_sibling() {
    let layer = |module: &str| LAYERS.iter().position(|layer| layer.contains(&module));
    let mut edges = 0;
    for (module, path, text) in host_sources() {
        if ["lib", "main"].contains(&module.as_str()) {
            continue;
        }
        let own = layer(&module).unwrap_or_else(|| panic!("`{module}` stands in no layer"));
        for rest in text.split("crate::").skip(1) {
            let name: String =
                rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if name == module {
                continue;
            }
            let Some(other) = layer(&name) else {
                panic!("{}: `crate::{name}` stands in no layer", path.display());
            };
            let are_stages = [&*module, &*name].iter().all(|module| STAGES.contains(module));
            assert!(other < own && !are_stages, "{}: `{module}` imports `{name}`", path.display());
            edges += 1;
        }
    }
    assert!(edges > 30, "only {edges} imports were seen: is the test still reading them?");
}

#[test]
fn the_page_tells_of_each_room_in_the_order_of_the_layers() {
    let page = include_str!("../../ARCHITECTURE.md");
    let rows = page.lines().skip_while(|line| !line.starts_with("| room |")).skip(2);
    let rows = rows.take_while(|line| line.starts_with('|'));
    let told: Vec<&str> = rows
        .filter_map(|row| row.split('`').nth(1))
        .map(|name| name.trim_end_matches('/'))
        .collect();
    assert_eq!(told, LAYERS.concat());
}

#[test]
fn no_file_is_longer_than_400_lines_without_a_reason() {
    for (_, path, text) in host_sources() {
        if path.ends_with("tests.rs") {
            continue;
        }
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let lines = code.lines().filter(|line| !line.trim().is_empty()).count();
        let has_reason = text.lines().take(30).any(|line| line.contains("over 400 lines because"));
        assert!(lines <= 400 || has_reason, "{}: {lines} lines of code", path.display());
    }
}

/// The type that a line defines, if it defines one. Associated types belong to their trait.
fn defined_type(line: &str) -> Option<&str> {
    let words = line.trim_start().split(' ').skip_while(|word| word.starts_with("pub"));
    let mut words = words.skip_while(|word| *word == "unsafe");
    let is_type = match words.next()? {
        "struct" | "enum" | "trait" | "union" => true,
        "type" => !line.starts_with(' '),
        _ => false,
    };
    let name = words.next()?;
    let end = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
    is_type.then(|| &name[..end])
}

#[test]
fn a_type_name_stands_for_one_thing() {
    let mut files: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (_, path, text) in host_sources() {
        let file = path.file_name().unwrap().to_string_lossy();
        if file.ends_with("tests.rs") || STAND_INS.contains(&&*file) {
            continue;
        }
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap();
        for name in code.lines().filter_map(defined_type) {
            files.entry(name.to_owned()).or_default().push(path.display().to_string());
        }
    }
    assert!(
        files.len() > 500,
        "only {} types were seen: is the test still reading them?",
        files.len()
    );
    files.retain(|_, of| of.len() > 1);
    let allowed: BTreeSet<&str> = SHARED_NAMES.iter().map(|(name, _)| *name).collect();
    let shared: BTreeSet<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(shared, allowed, "{files:#?}");
}
