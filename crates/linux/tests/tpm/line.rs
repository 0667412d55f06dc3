//! A transport that hands everything on and looks at it: what goes over the line, and what becomes of it when somebody sits there.

use std::sync::Mutex;
use std::time::Duration;
use tpm2::{Conversation, Patience, Transport, TransportError};

/// What is done to the n-th answer.
pub(crate) type Change<'a> = dyn Fn(usize, Vec<u8>) -> Result<Vec<u8>, TransportError> + Sync + 'a;

/// A transport between the program and the TPM.
pub(crate) struct Line<'a> {
    to: &'a dyn Transport,
    change: &'a Change<'a>,
    log: Mutex<Vec<(Vec<u8>, Vec<u8>)>>,
}

impl<'a> Line<'a> {
    /// One that only listens.
    pub(crate) fn listening(to: &'a dyn Transport) -> Line<'a> {
        Line { to, change: &|_, answer| Ok(answer), log: Mutex::default() }
    }

    /// One that changes answers.
    pub(crate) fn changing(to: &'a dyn Transport, change: &'a Change<'a>) -> Line<'a> {
        Line { to, change, log: Mutex::default() }
    }

    /// Every command and the TPM's own answer to it.
    pub(crate) fn log(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.log.lock().unwrap().clone()
    }

    /// The commands that the TPM did, by their codes; swtpm too wants some of them again (`TPM_RC_RETRY`).
    pub(crate) fn codes(&self) -> Vec<u32> {
        let code = |bytes: &[u8]| u32::from_be_bytes(bytes[6..10].try_into().unwrap());
        self.log().iter().filter(|(_, answer)| code(answer) != 0x922).map(|(command, _)| code(command)).collect()
    }
}

impl Transport for Line<'_> {
    fn begin<'b>(&'b self, patience: &Patience<'_>) -> Result<Box<dyn Conversation + 'b>, TransportError> {
        Ok(Box::new(Talk { to: self.to.begin(patience)?, line: self }))
    }
}

struct Talk<'a> {
    to: Box<dyn Conversation + 'a>,
    line: &'a Line<'a>,
}

impl Conversation for Talk<'_> {
    fn exchange(&mut self, command: &[u8], patience: &Patience<'_>) -> Result<Vec<u8>, TransportError> {
        let answer = self.to.exchange(command, patience)?;
        let mut log = self.line.log.lock().unwrap();
        log.push((command.to_vec(), answer.clone()));
        let at = log.len() - 1;
        drop(log);
        (self.line.change)(at, answer)
    }

    fn pause(&mut self, time: Duration, patience: &Patience<'_>) -> Result<(), TransportError> {
        self.to.pause(time, patience)
    }
}
