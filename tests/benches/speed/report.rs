//! What was measured, as a table, as JSON and in docs/performance.md.

use std::path::Path;

use anyhow::Context as _;
use serde_json::{Map, Value, json};

use crate::clock::median;
use crate::host::Run;
use crate::insert::Inserted;
use crate::single::Costs;

/// What every figure between servers has to be read with.
pub const LABEL: &str = "synchronous insert, libchdb";
/// The folder of the pages.
pub const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs");

/// What was measured of one data set, a value a round.
pub struct Measured {
    pub name: &'static str,
    pub costs: Option<Costs>,
    pub runs: Vec<Run>,
    pub consume_floor: Vec<f64>,
    /// By the size of the body, as [`crate::insert::ROWS`].
    pub inserts: Vec<Vec<Inserted>>,
}

impl Measured {
    pub fn new(name: &'static str) -> Self {
        let (runs, consume_floor, inserts) = (Vec::new(), Vec::new(), Vec::new());
        Self { name, costs: None, runs, consume_floor, inserts }
    }

    /// The median over the runs.
    pub fn run(&self, value: impl Fn(&Run) -> f64) -> f64 {
        median(&self.runs.iter().map(value).collect::<Vec<_>>())
    }

    fn insert(&self, size: usize, value: impl Fn(&Inserted) -> f64) -> f64 {
        median(
            &self
                .inserts
                .iter()
                .filter_map(|by_size| by_size.get(size).map(&value))
                .collect::<Vec<_>>(),
        )
    }

    /// Of what was measured on one thread.
    pub fn cost(&self, value: impl Fn(&Costs) -> f64) -> f64 {
        self.costs.as_ref().map_or(f64::NAN, value)
    }

    /// CPU seconds of the host for a million records.
    pub fn host(&self) -> f64 {
        self.run(|run| run.host)
    }

    /// The parts of it.
    pub fn stages(&self) -> Vec<(&'static str, f64)> {
        let names = self.runs.first().into_iter().flat_map(|run| &run.stages);
        let of =
            |run: &Run, name| run.stages.iter().find(|(of, _)| *of == name).map_or(0.0, |of| of.1);
        names.map(|(name, _)| (*name, self.run(|run| of(run, *name)))).collect()
    }

    /// CPU seconds for a million records that no host can go below: consume and drop, look at the
    /// syntax, write the body.
    pub fn floors(&self) -> [(&'static str, f64); 3] {
        [
            ("consume and drop", median(&self.consume_floor)),
            ("skip", self.cost(|costs| costs.skip) / 1e3),
            ("ipc", self.cost(|costs| costs.ipc) / 1e3),
        ]
    }

    /// CPU seconds of ClickHouse for a million records, behind the host and with ready bodies.
    pub fn engine(&self) -> f64 {
        self.run(|run| run.engine)
    }

    fn json(&self) -> Value {
        let figures = [
            ("record_bytes", self.cost(|costs| costs.bytes)),
            ("decode_ns", self.cost(|costs| costs.decode)),
            ("skip_ns", self.cost(|costs| costs.skip)),
            ("seed_path_ns", self.cost(|costs| costs.seed_path)),
            ("naive_ns", self.cost(|costs| costs.naive)),
            ("bad1_ns", self.cost(|costs| costs.bad1)),
            ("bad20_ns", self.cost(|costs| costs.bad20)),
            ("host_cpu_s_per_million", self.host()),
            ("consume_floor_cpu_s_per_million", median(&self.consume_floor)),
            ("ipc_cpu_s_per_million", self.cost(|costs| costs.ipc) / 1e3),
            ("engine_cpu_s_per_million", self.engine()),
            ("engine_floor_cpu_s_per_million", self.insert(0, |of| of.engine)),
            ("engine_floor_25k_cpu_s_per_million", self.insert(1, |of| of.engine)),
            ("broker_cpu_s_per_million", self.run(|run| run.broker)),
            ("e2e_rows_per_s", self.run(|run| run.rows_per_s)),
            ("e2e_busy_share", self.run(|run| run.busy)),
            ("engine_rows_per_s", self.insert(0, |of| of.rows_per_s)),
            ("engine_25k_rows_per_s", self.insert(1, |of| of.rows_per_s)),
            ("peak_rss_bytes", self.run(|run| run.peak_rss_bytes)),
        ];
        let figures = figures.into_iter().map(|(name, value)| (name.to_owned(), json!(value)));
        let mut object: Map<String, Value> = figures.collect();
        let stages = self.stages().into_iter().map(|(name, value)| (name.to_owned(), json!(value)));
        object.insert("stages_cpu_s_per_million".to_owned(), Value::Object(stages.collect()));
        Value::Object(object)
    }
}

/// All of it.
pub struct Report {
    pub records: usize,
    pub rounds: usize,
    pub sets: Vec<Measured>,
}

/// A row of the table: its name, and a figure of each data set.
type Row = (String, Vec<String>);

impl Report {
    fn row(&self, name: &str, digits: usize, value: impl Fn(&Measured) -> f64) -> Row {
        let figures = self.sets.iter().map(|set| format!("{:.digits$}", value(set)));
        (name.to_owned(), figures.collect())
    }

    fn rows(&self) -> Vec<Row> {
        let heading = |name: &str| (format!("**{name}**"), vec![String::new(); self.sets.len()]);
        let mut rows = vec![
            self.row("bytes of a record", 0, |set| set.cost(|costs| costs.bytes)),
            heading("one thread, CPU ns a record"),
            self.row("decode", 0, |set| set.cost(|costs| costs.decode)),
            self.row("decode, 1 % bad", 0, |set| set.cost(|costs| costs.bad1)),
            self.row("decode, 20 % bad", 0, |set| set.cost(|costs| costs.bad20)),
            self.row("the same by serde (seed path)", 0, |set| set.cost(|costs| costs.seed_path)),
            self.row("naive: Value, then builders", 0, |set| set.cost(|costs| costs.naive)),
            self.row("floor: skip, syntax only", 0, |set| set.cost(|costs| costs.skip)),
            self.row("ipc", 1, |set| set.cost(|costs| costs.ipc)),
            heading("processes, CPU s a million records"),
            self.row("host", 2, Measured::host),
        ];
        let names = self.sets.first().map(Measured::stages).unwrap_or_default();
        for (name, _) in names {
            let of =
                |set: &Measured| set.stages().iter().find(|of| of.0 == name).map_or(0.0, |of| of.1);
            rows.push(self.row(&format!("- {name}"), 3, of));
        }
        rows.extend([
            self.row("floor: consume and drop", 2, |set| median(&set.consume_floor)),
            self.row("ClickHouse", 2, Measured::engine),
            self.row("floor: ready bodies of 250,000 rows", 2, |set| set.insert(0, |of| of.engine)),
            self.row("ready bodies of 25,000 rows", 2, |set| set.insert(1, |of| of.engine)),
            self.row("mock broker", 2, |set| set.run(|run| run.broker)),
            heading("rows a second"),
            self.row("end to end", 0, |set| set.run(|run| run.rows_per_s)),
            self.row("share of the cores that takes", 2, |set| set.run(|run| run.busy)),
            self.row("ready bodies of 250,000 rows", 0, |set| set.insert(0, |of| of.rows_per_s)),
            self.row("ready bodies of 25,000 rows", 0, |set| set.insert(1, |of| of.rows_per_s)),
            heading("memory of the host, MB"),
            self.row("peak RSS", 0, |set| set.run(|run| run.peak_rss_bytes) / 1e6),
        ]);
        rows
    }

    /// Everything, in Markdown with aligned columns.
    pub fn table(&self) -> String {
        let names = self.sets.iter().map(|set| set.name.to_owned()).collect();
        let mut rows = vec![(LABEL.to_owned(), names)];
        rows.extend(self.rows());
        let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let line = |(name, figures): &Row| {
            let figures: Vec<String> =
                figures.iter().map(|figure| format!("{figure:>10}")).collect();
            format!("| {name:<width$} | {} |\n", figures.join(" | "))
        };
        let rule =
            format!("|{:-<1$}|{2}\n", "", width + 2, "-----------:|".repeat(self.sets.len()));
        let mut lines = rows.iter().map(line);
        let head = lines.next().unwrap_or_default();
        head + &rule + &lines.collect::<String>()
    }

    /// One object, with an object for each data set.
    pub fn json(&self) -> Value {
        let sets = self.sets.iter().map(|set| (set.name.to_owned(), set.json()));
        let mut object: Map<String, Value> = sets.collect();
        object.insert("label".to_owned(), json!(LABEL));
        object.insert("records".to_owned(), json!(self.records));
        object.insert("rounds".to_owned(), json!(self.rounds));
        Value::Object(object)
    }
}

/// Replaces what stands under a name in docs/performance.md, and says which command made it.
///
/// # Errors
/// The page is not there, or its marks are not.
pub fn write_docs(name: &str, command: &str, text: &str) -> anyhow::Result<()> {
    let page = Path::new(DOCS).join("performance.md");
    let before = std::fs::read_to_string(&page).with_context(|| format!("{}", page.display()))?;
    let begin = format!("<!-- {name}: written by `cargo xtask bench` -->");
    let end = format!("<!-- end of {name} -->");
    let parts = before
        .split_once(&begin)
        .and_then(|(before, rest)| rest.split_once(&end).map(|(_, behind)| (before, behind)));
    let (before, behind) = parts.with_context(|| format!("no `{begin}` in performance.md"))?;
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("an unknown CPU", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let said = format!(
        "`cargo xtask bench {command} --write-docs`: medians on {cores} cores of {model}, which all \
         processes share."
    );
    Ok(std::fs::write(page, format!("{before}{begin}\n{said}\n\n{text}{end}{behind}"))?)
}
