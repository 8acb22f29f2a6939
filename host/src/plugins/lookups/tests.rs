//! Lookups from files: from the configuration to the values found.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::builder::LookupBuilder;
use super::fault::{LookupFault, LookupLine};
use super::*;
use crate::config::{LookupFormat, LookupSource, Secret};

/// A lookup `zones` with this key, of no more than a megabyte.
pub fn lookup(key: &str) -> Lookup {
    Lookup {
        name: "zones".into(),
        source: LookupSource::Select(Secret::default()),
        key: key.into(),
        refresh: Duration::from_secs(1),
        memory_bytes: 1 << 20,
    }
}

/// The values of one column, `None` where they are missing.
pub fn values(table: &LookupTable, column: &str, keys: &[&str]) -> Vec<Option<String>> {
    let found = table.lookup(&[column], keys.iter().copied(), 1 << 20).unwrap();
    let [FoundValues { bytes, ends, missing }] = &*found else { panic!("{found:?}") };
    let mut start = 0;
    let texts = (0..).zip(ends).map(|(at, end)| {
        let text = &bytes[std::mem::replace(&mut start, *end as usize)..*end as usize];
        let text = str::from_utf8(text).unwrap().to_owned();
        assert!(text.is_empty() || !missing.contains(&at));
        (!missing.contains(&at)).then_some(text)
    });
    texts.collect()
}

fn of_file(path: &Path) -> Lookup {
    let format = match path.extension().and_then(|ending| ending.to_str()) {
        Some("csv") => LookupFormat::Csv,
        _ => LookupFormat::Ndjson,
    };
    Lookup { source: LookupSource::File { path: path.into(), format }, ..lookup("id") }
}

struct Rig {
    dir: tempfile::TempDir,
    status: Arc<Status>,
    states: Arc<LookupStates>,
}

impl Rig {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir, status: Arc::default(), states: Arc::default() }
    }

    /// Replaces a file as a whole.
    fn write(&self, name: &str, text: &str) -> std::path::PathBuf {
        let path = self.dir.path().join(name);
        let beside = self.dir.path().join("beside");
        fs::write(&beside, text).unwrap();
        fs::rename(&beside, &path).unwrap();
        path
    }

    async fn load(&self, lookups: &[Lookup]) -> anyhow::Result<Lookups> {
        let (status, states) = (Arc::clone(&self.status), Arc::clone(&self.states));
        Lookups::load(lookups, None, status, states).await
    }

    /// Waits until the table satisfies the condition.
    async fn until(&self, lookups: &Lookups, is_wanted: impl Fn(&LookupTable) -> bool) {
        while !is_wanted(&lookups.table("zones").unwrap()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn files_are_loaded_and_found_by_name() {
    let rig = Rig::new();
    let csv = of_file(&rig.write("a.csv", "id,name\n1,North\n"));
    let ndjson = of_file(&rig.write("b.ndjson", "{\"id\":1,\"name\":null}\n"));
    let lookups = rig.load(&[csv, Lookup { name: "b".into(), ..ndjson }]).await.unwrap();
    let zones = lookups.table("zones").unwrap();
    assert_eq!(values(&zones, "name", &["1", "2"]), [Some("North".into()), None]);
    assert_eq!(values(&lookups.table("b").unwrap(), "name", &["1"]), [None]);
    assert!(lookups.table("c").is_none());
    let states = rig.states.now();
    let rows: Vec<_> = states.iter().map(|(name, state)| (&**name, state.rows)).collect();
    assert_eq!(rows, [("b", 1), ("zones", 1)]);
}

#[tokio::test]
async fn a_file_that_gives_no_table_at_the_start_is_named_with_its_variable() {
    let rig = Rig::new();
    let path = rig.write("a.csv", "id,name\n1,North\n1,South\n");
    let error = rig.load(&[of_file(&path)]).await.err().unwrap().to_string();
    let expected =
        format!("LOOKUP_ZONES: {}: line 3, column `id`: the key is that of line 2", path.display());
    assert_eq!(error, expected);
    let gone = of_file(&rig.dir.path().join("gone.csv"));
    let error = rig.load(&[gone]).await.err().unwrap().to_string();
    assert!(error.starts_with("LOOKUP_ZONES: ") && error.contains("gone.csv: No such"), "{error}");
}

#[tokio::test]
async fn a_select_without_a_server_is_waited_for_and_told() {
    let rig = Rig::new();
    let (status, states) = (Arc::clone(&rig.status), Arc::clone(&rig.states));
    let config = [lookup("id")];
    let loading = Lookups::load(&config, None, status, states);
    tokio::select! {
        _ = loading => panic!("it was loaded"),
        () = async { while !rig.status.is_paused() { tokio::task::yield_now().await } } => {}
    }
    let (said, lookups) = Lookups::once(&config, None, Duration::from_mins(1)).await;
    assert!(lookups.is_none());
    let expected = Hold::Paused("LOOKUP_ZONES: no ClickHouse to ask here".into());
    assert_eq!(said, [Err(expected)]);
}

#[tokio::test]
async fn a_file_is_read_again_when_it_is_another_and_kept_where_it_cannot_be_read() {
    let rig = Rig::new();
    let path = rig.write("a.csv", "id,name\n1,North\n");
    let lookups = rig.load(&[of_file(&path)]).await.unwrap();
    let first = lookups.table("zones").unwrap();
    rig.write("a.csv", "id,name\n1,South\n");
    rig.until(&lookups, |table| values(table, "name", &["1"]) == [Some("South".into())]).await;
    // Whoever took the table before the change still sees the old state.
    assert_eq!(values(&first, "name", &["1"]), [Some("North".into())]);

    let loader = LookupLoader::new(of_file(&path), None);
    let before = loader.read(None).await.unwrap();
    let same = loader.read(Some(&before)).await.unwrap();
    assert!(Arc::ptr_eq(&before.table, &same.table), "an unchanged file is not read");
    rig.write("a.csv", "id,name\n1,West\n1,East\n");
    let error = loader.read(Some(&before)).await.unwrap_err();
    assert!(error.text().ends_with("the key is that of line 2"), "{error:?}");
    rig.write("a.csv", "id,nmae\n1,West\n");
    let error = loader.read(Some(&before)).await.unwrap_err();
    assert!(error.text().contains("no column `name` any more"), "{error:?}");
    fs::remove_file(&path).unwrap();
    assert!(loader.read(Some(&before)).await.is_err());
    let kept = lookups.table("zones").unwrap();
    assert_eq!(values(&kept, "name", &["1"]), [Some("South".into())]);
    rig.write("a.csv", "id,name\n1,East\n");
    rig.until(&lookups, |table| values(table, "name", &["1"]) == [Some("East".into())]).await;
}

#[tokio::test]
async fn a_field_that_no_line_has_any_more_is_missing_and_not_unknown() {
    let rig = Rig::new();
    let path = rig.write("a.ndjson", "{\"id\":1,\"name\":\"North\"}\n");
    let loader = LookupLoader::new(of_file(&path), None);
    let before = loader.read(None).await.unwrap();
    rig.write("a.ndjson", "{\"id\":1}\n");
    let after = loader.read(Some(&before)).await.unwrap();
    assert_eq!(values(&after.table, "name", &["1"]), [None]);
}

#[tokio::test]
async fn nothing_is_read_any_more_once_the_lookups_are_gone() {
    let rig = Rig::new();
    let path = rig.write("a.csv", "id\n1\n");
    let lookups = rig.load(&[of_file(&path)]).await.unwrap();
    assert_eq!(Arc::strong_count(&rig.states), 2);
    drop(lookups);
    while Arc::strong_count(&rig.states) > 1 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_each_lookup_is_can_be_told_without_waiting() {
    let rig = Rig::new();
    let csv = of_file(&rig.write("a.csv", "id,name\n1,North\n2,\n"));
    let (said, lookups) = Lookups::once(&[csv], None, Duration::from_mins(1)).await;
    assert_eq!(said, [Ok("`zones`: 2 rows of `id`, `name`; 57 bytes".into())]);
    assert_eq!(lookups.unwrap().table("zones").unwrap().rows(), 2);
}

#[tokio::test]
async fn a_pipe_or_a_folder_is_refused_and_not_waited_for() {
    let rig = Rig::new();
    let path = rig.dir.path().join("a.csv");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let folder = rig.dir.path().join("b.csv");
    fs::create_dir(&folder).unwrap();
    for path in [&*path, &*folder, Path::new("/dev/zero")] {
        let error = rig.load(&[of_file(path)]).await.err().unwrap().to_string();
        assert_eq!(error, format!("LOOKUP_ZONES: {}: not a file", path.display()));
    }
}

#[tokio::test]
async fn a_lookup_that_is_read_for_long_is_named() {
    let rig = Rig::new();
    let waiter = rig.status.waiter("lookups");
    let reading = async {
        assert!(rig.status.texts().is_empty());
        while rig.status.texts().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        rig.status.texts()
    };
    let long = Duration::from_millis(20);
    let texts = said_if_long("LOOKUP_ZONES", &waiter, long, reading).await;
    let text = Vec::from_iter(texts).concat();
    assert!(text.contains("lookups") && text.contains("LOOKUP_ZONES: still being read"), "{text}");
    drop(waiter);
    assert!(rig.status.texts().is_empty());
}

fn built(rows: &HashMap<String, Option<String>>) -> Result<LookupTable, LookupFault> {
    let mut builder = LookupBuilder::new(&lookup("k"));
    builder.header(LookupLine(1), ["v", "k"])?;
    for (line, (key, value)) in (2..).zip(rows) {
        builder.begin(LookupLine(line));
        builder.put(0, value.as_deref())?;
        builder.put(1, Some(key))?;
        builder.end()?;
    }
    Ok(builder.finish())
}

proptest! {
    #[test]
    fn each_key_finds_the_values_of_its_row(
        rows: HashMap<String, Option<String>>,
        others: Vec<String>,
    ) {
        let table = built(&rows).unwrap();
        let keys: Vec<&str> = rows.keys().chain(&others).map(String::as_str).collect();
        let expected: Vec<Option<String>> =
            keys.iter().map(|key| rows.get(*key).cloned().flatten()).collect();
        prop_assert_eq!(values(&table, "v", &keys), expected);
    }
}
