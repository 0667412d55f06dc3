//! What comes from outside and makes no sense is one line, and never a hang.

use crate::{SOON, agent, agent_for, alone, answered, ask, bound, question, said};
use compliance::server::free_port;
use compliance::{Curve, Disk, KeyDirectory, Maker, Server, Version};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// Answers each request by what `answer` does to its connection, until the listener is dropped with the test.
fn served(port: u16, answer: fn(&mut TcpStream)) {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut stream = stream;
                let mut head = BufReader::new(stream.try_clone().unwrap()).lines();
                while head.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
                answer(&mut stream);
            });
        }
    });
}

/// A volume that is bound to a server which has something else in its place when the machine starts.
fn bound_to(port: u16) -> Disk {
    let keys = KeyDirectory::new(Maker::Ours, Curve::P521);
    bound(Version::Luks2, &Server::start_on(Maker::Ours, &keys, port).config())
}

/// What is said, and how long the agent goes on beyond the limit of everything.
fn left_to_a_person(disk: &Disk) -> String {
    let asker = ask(disk, "--timeout=60");
    question(disk);
    let start = Instant::now();
    let words = agent_for(disk, "", "5").limit(SOON).run().succeeded().said();
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}: {words}", start.elapsed());
    assert!(words.contains("nothing has opened it within the time there was"), "{words}");
    asker.terminate();
    drop(asker);
    words
}

#[test]
fn a_portal_that_answers_everything_is_told_once_and_is_not_the_end() {
    let _alone = alone();
    let port = free_port();
    let disk = bound_to(port);
    served(port, |stream| {
        let page = "<html>Please log in</html>";
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n", page.len());
        drop(stream.write_all((head + page).as_bytes()));
    });
    let words = left_to_a_person(&disk);
    assert_eq!(words.matches("not yet: ").count(), 1, "{words}");
}

#[test]
fn a_megabyte_that_comes_byte_by_byte_is_not_waited_for() {
    let _alone = alone();
    let port = free_port();
    let disk = bound_to(port);
    served(port, |stream| {
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"));
        while stream.write_all(b"{").is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    });
    let words = left_to_a_person(&disk);
    assert!(words.contains("no answer within 2.0 s"), "{words}");
}

#[test]
fn tables_questions_and_command_lines_that_make_no_sense_are_one_line_each() {
    let _alone = alone();
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    disk.bind(Maker::Ours, "null", "{}");
    let table = disk.beside("crypttab");
    fs::write(&table, b"\xff\xfe\nx\n\0\0\0 y z\nroot UUID= none\n").unwrap();
    let broken = std::path::Path::new(crate::QUESTIONS).join(format!("ask.cotter-{}", std::process::id()));
    let asker = ask(&disk, "--timeout=30");
    question(&disk);
    fs::write(&broken, b"\x1b[2J[Ask]\nSocket=\n").unwrap();
    let words = "ip=:::::::::::::::: ip=1.2.3 vlan= bond=x:y:z ifname=\x07 nameserver=x \"open";
    let running = agent(&disk, words).arg("--crypttab").arg(&table).start();
    assert!(disk.opens_with(&answered(asker)));
    let said = said(running);
    fs::remove_file(&broken).unwrap();
    for line in [1, 2, 3, 4] {
        assert_eq!(said.matches(&format!("line {line}: ")).count(), 1, "{said}");
    }
    assert_eq!(said.matches(&format!("ask.cotter-{}", std::process::id())).count(), 1, "{said}");
    assert!(!said.contains('\x1b') && !said.contains('\x07'), "{said}");
}
