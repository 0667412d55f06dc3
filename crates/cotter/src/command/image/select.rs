//! Which part of an image is meant: the whole, or one of its partitions.

use crate::args::Volume;
use crate::error::CommandError;
use crate::volume;
use block::partition::{self, Scheme};
use block::{BlockRead, BlockWrite, Bytes, signature};
use linux::FileDisk;
use luks::{Header, HeaderError};
use std::fmt;
use std::sync::Arc;

/// A part of an image that may be a volume.
pub struct Place {
    /// The partition, counted from 1; `None`: the whole image.
    pub number: Option<u32>,
    /// Where it begins.
    pub start: Bytes,
    /// Its name in the partition table.
    pub name: String,
    /// What is in it.
    pub found: Found,
    /// Its bytes.
    pub disk: Box<dyn BlockWrite>,
}

/// What is in a part of an image.
pub enum Found {
    /// A LUKS2 volume.
    Luks(Box<Header>),
    /// LUKS that cannot be used, and why.
    Unusable(HeaderError),
    /// Something else that has a name.
    Other(&'static str),
    /// Nothing that has one.
    Unknown,
}

/// The partition table in a word, and all parts of an image.
pub fn places(disk: &Arc<FileDisk>) -> Result<(String, Vec<Place>), CommandError> {
    let _held = volume::lock_for_reading(disk)?;
    let cannot = |source| CommandError::failed(format!("cannot read {}", disk.path().display()), source);
    let whole = || -> Result<Place, CommandError> {
        let boxed: Box<dyn BlockWrite> = Box::new(disk.clone());
        Ok(Place {
            number: None,
            start: Bytes(0),
            name: String::new(),
            found: look(&boxed).map_err(cannot)?,
            disk: boxed,
        })
    };
    let table = match partition::read(disk) {
        Ok(None) => return Ok(("no partition table".into(), vec![whole()?])),
        // A volume may take the whole disk and still have something like a boot sector in its first bytes.
        Ok(Some(_)) | Err(_) if Header::read(disk).is_ok() => return Ok(("no partition table".into(), vec![whole()?])),
        Ok(Some(table)) => table,
        Err(source) => {
            let hint = source.hint();
            let what = format!("cannot read the partition table of {}", disk.path().display());
            return Err(CommandError::failed(what, source).hint(hint));
        }
    };
    let mut places = Vec::new();
    for partition in &table.partitions {
        let window = partition.window(disk.clone()).map_err(cannot)?;
        let boxed: Box<dyn BlockWrite> = Box::new(window);
        let found = look(&boxed).map_err(cannot)?;
        let (number, start, name) = (Some(partition.number), partition.start, partition.name.clone());
        places.push(Place { number, start, name, found, disk: boxed });
    }
    Ok((scheme(&table.scheme), places))
}

fn scheme(scheme: &Scheme) -> String {
    match scheme {
        Scheme::Mbr { .. } => "MBR".into(),
        Scheme::Gpt { damage: None, .. } => "GPT".into(),
        Scheme::Gpt { damage: Some(damage), .. } => format!("GPT, its {:?} copy damaged", damage.copy).to_lowercase(),
    }
}

fn look(disk: &dyn BlockRead) -> Result<Found, block::BlockError> {
    match Header::read(disk) {
        Ok(header) => Ok(Found::Luks(Box::new(header))),
        Err(HeaderError::NotLuks) => Ok(signature::find(disk)?.map_or(Found::Unknown, Found::Other)),
        Err(HeaderError::Disk { source }) => Err(source),
        Err(error) => Ok(Found::Unusable(error)),
    }
}

/// The data of a header that is elsewhere: the partition that is named, or the whole image if it has none.
pub fn data(mut places: Vec<Place>, args: &Volume) -> Result<Box<dyn BlockWrite>, CommandError> {
    refuse_missing(&places, args)?;
    places.retain(|place| place.number == args.partition);
    match places.pop() {
        Some(place) => Ok(place.disk),
        None => {
            let error = CommandError::plain(format!("{} has partitions, and none is named", args.file.display()));
            Err(error.hint("--partition N"))
        }
    }
}

/// The one volume that is meant: the partition that is named, or else the only one that is encrypted.
pub fn one(places: Vec<Place>, args: &Volume) -> Result<(Header, Box<dyn BlockWrite>), CommandError> {
    let named = |place: &Place| args.partition.is_none() || place.number == args.partition;
    let file = args.file.display();
    refuse_missing(&places, args)?;
    let (mut volumes, others): (Vec<Place>, Vec<Place>) =
        places.into_iter().filter(named).partition(|place| matches!(place.found, Found::Luks(_)));
    match (volumes.pop(), volumes.as_slice()) {
        (Some(Place { found: Found::Luks(header), disk, .. }), []) => Ok((*header, disk)),
        (None, _) => Err(no_volume(others, args)),
        (Some(last), rest) => {
            let all: Vec<String> = rest.iter().chain([&last]).map(|place| format!("\n  {place}")).collect();
            let error = CommandError::plain(format!("{file} has several encrypted partitions:{}", all.concat()));
            Err(error.hint("--partition N"))
        }
    }
}

/// Refuses a partition that is named and not there.
fn refuse_missing(places: &[Place], args: &Volume) -> Result<(), CommandError> {
    let Some(number) = args.partition.filter(|number| places.iter().all(|place| place.number != Some(*number))) else {
        return Ok(());
    };
    let there: Vec<String> = places.iter().filter_map(|place| place.number).map(|n| n.to_string()).collect();
    let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
    let error = CommandError::plain(format!("{} has no partition {number}", args.file.display()));
    Err(error.hint(format!("it has: {there}")))
}

fn no_volume(others: Vec<Place>, args: &Volume) -> CommandError {
    let what = format!("{} has no LUKS volume that can be used", args.file.display());
    let unusable = others.into_iter().find_map(|place| match place.found {
        Found::Unusable(error) => Some(error),
        _ => None,
    });
    match unusable {
        Some(error) => {
            let hint = error.hint();
            CommandError::failed(what, error).hint(hint)
        }
        None => CommandError::plain(what).hint(format!("cotter image info {}", args.file.display())),
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            Some(number) => write!(f, "  {number:>2}  {:>10}  {}", self.disk.len().to_string(), self.found)?,
            None => write!(f, "  whole  {}", self.found)?,
        }
        if self.name.is_empty() { Ok(()) } else { write!(f, "  \"{}\"", self.name) }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Found::Luks(header) => write!(f, "{} {}", header.version(), header.uuid()),
            Found::Unusable(error) => write!(f, "{error}"),
            Found::Other(name) => f.write_str(name),
            Found::Unknown => f.write_str("unknown"),
        }
    }
}
