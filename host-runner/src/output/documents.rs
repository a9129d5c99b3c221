//! YAML output: the input's text with the changed documents replaced, comments and separators around them kept.

use serde_json::Value;

use crate::yaml;

/// The output under construction.
#[derive(Debug, Default)]
pub(crate) struct Documents {
    text: String,
}

impl Documents {
    /// Adds a text of documents, each replacement in the place of its document. Replacements are in order.
    pub(crate) fn add_text(&mut self, text: &str, replacements: &[(std::ops::Range<usize>, Value)]) {
        let text_from = if self.text.is_empty() { 0 } else { text.len() - text.trim_start_matches('\u{feff}').len() };
        self.separate(text.get(text_from..).unwrap_or_default());
        let mut copied = text_from;
        for (range, value) in replacements {
            self.text.push_str(text.get(copied..range.start).unwrap_or_default());
            // Behind `--- ` on the same line, where block style cannot start.
            if !self.text.is_empty() && !self.text.ends_with(['\n', '\u{feff}']) {
                self.text.push('\n');
            }
            self.text.push_str(&yaml::write(value));
            copied = range.end;
        }
        self.text.push_str(text.get(copied..).unwrap_or_default());
    }

    /// Adds a document that did not come from YAML.
    pub(crate) fn add_value(&mut self, value: &Value) {
        self.separate("");
        self.text.push_str(&yaml::write(value));
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// Ends the last document, unless what follows starts with a separator of its own.
    fn separate(&mut self, next: &str) {
        if self.text.is_empty() {
            return;
        }
        if !self.text.ends_with('\n') {
            self.text.push('\n');
        }
        let last_line = self.text.trim_end_matches('\n').rsplit('\n').next().unwrap_or_default();
        if !next.starts_with("---") && last_line.trim_end() != "---" {
            self.text.push_str("---\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn replaced(text: &str, index: usize) -> String {
        let document = yaml::read(text).unwrap().swap_remove(index);
        let mut documents = Documents::default();
        documents.add_text(text, &[(document.range, json!({"new": [1]}))]);
        documents.text
    }

    #[test]
    fn only_the_changed_document_is_replaced() {
        for (text, index, expected) in [
            ("a: 1", 0, "new:\n- 1\n"),
            (
                "# head\n---\n# c\na: 1 # x\n# d\n---\nb:   2 # y\n",
                0,
                "# head\n---\n# c\nnew:\n- 1\n# d\n---\nb:   2 # y\n",
            ),
            ("# head\n---\na: 1\n---\nb:   2 # y", 1, "# head\n---\na: 1\n---\nnew:\n- 1\n"),
            ("--- {a: 1}\n--- {b:   2}\n", 0, "--- \nnew:\n- 1\n--- {b:   2}\n"),
            ("a: 1\r\n---\r\nb: 2\r\n", 0, "new:\n- 1\n---\r\nb: 2\r\n"),
            ("\u{feff}a: 1\n", 0, "\u{feff}new:\n- 1\n"),
            ("  a: 1\n  b: 2\n", 0, "new:\n- 1\n"),
            ("a: |+\n  x\n\n---\nb: 2\n", 0, "new:\n- 1\n---\nb: 2\n"),
        ] {
            assert_eq!(replaced(text, index), expected, "{text:?}");
            assert_eq!(yaml::read(&replaced(text, index)).unwrap()[index].value, json!({"new": [1]}));
        }
    }

    #[test]
    fn texts_are_separated_once() {
        for (texts, expected) in [
            (["a: 1", "b: 2\n"], "a: 1\n---\nb: 2\n"),
            (["a: 1\n---\n", "b: 2\n"], "a: 1\n---\nb: 2\n"),
            (["a: 1\n", "---\nb: 2\n"], "a: 1\n---\nb: 2\n"),
            (["a: 1\n", "\u{feff}b: 2\n"], "a: 1\n---\nb: 2\n"),
            (["", "b: 2\n"], "b: 2\n"),
        ] {
            let mut documents = Documents::default();
            for text in texts {
                documents.add_text(text, &[]);
            }
            assert_eq!(documents.text, expected);
        }
    }
}
