//! The benches, with a host that is built as they are: optimised, without overflow checks.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};

use crate::{Environment, cargo, maven, plugins, root, set_up_demo, target_folder};

const BENCHES: [&str; 3] = ["speed", "hooks", "delivery"];

/// One selection for building and running, so that nothing is built anew with other features.
const SELECTION: [&str; 6] =
    ["--package", "sluicegate", "--package", "sluicegate-local", "--package", "sluicegate-tests"];

/// Runs the benches that the arguments name, or one with its options.
pub fn run(args: &[String]) -> anyhow::Result<ExitCode> {
    let (names, options) = chosen(args)?;
    let mut environment = set_up(&names)?;
    let build = ["build", "--profile", "bench", "--bins"];
    let mut build = cargo_with(&build, &names)?;
    ensure!(build.status().context("running cargo")?.success(), "the build failed");
    // The profile `bench` is built beside that of releases.
    let built = target_folder()?.join("release");
    environment.push(("SLUICEGATE_BIN", built.join("sluicegate")));
    environment.push(("SLUICEGATE_LOCAL", built.join("sluicegate-local")));
    let mut bench = cargo_with(&["bench"], &names)?;
    bench.arg("--").args(from_here(options)?).envs(environment);
    let status = bench.status().context("running cargo bench")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Which benches, and the options of the one.
fn chosen(args: &[String]) -> anyhow::Result<(Vec<&str>, &[String])> {
    match args {
        [] => Ok((BENCHES.to_vec(), &[])),
        [first, ..] if first.starts_with('-') => Ok((vec!["speed"], args)),
        [name, options @ ..] => {
            let is_known = BENCHES.contains(&name.as_str());
            ensure!(is_known, "no bench `{name}`; there are {}", BENCHES.join(", "));
            Ok((vec![name], options))
        }
    }
}

/// The options with the file behind `--json` as seen from here: cargo runs benches in another folder.
fn from_here(options: &[String]) -> anyhow::Result<Vec<PathBuf>> {
    let mut is_file = false;
    let resolved = options.iter().map(|option| {
        let resolved = if is_file { std::path::absolute(option)? } else { option.into() };
        is_file = option == "--json";
        Ok(resolved)
    });
    resolved.collect()
}

/// Fetches what these benches need.
fn set_up(names: &[&str]) -> anyhow::Result<Environment> {
    let mut environment = set_up_demo()?;
    if names.contains(&"hooks") {
        environment.extend(plugins::build()?);
    }
    if names.contains(&"delivery") {
        environment.push(("SLUICEGATE_KAFKA_JARS", maven::kafka_jars()?));
    }
    Ok(environment)
}

fn cargo_with(arguments: &[&str], names: &[&str]) -> anyhow::Result<std::process::Command> {
    let mut command = cargo();
    command.current_dir(root()?).args(arguments).args(SELECTION);
    for name in names {
        command.args(["--bench", name]);
    }
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_without_a_name_are_those_of_speed() {
        let args = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(chosen(&[]).unwrap().0, BENCHES);
        let quick = args(&["--quick"]);
        assert_eq!(chosen(&quick).unwrap(), (vec!["speed"], quick.as_slice()));
        let named = args(&["speed", "--rounds", "3"]);
        assert_eq!(chosen(&named).unwrap(), (vec!["speed"], &named[1..]));
        assert!(chosen(&args(&["none"])).is_err());
    }

    #[test]
    fn a_file_is_that_of_the_folder_that_the_command_was_given_in() {
        let options = ["--json", "figures.json", "--quick"].map(str::to_owned);
        let [_, file, quick] = from_here(&options).unwrap().try_into().unwrap();
        assert_eq!(file, std::env::current_dir().unwrap().join("figures.json"));
        assert_eq!(quick.as_os_str(), "--quick");
    }
}
