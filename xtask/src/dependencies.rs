//! What the manifests and the lock file depend on: nothing that is not used, no licence that deny.toml does not
//! allow, no registry but one, and no second version of a crate without a reason. Reads no network.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const DENY: &str = include_str!("../../deny.toml");

/// Dependencies that no source of their package names, by package, and why they are there.
const UNNAMED: &[(&str, &str, &str)] = &[];

fn metadata(manifest: &str, arguments: &[&str]) -> Value {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--format-version", "1", "--offline", "--manifest-path", manifest]);
    let output = cargo.args(arguments).current_dir(ROOT).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn text_of<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

/// Every package that the workspace is built from on this platform. Those of others need not be on this machine.
fn packages() -> Vec<Value> {
    let version = Command::new("rustc").arg("-vV").current_dir(ROOT).output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let platform = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let mut metadata = metadata("Cargo.toml", &["--locked", "--filter-platform", platform]);
    let packages = metadata["packages"].take();
    let packages: Vec<Value> = serde_json::from_value(packages).unwrap();
    assert!(packages.len() > 200, "{} packages", packages.len());
    packages
}

/// The Rust files of a package, without those of packages within its folder.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("target") && !path.join("Cargo.toml").exists() {
                sources(&path, found);
            }
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// Whether code names a crate: as the beginning of a path, or in `use NAME;` and `use NAME as`.
fn names(code: &str, name: &str) -> bool {
    code.lines().filter(|line| !line.trim_start().starts_with("//")).any(|line| {
        line.match_indices(name).any(|(at, _)| {
            let (before, behind) = (&line[..at], &line[at + name.len()..]);
            let begins = !before.ends_with(|c: char| c.is_alphanumeric() || "_:.".contains(c))
                || before.ends_with(" ::");
            let is_used = before.trim_start().trim_start_matches("pub ") == "use ";
            begins && (behind.starts_with("::") || is_used && behind.starts_with([';', ' ']))
        })
    })
}

/// The dependencies that no source of their package names.
fn unnamed(manifest: &str) -> Vec<(String, String)> {
    let metadata = metadata(manifest, &["--no-deps"]);
    let mut unnamed = Vec::new();
    for package in metadata["packages"].as_array().unwrap() {
        let mut files = Vec::new();
        sources(Path::new(text_of(package, "manifest_path")).parent().unwrap(), &mut files);
        let code: Vec<String> =
            files.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
        for dependency in package["dependencies"].as_array().unwrap() {
            let name = dependency["rename"].as_str().unwrap_or(text_of(dependency, "name"));
            let name = name.replace('-', "_");
            if !code.iter().any(|code| names(code, &name)) {
                unnamed.push((text_of(package, "name").to_owned(), name));
            }
        }
    }
    unnamed
}

#[test]
fn every_dependency_is_named_in_the_sources_of_its_package() {
    let mut found = unnamed("Cargo.toml");
    found.extend(unnamed("plugins/Cargo.toml"));
    let known: Vec<_> =
        UNNAMED.iter().map(|(package, name, _)| ((*package).into(), (*name).into())).collect();
    assert_eq!(found, known, "left: what no source names; right: what is known");
}

/// The names of `[workspace.dependencies]` that no member takes.
fn untaken(manifest: &str) -> Vec<String> {
    let root = Path::new(ROOT).join(manifest);
    let text = std::fs::read_to_string(&root).unwrap();
    let (_, table) = text.split_once("\n[workspace.dependencies]\n").unwrap();
    let table = table.split("\n[").next().unwrap();
    let names = table.lines().filter(|line| line.starts_with(|c: char| c.is_alphanumeric()));
    let names: Vec<&str> =
        names.filter_map(|line| line.split_once(" = ")).map(|(name, _)| name).collect();
    assert!(!names.is_empty());
    let metadata = metadata(manifest, &["--no-deps"]);
    let members = metadata["packages"].as_array().unwrap().iter();
    let paths = members.map(|package| text_of(package, "manifest_path").to_owned());
    let manifests: Vec<String> = paths.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let is_taken = |name: &str| {
        let taken =
            [format!("\n{name}.workspace = true"), format!("\n{name} = {{ workspace = true")];
        manifests.iter().any(|manifest| taken.iter().any(|taken| manifest.contains(taken)))
    };
    names.into_iter().filter(|name| !is_taken(name)).map(str::to_owned).collect()
}

#[test]
fn every_dependency_of_the_workspace_is_taken_by_a_member() {
    for manifest in ["Cargo.toml", "plugins/Cargo.toml"] {
        assert_eq!(untaken(manifest), Vec::<String>::new(), "{manifest}");
    }
}

#[test]
fn a_crate_is_named_by_a_path_or_a_use_and_not_by_a_part_of_a_word() {
    for code in
        ["use url::Url;", "let a = url::parse();", "pub use url;", "use url as u;", "#[url::x]"]
    {
        assert!(names(code, "url"), "{code}");
    }
    for code in
        ["let url = 1;", "// url::Url", "curl::url_of()", "self.url::<u8>()", "crate::url::a()"]
    {
        assert!(!names(code, "url"), "{code}");
    }
}

/// The values in quotes of a list of deny.toml, one line each, with its reason where it has one.
fn listed(key: &str) -> Vec<(&'static str, Option<&'static str>)> {
    let (_, list) = DENY.split_once(&format!("\n{key} = [\n")).unwrap();
    let lines = list.lines().take_while(|line| *line != "]").filter(|line| line.contains('"'));
    lines.map(|line| (line.split('"').nth(1).unwrap(), line.split('"').nth(3))).collect()
}

/// A licence expression of SPDX, or the older one with `/`, against what is allowed: `OR` binds less than `AND`.
fn is_allowed(expression: &str, allowed: &[&str]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let (is_allowed, rest) = any_of(&words, allowed);
    assert!(rest.is_empty(), "`{expression}` is not understood");
    is_allowed
}

fn any_of<'w>(words: &'w [&'w str], allowed: &[&str]) -> (bool, &'w [&'w str]) {
    let (mut is_allowed, mut rest) = all_of(words, allowed);
    while let ["OR", behind @ ..] = rest {
        let (other, behind) = all_of(behind, allowed);
        (is_allowed, rest) = (is_allowed | other, behind);
    }
    (is_allowed, rest)
}

fn all_of<'w>(words: &'w [&'w str], allowed: &[&str]) -> (bool, &'w [&'w str]) {
    let (mut is_allowed, mut rest) = one(words, allowed);
    while let ["AND", behind @ ..] = rest {
        let (other, behind) = one(behind, allowed);
        (is_allowed, rest) = (is_allowed & other, behind);
    }
    (is_allowed, rest)
}

fn one<'w>(words: &'w [&'w str], allowed: &[&str]) -> (bool, &'w [&'w str]) {
    match words {
        ["(", behind @ ..] => {
            let (is_allowed, behind) = any_of(behind, allowed);
            assert_eq!(behind.first(), Some(&")"));
            (is_allowed, &behind[1..])
        }
        [license, "WITH", exception, rest @ ..] => {
            (allowed.contains(&&*format!("{license} WITH {exception}")), rest)
        }
        [license, rest @ ..] => (allowed.contains(license), rest),
        [] => (false, words),
    }
}

#[test]
fn every_license_is_allowed() {
    let allowed: Vec<&str> = listed("allow").into_iter().map(|(license, _)| license).collect();
    for package in packages() {
        let (name, license) = (text_of(&package, "name"), text_of(&package, "license"));
        assert!(is_allowed(license, &allowed), "{name}: `{license}` is not in deny.toml");
    }
}

#[test]
fn a_license_expression_is_read_as_spdx_reads_it() {
    let allowed = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"];
    for expression in [
        "MIT",
        "GPL-3.0 OR MIT",
        "GPL-3.0/MIT",
        "MIT AND ISC",
        "(GPL-3.0 OR MIT) AND ISC",
        "GPL-3.0 AND X OR MIT",
        "Apache-2.0 WITH LLVM-exception",
    ] {
        assert!(is_allowed(expression, &allowed), "{expression}");
    }
    for expression in ["", "GPL-3.0", "MIT AND GPL-3.0", "Apache-2.0", "(MIT OR ISC) AND X"] {
        assert!(!is_allowed(expression, &allowed), "{expression}");
    }
}

#[test]
fn every_package_comes_from_one_registry_or_from_this_repository() {
    let packages = packages();
    let of_others = packages.iter().filter_map(|package| package["source"].as_str());
    let sources: BTreeSet<&str> = of_others.collect();
    assert!(
        sources.len() == 1 && sources.iter().all(|it| it.starts_with("registry+")),
        "{sources:?}"
    );
}

#[test]
fn a_second_version_of_a_crate_has_a_reason() {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in packages() {
        let (name, version) = (text_of(&package, "name"), text_of(&package, "version"));
        versions.entry(name.to_owned()).or_default().insert(version.to_owned());
    }
    let listed = listed("skip");
    for (skipped, reason) in &listed {
        let (name, version) = skipped.split_once('@').unwrap();
        let has_twin = versions.get(name).is_some_and(|all| all.len() > 1 && all.contains(version));
        assert!(has_twin, "deny.toml skips {skipped}, which has no twin");
        assert!(reason.is_some_and(|reason| reason.len() > 5), "{skipped}: no reason");
    }
    for (name, all) in versions {
        let is_skipped = |version: &&String| {
            listed.iter().any(|(skipped, _)| *skipped == format!("{name}@{version}"))
        };
        let rest: Vec<_> = all.iter().filter(|version| !is_skipped(version)).collect();
        assert!(
            rest.len() == 1,
            "{name} has several versions without a reason in deny.toml: {rest:?}"
        );
    }
}
