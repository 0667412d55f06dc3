//! What stands behind an event, in words that a person knows.
//!
//! Read after the TCG PC Client Platform Firmware Profile (sections 9.4 and 10.4), UEFI's load options and device paths, and what GRUB 2.06
//! (`grub-core/commands/efi/tpm.c`), systemd-boot and systemd-stub 252 and the kernel's EFI stub (`drivers/firmware/efi/libstub`) write.
//! What is read is what somebody said, and proves nothing: the digests do.

use super::device_path;
use super::kind::EventKind;
use super::read::Event;
use super::reader::{Reader, text, utf16, visible};
use std::fmt;

/// GUID of UEFI's own variables (`EFI_GLOBAL_VARIABLE`), as they lie in memory.
pub const GLOBAL_VARIABLE: [u8; 16] =
    [0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c];
/// GUID of `db` and `dbx` (`EFI_IMAGE_SECURITY_DATABASE_GUID`).
pub const SECURITY_DATABASE: [u8; 16] =
    [0xcb, 0xb2, 0x19, 0xd7, 0x3a, 0x3d, 0x96, 0x45, 0xa3, 0xbc, 0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f];

/// Tags of the kernel's EFI stub.
const LOAD_OPTIONS_TAG: u32 = 0x8f3b_22ed;
const INITRD_TAG: u32 = 0x8f3b_22ec;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Component {
    /// The firmware, or a part of it.
    Firmware {
        /// What it says of itself.
        name: String,
    },
    /// The end of what the firmware measures into this PCR.
    Separator,
    /// A variable of Secure Boot or of the boot order.
    Variable(Variable),
    /// An entry of the boot order.
    BootEntry {
        /// The variable.
        variable: String,
        /// What a menu would show.
        description: String,
        /// The file that it starts, if it names one.
        file: Option<String>,
    },
    /// The signer that let a program run.
    Authority(Variable),
    /// A program.
    Program {
        /// Its file; firmware, cards and kernels that shim lets run have none.
        file: Option<String>,
    },
    /// A partition table.
    PartitionTable,
    /// Something that the firmware has done.
    Action {
        /// In its words.
        words: String,
    },
    /// A command of GRUB.
    GrubCommand {
        /// With its words.
        command: String,
    },
    /// The kernel's command line, as somebody passes it.
    CommandLine {
        /// If it is said.
        line: Option<String>,
    },
    /// A file that GRUB has read.
    File {
        /// Its path.
        path: String,
    },
    /// A section of a unified image: once its name, and once its content.
    Section {
        /// Its name.
        name: String,
    },
    /// The initramfs, as the kernel takes it.
    Initramfs,
    /// What shim keeps.
    Shim {
        /// The name of its list.
        list: String,
    },
    /// Nothing that is known here.
    Other {
        /// What is said, as far as it is text.
        words: String,
    },
}

/// A variable of the firmware.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Whose it is.
    pub guid: [u8; 16],
    /// Its name.
    pub name: String,
    /// Its content.
    pub data: Vec<u8>,
}

impl Variable {
    /// Reads `UEFI_VARIABLE_DATA`.
    pub fn read(data: &[u8]) -> Option<Variable> {
        let mut reader = Reader::new(data);
        let guid = reader.array()?;
        let (name_len, data_len) = (reader.u64()?, reader.u64()?);
        let name = utf16(reader.take_u64(name_len.checked_mul(2)?)?);
        Some(Variable { guid, name, data: reader.take_u64(data_len)?.to_vec() })
    }

    /// Writes it as it is measured: without a zero behind the name.
    pub fn to_bytes(&self) -> Vec<u8> {
        let name: Vec<u8> = self.name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let lengths = [name.len() / 2, self.data.len()].map(|len| u64::try_from(len).unwrap_or(u64::MAX).to_le_bytes());
        [&self.guid[..], &lengths.concat(), &name, &self.data].concat()
    }
}

/// Whether this is what `db` and `dbx` hold: one `EFI_SIGNATURE_LIST` behind the other, with at least one signature (UEFI 2.10, 32.4.1).
pub fn is_signature_lists(bytes: &[u8]) -> bool {
    let mut reader = Reader::new(bytes);
    while !reader.is_at_end() {
        if signature_list(&mut reader).is_none() {
            return false;
        }
    }
    !bytes.is_empty()
}

/// Type, length of all, length of its header, length of each signature; each begins with its owner.
fn signature_list(reader: &mut Reader<'_>) -> Option<()> {
    reader.take(16)?;
    let (all, header, each) = (reader.u32()?, reader.u32()?, reader.u32()?);
    let signatures = all.checked_sub(28)?.checked_sub(header)?;
    let whole = each > 16 && signatures > 0 && signatures.checked_rem(each)? == 0;
    reader.take_u64(header.into())?;
    reader.take_u64(signatures.into())?;
    whole.then_some(())
}

impl Event {
    /// What stands behind it.
    pub fn component(&self) -> Component {
        let other = || Component::Other { words: text(&self.data) };
        match self.kind {
            EventKind::SEPARATOR => Component::Separator,
            EventKind::VARIABLE_DRIVER_CONFIG => Variable::read(&self.data).map_or_else(other, Component::Variable),
            EventKind::VARIABLE_AUTHORITY => Variable::read(&self.data).map_or_else(other, Component::Authority),
            EventKind::VARIABLE_BOOT | EventKind::VARIABLE_BOOT2 => boot_variable(&self.data).unwrap_or_else(other),
            EventKind::BOOT_SERVICES_APPLICATION
            | EventKind::BOOT_SERVICES_DRIVER
            | EventKind::RUNTIME_SERVICES_DRIVER => Component::Program { file: program(&self.data) },
            EventKind::GPT => Component::PartitionTable,
            EventKind::ACTION | EventKind(0x5) => Component::Action { words: text(&self.data) },
            EventKind::S_CRTM_VERSION => Component::Firmware { name: visible(&utf16(&self.data)) },
            EventKind::FIRMWARE_BLOB2 => Component::Firmware { name: blob_name(&self.data) },
            EventKind::FIRMWARE_BLOB | EventKind(0x1 | 0x7 | 0x8000_0010) => {
                Component::Firmware { name: String::new() }
            }
            EventKind::EVENT_TAG => tagged(&self.data).unwrap_or_else(other),
            EventKind::IPL => loader(self.pcr, &self.data),
            _ => other(),
        }
    }
}

/// `BootOrder`, or `Boot0001` with its load option. The first specification measured the content alone; then it is no variable.
fn boot_variable(data: &[u8]) -> Option<Component> {
    let variable = Variable::read(data)?;
    let number = variable.name.strip_prefix("Boot").filter(|rest| rest.len() == 4);
    if number.is_none_or(|digits| !digits.chars().all(|c| c.is_ascii_hexdigit())) {
        return Some(Component::Variable(variable));
    }
    // `EFI_LOAD_OPTION`: attributes, length of the device path, description with its zero, device path.
    let mut reader = Reader::new(&variable.data);
    let found = reader.u32().and_then(|_| reader.u16()).map(|path_len| {
        let description = utf16(reader.rest());
        let len = description.encode_utf16().count().saturating_add(1).saturating_mul(2);
        let file = reader.take(len).and_then(|_| reader.take(path_len.into())).and_then(device_path::file);
        (visible(&description), file)
    });
    let (description, file) = found.unwrap_or_default();
    Some(Component::BootEntry { variable: variable.name, description, file })
}

/// `UEFI_IMAGE_LOAD_EVENT`: place, length and link time address in memory, length of the device path, device path.
fn program(data: &[u8]) -> Option<String> {
    let mut reader = Reader::new(data);
    reader.take(24)?;
    let len = reader.u64()?;
    device_path::file(reader.take_u64(len)?)
}

/// `UEFI_PLATFORM_FIRMWARE_BLOB2`: length of the name, name, place.
fn blob_name(data: &[u8]) -> String {
    let mut reader = Reader::new(data);
    reader.u8().and_then(|len| reader.take(len.into())).map(text).unwrap_or_default()
}

/// `TCG_PCClientTaggedEvent`: tag, length, data.
fn tagged(data: &[u8]) -> Option<Component> {
    let mut reader = Reader::new(data);
    let (tag, len) = (reader.u32()?, reader.u32()?);
    let said = reader.take_u64(len.into())?;
    Some(match tag {
        LOAD_OPTIONS_TAG => Component::CommandLine { line: None },
        INITRD_TAG => Component::Initramfs,
        _ => Component::Other { words: text(said) },
    })
}

/// `EV_IPL`: anything, by whoever boots. GRUB writes text, systemd UTF-16.
fn loader(pcr: u32, data: &[u8]) -> Component {
    let wide = data.len() >= 2 && data.iter().skip(1).step_by(2).all(|byte| *byte == 0);
    let words = if wide { visible(&utf16(data)) } else { text(data) };
    let after = |prefixes: [&str; 2]| prefixes.iter().find_map(|prefix| words.strip_prefix(prefix)).map(str::to_owned);
    match pcr {
        8 => match (after(["grub_cmd: ", "grub_cmd "]), after(["kernel_cmdline: ", "grub_kernel_cmdline "])) {
            (Some(command), _) => Component::GrubCommand { command },
            (None, Some(line)) => Component::CommandLine { line: Some(line) },
            (None, None) => Component::CommandLine { line: Some(words) },
        },
        9 => Component::File { path: words },
        11 if words.starts_with('.') => Component::Section { name: words },
        12 => Component::CommandLine { line: Some(words) },
        14 => Component::Shim { list: words },
        _ => Component::Other { words },
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Component::Firmware { name } if name.is_empty() => f.write_str("a part of the firmware"),
            Component::Firmware { name } => write!(f, "the firmware {name}"),
            Component::Separator => f.write_str("the end of the firmware's part"),
            Component::Variable(variable) => write!(f, "the variable {}", visible(&variable.name)),
            Component::BootEntry { variable, description, file: Some(file) } => {
                write!(f, "the boot entry {variable} ({description}: {file})")
            }
            Component::BootEntry { variable, description, file: None } => {
                write!(f, "the boot entry {variable} ({description})")
            }
            Component::Authority(variable) => write!(f, "a signer in {}", visible(&variable.name)),
            Component::Program { file: Some(file) } => write!(f, "the program {file}"),
            Component::Program { file: None } => {
                f.write_str("a program without a file, such as a kernel that shim let run")
            }
            Component::PartitionTable => f.write_str("the partition table"),
            Component::Action { words } => write!(f, "what the firmware did: {words}"),
            Component::GrubCommand { command } => write!(f, "the GRUB command `{command}`"),
            Component::CommandLine { line: Some(line) } => write!(f, "the kernel command line `{line}`"),
            Component::CommandLine { line: None } => f.write_str("the kernel command line"),
            Component::File { path } => write!(f, "the file {path}"),
            Component::Section { name } => write!(f, "the section {name} of the unified image"),
            Component::Initramfs => f.write_str("the initramfs"),
            Component::Shim { list } => write!(f, "shim's {list}"),
            Component::Other { words } if words.is_empty() => f.write_str("something that is not known here"),
            Component::Other { words } => write!(f, "something that says `{words}`"),
        }
    }
}
