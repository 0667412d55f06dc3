//! Each form of `ip=`, as the documents of its owners show it.

use super::*;

fn read_with(value: &str, line: &str, dialect: Dialect) -> Result<Option<LinkRule>, WordError> {
    read(value, &CommandLine::parse(line.as_bytes()).unwrap(), dialect)
}

fn rule(value: &str, dialect: Dialect) -> LinkRule {
    match read_with(value, "", dialect) {
        Ok(Some(rule)) => rule,
        other => panic!("{value}: {other:?}"),
    }
}

fn named(name: &str) -> Which {
    Which::Named(LinkName::new(name).unwrap())
}

fn static_rule(which: Which, address: &str, gateway: &str) -> LinkRule {
    LinkRule { address: Subnet::parse(address), gateway: gateway.parse().ok(), ..LinkRule::bare(which) }
}

fn check(value: &str, expected: &LinkRule) {
    for dialect in [Dialect::Kernel, Dialect::Dracut] {
        assert_eq!(rule(value, dialect), *expected, "{value}");
    }
}

/// Debian 12 waits for an interface called `dhcp` here, and never opens.
#[test]
fn a_method_alone_is_for_every_interface() {
    check("dhcp", &LinkRule { methods: vec![Method::Dhcp4], ..LinkRule::bare(Which::Any) });
    check("auto6", &LinkRule { methods: vec![Method::Auto6], ..LinkRule::bare(Which::Any) });
    check("dhcp,dhcp6", &LinkRule { methods: vec![Method::Dhcp4, Method::Dhcp6], ..LinkRule::bare(Which::Any) });
    for any in ["", "on", "any", ":::::", "::::::any"] {
        check(any, &LinkRule::automatic(Which::Any));
    }
    for off in ["none", "off"] {
        assert_eq!(read_with(off, "", Dialect::Kernel), Ok(None));
    }
}

#[test]
fn the_kernels_ten_fields() {
    let expected = LinkRule {
        boot_server: "192.0.2.9".parse().ok(),
        host_name: Some("host.example".into()),
        name_servers: vec!["192.0.2.53".parse().unwrap(), "192.0.2.54".parse().unwrap()],
        time_server: "192.0.2.123".parse().ok(),
        ..static_rule(named("eth0"), "192.0.2.7/25", "192.0.2.1")
    };
    let value = "192.0.2.7:192.0.2.9:192.0.2.1:255.255.255.128:host.example:eth0:off:192.0.2.53:192.0.2.54:192.0.2.123";
    assert_eq!(rule(value, Dialect::Kernel), expected);
    let peer = Subnet::parse("192.0.2.9");
    assert_eq!(rule(value, Dialect::Dracut), LinkRule { peer, boot_server: None, ..expected });
}

#[test]
fn what_is_left_out_is_what_its_owner_assumes() {
    check("10.0.0.7", &static_rule(Which::Any, "10.0.0.7/8", ""));
    check("192.0.2.7::192.0.2.1::::", &static_rule(Which::Any, "192.0.2.7/24", "192.0.2.1"));
    check("192.0.2.7::192.0.2.1:24::eth0:none", &static_rule(named("eth0"), "192.0.2.7/24", "192.0.2.1"));
    check("192.0.2.7/26::192.0.2.1:::eth0", &static_rule(named("eth0"), "192.0.2.7/26", "192.0.2.1"));
    check("192.0.2.7::0.0.0.0:24::all:none", &static_rule(Which::Any, "192.0.2.7/24", ""));
    check(
        "::::host::dhcp",
        &LinkRule { host_name: Some("host".into()), methods: vec![Method::Dhcp4], ..LinkRule::bare(Which::Any) },
    );
    check(":::::eth0", &LinkRule::automatic(named("eth0")));
    check(":::::eth0:none", &LinkRule::bare(named("eth0")));
    check(
        ":::::eth0:dhcp::192.0.2.54",
        &LinkRule {
            methods: vec![Method::Dhcp4],
            name_servers: vec!["192.0.2.54".parse().unwrap()],
            ..LinkRule::bare(named("eth0"))
        },
    );
    check(
        "192.0.2.7::::::none:0.0.0.0:192.0.2.53",
        &LinkRule { name_servers: vec!["192.0.2.53".parse().unwrap()], ..static_rule(Which::Any, "192.0.2.7/24", "") },
    );
}

#[test]
fn dracuts_form_with_a_device_in_front() {
    let dhcp = |which| LinkRule { methods: vec![Method::Dhcp4], ..LinkRule::bare(which) };
    let mac = || "52:54:00:12:34:56".parse::<Mac>().unwrap();
    check("eth0:dhcp", &dhcp(named("eth0")));
    check(":dhcp", &dhcp(Which::Any));
    check("eth0:dhcp:1400", &LinkRule { mtu: Some(1400), ..dhcp(named("eth0")) });
    check("eth0:dhcp:9000:52:54:00:12:34:56", &LinkRule { mtu: Some(9000), mac: Some(mac()), ..dhcp(named("eth0")) });
    check("eth0:dhcp::52-54-00-12-34-56", &LinkRule { mac: Some(mac()), ..dhcp(named("eth0")) });
    check("eth0:dhcp::", &dhcp(named("eth0")));
    check("52-54-00-12-34-56:dhcp", &dhcp(Which::Address(mac())));
    check("52:54:00:12:34:56:dhcp", &dhcp(Which::Address(mac())));
    check("eth0:none", &LinkRule::bare(named("eth0")));
    check(
        "eth0:dhcp,1,abc",
        &LinkRule { client_id: Some(ClientId { kind: 1, value: b"abc".to_vec() }), ..dhcp(named("eth0")) },
    );
}

#[test]
fn dracuts_form_with_an_address_in_front() {
    let static_six = static_rule(named("eth0"), "2001:db8::7/64", "2001:db8::1");
    check("[2001:db8::7]::[2001:db8::1]:64::eth0:none", &static_six);
    let servers = vec!["2001:db8::53".parse().unwrap(), "192.0.2.53".parse().unwrap()];
    let value = "[2001:db8::7]::[2001:db8::1]:64::eth0:none:[2001:db8::53]:192.0.2.53";
    check(value, &LinkRule { name_servers: servers, ..static_six.clone() });
    let mac = "52:54:00:12:34:56".parse().ok();
    let value = "[2001:db8::7]::[2001:db8::1]:64::eth0:none:1400:52:54:00:12:34:56";
    check(value, &LinkRule { mtu: Some(1400), mac, ..static_six.clone() });
    check("[2001:db8::7]::[2001:db8::1]:64::eth0:none::52-54-00-12-34-56", &LinkRule { mac, ..static_six });
    let peer = rule("192.0.2.7:192.0.2.1/30:192.0.2.1:255.255.255.255::eth0:none", Dialect::Dracut);
    assert_eq!(peer.peer, Subnet::parse("192.0.2.1/30"));
}

#[test]
fn an_address_that_stands_there_is_not_asked_for() {
    let v4 = |methods: &[Method]| LinkRule {
        methods: methods.to_vec(),
        ..static_rule(named("eth0"), "192.0.2.7/24", "192.0.2.1")
    };
    check("192.0.2.7::192.0.2.1:24::eth0:dhcp", &v4(&[]));
    check("192.0.2.7::192.0.2.1:24::eth0:auto6", &v4(&[Method::Auto6]));
    check("192.0.2.7::192.0.2.1:24::eth0:any", &v4(&[Method::Auto6]));
    let v6 = rule("[2001:db8::7]::[2001:db8::1]:64::eth0:dhcp", Dialect::Dracut);
    assert_eq!(v6.methods, [Method::Dhcp4]);
}

#[test]
fn an_address_with_words_of_its_own() {
    let line = "netmask=255.255.255.128 gateway=192.0.2.1 hostname=host ksdevice=eth0 mtu=1400";
    let expected = LinkRule {
        host_name: Some("host".into()),
        mtu: Some(1400),
        ..static_rule(named("eth0"), "192.0.2.7/25", "192.0.2.1")
    };
    assert_eq!(read_with("192.0.2.7", line, Dialect::Dracut), Ok(Some(expected)));
    let by_loader = read_with("192.0.2.7", "ksdevice=bootif BOOTIF=01-52-54-00-12-34-56", Dialect::Dracut);
    assert!(matches!(by_loader, Ok(Some(LinkRule { which: Which::Address(_), .. }))), "{by_loader:?}");
}

#[test]
fn the_boot_loaders_card() {
    let read = read_with("BOOTIF:dhcp", "BOOTIF=01-52-54-00-12-34-56", Dialect::Dracut);
    assert!(matches!(read, Ok(Some(LinkRule { which: Which::Address(_), .. }))), "{read:?}");
    assert_eq!(read_with("BOOTIF:dhcp", "", Dialect::Dracut), Err(WordError::Missing(Part::Mac)));
}

#[test]
fn each_part_has_its_fault() {
    for (value, part) in [
        ("eth0", Part::MethodOrAddress),
        ("dhpc", Part::MethodOrAddress),
        ("eth0:dhpc", Part::Client),
        ("192.0.2.300::192.0.2.1:24::eth0:none", Part::Client),
        ("2001:db8::7::2001:db8::1:64::eth0:none", Part::Client),
        ("224.0.0.1::192.0.2.1:::eth0:none", Part::Client),
        ("192.0.2.7::192.0.2:24::eth0:none", Part::Gateway),
        ("192.0.2.7::192.0.2.1:255.0.255.0::eth0:none", Part::Netmask),
        ("192.0.2.7::192.0.2.1:33::eth0:none", Part::Netmask),
        ("192.0.2.7::192.0.2.1:24:my host:eth0:none", Part::HostName),
        ("192.0.2.7::192.0.2.1:24::a/b:none", Part::Link),
        ("192.0.2.7::192.0.2.1:24::eth0:dhpc", Part::Method),
        ("192.0.2.7::192.0.2.1:24::eth0:none:67", Part::Mtu),
        ("192.0.2.7::192.0.2.1:24::eth0:none:192.0.2.53:x", Part::NameServer),
        ("192.0.2.7::192.0.2.1:24::eth0:none:192.0.2.53::x", Part::TimeServer),
        ("192.0.2.7::192.0.2.1:24::eth0:none:1400:52:54", Part::Mac),
        ("eth0:dhcp:70000", Part::Mtu),
        ("eth0:dhcp::52:54:00:12:34", Part::Mac),
        ("eth0:dhcp,300,x", Part::ClientId),
    ] {
        let read = read_with(value, "", Dialect::Kernel);
        assert!(matches!(&read, Err(WordError::Part { part: found, .. }) if *found == part), "{value}: {read:?}");
    }
    let refused = |value| read_with(value, "", Dialect::Dracut).unwrap_err();
    assert_eq!(refused("[2001:db8::7]:::::eth0:none"), WordError::Missing(Part::Netmask));
    assert!(matches!(refused("192.0.2.7::[2001:db8::1]:24::eth0:none"), WordError::Families { .. }));
    assert!(matches!(refused("192.0.2.7:x::24::eth0:none"), WordError::Part { part: Part::Peer, .. }));
    assert!(matches!(refused("rarp"), WordError::Unsupported { what: "rarp", .. }));
    assert_eq!(refused("a:b:c:d:e:f:g:h:i:j:k:l:m:n:o"), WordError::TooManyParts { most: 14 });
    assert_eq!(refused("::::::none:192.0.2.53:::x"), WordError::TooManyParts { most: 10 });
}
