#!/bin/sh
# Makes the vectors of this directory anew: answers of dnsmasq and NSD to klibc's ipconfig, dhclient and plain questions, captured in two
# network namespaces of its own, and what klibc and dracut make of words of a command line. Needs root and the packages dnsmasq-base, nsd,
# klibc-utils, isc-dhcp-client, iproute2, tcpdump, perl, dash; for dracut's words the path of its net-lib.sh as the argument.
#
# What is random in the messages (transactions, times, addresses of cards made on the spot) differs from run to run, and the tests name
# some of it: this is how the files came to be, not a step of the build.
set -eu
net_lib=${1:+$(realpath "$1")}
cd "$(dirname "$0")"
PATH="$PATH:/usr/sbin:/sbin:/usr/lib/klibc/bin"
work=$(mktemp -d)
chmod 755 "$work"
server=vectors-server client=vectors-client
end() {
    for file in "$work"/*.pid; do
        if [ -e "$file" ]; then kill "$(cat "$file")" || true; fi
    done
    ip netns del $server || true
    ip netns del $client || true
    rm -r "$work"
}
trap end EXIT

# One packet of the capture as a vector: which (a filter), its number among those, bytes to leave out in front, title.
vector() {
    name=$1 filter=$2 number=$3 skip=$4
    shift 4
    {
        printf '# %s\n' "$*"
        tcpdump -r "$work/capture" -n -xx "$filter" 2>/dev/null |
            awk -v number="$number" -v skip="$skip" '
                !/^\t0x/ { n++ }
                /^\t0x/ && n == number { sub(/^[^:]*:/, ""); gsub(/ /, ""); hex = hex $0 }
                END { print substr(hex, 2 * skip + 1) }' | fold -w 64
    } >"$name.hex"
}

links() {
    ip netns add $server
    ip netns add $client
    ip link add s0 netns $server type veth peer name c0 netns $client address 52:54:00:12:34:56
    ip netns exec $client sysctl -qw net.ipv6.conf.c0.accept_ra=0
    ip -n $server addr add 192.0.2.1/24 dev s0
    ip -n $server -6 addr add 2001:db8:1::1/64 dev s0 nodad
    ip -n $server link set lo up
    ip -n $server link set s0 up
    ip -n $client link set c0 up
    sleep 3
}
dnsmasq_with() {
    ip netns exec $server dnsmasq --pid-file="$work/dnsmasq.pid" --conf-file=/dev/null --no-hosts --no-resolv --interface=s0 \
        --bind-interfaces --dhcp-authoritative --leasefile-ro "$@"
}
capture() {
    ip netns exec $client tcpdump -U -i c0 -w "$work/capture" >/dev/null 2>&1 &
    echo $! >"$work/tcpdump.pid"
    sleep 2
}
stop() {
    sleep 1
    for file in "$work"/*.pid; do
        kill "$(cat "$file")"
        rm "$file"
    done
    sleep 1
}

# The words of a table of ours, each with what a program on standard input and output makes of it.
words_of() {
    grep -v '^#' "$1.txt" | cut -f 1 >"$work/words"
    "$1" <"$work/words" >"$work/fields"
    { grep '^#' "$1.txt"; paste "$work/words" "$work/fields"; } >"$work/table"
    mv "$work/table" "$1.txt"
}
ip_klibc() {
    ip -n $client link add eth0 type veth peer name eth1
    ip -n $client link set eth0 up
    ip -n $client link set eth1 up
    while IFS= read -r word; do
        ip netns exec $client ipconfig -n -t 1 -d "ip=$word" >&2
        # shellcheck disable=SC1090,SC2154,SC3028
        (
            . /run/net-eth[01].conf
            echo "ip=$IPV4ADDR gw=$IPV4GATEWAY mask=$IPV4NETMASK host=$HOSTNAME dev=$DEVICE srv=$ROOTSERVER dns=$IPV4DNS0,$IPV4DNS1"
        )
        rm /run/net-eth[01].conf
    done
}
ip_dracut() {
    {
        # What ip_to_var needs of dracut, and no more.
        # shellcheck disable=SC2016
        printf '%s\n' 'strglob() { [ -z "${1##$2}" ]; }' 'getarg() { :; }'
        sed -n '/^ip_to_var() {/,/^}/p' "$net_lib"
        # shellcheck disable=SC2016
        printf '%s\n' 'while IFS= read -r word; do ip_to_var "$word"' \
            'echo "ip=$ip srv=$srv gw=$gw mask=$mask host=$hostname dev=$dev auto=$autoconf mac=$macaddr mtu=$mtu dns=$dns1${dns2:+,$dns2}"' 'done'
    } >"$work/ip_to_var"
    dash "$work/ip_to_var"
}

links
words_of ip_klibc
if [ -n "$net_lib" ]; then words_of ip_dracut; fi

capture
dnsmasq_with --dhcp-range=192.0.2.57,192.0.2.57,255.255.255.0,1h --dhcp-option=3,192.0.2.1 --dhcp-option=6,192.0.2.53,192.0.2.54 \
    --dhcp-option=15,lan.example --dhcp-option=119,a.example,b.example --dhcp-option=26,1400 \
    --dhcp-option-force=121,198.51.100.0/24,192.0.2.2,0.0.0.0/0,192.0.2.1
ip netns exec $client ipconfig -t 10 -c dhcp -d c0
mv /run/net-c0.conf klibc_ipconfig.conf
stop
vector dhcp4_offer_dnsmasq 'udp src port 67 and udp[250] = 2' 1 42 "dnsmasq's DHCPOFFER to klibc's ipconfig, the payload"
vector dhcp4_ack_dnsmasq 'udp src port 67 and udp[250] = 5' 1 42 "dnsmasq's DHCPACK to klibc's ipconfig, the payload"
vector dhcp4_ack_dnsmasq_packet 'udp src port 67 and udp[250] = 5' 1 14 \
    "dnsmasq's DHCPACK to klibc's ipconfig, from the IPv4 header on; the UDP checksum was left to the card"

six() {
    range=$1
    shift
    capture
    dnsmasq_with --enable-ra --dhcp-range="$range" --ra-param=s0,mtu:1400,high,60 \
        --dhcp-option='option6:dns-server,[2001:db8:1::53],[2001:db8:1::54]' --dhcp-option=option6:domain-search,a.example,b.example
    sleep 3
    echo >"$work/dhclient.conf"
    ip netns exec $client timeout 12 dhclient -6 "$@" -1 -cf "$work/dhclient.conf" -sf /bin/true -lf "$work/leases" -pf "$work/dhclient.pid" c0
    stop
}
six 2001:db8:1::100,2001:db8:1::1ff,64,1h -N
vector dhcp6_advertise_dnsmasq 'src port 547' 1 62 "dnsmasq's Advertise to dhclient, the payload"
vector dhcp6_reply_dnsmasq 'src port 547' 2 62 "dnsmasq's Reply to a Request of dhclient, the payload"
six 2001:db8:1::,ra-stateless -S
vector dhcp6_information_dnsmasq 'src port 547' 1 62 "dnsmasq's Reply to an Information-Request of dhclient, the payload"
vector router_advertisement_dnsmasq 'icmp6 and ip6[40] = 134' 1 54 "dnsmasq's advertisement, ra-stateless, mtu:1400,high,60, to ff02::1"

# Names: asked with the identifier 1234.
many=$(seq -f '--host-record=many.example,10.0.0.%g' 1 60)
# shellcheck disable=SC2086
ip netns exec $server dnsmasq --pid-file="$work/dnsmasq.pid" --conf-file=/dev/null --no-hosts --no-resolv --port=5301 \
    --listen-address=127.0.0.1 --bind-interfaces --host-record=tang.example,192.0.2.7,2001:db8::7 --host-record=tang.example,192.0.2.8 \
    --cname=alias.example,second.example --cname=second.example,tang.example --address=/only4.example/192.0.2.9 --local=/example/ $many
cat >"$work/example" <<'ZONE'
$ORIGIN example.
@ 60 IN SOA ns hostmaster 1 60 60 60 60
@ 60 IN NS ns
ns 60 IN A 192.0.2.53
tang 60 IN A 192.0.2.7
tang 60 IN AAAA 2001:db8::7
alias 60 IN CNAME tang
only4 60 IN A 192.0.2.9
four 60 IN CNAME only4
away 60 IN CNAME tang.other.
ZONE
cat >"$work/nsd.conf" <<CONF
server:
  ip-address: 127.0.0.1
  port: 5302
  username: ""
  zonesdir: "$work"
  database: ""
  pidfile: "$work/nsd.pid"
  xfrdfile: "$work/xfrd"
  zonelistfile: "$work/zones"
remote-control:
  control-enable: no
zone:
  name: example
  zonefile: example
CONF
ip netns exec $server nsd -c "$work/nsd.conf"
sleep 1

# File, port, name, type, whether with EDNS0, title.
ask() {
    {
        printf "# %s; asked for %s with identifier 1234\n" "$6" "$3"
        # shellcheck disable=SC2016
        ip netns exec $server perl -MSocket -e '
            my ($port, $name, $type, $edns) = @ARGV;
            my $query = pack("n6", 0x1234, 0x0100, 1, 0, 0, $edns) . join("", map { pack("C/a", $_) } split /\./, $name) . pack("Cn2", 0, $type, 1);
            $query .= pack("Cn5", 0, 41, 1232, 0, 0, 0) if $edns;
            socket(my $socket, AF_INET, SOCK_DGRAM, 0);
            send($socket, $query, 0, sockaddr_in($port, INADDR_LOOPBACK));
            alarm 5;
            recv($socket, my $answer, 65535, 0);
            print unpack("H*", $answer), "\n"' "$2" "$3" "$4" "$5" | fold -w 64
    } >"$1.hex"
}
ask dns_a_dnsmasq 5301 tAnG.ExAmPlE 1 1 'dnsmasq: two addresses'
ask dns_alias_dnsmasq 5301 alias.example 28 1 'dnsmasq: a name that is another one over a second'
ask dns_no_name_though_four_dnsmasq 5301 only4.example 28 1 \
    'dnsmasq, --address=/only4.example/192.0.2.9 --local=/example/: no such name, although it has an IPv4 address'
ask dns_no_name_dnsmasq 5301 none.example 1 1 'dnsmasq: no such name'
ask dns_truncated_dnsmasq 5301 many.example 1 0 'dnsmasq: sixty addresses, cut'
ask dns_alias_nsd 5302 alias.example 1 1 'NSD: a name that is another one, compressed'
ask dns_alias_no_address_nsd 5302 four.example 28 1 'NSD: a name that is another one without addresses of the family'
ask dns_alias_away_nsd 5302 away.example 1 1 'NSD: a name that is another one, of which the server knows nothing'
ask dns_refused_nsd 5302 tang.other 1 1 'NSD: a name that is none of its own'
