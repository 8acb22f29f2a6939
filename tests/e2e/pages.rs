//! The pages: what they link to is there, and what the host says when it waits is explained.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::imports::host_sources;

/// The page of every wait.
const TROUBLESHOOTING: &str = include_str!("../../docs/troubleshooting.md");

/// What makes a wait, or carries its text to where one is made.
const MAKERS: &[&str] = &[
    "Hold::Paused(",
    "Hold::Transient(",
    "Verdict::Unfit(",
    "Finding::Refused(",
    "InsertError::Unproved(",
    "Class::Operator(",
];

/// Files whose waits end a command and are no waits of the host.
const OF_COMMANDS: &[&str] = &["probe.rs", "sample.rs"];

/// Characters of a constant part that the page must have. A part of fewer than [`FEWEST`] says nothing.
const MOST: usize = 40;
const FEWEST: usize = 10;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every page of the repository, by its path below the root.
fn pages() -> Vec<(PathBuf, String)> {
    let mut pages = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let path = folder.join(&name);
            let is_folder = entry.file_type().unwrap().is_dir();
            // What `plugin new` writes links to files of the plugin.
            if is_folder && !name.starts_with('.') && !["target", "template"].contains(&&*name) {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "md") {
                let text = std::fs::read_to_string(root().join(&path)).unwrap();
                pages.push((path, text));
            }
        }
    }
    assert!(pages.len() > 15, "{} pages", pages.len());
    pages
}

/// The lines of a page that are no code, each with its number.
fn prose(page: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_code = false;
    page.lines().enumerate().filter_map(move |(at, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        (!is_code && !is_fence).then_some((at + 1, line))
    })
}

/// A line without what stands in backticks.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

/// Where the links of a line lead.
fn links(line: &str) -> Vec<String> {
    let line = without_code(line);
    let inline = line.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    let mut links: Vec<String> = inline.map(|(link, _)| link.to_owned()).collect();
    if let Some((name, link)) = line.split_once("]: ")
        && name.starts_with('[')
    {
        links.push(link.to_owned());
    }
    links
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(page: &str) -> Vec<String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let headings = prose(page).filter_map(|(_, line)| {
        let text = line.trim_start_matches('#');
        (text.len() < line.len() && text.starts_with(' ')).then(|| text.trim())
    });
    let slug = |heading: &str| -> String {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings
        .map(|heading| {
            let slug = slug(heading);
            let times = seen.entry(slug.clone()).or_default();
            *times += 1;
            if *times == 1 { slug } else { format!("{slug}-{}", *times - 1) }
        })
        .collect()
}

#[test]
fn every_link_of_a_page_leads_somewhere() {
    let pages = pages();
    let mut broken = Vec::new();
    for (path, text) in &pages {
        for (line, link) in
            prose(text).flat_map(|(at, line)| links(line).into_iter().map(move |link| (at, link)))
        {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match file {
                "" => root().join(path),
                file => root().join(path).parent().unwrap().join(file),
            };
            let is_there = target.exists()
                && (anchor.is_empty()
                    || anchors(&std::fs::read_to_string(&target).unwrap())
                        .iter()
                        .any(|known| known == anchor));
            if !is_there {
                broken.push(format!("{}:{line}: {link}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "links that lead nowhere:\n{}", broken.join("\n"));
}

#[test]
fn a_page_that_is_named_is_linked() {
    let mut bare = Vec::new();
    for (path, text) in pages() {
        for (at, line) in prose(&text) {
            let line = without_code(line);
            // Without the links, words and all.
            let mut rest = &*line;
            let mut outside = String::new();
            while let Some((before, behind)) = rest.split_once("](") {
                outside += before.rsplit_once('[').map_or(before, |(before, _)| before);
                rest = behind.split_once(')').map_or("", |(_, rest)| rest);
            }
            outside += rest;
            let names = outside.split("docs/").skip(1);
            let is_page = |name: &str| {
                name.split_once(".md").is_some_and(|(name, _)| {
                    name.chars().all(|c| c.is_ascii_lowercase() || c == '-')
                })
            };
            if names.into_iter().any(is_page) {
                bare.push(format!("{}:{at}: {line}", path.display()));
            }
        }
    }
    assert!(bare.is_empty(), "pages that are named and not linked:\n{}", bare.join("\n"));
}

#[test]
fn every_page_is_in_the_index() {
    let index = include_str!("../../docs/README.md");
    for (path, _) in pages() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let is_of_docs = path.parent() == Some(Path::new("docs")) && name != "README.md";
        assert!(!is_of_docs || index.contains(&format!("({name})")), "{name}");
    }
}

/// The literals of Rust in a text, as they read, and where the first parenthesis that was not opened in it stands.
fn literals(source: &str) -> (Vec<String>, usize) {
    let (mut found, mut depth) = (Vec::new(), 0_i32);
    let mut chars = source.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '(' => depth += 1,
            ')' if depth == 0 => return (found, at),
            ')' => depth -= 1,
            '"' => {
                let mut text = String::new();
                while let Some((_, c)) = chars.next() {
                    match c {
                        '"' => break,
                        '\\' => match chars.next() {
                            // Continued on the next line.
                            Some((_, '\n')) => {
                                let rest = chars.as_str().trim_start();
                                let skipped = chars.as_str().len() - rest.len();
                                let _blanks = chars.by_ref().take(skipped).count();
                            }
                            Some((_, escaped)) => text.push(escaped),
                            None => break,
                        },
                        c => text.push(c),
                    }
                }
                found.push(text);
            }
            _ => {}
        }
    }
    (found, source.len())
}

/// The longest part of a text between what is filled in, as far as the page must have it.
fn constant(text: &str) -> Option<String> {
    let parts = text.split('{').map(|part| part.split_once('}').map_or(part, |(_, rest)| rest));
    let longest = parts
        .map(|part| part.trim_matches([' ', ':', ';', ',', '`', '(', ')']))
        .max_by_key(|part| part.len())?;
    let cut: String = longest.chars().take(MOST).collect();
    (cut.len() >= FEWEST).then(|| cut.trim_end().to_owned())
}

/// What the host may wait with, each as a part that does not change, with the file that says it.
fn said() -> Vec<(String, String)> {
    let mut said = Vec::new();
    for (module, path, source) in host_sources() {
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        if module == "cli" || file == "tests.rs" || OF_COMMANDS.contains(&&*file) {
            continue;
        }
        let code = source.split("#[cfg(test)]\nmod ").next().unwrap();
        for maker in MAKERS {
            for (at, _) in code.match_indices(maker) {
                let begin = at + maker.len();
                let (mut texts, end) = literals(&code[begin..]);
                let is_pattern = {
                    let rest = code[begin + end..].trim_start_matches([')', ' ', '\n']);
                    ["=>", "= ", "|", "if "].iter().any(|next| rest.starts_with(next))
                };
                if texts.is_empty() && code[begin..begin + end].trim() == "text" && !is_pattern {
                    // It is made just before.
                    let before = &code[..at];
                    let made = before.rfind("let text =").filter(|made| at - made < 700);
                    texts = made.map(|made| literals(&before[made..]).0).unwrap_or_default();
                }
                let texts = texts.iter().filter_map(|text| constant(text));
                said.extend(texts.map(|text| (text, path.display().to_string())));
            }
        }
    }
    assert!(said.len() > 60, "{} texts", said.len());
    said
}

/// The texts in the first column of the page's tables.
fn explained() -> Vec<&'static str> {
    let rows = prose(TROUBLESHOOTING).filter(|(_, line)| line.starts_with("| `"));
    rows.map(|(_, row)| row.split('|').nth(1).unwrap().trim().trim_matches('`')).collect()
}

#[test]
fn whatever_the_host_waits_with_is_explained() {
    let page = TROUBLESHOOTING.replace('`', "");
    let missing: Vec<String> = said()
        .into_iter()
        .filter(|(text, _)| !page.contains(&text.replace('`', "")))
        .map(|(text, path)| format!("{path}: {text}"))
        .collect();
    assert!(missing.is_empty(), "docs/troubleshooting.md lacks:\n{}", missing.join("\n"));
}

#[test]
fn whatever_is_explained_is_said() {
    // Code as it reads: without the breaks of long literals.
    let mut code = String::new();
    for (_, _, source) in host_sources() {
        let mut lines = source.lines().peekable();
        while let Some(line) = lines.next() {
            match line.strip_suffix('\\') {
                Some(line) => {
                    code += line;
                    if let Some(next) = lines.peek_mut() {
                        *next = next.trim_start();
                    }
                }
                None => {
                    code += line;
                    code.push('\n');
                }
            }
        }
    }
    let code = code.replace('`', "");
    for text in explained() {
        for part in text.split('…').map(|part| part.trim_matches([' ', ':', ';', ',', '(', ')']))
        {
            assert!(part.is_empty() || code.contains(part), "nothing says `{part}` of `{text}`");
        }
    }
}

#[test]
fn every_alert_has_its_runbook() {
    let metrics = include_str!("../../docs/metrics.md");
    let alerts = metrics.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    let mut count = 0;
    for alert in alerts {
        count += 1;
        assert!(TROUBLESHOOTING.contains(&format!("\n### {alert}\n")), "{alert}");
    }
    assert!(count > 5, "{count} alerts");
}

#[test]
fn every_exit_code_is_listed() {
    let page = include_str!("../../docs/operating.md");
    let sources = host_sources();
    let lines = sources.iter().flat_map(|(_, _, source)| source.lines());
    let codes = lines.filter_map(|line| line.strip_prefix("pub const EXIT_")?.split_once(" = "));
    let mut codes: Vec<&str> = codes.map(|(_, code)| code.trim_end_matches(';')).collect();
    assert!(codes.len() > 3, "{codes:?}");
    codes.extend(["0", "1", "130", "143"]);
    for code in codes {
        assert!(page.contains(&format!("\n| {code} |")), "{code}");
    }
}
