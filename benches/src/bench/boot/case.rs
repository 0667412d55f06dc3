//! What is measured.

/// What opens the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    Typed,
    TangStatic,
    TangDhcp,
    Tpm,
    /// As with a static address, and a volume of data that is bound to the same server.
    SecondVolume,
    /// As with a static address, with another binding before it whose server swallows every packet.
    DeadServer,
}

impl Case {
    pub(super) const ALL: [Case; 6] =
        [Case::Typed, Case::TangStatic, Case::TangDhcp, Case::Tpm, Case::SecondVolume, Case::DeadServer];

    pub(super) fn name(self) -> &'static str {
        match self {
            Case::Typed => "a passphrase typed at once",
            Case::TangStatic => "tang, static address",
            Case::TangDhcp => "tang, DHCP",
            Case::Tpm => "tpm2",
            Case::SecondVolume => "tang, static address; until a second volume is open, too",
            Case::DeadServer => "tang, static address, behind a dead server",
        }
    }

    /// Whether the original has a part in it.
    pub(super) fn is_for_both(self) -> bool {
        matches!(self, Case::Typed | Case::TangStatic | Case::TangDhcp | Case::Tpm)
    }
}
