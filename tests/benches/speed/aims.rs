//! What is aimed at, held against one run: ratios where it can be, since machines differ.

use crate::report::Measured;

/// How a figure is to be.
#[derive(Clone, Copy)]
enum Aim {
    AtMost(f64),
    AtLeast(f64),
}

impl Aim {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtMost(bound) => format!("at most {bound}"),
            Self::AtLeast(bound) => format!("at least {bound}"),
        }
    }
}

/// A figure, and what is aimed at for each data set, if anything.
struct Row {
    name: &'static str,
    value: fn(&Measured) -> f64,
    aim: fn(set: &str) -> Option<Aim>,
}

const ROWS: [Row; 8] = [
    Row {
        name: "decode by skip",
        value: |set| set.cost(|costs| costs.decode / costs.skip),
        aim: |_| Some(Aim::AtMost(1.7)),
    },
    Row {
        name: "seed path by decode",
        value: |set| set.cost(|costs| costs.seed_path / costs.decode),
        aim: |_| Some(Aim::AtLeast(1.8)),
    },
    Row {
        name: "naive by decode",
        value: |set| set.cost(|costs| costs.naive / costs.decode),
        aim: |_| Some(Aim::AtLeast(5.5)),
    },
    Row {
        name: "decode with 20 % bad by decode",
        value: |set| set.cost(|costs| costs.bad20 / costs.decode),
        aim: |set| Some(Aim::AtMost(if set == "clicks" { 1.35 } else { 1.15 })),
    },
    Row {
        name: "host, CPU s a million records",
        value: Measured::host,
        aim: |set| (set == "telemetry").then_some(Aim::AtMost(1.5)),
    },
    Row {
        name: "the same by consume and drop, decode, ipc",
        value: |set| {
            let [(_, consume), _, (_, ipc)] = set.floors();
            set.host() / (consume + set.cost(|costs| costs.decode) / 1e3 + ipc)
        },
        aim: |set| (set == "telemetry").then_some(Aim::AtMost(1.3)),
    },
    Row {
        name: "share of the cores kept busy, end to end",
        value: |set| set.run(|run| run.busy),
        aim: |_| Some(Aim::AtLeast(0.85)),
    },
    Row {
        name: "peak RSS, MB",
        value: |set| set.run(|run| run.peak_rss_bytes) / 1e6,
        aim: |_| Some(Aim::AtMost(250.0)),
    },
];

/// As Markdown; what is missed is bold.
pub fn table(sets: &[Measured]) -> String {
    let names: Vec<&str> = sets.iter().map(|set| set.name).collect();
    let head = format!("| | {} |\n|---|{}\n", names.join(" | "), "---|".repeat(names.len()));
    let lines = ROWS.map(|row| {
        let figures = sets.iter().map(|set| row.figure(set));
        format!("| {} | {} |\n", row.name, figures.collect::<Vec<_>>().join(" | "))
    });
    head + &lines.concat()
}

impl Row {
    fn figure(&self, set: &Measured) -> String {
        let value = (self.value)(set);
        let text = if value < 100.0 { format!("{value:.2}") } else { format!("{value:.0}") };
        match (self.aim)(set.name) {
            None => text,
            Some(aim) if aim.is_met(value) => format!("{text}, {}", aim.text()),
            Some(aim) => format!("**{text}**, {}", aim.text()),
        }
    }
}
