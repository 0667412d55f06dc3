//! Where a binding is kept: in a token of LUKS2, in LUKSMeta of LUKS1.

use crate::binding::{Binding, tokens};
use crate::commit_error::CommitError;
use jose::Jwe;
use json::Object;
use luks::{Edit, Header, Slot, Token, TokenId};

/// The token of a binding, as the original writes it.
fn token_members(slot: Slot, jwe: &Jwe) -> Object {
    Object::new()
        .with("type", crate::binding::CLEVIS)
        .with("keyslots", vec![slot.to_string()])
        .with("jwe", jwe.to_flattened())
}

/// Keeps a new binding.
pub(crate) fn add(
    edit: &mut Edit<'_>,
    slot: Slot,
    token: Option<TokenId>,
    jwe: &Jwe,
) -> Result<Option<TokenId>, CommitError> {
    let added = edit.add_token(token, token_members(slot, jwe));
    added.map(Some).map_err(CommitError::Edit)
}

/// Keeps `jwe` in the place of that of `binding`. A token that serves other keyslots too is theirs: the new binding then gets one of its
/// own.
pub(crate) fn replace(
    edit: &mut Edit<'_>,
    header: &Header,
    binding: &Binding,
    jwe: &Jwe,
) -> Result<Option<TokenId>, CommitError> {
    let Some(id) = binding.token else { return Err(CommitError::NotBound { slot: binding.slot }) };
    let not_bound = CommitError::NotBound { slot: binding.slot };
    let (_, token) = tokens(header).find(|(found, _)| *found == id).ok_or(not_bound)?;
    if serves_only(token, binding.slot) {
        edit.replace_token(id, token_members(binding.slot, jwe)).map_err(CommitError::Edit)?;
        return Ok(Some(id));
    }
    let others: Vec<String> =
        token.keyslots.iter().filter(|slot| **slot != binding.slot).map(Slot::to_string).collect();
    edit.replace_token(id, token.members.clone().with("keyslots", others)).map_err(CommitError::Edit)?;
    add(edit, binding.slot, None, jwe)
}

/// Forgets what is kept of bindings of `slot`, which is being removed; a token that serves others stays.
pub(crate) fn forget(edit: &mut Edit<'_>, header: &Header, slot: Slot) -> Result<(), CommitError> {
    remove_tokens(edit, header, |token| serves_only(token, slot))
}

/// Forgets bindings whose keyslots are gone, as the original does.
pub(crate) fn forget_stale(edit: &mut Edit<'_>, header: &Header) -> Result<(), CommitError> {
    remove_tokens(edit, header, |token| token.keyslots.is_empty())
}

fn remove_tokens(edit: &mut Edit<'_>, header: &Header, which: impl Fn(&Token) -> bool) -> Result<(), CommitError> {
    let ids: Vec<TokenId> = tokens(header).filter(|(_, token)| which(token)).map(|(id, _)| id).collect();
    ids.into_iter().try_for_each(|id| edit.remove_token(id)).map_err(CommitError::Edit)
}

fn serves_only(token: &Token, slot: Slot) -> bool {
    token.keyslots.iter().all(|served| *served == slot)
}
