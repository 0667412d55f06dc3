//! Approvals beside the bindings: a LUKS2 token of the type `cotter-approvals`.
//!
//! `{"type":"cotter-approvals","keyslots":[],"version":1,"approvals":[…]}`, each as [`Approval`] writes it. They are outside of the protected
//! headers and of the seal, because they must be renewable by who has the signing key and nothing else; the TPM believes their signatures
//! alone. LUKS1 has no place for them.

use crate::commit_error::CommitError;
use crate::volume::Volume;
use clevis::Approval;
use crypto::Random;
use json::{Field, FieldError, Object, Value};
use luks::{Accepted, Edit, EditError, Header, Token, TokenId, TokenKind};

/// The type of the token.
pub const APPROVALS: &str = "cotter-approvals";

/// Most approvals that are read or written.
pub const MOST_APPROVALS: usize = 64;

/// The approvals of a header, and what is there and is none: a LUKS1 header has neither.
pub fn approvals(header: &Header) -> (Vec<Approval>, Vec<FieldError>) {
    let (mut read, mut broken) = (Vec::new(), Vec::new());
    for (_, token) in tokens(header) {
        let members: Value = token.members.clone().into();
        match items(&members.field("token")) {
            Ok(results) => results.into_iter().for_each(|result| match result {
                Ok(approval) => read.push(approval),
                Err(error) => broken.push(error),
            }),
            Err(error) => broken.push(error),
        }
    }
    read.truncate(MOST_APPROVALS);
    (read, broken)
}

/// The change that puts these approvals in the place of those that are there; none at all takes the token away. No key is needed.
///
/// # Errors
/// [`CommitError::Edit`]: LUKS1, or no room. [`CommitError::TooManyApprovals`] beyond 64.
pub fn approvals_edit<'a>(
    header: &'a Accepted,
    approvals: &[Approval],
    random: &'a dyn Random,
) -> Result<Edit<'a>, CommitError> {
    if approvals.len() > MOST_APPROVALS {
        return Err(CommitError::TooManyApprovals { limit: MOST_APPROVALS });
    }
    let mut edit = Edit::new(header, random).map_err(CommitError::Edit)?;
    let there: Vec<TokenId> = tokens(header.header()).map(|(id, _)| id).collect();
    change(&mut edit, header.header(), &there, approvals).map_err(CommitError::Edit)?;
    Ok(edit)
}

/// Writes what `change` makes of those that are there, see [`approvals_edit`]. It is called again when somebody else has changed the header
/// meanwhile, so that nobody's approval is lost; the rest of its last answer is returned.
///
/// # Errors
/// [`CommitError`].
pub fn approve<T>(volume: &Volume<'_>, change: impl Fn(&Header) -> (Vec<Approval>, T)) -> Result<T, CommitError> {
    let written = volume.write(|header, random| {
        let (approvals, made) = change(header.header());
        Ok((approvals_edit(header, &approvals, random)?, made))
    });
    written.map(|(_, made)| made)
}

fn change(edit: &mut Edit<'_>, header: &Header, there: &[TokenId], approvals: &[Approval]) -> Result<(), EditError> {
    if header.as_luks2().is_none() {
        return Err(EditError::NotInThisVersion { what: "place for approvals", version: header.version() });
    }
    let kept = there.first().filter(|_| !approvals.is_empty());
    there.iter().filter(|id| Some(*id) != kept).try_for_each(|id| edit.remove_token(*id))?;
    match kept {
        Some(id) => edit.replace_token(*id, members(approvals)),
        None if approvals.is_empty() => Ok(()),
        None => edit.add_token(None, members(approvals)).map(|_| ()),
    }
}

fn members(approvals: &[Approval]) -> Object {
    let approvals: Vec<Value> = approvals.iter().map(|one| one.to_json().into()).collect();
    let none = Vec::<&str>::new();
    Object::new().with("type", APPROVALS).with("keyslots", none).with("version", 1u64).with("approvals", approvals)
}

/// Each approval of a token, or why it is none.
fn items(token: &Field<'_>) -> Result<Vec<Result<Approval, FieldError>>, FieldError> {
    let version = token.member("version")?;
    if version.integer()? != 1 {
        return Err(version.wrong_value("1"));
    }
    let approvals = token.member("approvals")?;
    Ok(approvals.items()?.take(MOST_APPROVALS).map(|item| Approval::read(&item)).collect())
}

fn tokens(header: &Header) -> impl Iterator<Item = (TokenId, &Token)> {
    let all = header.as_luks2().into_iter().flat_map(|header| &header.metadata().tokens);
    all.filter(|(_, token)| token.recognised() == TokenKind::CotterApprovals).map(|(id, token)| (*id, token))
}
