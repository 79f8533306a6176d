//! Markdown tables that are also readable as they are.

use std::fmt::Write;

/// Appends a table under a heading, unless it has no row. The first column
/// holds numbers when it is called `N`, otherwise words.
pub fn table(out: &mut String, title: &str, head: &[&str], rows: Vec<Vec<String>>) {
    if rows.is_empty() {
        return;
    }
    let words = head[0] != "N";
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].len());
        cells.fold(head[column].len().max(2), usize::max)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let _ = writeln!(out, "## {title}\n");
    let mut line = |cells: &[String]| {
        for (index, (cell, &width)) in cells.iter().zip(&widths).enumerate() {
            let _ = match index == 0 && words {
                true => write!(out, "| {cell:<width$} "),
                false => write!(out, "| {cell:>width$} "),
            };
        }
        out.push_str("|\n");
    };
    line(&head.iter().map(|cell| cell.to_string()).collect::<Vec<_>>());
    let rule = widths
        .iter()
        .enumerate()
        .map(|(index, &width)| match index == 0 && words {
            true => "-".repeat(width),
            false => "-".repeat(width - 1) + ":",
        });
    line(&rule.collect::<Vec<_>>());
    for row in &rows {
        line(row);
    }
    out.push('\n');
}

/// `1,234,567`.
pub fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Two decimals, or more where they would be zeros.
pub fn ratio(value: f64) -> String {
    match value {
        0.1.. => format!("{value:.2}"),
        0.01.. => format!("{value:.3}"),
        _ => format!("{value:.4}"),
    }
}
