use crate::child::{again, part, said, say};
use linux::{Inherited, named_output, take_inherited, write_all};
use std::error::Error;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

/// In a child: takes what there is and says what it was.
fn report() {
    match take_inherited() {
        Ok(Inherited::Nothing) => say("nothing"),
        Ok(Inherited::Listening(sockets)) => say(format_args!("{} listening", sockets.len())),
        Ok(Inherited::Connected { socket, stderr_is_peer }) => {
            let peer = TcpStream::from(socket).peer_addr().is_ok();
            say(format_args!("connected, to the network: {peer}, stderr: {stderr_is_peer}"));
        }
        Ok(Inherited::Pipes { .. }) => say("pipes"),
        Err(error) => say(format_args!("error: {error} ({})", error.hint())),
    }
    say(take_inherited().unwrap_err());
}

fn check(command: &mut Command, expected: &str) {
    let output = command.output().unwrap();
    let lines = said(&output.stdout);
    assert!(lines.first().is_some_and(|line| line.starts_with(expected)), "expected {expected}: {output:?}");
    assert_eq!(lines[1], "the sockets handed over were taken before");
}

fn listener() -> OwnedFd {
    TcpListener::bind("127.0.0.1:0").unwrap().into()
}

/// Two ends of one TCP connection.
fn connection() -> (TcpStream, OwnedFd) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0.into())
}

#[test]
fn sockets_of_systemd() {
    if part().is_some() {
        return report();
    }
    let with = |stdin: OwnedFd, before: &str| {
        let mut command = again("report", before);
        command.stdin(stdin);
        command
    };
    let one = "exec 3<&0 </dev/null; export LISTEN_PID=$$ LISTEN_FDS=1";
    check(&mut with(listener(), one), "1 listening");
    let (_client, server) = connection();
    check(&mut with(server, one), "connected, to the network: true, stderr: false");
    let two = "exec 3<&0 4<&0 </dev/null; export LISTEN_PID=$$ LISTEN_FDS=2";
    check(&mut with(listener(), two), "2 listening");
    let (_client, server) = connection();
    check(&mut with(server, two), "error: the sockets handed over are neither all listening nor one connection");
    let kept = "exec 3<&0; export LISTEN_PID=$$ LISTEN_FDS=1"; // `Accept=yes` with `StandardInput=socket`
    let (_client, server) = connection();
    check(&mut with(server, kept), "connected, to the network: true");
}

#[test]
fn promises_that_are_not_kept() {
    if part().is_some() {
        return report();
    }
    let with = |before: &str| {
        let mut command = again("report", before);
        command.stdin(Stdio::null());
        command
    };
    let closed = "exec 3>&- 4>&-; export LISTEN_PID=$$ LISTEN_FDS=2";
    check(&mut with(closed), "error: file descriptor 3 should be a socket and is not");
    check(&mut with("exec 3</dev/null; export LISTEN_PID=$$ LISTEN_FDS=1"), "error: file descriptor 3 should be");
    for count in ["many", "-1", "2000000"] {
        let bad = format!("exec 3</dev/null; export LISTEN_PID=$$ LISTEN_FDS={count}");
        check(&mut with(&bad), "error: LISTEN_FDS is ");
    }
    check(&mut with("export LISTEN_PID=1 LISTEN_FDS=1"), "nothing"); // meant for another process
    check(&mut with("export LISTEN_FDS=1"), "nothing");
}

#[test]
fn standard_streams_of_inetd() {
    if part().is_some() {
        return report();
    }
    let (_client, server) = connection();
    check(again("report", "").stdin(server), "connected, to the network: true, stderr: false");
    let (_client, server) = connection();
    let stderr = server.try_clone().unwrap();
    check(again("report", "").stdin(server).stderr(stderr), "connected, to the network: true, stderr: true");
    let (_ours, theirs) = UnixStream::pair().unwrap();
    check(again("report", "").stdin(OwnedFd::from(theirs)), "connected, to the network: false");
    check(again("report", "").stdin(listener()), "1 listening");
    check(again("report", "").stdin(Stdio::piped()), "pipes");
    check(again("report", "").stdin(Stdio::null()), "nothing");
}

#[test]
fn errors_keep_their_cause() {
    if part().is_some() {
        say(take_inherited().unwrap_err().source().is_some());
        return;
    }
    let output = again("cause", "exec 3>&-; export LISTEN_PID=$$ LISTEN_FDS=1").output().unwrap();
    assert_eq!(said(&output.stdout), ["true"]);
}

#[test]
fn an_output_that_is_named_by_its_number() {
    if part().is_some() {
        return match named_output(3) {
            Ok(output) => write_all(output, b"all of it").unwrap(),
            Err(error) => say(format_args!("{error} ({})", error.source().is_some())),
        };
    }
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("output");
    let to_file = format!("exec 3>'{}'", file.display());
    assert!(again("write", &to_file).status().unwrap().success());
    assert_eq!(fs::read(&file).unwrap(), b"all of it");
    let said_with = |before: &str| said(&again("write", before).output().unwrap().stdout);
    assert_eq!(said_with("exec 3>&-"), ["file descriptor 3 is not open (true)"]);
    assert_eq!(said_with("exec 3</dev/null"), ["file descriptor 3 is open for reading alone (false)"]);
}
