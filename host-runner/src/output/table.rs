//! Columns for people: as wide as their widest cell, two spaces apart, the last one as long as it likes.

use std::fmt::Write as _;

/// A table with a head, indented by two.
pub(crate) fn table<const COLUMNS: usize>(
    head: &[&str; COLUMNS],
    rows: impl Iterator<Item = [String; COLUMNS]>,
) -> String {
    let rows: Vec<[String; COLUMNS]> = std::iter::once(head.map(str::to_owned)).chain(rows).collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
            let _ = write!(line, "  {cell:width$}", width = width.unwrap_or_default());
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows = [["ä", "long cell"], ["longer", "x"]].map(|row| row.map(str::to_owned));
        assert_eq!(table(&["A", "B"], rows.into_iter()), "  A       B\n  ä       long cell\n  longer  x\n");
    }
}
