//! The files that bring the host into a cluster: read strictly by the types of those who run them,
//! and held against what the host itself says.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn text(path: &str) -> String {
    std::fs::read_to_string(Path::new(ROOT).join(path)).unwrap()
}

/// Both manifests, as a strict reading leaves them.
fn manifests() -> Value {
    let output = Command::new("go")
        .args(["run", ".", "../../deploy/compose.yaml", "../../deploy/kubernetes.yaml"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/manifests"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The variables of docs/configuration.md, by name and default.
fn variables() -> Vec<(String, String)> {
    let page = text("docs/configuration.md");
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let cell = |row: &str, at: usize| row.split('|').nth(at).unwrap().trim().replace('`', "");
    rows.filter(|row| row.split('|').count() == 5).map(|row| (cell(row, 1), cell(row, 2))).collect()
}

fn default_of(name: &str) -> u64 {
    variables().into_iter().find(|(found, _)| found == name).unwrap().1.parse().unwrap()
}

/// Fails if one of these is nothing that the host reads.
fn are_read_by_the_host(names: &Value) {
    let known: BTreeSet<String> = variables().into_iter().map(|(name, _)| name).collect();
    for name in names.as_object().unwrap().keys() {
        let read = name.strip_suffix("_FILE").unwrap_or(name);
        assert!(known.contains(read), "the host reads no variable {name}");
    }
}

/// Fails if Compose cannot create a read-only service: it copies a secret or a config that comes from the
/// environment or from the file itself into the container, and mounts one that is a file.
fn are_secrets_of_files(compose: &Value) {
    let services = compose["services"].as_object().unwrap();
    for (name, service) in services.iter().filter(|(_, service)| service["read_only"] == true) {
        for kind in ["secrets", "configs"] {
            for used in service[kind].as_array().into_iter().flatten() {
                let defined = &compose[kind][used["source"].as_str().unwrap()];
                let is_file = defined["file"].is_string();
                assert!(is_file, "{name} is read-only, and {used} is no file: {defined}");
            }
        }
    }
}

#[test]
fn no_secret_of_a_checkout_gets_into_a_stage_of_the_image() {
    let ignored = text(".dockerignore");
    for name in [".env", "**/.env", "deploy/clickhouse-password"] {
        assert!(ignored.lines().any(|line| line == name), "{name}");
    }
}

#[test]
fn the_image_is_small_runs_as_nobody_and_holds_no_demo() {
    let dockerfile = text("deploy/Dockerfile");
    // Continued lines are one instruction; comments are none.
    let joined = dockerfile.replace("\\\n", " ");
    let instructions: Vec<(&str, &str)> = joined
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .map(|line| line.split_once(' ').unwrap())
        .collect();
    let all = |name: &'static str| {
        instructions.iter().filter(move |(found, _)| *found == name).map(|(_, rest)| *rest)
    };
    for image in all("FROM") {
        let tag = image.split(' ').next().unwrap().split_once(':').unwrap().1;
        assert!(tag != "latest" && !tag.is_empty(), "{image} is not pinned");
    }
    assert!(all("FROM").count() == 2, "one stage builds, one runs");
    for run in all("RUN").filter(|run| run.contains("apt-get install")) {
        assert!(run.contains("--no-install-recommends"), "{run}");
        assert!(
            run.contains("apt-get update") && run.contains("rm -rf /var/lib/apt/lists"),
            "{run}"
        );
    }
    assert_eq!(all("ADD").count(), 0, "COPY says what it does");
    assert!(all("WORKDIR").all(|folder| folder.starts_with('/')));
    for set in all("ENV").chain(all("ARG")) {
        assert!(!set.contains("PASSWORD") && !set.contains("SECRET"), "{set}");
    }
    let at = |name: &str| instructions.iter().position(|(found, _)| *found == name).unwrap();
    let user: u32 = all("USER").next_back().unwrap().split(':').next().unwrap().parse().unwrap();
    assert!(user != 0 && at("USER") < at("ENTRYPOINT"));
    assert!(all("ENTRYPOINT").chain(all("CMD")).all(|command| command.starts_with('[')));
    let port = all("EXPOSE").next().unwrap();
    assert!(all("ENV").any(|set| set == format!("ADMIN_ADDR=0.0.0.0:{port}")), "nobody reaches it");
    let build = all("RUN").find(|run| run.starts_with("cargo build")).unwrap();
    for flag in ["--locked", "--release", "--no-default-features", "--features hooks"] {
        assert!(build.contains(flag), "{build} without {flag}");
    }
}

#[test]
fn a_feature_that_is_off_brings_nothing_along() {
    let tree = |features: &str| {
        let arguments = ["--package", "sluicegate", "--no-default-features", "--edges", "normal"];
        let mut tree = Command::new(env!("CARGO"));
        tree.arg("tree").args(arguments).args(["--features", features]).current_dir(ROOT);
        String::from_utf8(tree.output().unwrap().stdout).unwrap()
    };
    let (none, image) = (tree(""), tree("hooks"));
    for tree in [&none, &image] {
        assert!(tree.contains("rdkafka"), "{tree}");
        assert!(!tree.contains("sluicegate-local") && !tree.contains("indicatif"), "{tree}");
    }
    assert!(image.contains("wasmtime") && !none.contains("wasmtime"), "{none}");
}

#[test]
fn the_manifests_read_strictly_and_fit_the_host() {
    let manifests = manifests();
    let grace = |seconds: u64| assert!(seconds * 1000 > default_of("SHUTDOWN_TIMEOUT_MS"));

    let compose = &manifests["compose"]["services"]["sluicegate"];
    are_read_by_the_host(&compose["environment"]);
    assert_eq!((&compose["read_only"], &compose["cap_drop"][0]), (&true.into(), &"ALL".into()));
    assert_eq!(compose["security_opt"][0], "no-new-privileges:true");
    are_secrets_of_files(&manifests["compose"]);
    grace(compose["stop_grace_period"].as_str().unwrap().trim_end_matches('s').parse().unwrap());

    let objects = manifests["kubernetes"].as_array().unwrap();
    let of = |kind: &str| objects.iter().find(|object| object["kind"] == kind).unwrap();
    let environment = &of("ConfigMap")["data"];
    are_read_by_the_host(environment);
    let pod = &of("Deployment")["spec"]["template"]["spec"];
    assert_eq!(pod["enableServiceLinks"], false);
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    grace(pod["terminationGracePeriodSeconds"].as_u64().unwrap());

    let container = &pod["containers"][0];
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(container["securityContext"]["capabilities"]["drop"][0], "ALL");
    assert_eq!(container["livenessProbe"]["httpGet"]["path"], "/livez");
    assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/readyz");
    let port = container["ports"][0]["containerPort"].to_string();
    assert!(environment["ADMIN_ADDR"].as_str().unwrap().ends_with(&format!(":{port}")));

    // A pod that is not ready waits for something: a node that is drained does not wait for it.
    let budget = &of("PodDisruptionBudget")["spec"];
    assert_eq!(budget["unhealthyPodEvictionPolicy"], "AlwaysAllow");

    // Nothing but the admin port is reached, and not by everybody.
    let policy = &of("NetworkPolicy")["spec"];
    let selected = &of("Deployment")["spec"]["selector"]["matchLabels"];
    assert_eq!(&policy["podSelector"]["matchLabels"], selected);
    assert_eq!(policy["policyTypes"], serde_json::json!(["Ingress"]));
    let ingress = policy["ingress"].as_array().unwrap();
    assert_eq!(ingress.len(), 1);
    assert_eq!(ingress[0]["ports"][0]["port"], container["ports"][0]["name"]);
    assert!(!ingress[0]["from"].as_array().unwrap().is_empty(), "nobody is everybody");

    let limit = container["resources"]["limits"]["memory"].as_str().unwrap();
    let limit_mib: u64 = limit.strip_suffix("Mi").unwrap().parse().unwrap();
    let budget: u64 = environment["MEMORY_BUDGET_BYTES"].as_str().unwrap().parse().unwrap();
    assert!(limit_mib >= 3 * (budget >> 20) + 128, "{limit} for a budget of {budget} bytes");

    // The password comes by a file of the Secret, and goes out encrypted.
    assert!(environment["CLICKHOUSE_HOST"].as_str().unwrap().starts_with("https://"));
    let file = environment["CLICKHOUSE_PASSWORD_FILE"].as_str().unwrap();
    let (folder, key) = file.rsplit_once('/').unwrap();
    assert_eq!(container["volumeMounts"][0]["mountPath"], folder);
    assert!(of("Secret")["stringData"].get(key).is_some());
}
