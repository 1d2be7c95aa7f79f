//! Plain columns: lists of tokens, migrations, drills. The first column is never cut, since it is what one copies.

use super::{
    super::{
        screen::{Ink, Style},
        text,
    },
    line::Line,
};

/// Cells between columns.
const GAP: &str = "  ";

/// Draws `rows` below `headings`; the last columns are cut where the terminal is too narrow. Text is cleaned here.
pub(crate) fn draw<const N: usize>(
    headings: [&str; N],
    rows: &[[String; N]],
    style: &Style,
) -> String {
    let rows: Vec<[String; N]> = rows
        .iter()
        .map(|row| std::array::from_fn(|index| style.clean(&row[index])))
        .collect();
    let widths: [usize; N] = std::array::from_fn(|index| {
        let widest = rows
            .iter()
            .map(|row| text::cells(&row[index]))
            .max()
            .unwrap_or(0);
        widest.max(text::cells(headings[index]))
    });
    let mut out = String::new();
    let mut heading = Line::default();
    for (index, word) in headings.into_iter().enumerate() {
        heading.paint(
            Ink::Faint,
            format!("{}{GAP}", text::left(word, widths[index])),
        );
    }
    heading.finish(style, &mut out);
    for row in rows {
        let mut line = Line::default();
        for (index, cell) in row.into_iter().enumerate() {
            line.push(format!("{}{GAP}", text::left(&cell, widths[index])));
        }
        line.finish(style, &mut out);
    }
    out
}
