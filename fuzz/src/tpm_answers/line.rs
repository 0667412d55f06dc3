//! Answers out of the input: one record for each command, `kind, length (2 bytes, big endian), content`.
//!
//! | kind modulo 6 | the answer |
//! | --- | --- |
//! | 0 | what a TPM would say ([`MadeUp`]) |
//! | 1 | the same, with the byte at the place in the first two bytes of the content changed by the third |
//! | 2 | the content as parameters: tag, length, handle and HMAC are right |
//! | 3 | the same, or as 0 if there is no content; with an HMAC that is not right |
//! | 4 | the first four bytes of the content as response code |
//! | 5 | the content, whole |

use super::made_up::{Authorisation, MadeUp, PIN, SECRET};
use std::io;
use std::sync::Mutex;
use std::time::Duration;
use tpm2::{Conversation, Patience, Transport, TransportError};

/// What a conversation sends beyond its answers: a flush for whatever lies in the TPM, each of them twice when the line is broken, and the
/// command that found it broken.
const MOST_AFTER_THE_END: usize = 16;
const FLUSH: [u8; 4] = [0, 0, 1, 0x65];

/// A line whose other end the input decides.
pub(super) struct Line<'i>(Mutex<State<'i>>);

struct State<'i> {
    left: &'i [u8],
    tpm: MadeUp,
    /// Commands that an answer was there for, and that brought none.
    answered: usize,
    unanswered: usize,
    records: usize,
    /// Handles that were told of and not flushed yet.
    alive: Vec<u32>,
    believed: bool,
    /// Whether an answer had an HMAC that was not right.
    forged: bool,
}

impl<'i> Line<'i> {
    pub(super) fn new(answers: &'i [u8]) -> Line<'i> {
        Line(Mutex::new(State {
            left: answers,
            tpm: MadeUp::default(),
            answered: 0,
            unanswered: 0,
            records: 0,
            alive: Vec::new(),
            believed: false,
            forged: false,
        }))
    }

    /// What must be true when the conversation is over.
    pub(super) fn check(&self) {
        let state = self.0.lock().unwrap();
        assert!(state.answered <= state.records, "{} commands, {} records", state.answered, state.records);
        assert!(state.unanswered <= MOST_AFTER_THE_END, "{} commands to a line that is broken", state.unanswered);
        // A TPM that does not answer is left alone.
        assert!(state.unanswered > 0 || state.alive.is_empty(), "left in the TPM: {:x?}", state.alive);
    }

    /// Whether somebody who does not know the session has answered in it.
    pub(super) fn was_forged(&self) -> bool {
        self.0.lock().unwrap().forged
    }

    /// Whether any answer led to another command.
    pub(super) fn believed(&self) -> bool {
        self.0.lock().unwrap().believed
    }
}

impl Transport for Line<'_> {
    fn begin<'a>(&'a self, _: &Patience<'_>) -> Result<Box<dyn Conversation + 'a>, TransportError> {
        Ok(Box::new(Talk(self)))
    }
}

struct Talk<'a, 'i>(&'a Line<'i>);

impl Conversation for Talk<'_, '_> {
    fn exchange(&mut self, command: &[u8], _: &Patience<'_>) -> Result<Vec<u8>, TransportError> {
        self.0.0.lock().unwrap().exchange(command)
    }

    fn pause(&mut self, _: Duration, _: &Patience<'_>) -> Result<(), TransportError> {
        Ok(())
    }
}

impl<'i> State<'i> {
    fn exchange(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError> {
        for secret in [SECRET, PIN] {
            assert!(!command.windows(secret.len()).any(|piece| piece == secret), "a secret in clear");
        }
        assert_eq!(u32::from_be_bytes(command[2..6].try_into().unwrap()) as usize, command.len());
        if command[6..10] == FLUSH {
            let handle = u32::from_be_bytes(command[10..14].try_into().unwrap());
            self.alive.retain(|alive| *alive != handle);
        } else if self.answered > 0 {
            self.believed = true;
        }
        let Some((kind, content)) = self.record() else {
            self.unanswered += 1;
            return Err(TransportError::Broken { source: io::ErrorKind::UnexpectedEof.into() });
        };
        self.answered += 1;
        let answer = self.answer(command, kind, content);
        // No transport hands over more.
        if answer.len() > tpm2::LONGEST_ANSWER {
            self.unanswered += 1;
            return Err(TransportError::TooLong);
        }
        self.remember(command, kind, &answer);
        Ok(answer)
    }

    fn record(&mut self) -> Option<(u8, &'i [u8])> {
        let ([kind, high, low], rest) = self.left.split_first_chunk::<3>()?;
        let len = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (content, left) = rest.split_at(len);
        self.left = left;
        self.records += 1;
        Some((kind % 6, content))
    }

    fn answer(&mut self, command: &[u8], kind: u8, content: &[u8]) -> Vec<u8> {
        match kind {
            0 | 1 => {
                let mut answer = self.tpm.answer(command, None);
                if let (1, [high, low, mask, ..]) = (kind, content) {
                    let at = usize::from(u16::from_be_bytes([*high, *low])) % answer.len();
                    answer[at] ^= mask;
                }
                answer
            }
            2 => self.tpm.answer(command, Some(content)),
            3 => {
                let mut answer = self.tpm.answer(command, Some(content).filter(|content| !content.is_empty()));
                if Authorisation::of(command).is_some_and(|said| said.handle >> 24 == 2) {
                    answer.last_mut().into_iter().for_each(|byte| *byte ^= 1);
                    self.forged = true;
                }
                answer
            }
            4 => {
                let mut code = [0; 4];
                code.iter_mut().zip(content).for_each(|(to, from)| *to = *from);
                [&b"\x80\x01\0\0\0\x0a"[..], &code].concat()
            }
            _ => content.to_vec(),
        }
    }

    /// What lies in the TPM after an answer that its framing does not betray: what was made, without what ended by itself.
    fn remember(&mut self, command: &[u8], kind: u8, answer: &[u8]) {
        let good = answer.get(6..10) == Some(&[0; 4]);
        let makes = matches!(command[6..10], [0, 0, 1, 0x31 | 0x57 | 0x67 | 0x76]);
        if good
            && makes
            && let Some(handle) = answer.get(10..14)
        {
            let handle = u32::from_be_bytes(handle.try_into().unwrap());
            // Nobody asks to flush what is neither an object nor a session.
            if matches!(handle >> 24, 0x02 | 0x03 | 0x80) {
                self.alive.push(handle);
            }
        }
        // A session that does not go on ends with a command that succeeds, and only the holder of its key can say that it did. The handle of
        // what was made is not a part of what he says.
        if matches!(kind, 0..=2)
            && good
            && let Some(session) = ended_by(command)
        {
            self.alive.retain(|alive| *alive != session);
        }
    }
}

/// The session of a command that says that it does not go on.
fn ended_by(command: &[u8]) -> Option<u32> {
    let session = Authorisation::of(command)?;
    (session.attributes & 1 == 0).then_some(session.handle)
}
