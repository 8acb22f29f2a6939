//! The jars of Apache Kafka's broker, fetched by Maven, which checks each against its digest.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, bail};

const POM: &str = include_str!("kafka.pom.xml");
/// Changes with the versions in the POM.
const FOLDER: &str = "kafka-4.4.0";

/// The folder of the broker's jars, fetched if it is not there yet.
pub fn kafka_jars() -> anyhow::Result<PathBuf> {
    for tool in ["java", "mvn"] {
        crate::debian::tool(tool, &["openjdk-17-jre-headless", "maven"])?;
    }
    let kept = crate::cache()?.join(FOLDER);
    if kept.is_dir() {
        return Ok(kept);
    }
    eprintln!("fetching Apache Kafka's jars into {}", kept.display());
    // Beside its place, so that the move at the end is one step on one file system.
    let work = crate::cache()?.join(format!("{FOLDER}.{}.part", std::process::id()));
    std::fs::create_dir_all(&work).with_context(|| format!("creating {}", work.display()))?;
    std::fs::write(work.join("pom.xml"), POM).context("writing the POM")?;
    let fetched = Command::new("mvn")
        .args(["--batch-mode", "--quiet", "dependency:copy-dependencies"])
        .args(["-DincludeScope=runtime", "-DoutputDirectory=jars"])
        .current_dir(&work)
        .output()
        .context("running mvn")?;
    if !fetched.status.success() {
        let _removed = std::fs::remove_dir_all(&work);
        let text = String::from_utf8_lossy(&fetched.stdout);
        bail!("mvn: {}", text.lines().next().unwrap_or("failed without a word"));
    }
    std::fs::rename(work.join("jars"), &kept)
        .with_context(|| format!("moving the jars to {}", kept.display()))?;
    let _removed = std::fs::remove_dir_all(&work);
    Ok(kept)
}
