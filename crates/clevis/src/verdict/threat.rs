//! What somebody may do to an encrypted machine, and how well a policy stands it.

/// What happens. The order is that of weight: the first one that is not withstood is the worst gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Threat {
    /// The disk alone leaves the building: sold, sent back, thrown away, stolen. Nothing else of the machine, and not its network.
    Disk,
    /// The whole machine is stolen and switched on elsewhere: disk, boot files, TPM and whatever is plugged in, without its network.
    Machine,
    /// Somebody alters what the machine boots, and leaves it where it is, with its TPM and its network.
    Boot,
    /// Somebody who reaches one site of the machine's network has a copy of the header, and nothing of the machine.
    Header,
    /// The keys of one key server are stolen, by somebody who may have, or may come to have, a copy of the header.
    KeyServer,
    /// Whoever keeps the host of a virtual machine looks into it.
    Host,
}

/// How well a policy stands it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answer {
    /// The data stays closed.
    Yes,
    /// It depends on something that the policy does not say.
    Partly,
    /// The data is open.
    No,
}

impl Threat {
    /// All of them, the heaviest first.
    pub const ALL: [Threat; 6] =
        [Threat::Disk, Threat::Machine, Threat::Boot, Threat::Header, Threat::KeyServer, Threat::Host];

    /// What `--require` calls it.
    pub fn goal(self) -> &'static str {
        match self {
            Threat::Disk => "disk-stolen",
            Threat::Machine => "machine-stolen",
            Threat::Boot => "boot-altered",
            Threat::Header => "header-copied",
            Threat::KeyServer => "key-server-stolen",
            Threat::Host => "host-curious",
        }
    }

    /// The one that `--require` calls so.
    pub fn from_goal(goal: &str) -> Option<Threat> {
        Threat::ALL.into_iter().find(|threat| threat.goal() == goal)
    }

    /// A few words for a table.
    pub fn words(self) -> &'static str {
        match self {
            Threat::Disk => "the disk leaves the building",
            Threat::Machine => "the machine is stolen and switched on",
            Threat::Boot => "its boot files are altered",
            Threat::Header => "its header is copied, on its network",
            Threat::KeyServer => "a key server is stolen",
            Threat::Host => "the host of the virtual machine looks",
        }
    }
}

impl Answer {
    /// One word.
    pub fn word(self) -> &'static str {
        match self {
            Answer::Yes => "yes",
            Answer::Partly => "partly",
            Answer::No => "no",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_are_read_back_and_no_others() {
        for threat in Threat::ALL {
            assert_eq!(Threat::from_goal(threat.goal()), Some(threat));
        }
        assert_eq!(Threat::from_goal("everything"), None);
    }
}
