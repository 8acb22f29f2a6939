//! The table as bars: what the host's CPU seconds go to, beside the floors and ClickHouse's.

use std::fmt::Write as _;
use std::path::Path;

use crate::report::{DOCS, LABEL, Measured};

const WIDTH: f64 = 760.0;
/// Where bars begin, and how long the longest is.
const LEFT: f64 = 150.0;
const LENGTH: f64 = 540.0;
const BAR: f64 = 16.0;
const TOP: f64 = 66.0;

/// The colours of parts, by the beginning of their names.
const COLOURS: [(&str, &str); 11] = [
    ("consume and drop", "#8da0cb"),
    ("consume: librdkafka", "#8da0cb"),
    ("consume: poll", "#b3c0e0"),
    ("skip", "#fdd0a2"),
    ("decode", "#fc8d62"),
    ("check", "#e78ac3"),
    ("ipc", "#66c2a5"),
    ("insert", "#a6d854"),
    ("dead letters", "#e5c494"),
    ("ClickHouse", "#ffd92f"),
    ("other", "#b3b3b3"),
];

fn colour(name: &str) -> &'static str {
    let found = COLOURS.iter().find(|(of, _)| name.starts_with(of));
    found.map_or("#b3b3b3", |(_, colour)| colour)
}

/// Writes docs/performance.svg.
pub fn write(sets: &[Measured]) -> anyhow::Result<()> {
    Ok(std::fs::write(Path::new(DOCS).join("performance.svg"), svg(sets))?)
}

fn svg(sets: &[Measured]) -> String {
    let bars: Vec<Bar> = sets.iter().flat_map(bars).collect();
    let longest = bars.iter().map(Bar::total).fold(f64::MIN_POSITIVE, f64::max);
    let mut svg = String::new();
    let mut y = TOP;
    for (at, bar) in bars.iter().enumerate() {
        y += if at > 0 && !bar.set.is_empty() { 12.0 } else { 0.0 };
        draw(&mut svg, bar, y, LENGTH / longest);
        y += BAR + 3.0;
    }
    let height = y + 10.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
         font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"10\" y=\"18\" font-size=\"13\">CPU seconds for a million records ({LABEL})</text>\n{}{svg}</svg>\n",
        legend()
    )
}

struct Bar {
    /// The data set, at its first bar.
    set: &'static str,
    name: &'static str,
    parts: Vec<(&'static str, f64)>,
}

impl Bar {
    fn total(&self) -> f64 {
        self.parts.iter().map(|(_, seconds)| seconds).sum()
    }
}

fn bars(set: &Measured) -> [Bar; 3] {
    [
        Bar { set: set.name, name: "floors", parts: set.floors().to_vec() },
        Bar { set: "", name: "host", parts: set.stages() },
        Bar { set: "", name: "ClickHouse", parts: vec![("ClickHouse", set.engine())] },
    ]
}

fn draw(svg: &mut String, bar: &Bar, y: f64, scale: f64) {
    let text = y + BAR - 4.0;
    let mut x = LEFT;
    // Writing to a String cannot fail.
    let _written = write!(
        svg,
        "<text x=\"10\" y=\"{text:.0}\" font-weight=\"bold\">{}</text><text x=\"{:.0}\" y=\"{text:.0}\" \
         text-anchor=\"end\">{}</text>",
        bar.set,
        LEFT - 6.0,
        bar.name
    );
    for (name, seconds) in bar.parts.iter().filter(|(_, seconds)| *seconds > 0.0) {
        let width = seconds * scale;
        let _written = write!(
            svg,
            "<rect x=\"{x:.1}\" y=\"{y:.0}\" width=\"{width:.1}\" height=\"{BAR}\" fill=\"{}\"><title>{name}: \
             {seconds:.3} s</title></rect>",
            colour(name)
        );
        x += width;
    }
    let _written =
        writeln!(svg, "<text x=\"{:.0}\" y=\"{text:.0}\">{:.2}</text>", x + 5.0, bar.total());
}

fn legend() -> String {
    let (mut legend, mut x, mut y) = (String::new(), 10.0, 32.0);
    // The floor of consuming and librdkafka's part share a colour and a name.
    for (name, colour) in COLOURS.iter().skip(1) {
        let width = 22.0 + 6.2 * name.len() as f64;
        if x + width > WIDTH {
            (x, y) = (10.0, y + 16.0);
        }
        let _written = writeln!(
            legend,
            "<rect x=\"{x:.0}\" y=\"{:.0}\" width=\"10\" height=\"10\" fill=\"{colour}\"/><text x=\"{:.0}\" \
             y=\"{:.0}\">{name}</text>",
            y - 6.0,
            x + 14.0,
            y + 3.0
        );
        x += width;
    }
    legend
}
