//! Why a policy stands a threat or does not, one reason a part of it.

use std::fmt;

/// Why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// `null`: nothing is protected.
    KeyBeside,
    /// `null` that was told to fail.
    NeverOpens,
    /// A part that this program cannot read counts as open.
    Unread {
        /// What it is.
        pin: String,
    },
    /// The TPM is not on the disk.
    TpmStays,
    /// A virtual TPM is a file of the host.
    TpmIsAFile,
    /// Nothing of the boot is in the policy, and the TPM gives the key to any system.
    AnySystem,
    /// It opens by itself as it does every day; then it stands at its login.
    StandsAtLogin,
    /// The TPM wants a PIN.
    TpmPin,
    /// The PIN of a virtual TPM can be tried on copies of it.
    PinOnCopies,
    /// The PIN does not help: what was altered asks for it and keeps it.
    PinPhished,
    /// Which PCRs must fit is in what was signed, and not in the policy.
    SignerDecides,
    /// What runs first is in no PCR of the policy.
    LoaderFree,
    /// Secure Boot is off, so PCR 7 is the same whatever boots.
    SecureBootOff,
    /// The loader is known by its signature alone.
    SameSigner,
    /// The initramfs is in no PCR of the policy.
    InitramfsFree,
    /// The kernel command line is in no PCR of the policy.
    CommandLineFree,
    /// All that boots is in the policy.
    BootMeasured,
    /// The TPM of this machine is needed.
    TpmNeeded,
    /// No key server has anything to do with it.
    NoServer,
    /// The thief does not reach the server.
    ServerOutOfReach {
        /// The server.
        host: String,
    },
    /// The server runs on the machine itself, and its keys are files there.
    ServerIsHere,
    /// Whatever runs on the machine reaches the server and asks as it does.
    ServerAnswersAnybody {
        /// The server.
        host: String,
    },
    /// The header and the network are all that is needed.
    HeaderAndNetwork {
        /// The server.
        host: String,
    },
    /// The server wants a certificate, whose key lies on the machine.
    ClientCertificate {
        /// The server.
        host: String,
    },
    /// The server may be out of reach for somebody at another site.
    OtherSite {
        /// The server.
        host: String,
    },
    /// The server's keys and a copy of the header are all that is needed.
    ServerKeysAndHeader {
        /// The server.
        host: String,
    },
    /// Another server is not the one that was stolen.
    ServerStillThere {
        /// The server.
        host: String,
    },
    /// The key lies in a file, on this disk or another.
    FileElsewhere,
    /// The file goes along.
    FileGoesAlong,
    /// The file is not in the header.
    FileNotInHeader,
    /// The token is not on the disk.
    TokenStays,
    /// The token asks a person.
    TokenPin,
    /// The token goes along, and its PIN stands in the binding.
    TokenPinStored,
    /// The token is needed.
    TokenNeeded,
    /// It is a machine of its own.
    NoHost,
    /// It may be a virtual machine.
    PerhapsAHost,
    /// It is a virtual machine, whose memory is its host's.
    HostReadsMemory,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Unread { pin } => write!(f, "{} cannot be judged here and counts as open", pin.escape_debug()),
            Reason::ServerOutOfReach { host } => write!(f, "{} is out of the thief's reach", host.escape_debug()),
            Reason::ServerAnswersAnybody { host } => {
                write!(f, "what boots there reaches {}, which answers it as before", host.escape_debug())
            }
            Reason::HeaderAndNetwork { host } => {
                write!(f, "{} answers anybody who has a copy of the header", host.escape_debug())
            }
            Reason::ClientCertificate { host } => {
                write!(f, "{} asks for a certificate, whose key is a file of this machine", host.escape_debug())
            }
            Reason::OtherSite { host } => write!(f, "only who reaches {} as well", host.escape_debug()),
            Reason::ServerKeysAndHeader { host } => {
                write!(
                    f,
                    "the keys of {} open every copy of the header, while there are such copies",
                    host.escape_debug()
                )
            }
            Reason::ServerStillThere { host } => write!(f, "{} is another server", host.escape_debug()),
            plain => f.write_str(plain.words()),
        }
    }
}

impl Reason {
    /// The words of a reason that names nothing.
    fn words(&self) -> &'static str {
        match self {
            Reason::KeyBeside => "the pin null keeps the key beside what it protects",
            Reason::NeverOpens => "it never opens",
            Reason::TpmStays => "the TPM stays behind",
            Reason::TpmIsAFile => "a virtual TPM is a file of the host, which may lie on the same disk",
            Reason::AnySystem => "the TPM gives the key to any system that boots there",
            Reason::StandsAtLogin => "it opens by itself as every day, and holds as long as its login and services do",
            Reason::TpmPin => "the TPM asks for a PIN and locks after wrong ones",
            Reason::PinOnCopies => "the PIN of a virtual TPM can be tried on copies of it",
            Reason::PinPhished => "what was altered asks for the PIN and keeps it",
            Reason::SignerDecides => "which PCRs must fit is in what its keeper signs, and not told here",
            Reason::LoaderFree => {
                "the boot loader is in no PCR of the policy (4 or 7), and another one can extend the rest"
            }
            Reason::SecureBootOff => "Secure Boot is off, and PCR 7 is the same whatever boots",
            Reason::SameSigner => {
                "with Secure Boot on, another system signed by the same keys still fits, unless the keys are your own"
            }
            Reason::InitramfsFree => {
                "the initramfs is in no PCR of the policy (9, unless it is part of a unified image)"
            }
            Reason::CommandLineFree => {
                "the kernel command line is in no PCR of the policy (8 for GRUB, 12 for the others)"
            }
            Reason::BootMeasured => "the TPM compares all that boots",
            Reason::TpmNeeded => "the TPM of this machine is needed",
            Reason::NoServer => "no key server has a part in it",
            Reason::ServerIsHere => "the key server is this machine itself, and its keys are files there",
            Reason::FileElsewhere => "the key is a file: only if it lies on another disk",
            Reason::FileGoesAlong => "the key is a file of this machine",
            Reason::FileNotInHeader => "the key is a file of this machine and not in the header",
            Reason::TokenStays => "the token stays behind",
            Reason::TokenPin => "the token asks a person for its PIN",
            Reason::TokenPinStored => "the token is there, and its PIN stands in the binding",
            Reason::TokenNeeded => "the token is needed",
            Reason::NoHost => "it is no virtual machine",
            Reason::PerhapsAHost => "if it is a virtual machine, its host reads its memory, whatever the policy",
            Reason::HostReadsMemory => "the host reads the memory of the guest, whatever the policy",
            _ => "",
        }
    }
}
