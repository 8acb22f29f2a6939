//! The rooms of the host depend one way.

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
