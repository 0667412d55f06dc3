//! `cotter demo`: the whole product in ten seconds, on this machine, without root and without another program.
//!
//! Every step does through the library what the command beside it does, and says how long it took.

mod image;
mod server;
mod tar;
mod workshop;

use crate::args::DemoArgs;
use crate::command::decrypt::pin_error;
use crate::command::keys::make_keys;
use crate::error::CommandError;
use crate::host::Host;
use crate::output;
use crate::volume::{self, Seal};
use block::{BlockRead, Bytes};
use clevis::{Cancel, Config, TrustPolicy};
use crypto::SystemRandom;
use crypto::ec::Curve;
use image::DemoDisk;
use json::{Object, Value};
use luks::Plain;
use server::DemoServer;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use unlock::{BindRequest, NewMeta, Proof};
use workshop::Workshop;

/// How long the demonstration waits for its own server on loopback.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs it, and cleans up after it whatever happens.
pub fn run(args: &DemoArgs) -> Result<(), CommandError> {
    let host = Host::new(Duration::from_secs(60));
    host.cancel_on_signal()?;
    let workshop = Workshop::new(args.keep)?;
    let mut story = Story::begin(host.cancel().clone())?;
    let told = tell(&workshop, &mut story);
    workshop.close()?;
    told?;
    story.end(&workshop)
}

fn tell(workshop: &Workshop, story: &mut Story) -> Result<(), CommandError> {
    let server = serve(workshop, story)?;
    let disk = make_disk(workshop, story)?;
    bind(&disk, server.address(), story)?;
    show(&disk, story)?;
    let address = stop(&disk, server, story)?;
    open(&disk, workshop, address, story)
}

fn serve(workshop: &Workshop, story: &mut Story) -> Result<DemoServer, CommandError> {
    story.step("A key server. It holds a pair of keys of its own, and no key of any disk.")?;
    make_keys(&workshop.keys(), Curve::P521)?;
    let server = DemoServer::start(&workshop.keys(), None)?;
    story.command(&format!("cotter keys init {}", workshop.keys().display()))?;
    story.command(&format!("cotter serve --listen {} --keys {}", server.address(), workshop.keys().display()))?;
    story.done()?;
    Ok(server)
}

fn make_disk(workshop: &Workshop, story: &mut Story) -> Result<DemoDisk, CommandError> {
    story.step("A disk image: one GPT partition with LUKS2 in it, which a passphrase opens. One file is on it.")?;
    let disk = DemoDisk::make(&workshop.image())?;
    story.command(&format!("cotter luks format -d {}   (here: its partition 1)", workshop.image().display()))?;
    story.done()?;
    Ok(disk)
}

fn config(address: SocketAddr) -> String {
    let config = Object::new().with("url", format!("http://{address}"));
    Value::Object(config).to_compact().to_string()
}

fn bind(disk: &DemoDisk, address: SocketAddr, story: &mut Story) -> Result<(), CommandError> {
    story.step("Bind it: a second keyslot, whose random passphrase only comes back with the server's help.")?;
    let text = config(address);
    let host = Host::new(PATIENCE);
    let config = Config::parse(text.as_bytes()).map_err(|source| CommandError::failed("the configuration", source))?;
    let request = BindRequest {
        pin: "tang",
        config: &config,
        slot: None,
        token: None,
        proof: Proof::Required,
        new_meta: NewMeta::Refuse,
    };
    let prepared = unlock::prepare(&request, &host.ports(TrustPolicy::Yes));
    let prepared = prepared.map_err(|source| CommandError::failed("cannot bind", source))?;
    let key = disk.key_by_passphrase()?;
    let exclusive = || volume::exclusive(disk.file());
    let volume = unlock::Volume {
        disk: disk.volume(),
        allowed: ::luks::Allowed::default(),
        exclusive: &exclusive,
        reading: &exclusive,
        random: &SystemRandom,
        cancel: host.cancel(),
    };
    let bound = unlock::bind(&volume, &key, prepared);
    let bound = bound.map_err(|source| CommandError::failed("cannot bind", source))?;
    story.command(&format!("cotter luks bind -y -d DISK tang '{text}'"))?;
    story.note(&format!("keyslot {} is bound, and was opened once with the server's help to prove it", bound.slot))?;
    story.done()
}

fn show(disk: &DemoDisk, story: &mut Story) -> Result<(), CommandError> {
    story.step("What the disk now says about itself. Nothing of it opens anything without the server.")?;
    story.command("cotter luks list -d DISK")?;
    for binding in unlock::bindings(disk.header()?.header()) {
        let found = clevis::describe(&binding.jwe, crate::pins::ALL).map_err(|e| pin_error("cannot read it", e))?;
        let config = found.shown.config.to_compact();
        story.note(&format!("{}: {} '{}'", binding.slot, found.pin, config.as_str()))?;
    }
    story.done()
}

fn stop(disk: &DemoDisk, server: DemoServer, story: &mut Story) -> Result<SocketAddr, CommandError> {
    story.step("The disk is carried away: the server is out of reach.")?;
    let address = server.stop()?;
    story.command("cotter luks unlock --print-key -d DISK")?;
    let header = disk.header()?;
    match volume::open_by_bindings(&disk.closed(&header), None, Seal::Counts, &Host::new(PATIENCE)) {
        Ok(_) => return Err(CommandError::plain("the disk opened without its server, which must not happen")),
        Err(error) => error.to_string().lines().try_for_each(|line| story.note(line))?,
    }
    story.done()?;
    Ok(address)
}

fn open(disk: &DemoDisk, workshop: &Workshop, address: SocketAddr, story: &mut Story) -> Result<(), CommandError> {
    story.step("Back in its place, the server answers again: the disk opens, and nobody types anything.")?;
    let server = DemoServer::start(&workshop.keys(), Some(address))?;
    let header = disk.header()?;
    let unlocked = volume::open_by_bindings(&disk.closed(&header), None, Seal::Counts, &Host::new(PATIENCE))?;
    let plain = Plain::new(disk.volume(), &header, &unlocked.key);
    let plain = plain.map_err(|source| CommandError::failed("cannot decrypt the disk", source))?;
    let mut archive = vec![0; image::archive().len()];
    let read = plain.read_at(Bytes(0), &mut archive);
    read.map_err(|source| CommandError::failed("cannot read the disk", source))?;
    if archive != image::archive() {
        return Err(CommandError::plain("what was read is not what was written, which must not happen"));
    }
    story.command(&format!("cotter image cat {} | tar -xO {}", workshop.image().display(), image::FILE_NAME))?;
    image::FILE_TEXT.lines().try_for_each(|line| story.note(line))?;
    story.done()?;
    server.stop().map(|_| ())
}

/// What a reader sees: numbered steps, the command that does each of them, and the time it took.
struct Story {
    begin: Instant,
    step_begin: Instant,
    steps: u32,
    cancel: Cancel,
}

impl Story {
    fn begin(cancel: Cancel) -> Result<Story, CommandError> {
        output::line("A disk that opens itself where it belongs, and nowhere else.\n")?;
        let now = Instant::now();
        Ok(Story { begin: now, step_begin: now, steps: 0, cancel })
    }

    fn step(&mut self, text: &str) -> Result<(), CommandError> {
        if self.cancel.is_cancelled() {
            return Err(CommandError::plain("interrupted; everything is cleaned up"));
        }
        self.steps += 1;
        self.step_begin = Instant::now();
        output::line(&format!("{}. {text}", self.steps))
    }

    fn command(&self, text: &str) -> Result<(), CommandError> {
        output::line(&format!("     $ {text}"))
    }

    fn note(&self, text: &str) -> Result<(), CommandError> {
        output::line(&format!("       {text}"))
    }

    fn done(&self) -> Result<(), CommandError> {
        output::line(&format!("     {:.0} ms\n", self.step_begin.elapsed().as_secs_f64() * 1000.0))
    }

    fn end(&self, workshop: &Workshop) -> Result<(), CommandError> {
        let kept = if workshop.is_kept() { "Its files are in" } else { "Cleaned up:" };
        let seconds = self.begin.elapsed().as_secs_f64();
        output::line(&format!("That was all of it, in {seconds:.1} s. {kept} {}", workshop.path().display()))?;
        output::line("Your own first disk: README.md, or `cotter luks bind --help`.")
    }
}
