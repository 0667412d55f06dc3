//! The few calls of the C library and of the kernel for which there is no safe binding. The only room here with `unsafe`.

#![allow(unsafe_code)]

mod device_mapper;
mod hardening;
mod inherited;
mod keys;
mod link_sockets;
mod loop_device;
#[cfg(all(target_env = "gnu", target_feature = "crt-static"))]
mod messages;
mod mount_namespace;
mod name_service;
mod open_files;
mod range_lock;
mod semaphore;
mod signals;

pub(crate) use device_mapper::{DM_HEADER, device_mapper};
pub use hardening::forbid_dumps;
pub use inherited::{Inherited, InheritedError, named_output, take_inherited};
pub(crate) use keys::{KeyNumber, add_logon_key, revoke_key, unlink_key};
pub(crate) use link_sockets::{
    bind_to_link, dhcp_socket, receive_advertisement, receive_packet, router_socket, send_to_all,
};
pub(crate) use loop_device::{attach_loop, file_of_loop, free_loop};
pub(crate) use mount_namespace::own_mount_namespace;
pub use name_service::use_own_name_service;
pub use open_files::allow_many_open_files;
pub(crate) use range_lock::lock_all_bytes;
pub(crate) use semaphore::Semaphore;
pub use signals::{StopSignal, on_stop_signal};
