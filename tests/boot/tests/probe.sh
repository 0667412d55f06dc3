#!/bin/sh
# Looks at the network card from inside of an initramfs, and says what it saw.
mark() {
    echo "<3>@@ mark $*" >/dev/kmsg
}
until test -e /sys/class/net/eth0; do
    sleep 0.2
done
ip link set eth0 up
sleep 1
mark "carrier $(cat /sys/class/net/eth0/carrier)"
ipconfig -t 5 -c dhcp eth0 >/dev/null 2>&1 && . /run/net-eth0.conf
mark "address ${IPV4ADDR:-none} ${IPV4DNS0:-none}"
nslookup keys.test 10.0.2.3 2>&1 | grep -q 'Address.*10\.9\.8\.7' && mark named
mark end
