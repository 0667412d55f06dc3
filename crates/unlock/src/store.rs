//! Where a binding is kept: in a token of LUKS2, in LUKSMeta of LUKS1.

use crate::bind::NewMeta;
use crate::binding::{Binding, CLEVIS, tokens};
use crate::commit_error::CommitError;
use block::Bytes;
use jose::Jwe;
use json::Object;
use luks::{CLEVIS_UUID, Edit, EditError, Header, Luks1, MetaState, Slot, Token, TokenId};
use uuid::Uuid;

/// The keyslot for something new: `wanted`, or the lowest that is free beside one that the same change takes. On LUKS1 one whose LUKSMeta is empty is preferred, for what is
/// there would be taken for the new keyslot's.
pub(crate) fn choose_slot(header: &Header, wanted: Option<Slot>, beside: Option<Slot>) -> Option<Slot> {
    let Header::Luks1(header) = header else { return wanted };
    let free = Slot::all().zip(&header.slots).filter(|(_, entry)| !entry.active).map(|(slot, _)| slot);
    let free = free.filter(|slot| Some(*slot) != beside);
    wanted.or_else(|| free.into_iter().find(|slot| meta_uuid(header, *slot).is_none_or(|uuid| uuid == CLEVIS_UUID)))
}

/// Keeps a new binding.
pub(crate) fn add(
    edit: &mut Edit<'_>,
    header: &Header,
    slot: Slot,
    (token, meta): (Option<TokenId>, NewMeta),
    jwe: &Jwe,
) -> Result<Option<TokenId>, CommitError> {
    match header {
        Header::Luks2(_) => edit.add_token(token, token_members(slot, jwe)).map(Some).map_err(CommitError::Edit),
        Header::Luks1(_) if token.is_some() => {
            let version = header.version();
            Err(CommitError::Edit(EditError::NotInThisVersion { what: "tokens", version }))
        }
        Header::Luks1(header) => {
            if matches!(header.meta(), MetaState::Absent) {
                match meta {
                    NewMeta::Refuse => return Err(CommitError::NoMeta),
                    NewMeta::Make => edit.init_meta().map_err(CommitError::Edit)?,
                }
            }
            save(edit, header, slot, jwe).map(|()| None)
        }
    }
}

/// Keeps `jwe` in the place of that of `binding`. A token that serves other keyslots too is theirs: the new binding then gets one of its
/// own.
pub(crate) fn replace(
    edit: &mut Edit<'_>,
    header: &Header,
    binding: &Binding,
    jwe: &Jwe,
) -> Result<Option<TokenId>, CommitError> {
    if let Header::Luks1(luks1) = header {
        edit.wipe_meta(binding.slot).map_err(CommitError::Edit)?;
        return save(edit, luks1, binding.slot, jwe).map(|()| None);
    }
    let found = tokens(header).find(|(id, _)| Some(*id) == binding.token);
    let (id, token) = found.ok_or(CommitError::NotBound { slot: binding.slot })?;
    if serves_only(token, binding.slot) {
        edit.replace_token(id, token_members(binding.slot, jwe)).map_err(CommitError::Edit)?;
        return Ok(Some(id));
    }
    let others: Vec<String> =
        token.keyslots.iter().filter(|slot| **slot != binding.slot).map(Slot::to_string).collect();
    edit.set_token_member(id, "keyslots", others.into()).map_err(CommitError::Edit)?;
    add(edit, header, binding.slot, (None, NewMeta::Refuse), jwe)
}

/// Keeps `jwe`, which is the same policy and passphrase, in the place of that of `binding`, for all keyslots that its token serves.
pub(crate) fn rewrite(edit: &mut Edit<'_>, header: &Header, binding: &Binding, jwe: &Jwe) -> Result<(), CommitError> {
    match (header, binding.token) {
        (Header::Luks2(_), Some(id)) if tokens(header).all(|(found, _)| found != id) => {
            Err(CommitError::NotBound { slot: binding.slot })
        }
        (Header::Luks2(_), Some(id)) => {
            edit.set_token_member(id, "jwe", jwe.to_flattened().into()).map_err(CommitError::Edit)
        }
        _ => replace(edit, header, binding, jwe).map(|_| ()),
    }
}

/// Forgets what is kept of bindings of `slot`, which is being removed; a token that serves others stays.
pub(crate) fn forget(edit: &mut Edit<'_>, header: &Header, slot: Slot) -> Result<(), CommitError> {
    match header {
        Header::Luks1(header) => wipe(edit, header, |found, _| found == slot),
        Header::Luks2(_) => remove_tokens(edit, header, |token| serves_only(token, slot)),
    }
}

/// Forgets bindings whose keyslots are gone, as the original does.
pub(crate) fn forget_stale(edit: &mut Edit<'_>, header: &Header) -> Result<(), CommitError> {
    match header {
        Header::Luks1(header) => wipe(edit, header, |_, is_active| !is_active),
        Header::Luks2(_) => remove_tokens(edit, header, |token| token.keyslots.is_empty()),
    }
}

/// The token of a binding, as the original writes it.
fn token_members(slot: Slot, jwe: &Jwe) -> Object {
    Object::new().with("type", CLEVIS).with("keyslots", vec![slot.to_string()]).with("jwe", jwe.to_flattened())
}

fn remove_tokens(edit: &mut Edit<'_>, header: &Header, which: impl Fn(&Token) -> bool) -> Result<(), CommitError> {
    let ids: Vec<TokenId> = tokens(header).filter(|(_, token)| which(token)).map(|(id, _)| id).collect();
    ids.into_iter().try_for_each(|id| edit.remove_token(id)).map_err(CommitError::Edit)
}

fn serves_only(token: &Token, slot: Slot) -> bool {
    token.keyslots.iter().all(|served| *served == slot)
}

/// Wipes data of Clevis in LUKSMeta; `which` is told the slot and whether it is in use.
fn wipe(edit: &mut Edit<'_>, header: &Luks1, which: impl Fn(Slot, bool) -> bool) -> Result<(), CommitError> {
    let ours = Slot::all().zip(&header.slots).filter(|(slot, _)| meta_uuid(header, *slot) == Some(CLEVIS_UUID));
    let chosen = ours.filter(|(slot, entry)| which(*slot, entry.active));
    chosen.map(|(slot, _)| slot).try_for_each(|slot| edit.wipe_meta(slot)).map_err(CommitError::Edit)
}

fn save(edit: &mut Edit<'_>, header: &Luks1, slot: Slot, jwe: &Jwe) -> Result<(), CommitError> {
    let data = jwe.to_compact().map_err(|source| CommitError::NotCompact { slot, source })?;
    match edit.save_meta(Some(slot), CLEVIS_UUID, data.as_bytes()) {
        Ok(_) => Ok(()),
        Err(EditError::NoRoomForMeta { size, .. }) => {
            Err(CommitError::NoRoomInMeta { needed: size, there: room(header) })
        }
        Err(error) => Err(CommitError::Edit(error)),
    }
}

fn meta_uuid(header: &Luks1, slot: Slot) -> Option<Uuid> {
    header.meta().present()?.slot(slot).map(|entry| entry.uuid)
}

/// The longest data that fits into LUKSMeta beside what is there: the longest run of free blocks.
fn room(header: &Luks1) -> Bytes {
    /// Data begin at multiples of this; the table takes the first.
    const BLOCK: u64 = 4096;
    let Some(gap) = header.gap() else { return Bytes(0) };
    let entries = header.meta().present().into_iter().flat_map(|meta| meta.slots());
    let mut taken: Vec<(u64, u64)> = entries
        .map(|(_, entry)| (u64::from(entry.offset), u64::from(entry.offset) + u64::from(entry.length)))
        .chain([(gap.size().0, gap.size().0)])
        .collect();
    taken.sort_unstable();
    let mut free = BLOCK;
    let mut longest = 0;
    for (start, end) in taken {
        longest = longest.max((start / BLOCK * BLOCK).saturating_sub(free));
        free = free.max(end.next_multiple_of(BLOCK));
    }
    Bytes(longest)
}
