//! Applies the patches that the module answers, with the keys of the object kept in their order.

use json_patch::jsonptr::Pointer;
use json_patch::{Patch, PatchOperation, patch_unsafe};
use serde_json::Value;
use serde_json::value::RawValue;

/// Why a patch cannot be applied: the module answered something that does not fit the object.
#[derive(Debug, thiserror::Error)]
pub enum PatchError {
    /// It is not a JSON Patch.
    #[error("the module's patch cannot be read")]
    Unreadable(#[from] serde_json::Error),
    /// An operation has no place in the object.
    #[error("the module's patch does not fit the object")]
    Misfit(#[from] json_patch::PatchError),
}

/// Applies a patch. After an error the object is in no defined state.
pub fn apply(object: &mut Value, patch: &RawValue) -> Result<(), PatchError> {
    let Patch(operations) = serde_json::from_str(patch.get())?;
    for operation in operations {
        // json-patch would move the last key of the object to where the removed one was.
        match &operation {
            PatchOperation::Remove(remove) if remove_key(object, &remove.path) => {}
            _ => patch_unsafe(object, &[operation])?,
        }
    }
    Ok(())
}

/// Removes a key of an object; false where the path names no such key.
fn remove_key(object: &mut Value, path: &Pointer) -> bool {
    let Some((parent, key)) = path.split_back() else { return false };
    match object.pointer_mut(parent.as_str()) {
        Some(Value::Object(map)) => map.shift_remove(key.decoded().as_ref()).is_some(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patched(object: &str, patch: &str) -> Result<String, PatchError> {
        let mut object = serde_json::from_str(object).unwrap();
        apply(&mut object, &RawValue::from_string(patch.to_owned()).unwrap()).map(|()| object.to_string())
    }

    #[test]
    fn keys_stay_in_order() {
        let patch = r#"[{"op":"remove","path":"/a~1b"},{"op":"add","path":"/c/0","value":1}]"#;
        assert_eq!(
            patched(r#"{"x":1,"a/b":2,"y":3,"c":[0],"z":1.10}"#, patch).unwrap(),
            r#"{"x":1,"y":3,"c":[1,0],"z":1.10}"#
        );
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        for patch in [
            "{}",
            "[{\"op\":\"jump\"}]",
            r#"[{"op":"remove","path":"/b"}]"#,
            r#"[{"op":"add","path":"/a/b","value":1}]"#,
        ] {
            assert!(patched(r#"{"a":1}"#, patch).is_err(), "{patch}");
        }
    }
}
