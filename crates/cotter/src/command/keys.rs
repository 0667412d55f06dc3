//! `cotter keys`: the key directory of a server.

use crate::args::{Format, KeysCommand, KeysInitArgs, KeysListArgs, KeysPinArgs, KeysRotateArgs, KeysShowArgs};
use crate::error::CommandError;
use crate::host::Host;
use crate::output;
use clevis::ServerPin;
use crypto::SystemRandom;
use crypto::ec::Curve;
use jose::{Jwk, Thumbprint, ThumbprintHash};
use json::Object;
use linux::KeyDirectory;
use std::io::ErrorKind;
use std::path::Path;
use tang::server::{KeyFile, KeySet, KeyState, Role};
use tang::{Advertisement, Trust};

/// Longest file of certificates, as for TLS.
const LONGEST_PEM: u64 = 1 << 20;

/// Carries out one of the commands.
pub fn run(which: KeysCommand) -> Result<(), CommandError> {
    match which {
        KeysCommand::Init(args) => init(&args),
        KeysCommand::Show(args) => show(&args),
        KeysCommand::Pin(args) => pin(&args),
        KeysCommand::Rotate(args) => rotate(&args),
        KeysCommand::List(args) => list(&args),
    }
}

fn init(args: &KeysInitArgs) -> Result<(), CommandError> {
    make_keys(&args.dir, args.curve.into())?;
    let set = load(&args.dir)?;
    for thumbprint in set.signing_thumbprints() {
        output::line(thumbprint.as_str())?;
    }
    output::say(&format!("keys made; serve them with: cotter serve --listen ADDR:PORT --keys {}", args.dir.display()));
    Ok(())
}

/// Makes a directory with a new pair; refuses one that has keys.
pub fn make_keys(dir: &Path, curve: Curve) -> Result<(), CommandError> {
    let directory = KeyDirectory::create(dir).map_err(cannot("cannot make the key directory", dir))?;
    let found = directory.read().map_err(cannot("cannot read the key directory", dir))?;
    if found.iter().any(|(name, _)| name.ends_with(".jwk")) {
        let error = CommandError::plain(format!("{} has keys already", dir.display()));
        return Err(error.hint(format!(
            "`cotter keys show {0}` shows them, `cotter keys rotate {0}` makes new ones",
            dir.display()
        )));
    }
    add_pair(&directory, dir, curve)
}

/// Writes a new pair; both files are on stable storage when this returns.
fn add_pair(directory: &KeyDirectory, dir: &Path, curve: Curve) -> Result<(), CommandError> {
    let failed = |source| CommandError::failed("cannot make a key", source);
    let pair = [Jwk::signing(curve, &SystemRandom), Jwk::exchange(curve, &SystemRandom)];
    for key in pair {
        let file = KeyFile::named_by_thumbprint(key.map_err(failed)?);
        let contents = file.key().private_json();
        directory.add(file.name(), contents.as_bytes()).map_err(cannot("cannot write a key into", dir))?;
    }
    directory.sync().map_err(cannot("cannot write a key into", dir))
}

/// The new pair is made and synced before the old one is hidden: a client that asks in between finds both.
fn rotate(args: &KeysRotateArgs) -> Result<(), CommandError> {
    let dir = &args.dir;
    let directory = KeyDirectory::open(dir).map_err(cannot("cannot open the key directory", dir))?;
    let old: Vec<String> = visible_files(&load(dir)?).map(|file| file.name().to_owned()).collect();
    add_pair(&directory, dir, args.curve.into())?;
    for name in &old {
        directory.rename(name, &format!(".{name}")).map_err(cannot("cannot hide a key in", dir))?;
        output::say(&format!("hidden: {name}"));
    }
    directory.sync().map_err(cannot("cannot hide a key in", dir))?;
    for thumbprint in load(dir)?.signing_thumbprints() {
        output::line(thumbprint.as_str())?;
    }
    Ok(())
}

fn show(args: &KeysShowArgs) -> Result<(), CommandError> {
    let path = Path::new(&args.source);
    // Without a scheme it may have been meant as either.
    let or_directory = |error: CommandError| {
        match args.source.contains("://") {
        true => error,
        false => error.hint(format!(
            "there is no directory {0} either: `cotter keys init {0}` makes one; an address of a server is written http://{0}",
            path.display()
        )),
    }
    };
    if is_path(&args.source) && !path.is_dir() {
        return Err(
            CommandError::plain(format!("there is no directory {}", path.display())).hint("cotter keys init DIR")
        );
    }
    let thumbprints =
        if path.is_dir() { load(path)?.signing_thumbprints() } else { ask(args).map_err(or_directory)? };
    for thumbprint in thumbprints {
        let record = Object::new().with("thumbprint", thumbprint.as_str());
        output::record(args.format, record, || thumbprint.to_string())?;
    }
    Ok(())
}

/// Whether this can only be meant as a path: an address begins with a scheme or a host.
fn is_path(source: &str) -> bool {
    source.starts_with(['/', '.']) || Path::new(source).is_file()
}

/// The thumbprints that a running server advertises. Nothing is trusted: they are for a person to compare.
fn ask(args: &KeysShowArgs) -> Result<Vec<Thumbprint>, CommandError> {
    let answer = Host::new(args.patience.limit()).advertisement(&args.source)?;
    let advertisement = Advertisement::verify(&answer, &Trust::Anyone);
    let what = || format!("{} does not advertise keys", args.source);
    Ok(advertisement.map_err(|source| CommandError::failed(what(), source))?.signing_thumbprints())
}

/// The pins of the keys in a file, or of the one that a server proves to hold: for a person to compare.
fn pin(args: &KeysPinArgs) -> Result<(), CommandError> {
    let path = Path::new(&args.source);
    let pins = match is_path(&args.source) {
        true => pins_in(path)?,
        false => vec![Host::new(args.patience.limit()).server_pin(&args.source)?],
    };
    for pin in pins {
        output::record(args.format, Object::new().with("pin", pin.to_string()), || pin.to_string())?;
    }
    Ok(())
}

fn pins_in(path: &Path) -> Result<Vec<ServerPin>, CommandError> {
    let failed = |source| CommandError::failed(format!("cannot read {}", path.display()), source);
    let pem = linux::read_regular_file(path, LONGEST_PEM)
        .map_err(|source| failed(source).hint("an address begins with https://"))?;
    linux::server_pins(&pem).map_err(|source| {
        let error = CommandError::failed(format!("{} tells no pin", path.display()), source);
        error.hint("it must have certificates or public keys: `openssl pkey -in KEY.pem -pubout` gives that of a key")
    })
}

fn list(args: &KeysListArgs) -> Result<(), CommandError> {
    let set = read_files(&args.dir)?;
    for file in &set {
        print_key(args.format, file)?;
    }
    Ok(())
}

fn print_key(format: Format, file: &KeyFile) -> Result<(), CommandError> {
    let state = if file.state() == KeyState::Visible { "advertised" } else { "rotated" };
    let role = match file.role() {
        Role::Signing => "signing",
        Role::Exchange => "exchange",
        Role::Other => "unused",
    };
    let curve = file.key().point().map_or("-", |point| point.curve().jose_name());
    let thumbprint = file.key().thumbprint(ThumbprintHash::S256);
    let record = Object::new()
        .with("thumbprint", thumbprint.as_str())
        .with("state", state)
        .with("role", role)
        .with("curve", curve)
        .with("file", file.name());
    output::record(format, record, || format!("{thumbprint}  {state:10}  {role:8}  {curve:5}  {}", file.name()))
}

fn visible_files(set: &KeySet) -> impl Iterator<Item = &KeyFile> {
    set.files().iter().filter(|file| file.state() == KeyState::Visible)
}

fn load(dir: &Path) -> Result<KeySet, CommandError> {
    let directory = KeyDirectory::open(dir).map_err(cannot("cannot open the key directory", dir))?;
    let files = directory.read().map_err(cannot("cannot read the key directory", dir))?;
    let what = || format!("the keys in {} cannot be served", dir.display());
    KeySet::load(files).map_err(|source| {
        let hint = format!(
            "`cotter keys list {0}` shows what is there, `cotter keys init {0}` makes the first pair",
            dir.display()
        );
        CommandError::failed(what(), source).hint(hint)
    })
}

/// Every key of the directory, also where the set as a whole could not be served.
fn read_files(dir: &Path) -> Result<Vec<KeyFile>, CommandError> {
    let directory = KeyDirectory::open(dir).map_err(cannot("cannot open the key directory", dir))?;
    let mut contents = directory.read().map_err(cannot("cannot read the key directory", dir))?;
    contents.sort_by(|(a, _), (b, _)| a.cmp(b));
    let files = contents.iter().filter_map(|(name, contents)| KeyFile::read(name, contents).transpose());
    files.collect::<Result<_, _>>().map_err(|source| CommandError::failed(dir.display().to_string(), source))
}

fn cannot(what: &'static str, dir: &Path) -> impl Fn(std::io::Error) -> CommandError {
    move |source| {
        let name = dir.display();
        let hint = match source.kind() {
            ErrorKind::NotFound if dir.parent().is_some_and(|above| above.as_os_str().is_empty() || above.is_dir()) => {
                format!("`cotter keys init {name}` makes it, with the first pair")
            }
            ErrorKind::NotFound => "make the directory above it first: `mkdir -p`".to_owned(),
            ErrorKind::PermissionDenied => format!("see who may: `ls -ld {name}`; root may"),
            ErrorKind::AlreadyExists | ErrorKind::NotADirectory => {
                format!("name another one; see what it is: `ls -ld {name}`")
            }
            _ => String::new(),
        };
        CommandError::failed(format!("{what} {name}"), source).hint(hint)
    }
}
