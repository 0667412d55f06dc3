//! The machine: disks, locks, the HTTP client, the terminal, the clock, signals. All system calls of the core's callers are here.
//!
//! This room implements the ports that the core declares and decides nothing: no policy, no format. `unsafe` stands in `sys`
//! alone, for the few C library calls that have no safe binding.

#![deny(unsafe_code)]

mod apart;
mod asking;
mod certificates;
mod claim;
mod client;
mod clock;
mod disk;
pub mod dm;
mod files;
mod fresh;
mod key_directory;
mod keyring;
mod link;
mod lock;
mod loop_device;
pub mod machine;
mod mounts;
pub mod network;
mod output;
mod pid_file;
pub mod platform;
mod program;
mod random;
mod resolver;
mod serve_blocks;
mod stack;
mod stdin;
mod sys;
mod terminal;
mod tpm;
mod under_mount;
mod waiting;

pub use apart::{Apart, apart};
pub use asking::{DirectoryWatch, Process, files_of, processes, send_to, stdin_peer, write_to_pipe};
pub use certificates::{CertificatesError, Expiry, expiries, server_pins};
pub use claim::Claim;
pub use client::{Client, TOTAL_LIMIT};
pub use clock::{deadline_after, is_past, since_start, thread_time};
pub use disk::{Access, DiskError, FileDisk};
pub use files::{HostFiles, read_file_below, read_regular_file};
pub use key_directory::KeyDirectory;
pub use keyring::{KeyringError, ThreadKey};
pub use link::{Link, LinkKind, News as LinkNews};
pub use lock::{HeaderLock, Holder, LockError, LockMode};
pub use loop_device::{LoopAccess, LoopDevice, LoopError};
pub use mounts::{mounted_at, unescaped};
pub use output::{Reader, reader, stdout_reader, widen_stdout, write_all, write_stdout};
pub use pid_file::{Ended, PidFile};
pub use program::{Input, Output, ProgramError, Ran, Run};
pub use resolver::{Names, NamesError};
pub use serve_blocks::{BlockEvent, BlockListener, ServeBlocksError, StopBlocks};
pub use stack::{OpenVolume, volumes_below_device, volumes_below_mount};
pub use stdin::{StdinError, read_key_file, read_key_file_part, read_stdin, read_stdin_line};
pub use sys::{
    Inherited, InheritedError, StopSignal, allow_many_open_files, forbid_dumps, named_output, on_stop_signal,
    take_inherited, use_own_name_service,
};
pub use terminal::Terminal;
pub use tpm::{ShownPcrs, TpmDevice, TpmNode, Why as WhyThisTpm};
pub use under_mount::{UnderMount, set_immutable, under_mount};
