//! `askpass` of Debian's `cryptsetup-initramfs`: it waits at a pipe, and its environment says for which volume.
//!
//! Whatever is written into the pipe until it is closed is the key, without a newline to be cut off.

/// The pipe.
pub const PASSFIFO: &str = "/lib/cryptsetup/passfifo";
/// The program, as the scripts call it.
const ASKPASS: &[u8] = b"/lib/cryptsetup/askpass";

/// One that waits for the key of a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asker {
    /// What the volume will be called below `/dev/mapper`.
    pub name: String,
    /// The device node or file that holds it: `CRYPTTAB_SOURCE`, which the scripts have looked up.
    pub source: String,
    /// How many answers were wrong before.
    pub tried: u32,
}

impl Asker {
    /// What a process asks for, by its arguments and its environment (`/proc/PID/cmdline` and `environ`: words that each end in a zero
    /// byte); `None` if it is another program, or asks for something else.
    pub fn of(arguments: &[u8], environment: &[u8]) -> Option<Asker> {
        arguments.split(|byte| *byte == 0).next().filter(|program| *program == ASKPASS)?;
        let value = |name: &str| {
            let values = environment.split(|byte| *byte == 0);
            let value = values.filter_map(|word| word.strip_prefix(name.as_bytes())?.strip_prefix(b"=")).next()?;
            str::from_utf8(value).ok().map(str::to_owned)
        };
        let tried = value("CRYPTTAB_TRIED").and_then(|tried| tried.parse().ok()).unwrap_or(0);
        let (name, source) = (value("CRYPTTAB_NAME")?, value("CRYPTTAB_SOURCE")?);
        source.starts_with('/').then_some(Asker { name, source, tried })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const ARGUMENTS: &[u8] = b"/lib/cryptsetup/askpass\0Please unlock disk root: \0";
    const ENVIRONMENT: &[u8] =
        b"_CRYPTTAB_SOURCE=UUID=x\0CRYPTTAB_SOURCE=/dev/vda2\0CRYPTTAB_NAME=root\0CRYPTTAB_TRIED=1\0PATH=/bin\0";

    #[test]
    fn the_environment_says_for_which_volume() {
        let asker = Asker { name: "root".into(), source: "/dev/vda2".into(), tried: 1 };
        assert_eq!(Asker::of(ARGUMENTS, ENVIRONMENT), Some(asker));
        let text = str::from_utf8(ENVIRONMENT).unwrap();
        let first = text.replace("CRYPTTAB_TRIED=1\0", "");
        assert_eq!(Asker::of(ARGUMENTS, first.as_bytes()).unwrap().tried, 0);
    }

    #[test]
    fn another_program_asks_for_nothing() {
        let text = str::from_utf8(ENVIRONMENT).unwrap();
        for (was, is) in [("\0CRYPTTAB_SOURCE", "\0X"), ("CRYPTTAB_NAME", "X"), ("SOURCE=/dev", "SOURCE=UUID")] {
            assert_eq!(Asker::of(ARGUMENTS, text.replace(was, is).as_bytes()), None, "{is}");
        }
        for arguments in [&b""[..], b"/bin/sh\0/lib/cryptsetup/askpass\0", b"/tmp/lib/cryptsetup/askpass\0"] {
            assert_eq!(Asker::of(arguments, ENVIRONMENT), None);
        }
    }
}
