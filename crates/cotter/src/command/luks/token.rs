//! `cotter luks token`: the tokens of a LUKS2 header, in the very form in which they stand there.

use crate::args::{TokenChoice, TokenCommand, TokenExportArgs, TokenImportArgs, TokenRemoveArgs};
use crate::command::luks::change::{self, Change};
use crate::error::CommandError;
use crate::output;
use crate::private_file;
use crate::volume::{self, Disks};
use ::luks::{Accepted, Edit, EditError, Header, Metadata, TokenId};
use crypto::{Random, Secret};
use json::{Limits, Object, Value};
use linux::{Access, Terminal};
use std::path::Path;
use unlock::{CommitError, Orphans};

/// Carries out one of the commands.
pub fn run(which: TokenCommand) -> Result<(), CommandError> {
    match which {
        TokenCommand::Export(args) => export(&args),
        TokenCommand::Import(args) => import(&args),
        TokenCommand::Remove(args) => remove(&args),
    }
}

/// One object on one line, without a newline at its end unless a person reads it, as cryptsetup prints it.
fn export(args: &TokenExportArgs) -> Result<(), CommandError> {
    let header = Disks::open(&args.device, Access::Read)?.read_header()?;
    let token = choose(&header, &args.which)?;
    let found = metadata(&header)?.tokens.get(&token).ok_or_else(|| no_token(token))?;
    let text = Value::from(found.members.clone()).to_compact();
    match args.json_file.as_deref().filter(|path| *path != Path::new("-")) {
        Some(path) if args.dry_run => private_file::plan(path, text.as_bytes(), args.format, Object::new()),
        Some(path) => {
            private_file::write(path, text.as_bytes())?;
            let record = Object::new().with("token", u64::from(token.number())).with("bytes", text.len() as u64);
            if args.format.json { output::record(args.format, record, String::new) } else { Ok(()) }
        }
        None if args.format.json || output::is_seen() => output::line(&text),
        None => output::data(text.as_bytes()),
    }
}

const A_TOKEN: &str = "`cotter luks token export` prints one as it must be";

/// Longest token that is read: the JSON area of a header is no longer.
const LONGEST: usize = 4 << 20;

fn import(args: &TokenImportArgs) -> Result<(), CommandError> {
    let disks = Disks::open_to_change(&args.device, args.dry_run)?;
    let header = disks.accepted(&args.ceilings)?;
    metadata(header.header())?;
    let members = members(args)?;
    let id = args.token.map(volume::token).transpose()?;
    let (ceilings, format, dry_run) = (&args.ceilings, args.format, args.dry_run);
    let change = Change { failing: "cannot import the token", disks: &disks, ceilings, format, dry_run };
    let imported = change.carry_out(&header, |header, random| {
        let (edit, id) = import_edit(header, id, args.token_replace, &members, random).map_err(CommitError::Edit)?;
        unlock::spare_orphans(unlock::orphans_of_tokens(header, &edit), orphans(args.orphan))?;
        Ok((edit, id))
    })?;
    let Some(id) = imported else { return Ok(()) };
    let record = Object::new().with("token", u64::from(id.number()));
    change::report(args.format, &format!("token {id} is in the header"), record)
}

fn import_edit<'h>(
    header: &'h Accepted,
    id: Option<TokenId>,
    replace: bool,
    members: &Object,
    random: &'h dyn Random,
) -> Result<(Edit<'h>, TokenId), EditError> {
    let mut edit = Edit::new(header, random)?;
    let taken = |id: &TokenId| edit.metadata().is_some_and(|metadata| metadata.tokens.contains_key(id));
    let id = match id.filter(|id| replace && taken(id)) {
        Some(id) => edit.replace_token(id, members.clone()).map(|()| id),
        None => edit.add_token(id, members.clone()),
    };
    id.map(|id| (edit, id))
}

/// The token that is to be imported, serving the keyslot that was named too.
fn members(args: &TokenImportArgs) -> Result<Object, CommandError> {
    let text = read(args.json_file.as_deref().filter(|path| *path != Path::new("-")))?;
    let value = json::parse(text.expose(), &Limits { bytes: LONGEST, ..Limits::LUKS2 })
        .map_err(|source| CommandError::failed("cannot read the token", source).hint(A_TOKEN))?;
    let not_a_token = || {
        CommandError::plain("this is no token: a token is a JSON object with \"type\" and \"keyslots\"").hint(A_TOKEN)
    };
    let Value::Object(mut members) = value else { return Err(not_a_token()) };
    if let Some(slot) = args.slot {
        let slot = volume::slot(slot)?.to_string();
        let Some(Value::Array(slots)) = members.get_mut("keyslots") else { return Err(not_a_token()) };
        if !slots.iter().any(|listed| listed.as_str() == Some(&slot)) {
            slots.push(slot.as_str().into());
        }
    }
    Ok(members)
}

fn read(file: Option<&Path>) -> Result<Secret, CommandError> {
    if let Some(path) = file {
        let what = || format!("cannot read {}", path.display());
        return linux::read_key_file(path).map_err(|source| CommandError::failed(what(), source));
    }
    if Terminal::types_stdin() {
        return Err(CommandError::usage("give a token on standard input").hint("--json-file FILE, or < FILE"));
    }
    linux::read_stdin(LONGEST).map_err(|source| CommandError::failed("cannot read the token", source))
}

fn remove(args: &TokenRemoveArgs) -> Result<(), CommandError> {
    let disks = Disks::open_to_change(&args.device, args.dry_run)?;
    let header = disks.accepted(&args.ceilings)?;
    let token = choose(header.header(), &args.which)?;
    let served = served(header.header(), token);
    let (ceilings, format, dry_run) = (&args.ceilings, args.format, args.dry_run);
    let change = Change { failing: "cannot remove the token", disks: &disks, ceilings, format, dry_run };
    let removed = change.carry_out(&header, |header, random| {
        let mut edit = Edit::new(header, random).map_err(CommitError::Edit)?;
        edit.remove_token(token).map_err(CommitError::Edit)?;
        unlock::spare_orphans(unlock::orphans_of_tokens(header, &edit), orphans(args.orphan))?;
        Ok((edit, ()))
    })?;
    if removed.is_none() {
        return Ok(());
    }
    let record = Object::new().with("token", u64::from(token.number())).with("removed", true);
    change::report(args.format, &format!("token {token} is removed{served}"), record)
}

fn orphans(named: bool) -> Orphans {
    if named { Orphans::Leave } else { Orphans::Refuse }
}

/// What stays when a token goes.
fn served(header: &Header, token: TokenId) -> String {
    let found = metadata(header).ok().and_then(|metadata| metadata.tokens.get(&token));
    match found.map(|found| found.keyslots.as_slice()).unwrap_or_default() {
        [] => String::new(),
        [slot] => format!("; keyslot {slot}, which it served, stays"),
        several => {
            let names: Vec<String> = several.iter().map(ToString::to_string).collect();
            format!("; keyslots {}, which it served, stay", names.join(", "))
        }
    }
}

/// The token that is meant.
fn choose(header: &Header, which: &TokenChoice) -> Result<TokenId, CommandError> {
    let metadata = metadata(header)?;
    if let Some(token) = which.token {
        let token = volume::token(token)?;
        return if metadata.tokens.contains_key(&token) { Ok(token) } else { Err(no_token(token)) };
    }
    let slot = volume::slot(which.slot.unwrap_or_default())?;
    let serving = metadata.tokens.iter().filter(|(_, token)| token.keyslots.contains(&slot));
    match serving.map(|(id, _)| *id).collect::<Vec<_>>().as_slice() {
        [] => Err(CommandError::plain(format!("no token serves keyslot {slot}")).hint(LIST)),
        [token] => Ok(*token),
        several => {
            let names: Vec<String> = several.iter().map(ToString::to_string).collect();
            let error = CommandError::plain(format!("several tokens serve keyslot {slot}: {}", names.join(", ")));
            Err(error.hint("--token-id N"))
        }
    }
}

const LIST: &str = "`cotter luks dump` lists the tokens";

fn no_token(token: TokenId) -> CommandError {
    CommandError::plain(format!("there is no token {token}")).hint(LIST)
}

fn metadata(header: &Header) -> Result<&Metadata, CommandError> {
    let none =
        || CommandError::plain("LUKS1 has no tokens").hint("`cotter luks meta` works on what LUKSMeta keeps there");
    header.as_luks2().map(|header| header.metadata()).ok_or_else(none)
}
