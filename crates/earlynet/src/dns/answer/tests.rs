//! Answers of real servers, and answers that no server should give.

use super::*;
use crate::name::Name;
use proptest::prelude::*;

/// The question that was sent: the letters as they stand here.
fn query(name: &str, kind: Kind) -> Query {
    let mut query = Query::new(&Name::parse(name).unwrap(), kind, &mut || 0);
    query.id = 0x1234;
    query.question =
        name.split('.').flat_map(|label| [&[u8::try_from(label.len()).unwrap()], label.as_bytes()].concat()).collect();
    query.question.push(0);
    query.question.extend([0, u8::try_from(kind as u16).unwrap(), 0, 1]);
    query
}

fn read(message: &[u8], name: &str, kind: Kind) -> Result<Answer, Unusable> {
    Answer::read(message, &query(name, kind), Transport::Udp)
}

fn captured(text: &str) -> Vec<u8> {
    crate::vectors::bytes(text)
}

fn addresses(addresses: &[&str]) -> Result<Answer, Unusable> {
    Ok(Answer::Addresses(addresses.iter().map(|address| address.parse().unwrap()).collect()))
}

#[test]
fn answers_of_dnsmasq() {
    let both = captured(include_str!("../../../vectors/dns_a_dnsmasq.hex"));
    let Ok(Answer::Addresses(mut found)) = read(&both, "tAnG.ExAmPlE", Kind::A) else { panic!() };
    found.sort();
    assert_eq!(Ok(Answer::Addresses(found)), addresses(&["192.0.2.7", "192.0.2.8"]));
    let alias = captured(include_str!("../../../vectors/dns_alias_dnsmasq.hex"));
    assert_eq!(read(&alias, "alias.example", Kind::Aaaa), addresses(&["2001:db8::7"]));
    let none = captured(include_str!("../../../vectors/dns_no_name_though_four_dnsmasq.hex"));
    // It has an IPv4 address, and dnsmasq says so when it is asked for that: each family has to be believed by itself.
    assert_eq!(read(&none, "only4.example", Kind::Aaaa), Ok(Answer::NoName));
    let none = captured(include_str!("../../../vectors/dns_no_name_dnsmasq.hex"));
    assert_eq!(read(&none, "none.example", Kind::A), Ok(Answer::NoName));
    let cut = captured(include_str!("../../../vectors/dns_truncated_dnsmasq.hex"));
    assert_eq!(read(&cut, "many.example", Kind::A), Err(Unusable::Truncated));
}

#[test]
fn answers_of_nsd() {
    let alias = captured(include_str!("../../../vectors/dns_alias_nsd.hex"));
    assert_eq!(read(&alias, "alias.example", Kind::A), addresses(&["192.0.2.7"]));
    let none = captured(include_str!("../../../vectors/dns_alias_no_address_nsd.hex"));
    assert_eq!(read(&none, "four.example", Kind::Aaaa), Ok(Answer::NoAddress));
    let away = captured(include_str!("../../../vectors/dns_alias_away_nsd.hex"));
    assert_eq!(read(&away, "away.example", Kind::A), Ok(Answer::Alias(Name::parse("tang.other").unwrap())));
    let refused = captured(include_str!("../../../vectors/dns_refused_nsd.hex"));
    assert_eq!(read(&refused, "tang.other", Kind::A), Err(Unusable::Code(5)));
}

#[test]
fn what_answers_another_question() {
    let good = captured(include_str!("../../../vectors/dns_a_dnsmasq.hex"));
    assert_eq!(read(&good, "tAnG.ExAmPlE", Kind::Aaaa), Err(Unusable::OtherQuestion));
    assert_eq!(read(&good, "tAnG.ExAmPle", Kind::A), Err(Unusable::OtherCase));
    assert!(Answer::read(&good, &query("tang.example", Kind::A), Transport::Tcp).is_ok());
    assert_eq!(read(&good, "tAnG.ExAmPlEs", Kind::A), Err(Unusable::OtherQuestion));
    for (at, flip) in [(0, 1), (1, 1), (2, 0x80), (2, 0x08), (5, 3), (5, 1)] {
        let mut bytes = good.clone();
        bytes[at] ^= flip;
        assert_eq!(read(&bytes, "tAnG.ExAmPlE", Kind::A), Err(Unusable::OtherQuestion), "{at}");
    }
}

#[test]
fn servers_that_do_not_know_edns() {
    let with = |code: u8| [&[0x12, 0x34, 0x80, code][..], &[0; 8]].concat();
    let old = query("tang.example", Kind::A);
    let bare = old.without_extension();
    let read = |message: &[u8], query: &Query| Answer::read(message, query, Transport::Udp).unwrap_err();
    assert_eq!((read(&with(1), &old), read(&with(4), &old)), (Unusable::NoExtension, Unusable::NoExtension));
    assert_eq!((read(&with(1), &bare), read(&with(4), &bare)), (Unusable::Code(1), Unusable::Code(4)));
    assert_eq!(
        read(&with(2), &old),
        Unusable::Short(Short { field: "the question" }),
        "who knows the question repeats it"
    );
}

/// A message with these records behind its question; names are written out.
fn message(code: u8, name: &str, kind: Kind, records: &[(&str, u16, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = vec![0x12, 0x34, 0x80, code, 0, 1, 0, u8::try_from(records.len()).unwrap(), 0, 0, 0, 0];
    bytes.extend(&query(name, kind).question);
    for (owner, kind, data) in records {
        bytes.extend(wire(owner));
        bytes.extend([0, u8::try_from(*kind).unwrap(), 0, 1, 0, 0, 0, 60, 0, u8::try_from(data.len()).unwrap()]);
        bytes.extend(data);
    }
    bytes
}

fn wire(name: &str) -> Vec<u8> {
    Name::parse(name).unwrap().to_wire()
}

#[test]
fn chains() {
    let alias = |owner, target: &str| (owner, ALIAS, wire(target));
    let four = |owner| (owner, 1, vec![192, 0, 2, 7]);
    let read = |records: &[(&str, u16, Vec<u8>)]| read(&message(0, "a.x", Kind::A, records), "a.x", Kind::A);
    assert_eq!(read(&[four("a.x")]), addresses(&["192.0.2.7"]));
    assert_eq!(read(&[four("b.x"), alias("A.X", "B.x")]), addresses(&["192.0.2.7"]), "in any order and case");
    assert_eq!(read(&[four("b.x")]), Ok(Answer::NoAddress), "another name's address");
    assert_eq!(read(&[("a.x", 28, vec![0; 16])]), Ok(Answer::NoAddress), "another family's address");
    assert_eq!(read(&[("a.x", 1, vec![0; 5])]), Ok(Answer::NoAddress), "no address at all");
    assert_eq!(read(&[alias("a.x", "a.x")]), Err(Unusable::Circle));
    assert_eq!(read(&[alias("a.x", "b.x"), alias("b.x", "a.x")]), Err(Unusable::Circle));
    let names: Vec<String> = (0..10).map(|n| format!("n{n}.x")).collect();
    let mut long: Vec<(&str, u16, Vec<u8>)> = vec![alias("a.x", &names[0])];
    long.extend(names.windows(2).map(|pair| alias(&pair[0], &pair[1])));
    assert_eq!(read(&long), Err(Unusable::Circle));
    assert_eq!(read(&long[..8]), Ok(Answer::Alias(Name::parse("n7.x").unwrap())));
    let denied = message(3, "a.x", Kind::A, &[alias("a.x", "b.x")]);
    assert_eq!(Answer::read(&denied, &query("a.x", Kind::A), Transport::Udp), Ok(Answer::NoName));
    let many: Vec<(&str, u16, Vec<u8>)> = (0..99).map(|_| four("a.x")).collect();
    assert!(matches!(read(&many), Ok(Answer::Addresses(found)) if found.len() == MOST_ADDRESSES));
}

#[test]
fn a_cut_message_is_no_answer() {
    for (text, name, kind) in [
        (include_str!("../../../vectors/dns_alias_nsd.hex"), "alias.example", Kind::A),
        (include_str!("../../../vectors/dns_a_dnsmasq.hex"), "tAnG.ExAmPlE", Kind::A),
    ] {
        let whole = captured(text);
        let answers = usize::from(whole[7]);
        for length in 0..whole.len() {
            let read = read(&whole[..length], name, kind);
            // The last answer ends somewhere before the end of the message.
            assert!(
                matches!(read, Err(Unusable::Short(_) | Unusable::Name(NameError::Short(_))))
                    || (length > 12 + answers * 12 && read.is_ok()),
                "{length}: {read:?}"
            );
        }
    }
}

proptest! {
    #[test]
    fn any_records_end(bytes in proptest::collection::vec(any::<u8>(), 0..200), answers in 0_u8..9, authorities in 0_u8..9) {
        let mut message = message(0, "a.x", Kind::A, &[]);
        (message[7], message[9]) = (answers, authorities);
        message.extend(&bytes);
        if let Ok(Answer::Addresses(found)) = read(&message, "a.x", Kind::A) {
            prop_assert!(found.len() * 4 <= bytes.len());
        }
    }

    #[test]
    fn a_flipped_byte_ends(at in 0_usize..110, flip in 1_u8..=255) {
        let mut message = captured(include_str!("../../../vectors/dns_alias_nsd.hex"));
        message[at] ^= flip;
        let _ = read(&message, "alias.example", Kind::A);
    }
}
