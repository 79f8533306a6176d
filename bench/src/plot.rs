//! The plot: cost against the number of open connections, both logarithmic.
//! Every line carries its name and its last value, so there is no legend. The
//! background is transparent, and one set of colours is readable on white and
//! on black: a viewer that tells an image which of them it lies on is rare, and
//! one that tells it wrongly is not.

use std::fmt::Write;

use crate::results::STACKS;
use crate::table::thousands;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 400.0;

/// Where the lines are.
const LEFT: f64 = 52.0;
const RIGHT: f64 = 560.0;
const TOP: f64 = 70.0;
const BOTTOM: f64 = 346.0;

/// Least and greatest cost on the axis.
const COSTS: [f64; 2] = [1e3, 1e7];

/// Two labels are at least that far apart.
const LINE: f64 = 20.0;

const NAMES: [&str; 3] = ["cygnet", "bare smoltcp", "embassy-net"];

const STYLE: &str = "
text { font: 13px system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif; fill: #7d8590 }
.title { font-size: 16px; font-weight: 600 }
.name { font-weight: 600 }
.end { text-anchor: end }
.middle { text-anchor: middle }
.grid { stroke: #818b98; stroke-opacity: .28 }
.line { stroke-width: 2.5; stroke-linejoin: round }
.line.cygnet { stroke: #2f81f7 } .line.bare { stroke: #d4691a } .line.embassy { stroke: #9a6bff }
.cygnet { fill: #2f81f7 } .bare { fill: #d4691a } .embassy { fill: #9a6bff }
polyline.line { fill: none }
";

/// Draws costs per connection count, one column per contender.
pub fn draw(rows: &[(u64, u64, [f64; 3])]) -> String {
    let mut out = String::new();
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         width=\"{WIDTH}\" height=\"{HEIGHT}\" role=\"img\">\n<style>{STYLE}</style>\n"
    );
    text(
        &mut out,
        "title",
        [8.0, 24.0],
        "Instructions per 64-byte echo",
    );
    let subtitle = "one active connection beside N \u{2212} 1 idle ones, both axes logarithmic";
    text(&mut out, "", [8.0, 45.0], subtitle);
    let most = rows.iter().map(|row| row.0).max().unwrap_or(1);
    let place = |connections: u64, cost: f64| {
        let along = (connections as f64).ln() / (most.max(2) as f64).ln();
        let up = (cost / COSTS[0]).ln() / (COSTS[1] / COSTS[0]).ln();
        [LEFT + along * (RIGHT - LEFT), BOTTOM - up * (BOTTOM - TOP)]
    };
    grid(&mut out, rows, place);
    let mut labels = Vec::new();
    for (index, class) in STACKS.iter().enumerate().rev() {
        let points = rows.iter().map(|row| place(row.0, row.2[index]));
        let points: Vec<[f64; 2]> = points.collect();
        let path: Vec<String> = points
            .iter()
            .map(|[x, y]| format!("{x:.1},{y:.1}"))
            .collect();
        let path = path.join(" ");
        let _ = writeln!(out, "<polyline class=\"line {class}\" points=\"{path}\"/>");
        for [x, y] in &points {
            let _ = writeln!(
                out,
                "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>"
            );
        }
        if let (Some(&[_, y]), Some(row)) = (points.last(), rows.last()) {
            labels.push((y, index, row.2[index]));
        }
    }
    label(&mut out, labels);
    out.push_str("</svg>\n");
    out
}

fn grid(out: &mut String, rows: &[(u64, u64, [f64; 3])], place: impl Fn(u64, f64) -> [f64; 2]) {
    let decades = [
        (1e3, "1 k"),
        (1e4, "10 k"),
        (1e5, "100 k"),
        (1e6, "1 M"),
        (1e7, "10 M"),
    ];
    for (cost, name) in decades {
        let [_, y] = place(1, cost);
        rule(out, [LEFT, y], [RIGHT, y]);
        text(out, "end", [LEFT - 8.0, y + 4.5], name);
    }
    for (connections, ..) in rows {
        let [x, _] = place(*connections, COSTS[0]);
        rule(out, [x, TOP], [x, BOTTOM]);
        text(
            out,
            "middle",
            [x, BOTTOM + 20.0],
            &thousands(*connections as f64),
        );
    }
    let middle = f64::midpoint(LEFT, RIGHT);
    text(
        out,
        "middle",
        [middle, BOTTOM + 42.0],
        "open connections, N",
    );
}

/// Writes names and values beside the ends of the lines; two that would
/// overlap give way by as much each.
fn label(out: &mut String, mut labels: Vec<(f64, usize, f64)>) {
    labels.sort_by(|a, b| a.0.total_cmp(&b.0));
    for index in 1..labels.len() {
        let overlap = LINE - (labels[index].0 - labels[index - 1].0);
        labels[index - 1].0 -= overlap.max(0.0) / 2.0;
        labels[index].0 += overlap.max(0.0) / 2.0;
    }
    for (y, index, cost) in labels {
        let (class, name) = (STACKS[index], NAMES[index]);
        let name = format!("<tspan class=\"name {class}\">{name}</tspan>");
        let value = thousands(cost);
        text(
            out,
            "",
            [RIGHT + 14.0, y + 4.5],
            &format!("{name}\u{2002}{value}"),
        );
    }
}

fn rule(out: &mut String, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2]) {
    let _ = writeln!(
        out,
        "<line class=\"grid\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
    );
}

fn text(out: &mut String, class: &str, [x, y]: [f64; 2], text: &str) {
    let _ = writeln!(
        out,
        "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>"
    );
}
