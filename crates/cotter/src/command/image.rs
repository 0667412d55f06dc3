//! `cotter image`: encrypted disk images, read and served without root and without the kernel.

mod select;

use crate::args::{CatArgs, ExportArgs, ImageCommand, InfoArgs, Volume};
use crate::command::luks::list::{Detail, print_binding};
use crate::error::{CommandError, visible};
use crate::host::Host;
use crate::opened;
use crate::output;
use crate::progress::Progress;
use crate::volume;
use block::nbd::{BlockSizes, Export, Report};
use block::{BlockRead, BlockWrite, Bytes};
use json::Object;
use linux::{Access, BlockEvent, BlockListener, FileDisk};
use luks::{Allowed, CopyState, DataPlace, Plain};
use select::{Found, Place};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

/// The decrypted content of an image.
type Content = Plain<Box<dyn BlockWrite>>;

/// Carries out one of the commands.
pub fn run(which: ImageCommand) -> Result<(), CommandError> {
    match which {
        ImageCommand::Info(args) => info(&args),
        ImageCommand::Cat(args) => cat(&args),
        ImageCommand::Serve(args) => serve(&args),
    }
}

fn info(args: &InfoArgs) -> Result<(), CommandError> {
    let disk = Arc::new(volume::open_disk(&args.file, Access::Read)?);
    let (scheme, places) = select::places(&disk)?;
    if !args.format.json {
        output::line(&format!("{}: {}, {scheme}", args.file.display(), disk.len()))?;
    }
    places.iter().try_for_each(|place| print_place(args, place))
}

fn print_place(args: &InfoArgs, place: &Place) -> Result<(), CommandError> {
    let partition = Object::new().with("partition", place.number.map_or(json::Value::Null, json::Value::from));
    let mut record = partition
        .clone()
        .with("kind", "place")
        .with("start", place.start.0)
        .with("length", place.disk.len().0)
        .with("name", place.name.as_str())
        .with("content", place.found.to_string());
    if let Found::Luks(header) = &place.found {
        record.insert("uuid", header.uuid().to_string());
    }
    output::record(args.format, record, || visible(&place.to_string()))?;
    let Found::Luks(header) = &place.found else { return Ok(()) };
    let copies = header.as_luks2().into_iter().flat_map(|header| header.copies());
    for (name, copy) in ["first", "second"].into_iter().zip(copies) {
        if !matches!(copy, CopyState::Good) {
            output::say(&format!("its {name} header copy is {}", visible(&copy.to_string())));
        }
    }
    let partition = partition.with("kind", "binding");
    unlock::bindings(header)
        .iter()
        .try_for_each(|b| print_binding(args.format, Detail::Policy, &partition, "    keyslot ", b))
}

/// How much is read, decrypted and written at a time.
const CHUNK: usize = 256 << 10;

fn cat(args: &CatArgs) -> Result<(), CommandError> {
    if output::is_seen() {
        return Err(CommandError::usage("the content of a disk is not for a terminal").hint("> FILE, or | COMMAND"));
    }
    let disk = Arc::new(volume::open_disk(&args.volume.file, Access::Read)?);
    let content = open(&args.volume, disk)?;
    let progress = Progress::bytes(content.len().0);
    let mut buffer = vec![0; CHUNK];
    linux::widen_stdout(4 * CHUNK);
    let mut offset = 0;
    while offset < content.len().0 {
        let left = usize::try_from(content.len().0 - offset).unwrap_or(CHUNK).min(CHUNK);
        let Some(chunk) = buffer.get_mut(..left) else { break };
        let read = content.read_at(Bytes(offset), chunk);
        read.map_err(|source| CommandError::failed("cannot read the image", source))?;
        output::data(chunk)?;
        offset += chunk.len() as u64;
        progress.advance(chunk.len() as u64);
    }
    Ok(())
}

/// Clients at a time.
const MOST_CLIENTS: NonZeroUsize = NonZeroUsize::new(64).unwrap();

fn serve(args: &ExportArgs) -> Result<(), CommandError> {
    let access = if args.read_write { Access::Write } else { Access::Read };
    let disk = Arc::new(volume::open_disk(&args.volume.file, access)?);
    // Two that write one image would ruin it; claimed before the header is read, so that the key stays the right one.
    let claim = (access == Access::Write).then(|| volume::claim(&disk)).transpose()?;
    let content = open(&args.volume, disk)?;
    let export = export(content, access).map_err(|source| CommandError::failed("cannot serve the image", source))?;
    let listener = BlockListener::bind(&args.socket).map_err(|source| {
        let hint = source.hint();
        CommandError::failed("cannot serve the image", source).hint(hint)
    })?;
    let stop = listener.stop_handle();
    linux::on_stop_signal(move |_| stop.stop())
        .map_err(|source| CommandError::failed("cannot watch for signals", source))?;
    announce(&args.socket, access);
    let served = listener.serve(&export, MOST_CLIENTS, &|event| output::say(&in_words(&event)));
    drop(claim);
    served.map_err(|source| {
        let hint = source.hint();
        CommandError::failed("cannot serve the image", source).hint(hint)
    })
}

fn export(content: Content, access: Access) -> Result<Export, block::nbd::ExportError> {
    let sizes = BlockSizes::from_minimum(content.sector_size())?;
    match access {
        Access::Read => Export::read_only("", Arc::new(content), sizes),
        Access::Write | Access::Alone => Export::read_write("", Arc::new(content), sizes),
    }
}

fn announce(socket: &Path, access: Access) {
    let way = if access == Access::Read { "read-only" } else { "read-write" };
    output::say(&format!("serving {way} at nbd+unix:///?socket={}", socket.display()));
}

fn in_words(event: &BlockEvent) -> String {
    match event {
        BlockEvent::Opened { connection } => format!("client {connection}: connected"),
        BlockEvent::Looked { connection, .. } => format!("client {connection}: looked and left"),
        BlockEvent::Served { connection, report } => format!("client {connection}: {}", summary(report)),
        BlockEvent::Broken { connection, error } => format!("client {connection}: {}", volume::reasons(error)),
        BlockEvent::TurnedAway => format!("a client was turned away: {MOST_CLIENTS} are connected"),
        BlockEvent::CannotAccept(error) => format!("cannot accept a client: {error}"),
    }
}

fn summary(report: &Report) -> String {
    let mut text = format!("read {}, wrote {}", report.read, report.written);
    if report.refused > 0 {
        text += &format!(", {} requests refused", report.refused);
    }
    if let Some(error) = &report.disk_failure {
        text += &format!(", the disk failed: {}", volume::reasons(error));
    }
    if let Err(error) = &report.end {
        text += &format!(", ended by: {}", volume::reasons(error));
    }
    text
}

/// Finds the volume, opens it as at boot or by the key that is named, and lays the decrypted view over it.
fn open(args: &Volume, disk: Arc<FileDisk>) -> Result<Content, CommandError> {
    let host = Host::new(args.patience.limit()).expecting(&args.expect)?;
    let (_, places) = select::places(&disk)?;
    let allowed = volume::allowed(&args.ceilings);
    let (part, header, key) = match &args.detached_header {
        None => {
            let is_whole = matches!(places.as_slice(), [Place { number: None, .. }]);
            let chosen = select::one(places, args);
            let (header, part) =
                chosen.map_err(|error| if is_whole { volume::not_a_volume(&disk, error, &host) } else { error })?;
            let header = volume::accept(header, &args.file, &allowed)?;
            let key = opened::open(&host.closed(&part, &header)?, &args.key, None, &host)?.key;
            (part, header, key)
        }
        Some(path) => {
            let part = select::data(places, args)?;
            let apart = volume::open_disk(path, Access::Read)?;
            let allowed = Allowed { data: DataPlace::OtherDisk, ..allowed };
            let header = volume::accept(volume::read_header(&apart)?, path, &allowed)?;
            let key = opened::open(&host.closed(&apart, &header)?, &args.key, None, &host)?.key;
            (part, header, key)
        }
    };
    disk.use_cache();
    Plain::new(part, &header, &key)
        .map_err(|source| CommandError::failed(format!("cannot decrypt {}", args.file.display()), source))
}
