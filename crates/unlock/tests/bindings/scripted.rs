//! Disks in memory, a key server in the same process, and a person.

use block::{BlockRead, BlockWrite, Bytes, MemoryDisk};
use clevis::pins::Null;
use clevis::{
    Cancel, Config, Deadline, HttpRequest, HttpResponse, Lost, Made, Method, Net, NetError, Opened, PersonError, Pin,
    PinError, Ports, Shown, TrustPolicy,
};
use crypto::ec::Curve;
use crypto::kdf::Argon2Cost;
use crypto::{Hash, Passphrase, Secret, SystemRandom, VolumeKey};
use jose::{Jwe, Jwk, ThumbprintHash};
use json::{Field, Object, Value};
use luks::{Accepted, Allowed, Edit, FormatOptions, FormatPlan, Header, KdfCost, LEAST_ITERATIONS, Slot};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;
use tang::server::{KeySet, ServerRequest};
use unlock::identity::{Closed, Expectation};
use unlock::{BindRequest, Exclusive, NewMeta, Proof, Volume};

/// A network of one server, `http://s`, which can be unplugged and whose keys can be rotated; `http://silent` never answers.
pub(crate) struct OneServer {
    pairs: Mutex<Vec<Pair>>,
    plugged: AtomicBool,
    pub(crate) asked: AtomicUsize,
    /// What the person was asked.
    pub(crate) questions: Mutex<Vec<String>>,
    /// The person's answer; `None`: there is nobody.
    pub(crate) answer: Mutex<Option<bool>>,
}

struct Pair {
    signing: Jwk,
    exchange: Jwk,
}

impl Pair {
    fn new() -> Pair {
        let signing = Jwk::signing(Curve::P256, &SystemRandom).unwrap();
        Pair { signing, exchange: Jwk::exchange(Curve::P256, &SystemRandom).unwrap() }
    }
}

impl OneServer {
    pub(crate) fn new() -> OneServer {
        OneServer {
            pairs: Mutex::new(vec![Pair::new()]),
            plugged: AtomicBool::new(true),
            asked: AtomicUsize::new(0),
            questions: Mutex::default(),
            answer: Mutex::new(None),
        }
    }

    pub(crate) fn unplug(&self) {
        self.plugged.store(false, Ordering::SeqCst);
    }

    pub(crate) fn plug_in(&self) {
        self.plugged.store(true, Ordering::SeqCst);
    }

    /// New keys are advertised; the old ones are hidden and still answer.
    pub(crate) fn rotate(&self) {
        self.pairs.lock().unwrap().push(Pair::new());
    }

    /// Only the newest keys are left.
    pub(crate) fn forget_rotated(&self) {
        let mut pairs = self.pairs.lock().unwrap();
        let newest = pairs.pop().unwrap();
        *pairs = vec![newest];
    }

    /// Another server stands in its place.
    pub(crate) fn swap(&self) {
        *self.pairs.lock().unwrap() = vec![Pair::new()];
    }

    /// The thumbprint of the signing key that it advertises.
    pub(crate) fn thp(&self) -> String {
        self.pairs.lock().unwrap().last().unwrap().signing.thumbprint(ThumbprintHash::S256).to_string()
    }

    fn keys(&self) -> KeySet {
        let file = |name: String, key: &Jwk| (name, Secret::copied_from(key.private_json().as_bytes()));
        let pairs = self.pairs.lock().unwrap();
        let hidden = |index: usize| if index + 1 < pairs.len() { "." } else { "" };
        let files = pairs.iter().enumerate().flat_map(|(index, pair)| {
            let dot = hidden(index);
            [file(format!("{dot}s{index}.jwk"), &pair.signing), file(format!("{dot}e{index}.jwk"), &pair.exchange)]
        });
        KeySet::load(files.collect()).unwrap()
    }

    pub(crate) fn advertisement(&self) -> String {
        let request = ServerRequest { method: "GET", target: "/adv", body: b"" };
        String::from_utf8(self.keys().answer(&request).body.as_ref().to_vec()).unwrap()
    }
}

impl Net for OneServer {
    fn exchange(&self, request: &HttpRequest<'_>, _: Deadline, cancel: &Cancel) -> Result<HttpResponse, NetError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if request.url.starts_with("http://silent") {
            while !cancel.is_cancelled() {
                std::thread::yield_now();
            }
            return Err(NetError::Cancelled);
        }
        let target = request.url.strip_prefix("http://s/").filter(|_| self.plugged.load(Ordering::SeqCst));
        let Some(target) = target else {
            let source = io::Error::from(io::ErrorKind::ConnectionRefused);
            return Err(NetError::Connect { address: "s:80".into(), source });
        };
        let method = if request.method == Method::Get { "GET" } else { "POST" };
        let request = ServerRequest { method, target: &format!("/{target}"), body: request.body };
        let response = self.keys().answer(&request);
        Ok(HttpResponse { status: response.status, body: response.body.as_ref().to_vec() })
    }
}

impl clevis::Person for OneServer {
    fn confirm(&self, question: &str) -> Result<bool, PersonError> {
        self.questions.lock().unwrap().push(question.to_owned());
        self.answer.lock().unwrap().ok_or(PersonError::NoTerminal)
    }

    fn pin(&self, question: &str, _: &Cancel) -> Result<Secret, PersonError> {
        self.questions.lock().unwrap().push(question.to_owned());
        Err(PersonError::NoTerminal)
    }
}

impl clevis::Files for OneServer {
    fn read(&self, _: &str) -> Result<Secret, io::Error> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn read_key(&self, _: &str) -> Result<Secret, io::Error> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn make_key(&self, _: &str, _: &Secret) -> Result<(), io::Error> {
        Err(io::ErrorKind::PermissionDenied.into())
    }
}

/// Ports that trust whoever answers.
pub(crate) fn ports<'a>(net: &'a OneServer, cancel: &'a Cancel) -> Ports<'a> {
    static MADE: Made = Made::new();
    let (until, trust) = (Deadline::NEVER, TrustPolicy::Yes);
    Ports {
        pins: clevis::pins::ALL,
        net,
        tpm: None,
        approvals: &[],
        parents: &[],
        replaces: false,
        made: &MADE,
        files: net,
        person: net,
        random: &SystemRandom,
        trust,
        until,
        cancel,
    }
}

/// All the time in the world.
pub(crate) fn no_limit() -> Duration {
    Duration::MAX
}

/// Ports that ask the person.
pub(crate) fn asking<'a>(net: &'a OneServer, cancel: &'a Cancel) -> Ports<'a> {
    Ports { trust: TrustPolicy::Ask, ..ports(net, cancel) }
}

pub(crate) fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(Secret::copied_from(text.as_bytes()))
}

/// A LUKS2 volume that `typed` opens in slot 0.
pub(crate) fn formatted() -> (MemoryDisk, VolumeKey) {
    let disk = MemoryDisk::zeroed(17 << 20);
    let plan = FormatPlan::new(disk.len(), FormatOptions::new(cheap())).unwrap();
    let made = plan.apply(&disk, &passphrase("typed"), &SystemRandom, &mut |_| ()).unwrap();
    (disk, made.key)
}

/// A LUKS1 volume that `typed` opens in slot 0; every byte of its data is 7.
pub(crate) fn formatted_luks1() -> (MemoryDisk, VolumeKey) {
    let disk = MemoryDisk::zeroed(3 << 20);
    let plan = FormatPlan::new(disk.len(), FormatOptions::luks1(cheap_luks1(), 64)).unwrap();
    let made = plan.apply(&disk, &passphrase("typed"), &SystemRandom, &mut |_| ()).unwrap();
    disk.write_at(Bytes(2 << 20), &vec![7; 1 << 20]).unwrap();
    (disk, made.key)
}

/// What a test takes for a person's derivation on LUKS1.
pub(crate) fn cheap_luks1() -> KdfCost {
    // One more than for a passphrase that nobody types.
    KdfCost::Pbkdf2 { hash: Hash::Sha256, iterations: LEAST_ITERATIONS.saturating_add(1) }
}

/// What a test takes for a person's derivation.
pub(crate) fn cheap() -> KdfCost {
    KdfCost::argon2id(Argon2Cost { memory_kib: 32, passes: 1, lanes: 1 })
}

pub(crate) fn accepted(disk: &dyn BlockRead) -> Accepted {
    Header::read(disk).unwrap().accept(&Allowed::default()).unwrap()
}

/// Nothing is expected of any volume.
static ANY: LazyLock<Expectation> = LazyLock::new(Expectation::default);

/// A volume that may be any.
pub(crate) fn closed<'a>(disk: &'a dyn BlockRead, header: &'a Accepted) -> Closed<'a> {
    Closed { disk, header, expected: &ANY }
}

/// A lock that nobody else wants.
pub(crate) fn free() -> Result<Box<dyn Send>, Box<dyn std::error::Error + Send + Sync>> {
    Ok(Box::new(()))
}

pub(crate) fn volume<'a>(disk: &'a dyn BlockWrite, exclusive: &'a Exclusive<'a>, cancel: &'a Cancel) -> Volume<'a> {
    Volume { disk, allowed: Allowed::default(), exclusive, reading: &free, random: &SystemRandom, cancel }
}

pub(crate) fn request<'a>(pin: &'a str, config: &'a Config) -> BindRequest<'a> {
    BindRequest { pin, config, slot: None, token: None, proof: Proof::IfReachable, new_meta: NewMeta::Make }
}

pub(crate) fn config(text: &str) -> Config {
    Config::parse(text.as_bytes()).unwrap()
}

pub(crate) fn bind(disk: &dyn BlockWrite, key: &VolumeKey, net: &OneServer, pin: &str, text: &str) -> unlock::Bound {
    let (cancel, config) = (Cancel::new(), config(text));
    let prepared = unlock::prepare(&request(pin, &config), &ports(net, &cancel)).unwrap();
    unlock::bind(&volume(disk, &free, &cancel), key, prepared).unwrap()
}

/// A policy of one server.
pub(crate) const TANG: &str = r#"{"url":"http://s"}"#;

/// The one binding of this slot.
pub(crate) fn binding(disk: &dyn BlockRead, slot: Slot) -> unlock::Binding {
    let mut found = unlock::bindings(accepted(disk).header());
    found.retain(|binding| binding.slot == slot);
    assert_eq!(found.len(), 1);
    found.remove(0)
}

/// Opens one binding.
pub(crate) fn open(disk: &dyn BlockRead, binding: &unlock::Binding, net: &OneServer) -> Option<unlock::Unlocked> {
    let plan = unlock::plan(vec![binding.clone()], None);
    unlock::run(plan, &closed(disk, &accepted(disk)), &ports(net, &Cancel::new()), &no_limit, &mut |_| ()).ok()
}

/// A keyslot and the token of a binding for it, without proof.
pub(crate) fn put_token(disk: &MemoryDisk, key: &VolumeKey, opens: &Passphrase, jwe: &Jwe) {
    let header = accepted(disk);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    let kdf = KdfCost::random_passphrase(Hash::Sha256);
    let new = luks::NewKeyslot { key, passphrase: opens, slot: None, kdf, af_hash: Hash::Sha256 };
    let slot = edit.add_keyslot(&new).unwrap();
    let members =
        Object::new().with("type", "clevis").with("keyslots", vec![slot.to_string()]).with("jwe", jwe.to_flattened());
    edit.add_token(None, members).unwrap();
    edit.apply(disk).unwrap();
}

/// A lock at whose end something happens to the disk.
pub(crate) struct Then<F: FnOnce()>(pub(crate) Option<F>);

impl<F: FnOnce()> Drop for Then<F> {
    fn drop(&mut self) {
        if let Some(then) = self.0.take() {
            then();
        }
    }
}

/// Changes a byte of a keyslot's key material.
pub(crate) fn spoiler(disk: &Arc<MemoryDisk>, slot: Slot) -> impl FnOnce() + use<> {
    let disk = disk.clone();
    move || {
        let area = accepted(&disk).header().as_luks2().unwrap().metadata().keyslots[&slot].area;
        let mut byte = [0];
        disk.read_at(area.offset(), &mut byte).unwrap();
        disk.write_at(area.offset(), &[byte[0] ^ 1]).unwrap();
    }
}

/// The pin `null`, but for how it opens.
pub(crate) struct NullButFor<F>(pub(crate) F);

impl<F: Fn(&Jwe, &Ports<'_>) -> Result<Opened, PinError> + Sync> Pin for NullButFor<F> {
    fn name(&self) -> &'static str {
        "null"
    }

    fn check(&self, _: &Config, _: &[&dyn Pin]) -> Result<(), PinError> {
        Ok(())
    }

    fn encrypt(&self, config: &Config, secret: &Secret, beside: &Object, ports: &Ports<'_>) -> Result<Jwe, PinError> {
        Null.encrypt(config, secret, beside, ports)
    }

    fn open(&self, jwe: &Jwe, ports: &Ports<'_>) -> Result<Opened, PinError> {
        (self.0)(jwe, ports)
    }

    fn describe(&self, header: &Field<'_>, pins: &[&dyn Pin]) -> Result<Shown, PinError> {
        Null.describe(header, pins)
    }

    fn stored(&self, header: &Field<'_>, pins: &[&dyn Pin], lost: &mut Vec<Lost>) -> Result<Value, PinError> {
        Null.stored(header, pins, lost)
    }

    fn meets(&self, config: &Config, header: &Field<'_>, pins: &[&dyn Pin]) -> Result<bool, PinError> {
        Null.meets(config, header, pins)
    }
}
