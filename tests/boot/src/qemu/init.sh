#!/bin/sh
# The first process of the guest: the kernel's file systems, modules, udev, the story, the end.

export PATH=/usr/sbin:/usr/bin:/sbin:/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t securityfs securityfs /sys/kernel/security
mount -t devtmpfs dev /dev
mount -t tmpfs run /run
while read -r module; do
    insmod "/modules/$module"
done </modules/order

# All that a story writes goes to the second serial port, line by line.
exec </dev/null >/dev/ttyS1 2>&1

# Whatever hangs, the machine ends, also when nobody is left who would end it.
(sleep 280 && poweroff -f) &

# step NAME COMMAND...: runs the command and tells how it ended.
step() {
    name=$1
    shift
    echo "@@ begin $name"
    "$@"
    code=$?
    echo
    echo "@@ end $name $code"
}

start_udev() {
    /lib/systemd/systemd-udevd --daemon
    udevadm trigger --type=subsystems --action=add
    udevadm trigger --type=devices --action=add
    udevadm settle
}

# Its socket is left behind, as after a crash.
kill_udev() {
    udevadm control --exit
    wait_for udev_is_gone
}

udev_is_gone() { ! pidof systemd-udevd; }

# wait_for COMMAND...: until it succeeds, ten seconds at most.
wait_for() {
    left=100
    until "$@"; do
        left=$((left - 1))
        test "$left" -gt 0 || return 1
        sleep 0.1
    done
}

step boot start_udev
. /story
poweroff -f
