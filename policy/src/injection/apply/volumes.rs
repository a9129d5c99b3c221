//! Volumes: by name, renamed where the pod has one of that name already.

use serde_json::Value;

use super::Fitting;
use crate::injection::reason::Fault;
use crate::injection::slot::Slot;
use crate::settings::{Piece, Rule, is_dns_label};

impl Fitting<'_, '_> {
    pub(super) fn volumes(&mut self, pieces: Vec<Piece<'_>>) -> Result<(), Fault> {
        let list = Slot::of(&["spec", "volumes"]);
        for piece in pieces {
            let name = piece.value.get("name").and_then(Value::as_str).unwrap_or_default();
            if !is_dns_label(name) {
                self.faults.push(format!("volume `{name}`: expected a name such as `tmp` (RFC 1123 label)"));
                continue;
            }
            let items = self.draft.items(&list);
            let name = name.to_owned();
            let what = format_args!("volume `{name}`");
            let place = piece.place().clone();
            let Some(index) = position(items, &name) else {
                self.stand(&list, piece, &place, what)?;
                continue;
            };
            match self.sidecar.conflicts.volumes {
                Rule::Rename => {
                    let free = free_name(&name, |candidate| position(items, candidate).is_some());
                    self.stand(&list, renamed(piece, &free), &place, what)?;
                    self.renamed_volumes.push((name.clone(), free));
                }
                rule => {
                    let slot = items.get(index).map(|item| list.item(index, item));
                    if self.replaces(rule, what)
                        && let Some(slot) = slot
                    {
                        self.put(slot, piece)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// A piece whose mounts follow the volumes that were renamed.
    pub(super) fn with_renamed_mounts<'p>(&self, piece: Piece<'p>) -> Piece<'p> {
        if self.renamed_volumes.is_empty() {
            return piece;
        }
        piece.change(|value| {
            for list in ["volumeMounts", "volumeDevices"] {
                let mounts = value.get_mut(list).and_then(Value::as_array_mut);
                mounts.into_iter().flatten().for_each(|mount| self.rename_mount(mount));
            }
        })
    }

    /// Lets one mount follow the volume that was renamed.
    pub(super) fn rename_mount(&self, mount: &mut Value) {
        let renamed = self.renamed_volumes.iter().find(|(from, _)| mount.get("name").is_some_and(|name| name == from));
        if let (Some((_, to)), Value::Object(map)) = (renamed, mount) {
            map.insert("name".to_owned(), Value::from(to.as_str()));
        }
    }
}

/// The index of the item of this name; of the last one, where there are several: that is the one which counts.
pub(super) fn position(items: &[Value], name: &str) -> Option<usize> {
    items.iter().rposition(|item| item.get("name").and_then(Value::as_str) == Some(name))
}

/// `name-2`, `name-3`, …: the first that is free, cut so that it stays a name.
pub(super) fn free_name(name: &str, taken: impl Fn(&str) -> bool) -> String {
    const LONGEST: usize = 63;
    let mut number = 2_u32;
    loop {
        let suffix = format!("-{number}");
        let stem: String = name.chars().take(LONGEST - suffix.len()).collect();
        let candidate = format!("{}{suffix}", stem.trim_end_matches('-'));
        if !taken(&candidate) {
            return candidate;
        }
        number += 1;
    }
}

/// The same piece under another name.
pub(super) fn renamed<'p>(piece: Piece<'p>, name: &str) -> Piece<'p> {
    piece.change(|value| {
        if let Value::Object(map) = value {
            map.insert("name".to_owned(), Value::from(name));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_names_stay_names() {
        assert_eq!(free_name("tmp", |_| false), "tmp-2");
        assert_eq!(free_name("tmp", |name| name == "tmp-2"), "tmp-3");
        let long = "a".repeat(63);
        assert!(is_dns_label(&free_name(&long, |_| false)));
    }
}
