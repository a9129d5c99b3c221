//! Where each value of a document stands, so that a problem found by its JSON pointer can be shown in the text.
//!
//! The place of an object's field is the place of its key: that is the line to edit, whatever the value's shape.

use std::collections::HashMap;

/// The places of one document's values.
#[derive(Debug, Clone, Default)]
pub struct Locations {
    by_pointer: HashMap<String, (u32, u32)>,
}

impl Locations {
    /// Line and column (both from 1) of the value at an RFC 6901 pointer, else of its nearest ancestor that is there.
    pub fn find(&self, pointer: &str) -> (u32, u32) {
        let mut candidate = pointer;
        loop {
            if let Some(place) = self.by_pointer.get(candidate) {
                return *place;
            }
            match candidate.rfind('/') {
                Some(end) => candidate = candidate.get(..end).unwrap_or_default(),
                None => return (1, 1),
            }
        }
    }

    pub(super) fn insert(&mut self, pointer: &str, place: (u32, u32)) {
        self.by_pointer.insert(pointer.to_owned(), place);
    }
}
