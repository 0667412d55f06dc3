//! systemd's question directory.

use crypto::{Passphrase, Secret};
use std::fmt;
use std::time::Duration;

/// Longest file with a question that is read, in bytes. systemd's own are some hundred.
pub const LONGEST_QUESTION: usize = 16 << 10;
/// Longest path of a socket, in bytes: `sun_path` of unix(7) without its final zero.
const LONGEST_SOCKET: usize = 107;
/// Longest passphrase that is taken, in bytes: a line, `LINE_MAX` of systemd, without the sign and the final zero.
pub const LONGEST_ANSWER: usize = 2046;

/// What the file `ask.*` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The path of the datagram socket that takes the answer.
    pub socket: String,
    /// When the one who asks has gone, by the clock that counts from the start of the machine; `None`: he stays.
    pub until: Option<Duration>,
    /// The words for a person.
    pub message: String,
    /// Who asks; 0 if it does not say.
    pub pid: u32,
    /// The volume as systemd-cryptsetup names it: the path of a device or of a file. `None`: the question is about something else.
    pub device: Option<String>,
}

/// Why a file is no question.
#[derive(Debug, PartialEq, Eq)]
pub enum AskError {
    /// More than [`LONGEST_QUESTION`].
    TooLong,
    /// It is no text.
    NotText,
    /// There is no section `[Ask]`.
    NoSection,
    /// No usable path in this member.
    NoSocket,
    /// This member is no number.
    NotANumber(&'static str),
    /// A path behind `Id=cryptsetup:` that does not end its escapes.
    BadId,
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AskError::TooLong => write!(f, "the question is longer than {} KiB", LONGEST_QUESTION >> 10),
            AskError::NotText => f.write_str("the question is no text"),
            AskError::NoSection => f.write_str("the question has no section [Ask]"),
            AskError::NoSocket => f.write_str("the question names no socket"),
            AskError::NotANumber(member) => write!(f, "{member} of the question is no number"),
            AskError::BadId => f.write_str("the volume in Id= of the question cannot be read"),
        }
    }
}

impl std::error::Error for AskError {}

/// Whether a file of this name is a question, and a whole one: they are written under another name and renamed.
pub fn is_question(name: &str) -> bool {
    name.starts_with("ask.")
}

impl Question {
    /// Reads a file of the question directory. Members that are not known are passed over; of two the later one counts.
    ///
    /// # Errors
    /// [`AskError`].
    pub fn parse(bytes: &[u8]) -> Result<Question, AskError> {
        if bytes.len() > LONGEST_QUESTION {
            return Err(AskError::TooLong);
        }
        let text = str::from_utf8(bytes).map_err(|_| AskError::NotText)?;
        let member = |name: &str| members(text).filter(|(found, _)| *found == name).last().map(|(_, value)| value);
        if !text.lines().any(|line| line.trim() == SECTION) {
            return Err(AskError::NoSection);
        }
        let socket = member("Socket").filter(|path| path.starts_with('/') && path.len() <= LONGEST_SOCKET);
        let number = |name: &'static str| match member(name) {
            Some(text) => text.parse::<u64>().map_err(|_| AskError::NotANumber(name)),
            None => Ok(0),
        };
        let until = number("NotAfter")?;
        let device = member("Id").and_then(|id| id.strip_prefix("cryptsetup:"));
        let device = device.map(|path| unescaped(path).ok_or(AskError::BadId)).transpose()?;
        Ok(Question {
            socket: socket.ok_or(AskError::NoSocket)?.to_owned(),
            until: (until > 0).then(|| Duration::from_micros(until)),
            message: member("Message").unwrap_or_default().to_owned(),
            pid: u32::try_from(number("PID")?).map_err(|_| AskError::NotANumber("PID"))?,
            device: device.filter(|path| path.starts_with('/')),
        })
    }

    /// Whether nobody waits for an answer any more.
    pub fn is_over(&self, since_start: Duration) -> bool {
        self.until.is_some_and(|until| until <= since_start)
    }
}

const SECTION: &str = "[Ask]";

/// The members of the section, in their order.
fn members(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut inside = false;
    text.lines().filter_map(move |line| {
        let line = line.trim();
        if line.starts_with('[') {
            inside = line == SECTION;
            return None;
        }
        let (name, value) = line.split_once('=').filter(|_| inside)?;
        Some((name.trim_end(), value.trim_start()))
    })
}

/// The text that systemd's `cescape` was given; `None` if it ends within an escape or is no text.
fn unescaped(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut plain = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'\\' => escape(&mut bytes)?,
            byte => byte,
        });
    }
    String::from_utf8(plain).ok().filter(|text| !text.contains('\0'))
}

fn escape(bytes: &mut impl Iterator<Item = u8>) -> Option<u8> {
    Some(match bytes.next()? {
        b'a' => 7,
        b'b' => 8,
        b't' => b'\t',
        b'n' => b'\n',
        b'v' => 11,
        b'f' => 12,
        b'r' => b'\r',
        b's' => b' ',
        b'x' => u8::try_from(number(bytes, 0, 2, 16)?).ok()?,
        first @ b'0'..=b'3' => u8::try_from(number(bytes, u32::from(first - b'0'), 2, 8)?).ok()?,
        plain @ (b'\\' | b'"' | b'\'') => plain,
        _ => return None,
    })
}

/// The number that begins with `first` and has so many digits more.
fn number(bytes: &mut impl Iterator<Item = u8>, first: u32, digits: usize, radix: u32) -> Option<u32> {
    (0..digits).try_fold(first, |sum, _| Some(sum * radix + char::from(bytes.next()?).to_digit(radix)?))
}

/// The datagram that answers a question with this passphrase, which is wiped with it; `None` for what systemd does not take: an empty one,
/// one with a zero byte, where another passphrase would begin, or one over [`LONGEST_ANSWER`].
pub fn answer(passphrase: &Passphrase) -> Option<Secret> {
    let bytes = passphrase.expose();
    let taken = !bytes.is_empty() && !bytes.contains(&0) && bytes.len() <= LONGEST_ANSWER;
    taken.then(|| {
        let mut datagram = Vec::with_capacity(bytes.len() + 1);
        datagram.push(b'+');
        datagram.extend_from_slice(bytes);
        Secret::new(datagram)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// As `systemd-ask-password` 252 wrote it, but for the path.
    const ASKED: &str = "[Ask]\nPID=25173\nSocket=/run/systemd/ask-password/sck.9b9aed5bdaed1e75\nAcceptCached=0\nEcho=0\n\
        NotAfter=47812612817\nSilent=0\nMessage=Please enter passphrase for disk foo!\nIcon=drive-harddisk\n\
        Id=cryptsetup:/dev/disk/by-partlabel/a\\x20b\\057c\n";

    #[test]
    fn a_question_says_for_what_until_when_and_where_to() {
        let question = Question::parse(ASKED.as_bytes()).unwrap();
        let expected = Question {
            socket: "/run/systemd/ask-password/sck.9b9aed5bdaed1e75".into(),
            until: Some(Duration::from_micros(47_812_612_817)),
            message: "Please enter passphrase for disk foo!".into(),
            pid: 25173,
            device: Some("/dev/disk/by-partlabel/a b/c".into()),
        };
        assert_eq!(question, expected);
        assert!(!question.is_over(Duration::from_micros(47_812_612_816)));
        assert!(question.is_over(Duration::from_micros(47_812_612_817)));
        let stays = Question::parse(ASKED.replace("47812612817", "0").as_bytes()).unwrap();
        assert!(!stays.is_over(Duration::MAX));
    }

    #[test]
    fn what_is_no_question_about_a_volume_is_told_apart() {
        for id in ["Id=keyring:x", "Id=cryptsetup:name", "Other=1"] {
            let text = ASKED.lines().map(|line| if line.starts_with("Id=") { id } else { line });
            let question = Question::parse(text.collect::<Vec<_>>().join("\n").as_bytes()).unwrap();
            assert_eq!(question.device, None, "{id}");
        }
        for (was, is, error) in [
            ("[Ask]", "[Other]", AskError::NoSection),
            ("Socket=/", "Socket=", AskError::NoSocket),
            ("Socket=", "Sock=", AskError::NoSocket),
            ("sck.", &*"x".repeat(100), AskError::NoSocket),
            ("NotAfter=4", "NotAfter=-4", AskError::NotANumber("NotAfter")),
            ("PID=25173", "PID=4294967296", AskError::NotANumber("PID")),
            ("057c", "057c\\", AskError::BadId),
            ("057c", "000", AskError::BadId),
            ("057c", "400", AskError::BadId),
            ("x20", "xff", AskError::BadId),
            ("Icon", &*"x".repeat(LONGEST_QUESTION), AskError::TooLong),
        ] {
            assert_eq!(Question::parse(ASKED.replace(was, is).as_bytes()), Err(error), "{was} {is}");
        }
        assert_eq!(Question::parse(b"[Ask]\nMessage=\xff"), Err(AskError::NotText));
        assert!(is_question("ask.CnidCr") && !is_question("sck.9b") && !is_question("tmp.x"));
    }

    /// Cut anywhere it is an error or says less, and never something else.
    #[test]
    fn a_question_that_is_cut_off_is_not_another_one() {
        let whole = Question::parse(ASKED.as_bytes()).unwrap();
        for end in 0..ASKED.len() {
            if let Ok(cut) = Question::parse(&ASKED.as_bytes()[..end]) {
                assert!(whole.message.starts_with(&cut.message));
                assert!(whole.socket.starts_with(&cut.socket));
            }
        }
    }

    #[test]
    fn an_answer_is_one_passphrase() {
        let of = |bytes: &[u8]| answer(&Passphrase::new(Secret::copied_from(bytes)));
        assert_eq!(of(b"a b").unwrap().expose(), b"+a b");
        assert_eq!(of(&[b'x'; LONGEST_ANSWER]).unwrap().len(), LONGEST_ANSWER + 1);
        for refused in [&b""[..], b"a\0b", &[b'x'; LONGEST_ANSWER + 1]] {
            assert!(of(refused).is_none());
        }
    }
}
