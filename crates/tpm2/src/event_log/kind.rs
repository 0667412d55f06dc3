//! Types of events (TCG PC Client Platform Firmware Profile 1.06, section 10.4.1).

use std::fmt;

/// A type as the log has it; any number is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventKind(pub u32);

impl EventKind {
    /// Tells something, and extends nothing.
    pub const NO_ACTION: EventKind = EventKind(0x3);
    /// The firmware has done its part of a PCR.
    pub const SEPARATOR: EventKind = EventKind(0x4);
    /// Something with a tag of its maker's.
    pub const EVENT_TAG: EventKind = EventKind(0x6);
    /// The version of the first code.
    pub const S_CRTM_VERSION: EventKind = EventKind(0x8);
    /// What boot loaders measure.
    pub const IPL: EventKind = EventKind(0xd);
    /// A variable of Secure Boot's configuration.
    pub const VARIABLE_DRIVER_CONFIG: EventKind = EventKind(0x8000_0001);
    /// A variable of the boot order, as the first specification has it.
    pub const VARIABLE_BOOT: EventKind = EventKind(0x8000_0002);
    /// A program of the boot.
    pub const BOOT_SERVICES_APPLICATION: EventKind = EventKind(0x8000_0003);
    /// A driver of the boot.
    pub const BOOT_SERVICES_DRIVER: EventKind = EventKind(0x8000_0004);
    /// A driver that stays.
    pub const RUNTIME_SERVICES_DRIVER: EventKind = EventKind(0x8000_0005);
    /// A partition table.
    pub const GPT: EventKind = EventKind(0x8000_0006);
    /// Words of the firmware.
    pub const ACTION: EventKind = EventKind(0x8000_0007);
    /// A part of the firmware.
    pub const FIRMWARE_BLOB: EventKind = EventKind(0x8000_0008);
    /// A part of the firmware, with its name.
    pub const FIRMWARE_BLOB2: EventKind = EventKind(0x8000_000a);
    /// A variable of the boot order.
    pub const VARIABLE_BOOT2: EventKind = EventKind(0x8000_000c);
    /// Whose signature a program had.
    pub const VARIABLE_AUTHORITY: EventKind = EventKind(0x8000_00e0);

    /// Names as the specification has them.
    const NAMES: [(u32, &'static str); 33] = [
        (0x0, "EV_PREBOOT_CERT"),
        (0x1, "EV_POST_CODE"),
        (0x3, "EV_NO_ACTION"),
        (0x4, "EV_SEPARATOR"),
        (0x5, "EV_ACTION"),
        (0x6, "EV_EVENT_TAG"),
        (0x7, "EV_S_CRTM_CONTENTS"),
        (0x8, "EV_S_CRTM_VERSION"),
        (0x9, "EV_CPU_MICROCODE"),
        (0xa, "EV_PLATFORM_CONFIG_FLAGS"),
        (0xb, "EV_TABLE_OF_DEVICES"),
        (0xc, "EV_COMPACT_HASH"),
        (0xd, "EV_IPL"),
        (0xe, "EV_IPL_PARTITION_DATA"),
        (0xf, "EV_NONHOST_CODE"),
        (0x10, "EV_NONHOST_CONFIG"),
        (0x11, "EV_NONHOST_INFO"),
        (0x12, "EV_OMIT_BOOT_DEVICE_EVENTS"),
        (0x13, "EV_POST_CODE2"),
        (0x8000_0001, "EV_EFI_VARIABLE_DRIVER_CONFIG"),
        (0x8000_0002, "EV_EFI_VARIABLE_BOOT"),
        (0x8000_0003, "EV_EFI_BOOT_SERVICES_APPLICATION"),
        (0x8000_0004, "EV_EFI_BOOT_SERVICES_DRIVER"),
        (0x8000_0005, "EV_EFI_RUNTIME_SERVICES_DRIVER"),
        (0x8000_0006, "EV_EFI_GPT_EVENT"),
        (0x8000_0007, "EV_EFI_ACTION"),
        (0x8000_0008, "EV_EFI_PLATFORM_FIRMWARE_BLOB"),
        (0x8000_0009, "EV_EFI_HANDOFF_TABLES"),
        (0x8000_000a, "EV_EFI_PLATFORM_FIRMWARE_BLOB2"),
        (0x8000_000b, "EV_EFI_HANDOFF_TABLES2"),
        (0x8000_000c, "EV_EFI_VARIABLE_BOOT2"),
        (0x8000_0010, "EV_EFI_HCRTM_EVENT"),
        (0x8000_00e0, "EV_EFI_VARIABLE_AUTHORITY"),
    ];
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match EventKind::NAMES.iter().find(|(number, _)| *number == self.0) {
            Some((_, name)) => f.write_str(name),
            None => write!(f, "event type {:#x}", self.0),
        }
    }
}
