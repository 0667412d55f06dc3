//! The settings of boot, as they lie in `/etc/cotter/boot.json` of a machine and of its boot image.
//!
//! ```json
//! {"mode":"answer","timeout":300,"try_for":2,"key_socket":false,"network":"when-needed",
//!  "name_servers":["192.0.2.1"],"hosts":{"tang.example":["192.0.2.7"]},
//!  "command_line":"ip=192.0.2.9::192.0.2.1:255.255.255.0::eth0:none","ca":"/etc/cotter/ca.pem"}
//! ```
//!
//! Each member may be absent, and so may the file. One that is not known, or that means nothing, makes the whole file an error: half of a
//! rule is another rule.

use crate::error::CommandError;
use earlynet::{CommandLine, Dialect, Name, Wanted};
use json::{Field, FieldError, JsonError, Limits, Object, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the settings are, on a machine and in its boot image.
pub const USUAL: &str = "/etc/cotter/boot.json";

/// Longest `timeout`, one day, and longest `try_for`, in seconds.
const LONGEST: (u64, u64) = (86_400, 600);

/// What opens volumes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Whoever asks gets the passphrase, and opens the volume himself.
    #[default]
    Answer,
    /// Volumes are mapped from the header that was accepted.
    Map,
}

/// Whether the network is touched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NetworkUse {
    /// It is brought up when a binding needs it and nobody has done so.
    #[default]
    WhenNeeded,
    /// Others bring it up, or nobody.
    Never,
}

/// What holds while the machine starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `mode`.
    pub mode: Mode,
    /// `timeout`: how long volumes are searched for, from the start of the search.
    pub timeout: Duration,
    /// `try_for`: how long one server has for its answer, the first time.
    pub try_for: Duration,
    /// `key_socket`: whether the key socket of crypttab is used.
    pub key_socket: bool,
    /// `network`.
    pub network: NetworkUse,
    /// `name_servers`: asked beside those that the network tells of.
    pub name_servers: Vec<IpAddr>,
    /// `hosts`: names that need no server.
    pub hosts: BTreeMap<String, Vec<IpAddr>>,
    /// `command_line`: words of the network for a kernel whose command line has none; empty: none.
    pub command_line: String,
    /// `ca`: who may sign the certificates of servers.
    pub ca: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            mode: Mode::default(),
            timeout: Duration::from_secs(300),
            try_for: Duration::from_secs(2),
            key_socket: false,
            network: NetworkUse::default(),
            name_servers: Vec::new(),
            hosts: BTreeMap::new(),
            command_line: String::new(),
            ca: None,
        }
    }
}

/// Why settings are not followed.
#[derive(Debug)]
pub enum SettingsError {
    /// Not JSON, or too much of it: at most 64 KiB and 4096 values.
    NotJson(JsonError),
    /// A member is of the wrong kind, or means nothing.
    Field(FieldError),
    /// A member that there is not.
    Unknown {
        /// Its name.
        name: String,
    },
    /// A word of `command_line` that cannot be obeyed, and why.
    Word(String),
}

impl Settings {
    /// The settings in this file; where there is none, those that hold without one.
    ///
    /// # Errors
    /// It cannot be read, or is not followed; the error names the file, the member and what to do.
    pub fn read(path: &Path) -> Result<Settings, CommandError> {
        let failed =
            |source| CommandError::failed(format!("cannot read the settings of boot {}", path.display()), source);
        match linux::read_regular_file(path, Limits::SMALL.bytes as u64 + 1) {
            Err(source) if source.kind() == ErrorKind::NotFound => Ok(Settings::default()),
            content => Settings::parse(&content.map_err(failed)?).map_err(|source| {
                let what = format!("the settings of boot {} are not followed", path.display());
                CommandError::failed(what, source).hint(format!("correct {}, then: cotter boot check", path.display()))
            }),
        }
    }

    /// Reads the content of a file.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn parse(text: &[u8]) -> Result<Settings, SettingsError> {
        let value = json::parse(text, &Limits::SMALL).map_err(SettingsError::NotJson)?;
        let mut settings = Settings::default();
        for (name, field) in value.field("settings").members()? {
            settings.take(name, &field)?;
        }
        Ok(settings)
    }

    fn take(&mut self, name: &str, field: &Field<'_>) -> Result<(), SettingsError> {
        match name {
            "mode" => {
                self.mode = one_of(field, &[("answer", Mode::Answer), ("map", Mode::Map)], "answer or map")?;
            }
            "timeout" => self.timeout = seconds(field, LONGEST.0, "a number of seconds from 1 to 86400")?,
            "try_for" => self.try_for = seconds(field, LONGEST.1, "a number of seconds from 1 to 600")?,
            "key_socket" => self.key_socket = field.bool()?,
            "network" => {
                let uses = [("when-needed", NetworkUse::WhenNeeded), ("never", NetworkUse::Never)];
                self.network = one_of(field, &uses, "when-needed or never")?;
            }
            "name_servers" => self.name_servers = addresses(field)?,
            "hosts" => self.hosts = hosts(field)?,
            "command_line" => self.command_line = command_line(field)?,
            "ca" => self.ca = Some(absolute(field)?),
            name => return Err(SettingsError::Unknown { name: name.to_owned() }),
        }
        Ok(())
    }

    /// As they stand in a file: only what is not so without it.
    #[allow(dead_code, reason = "what installs will write them")]
    pub fn to_text(&self) -> String {
        let (usual, mut object) = (Settings::default(), Object::new());
        let texts = |addresses: &[IpAddr]| -> Vec<Value> { addresses.iter().map(|a| a.to_string().into()).collect() };
        if self.mode == Mode::Map {
            object = object.with("mode", "map");
        }
        if self.timeout != usual.timeout {
            object = object.with("timeout", self.timeout.as_secs());
        }
        if self.try_for != usual.try_for {
            object = object.with("try_for", self.try_for.as_secs());
        }
        if self.key_socket {
            object = object.with("key_socket", true);
        }
        if self.network == NetworkUse::Never {
            object = object.with("network", "never");
        }
        if !self.name_servers.is_empty() {
            object = object.with("name_servers", texts(&self.name_servers));
        }
        if !self.hosts.is_empty() {
            let hosts =
                self.hosts.iter().fold(Object::new(), |all, (name, found)| all.with(name.as_str(), texts(found)));
            object = object.with("hosts", hosts);
        }
        if !self.command_line.is_empty() {
            object = object.with("command_line", self.command_line.as_str());
        }
        if let Some(ca) = &self.ca {
            object = object.with("ca", ca.to_string_lossy().as_ref());
        }
        format!("{}\n", Value::Object(object).to_compact().as_str())
    }
}

fn one_of<T: Copy>(field: &Field<'_>, known: &[(&str, T)], expected: &'static str) -> Result<T, FieldError> {
    let text = field.text()?;
    known.iter().find(|(name, _)| *name == text).map(|(_, value)| *value).ok_or_else(|| field.wrong_value(expected))
}

fn seconds(field: &Field<'_>, most: u64, expected: &'static str) -> Result<Duration, FieldError> {
    let number = field.integer()?;
    if (1..=most).contains(&number) { Ok(Duration::from_secs(number)) } else { Err(field.wrong_value(expected)) }
}

fn addresses(field: &Field<'_>) -> Result<Vec<IpAddr>, FieldError> {
    let address = |field: Field<'_>| field.text()?.parse().map_err(|_| field.wrong_value("an IP address"));
    field.items()?.map(address).collect()
}

fn hosts(field: &Field<'_>) -> Result<BTreeMap<String, Vec<IpAddr>>, FieldError> {
    let host = |(name, field): (&str, Field<'_>)| {
        Name::parse(name).map_err(|_| field.wrong_value("the name of a host"))?;
        let found = addresses(&field)?;
        if found.is_empty() {
            Err(field.wrong_value("a list of at least one address"))
        } else {
            Ok((name.to_owned(), found))
        }
    };
    field.members()?.map(host).collect()
}

/// A word that neither dialect understands is a slip of whoever wrote it.
fn command_line(field: &Field<'_>) -> Result<String, SettingsError> {
    let text = field.text()?;
    let line = CommandLine::parse(text.as_bytes()).map_err(|source| SettingsError::Word(source.to_string()))?;
    let fault = |dialect| Wanted::read(&line, dialect).faults.into_iter().next();
    match (fault(Dialect::Kernel), fault(Dialect::Dracut)) {
        (Some(fault), Some(_)) => Err(SettingsError::Word(fault.to_string())),
        _ => Ok(text.to_owned()),
    }
}

fn absolute(field: &Field<'_>) -> Result<PathBuf, FieldError> {
    let path = field.text()?;
    if path.starts_with('/') {
        Ok(path.into())
    } else {
        Err(field.wrong_value("a path from the root of the file system"))
    }
}

impl From<FieldError> for SettingsError {
    fn from(source: FieldError) -> SettingsError {
        SettingsError::Field(source)
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SettingsError::NotJson(_) => f.write_str("it is no JSON object"),
            SettingsError::Field(_) => f.write_str("a member cannot be used"),
            SettingsError::Unknown { name } => write!(f, "the member {name:?} is not known"),
            SettingsError::Word(why) => write!(f, "settings.command_line: {why}"),
        }
    }
}

impl std::error::Error for SettingsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            SettingsError::NotJson(source) => Some(source),
            SettingsError::Field(source) => Some(source),
            SettingsError::Unknown { .. } | SettingsError::Word(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str = r#"{"mode":"map","timeout":60,"try_for":5,"key_socket":true,"network":"never","name_servers":["192.0.2.1","2001:db8::1"],"hosts":{"tang.example":["192.0.2.7"]},"command_line":"ip=192.0.2.9::192.0.2.1:255.255.255.0::eth0:none","ca":"/etc/cotter/ca.pem"}"#;

    #[test]
    fn what_is_written_is_read() {
        let all = Settings::parse(ALL.as_bytes()).unwrap();
        assert_eq!(all.to_text(), format!("{ALL}\n"));
        assert_eq!((all.mode, all.timeout, all.network), (Mode::Map, Duration::from_secs(60), NetworkUse::Never));
        let usual = Settings::parse(b"{}").unwrap();
        assert_eq!((&usual, usual.to_text().as_str()), (&Settings::default(), "{}\n"));
        assert_eq!((usual.timeout.as_secs(), usual.try_for.as_secs()), (300, 2));
    }

    #[test]
    fn an_error_names_file_and_member() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("boot.json");
        assert_eq!(Settings::read(&path).unwrap(), Settings::default());
        for (text, member) in [
            (r#"{"mod":"map"}"#, "the member \"mod\" is not known"),
            (r#"{"mode":"maps"}"#, "settings.mode is not answer or map"),
            (r#"{"timeout":0}"#, "settings.timeout is not a number of seconds from 1 to 86400"),
            (r#"{"try_for":601}"#, "settings.try_for is not"),
            (r#"{"key_socket":1}"#, "settings.key_socket is not true or false"),
            (r#"{"network":"always"}"#, "settings.network is not when-needed or never"),
            (r#"{"name_servers":["one"]}"#, "settings.name_servers.0 is not an IP address"),
            (r#"{"hosts":{"a b":["192.0.2.1"]}}"#, "settings.hosts.a b is not the name of a host"),
            (r#"{"hosts":{"a":[]}}"#, "settings.hosts.a is not a list of at least one address"),
            (r#"{"command_line":"ip=1.2.3"}"#, "settings.command_line: "),
            (r#"{"ca":"ca.pem"}"#, "settings.ca is not a path"),
            ("[]", "settings is not an object"),
            ("", "no JSON object"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = Settings::read(&path).unwrap_err().to_string();
            assert!(
                error.contains(member) && error.contains("boot.json") && error.contains("try: "),
                "{text}: {error}"
            );
        }
    }
}
