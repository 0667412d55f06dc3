//! What a binding says of the volume that it was made for: `"volume": {"uuid": …, "key": …}` among its annotations.
//!
//! Who can open the binding can change it, and who makes another volume makes another binding. So it protects from nobody; it tells when a
//! volume was copied and given another UUID, or encrypted anew behind the back of its bindings.

use super::fault::IdentityFault;
use crate::binding::Binding;
use crypto::VolumeKey;
use json::{FieldError, Object, Value};
use luks::{Header, KeyFingerprint};
use uuid::Uuid;

/// Its name among the annotations.
const VOLUME: &str = "volume";

/// The annotation of bindings of this volume.
pub(crate) fn volume_of(header: &Header, key: &VolumeKey) -> Object {
    let volume = Object::new().with("uuid", header.uuid().to_string()).with("key", KeyFingerprint::of(key).to_string());
    Object::new().with(VOLUME, volume)
}

/// The UUID of the volume that this binding was made for, if it is not that of `header`: one of the two is a clone of the other, and
/// both have the same key. It is beyond doubt only if the binding was opened.
pub fn clone_of(header: &Header, binding: &Binding) -> Option<Uuid> {
    let (uuid, _) = read(clevis::annotation(&binding.jwe)?.get(VOLUME)?).ok()?;
    (uuid != header.uuid()).then_some(uuid)
}

/// Whether an opened binding was made for a volume with this key. A UUID may be changed, a key may not.
///
/// # Errors
/// [`IdentityFault::BoundToOther`], [`IdentityFault::Malformed`].
pub(crate) fn check_copy(binding: &Binding, key: &VolumeKey) -> Result<(), IdentityFault> {
    let Some(said) = clevis::annotation(&binding.jwe).and_then(|said| said.get(VOLUME)) else { return Ok(()) };
    let slot = binding.slot;
    match read(said) {
        Err(_) => Err(IdentityFault::Malformed { slot }),
        Ok((uuid, other)) if other != KeyFingerprint::of(key) => Err(IdentityFault::BoundToOther { slot, uuid }),
        Ok(_) => Ok(()),
    }
}

fn read(said: &Value) -> Result<(Uuid, KeyFingerprint), FieldError> {
    super::list::identity(&said.field(VOLUME))
}
