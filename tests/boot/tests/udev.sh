# What is done to the disks of a guest, by cryptsetup (theirs) and by cotter (ours), with udev and without.
#
# /dev/vda and /dev/vdb are LUKS2; /dev/vdc is too, with a cipher that this kernel lacks, so that its mapping fails in the last
# step. /key opens all of them.

# BY_open NAME DEVICE, BY_close NAME
theirs_open() { cryptsetup open --type luks2 --key-file /key "$2" "$1"; }
theirs_close() { cryptsetup close "$1"; }
ours_open() { cotter luks unlock -n "$1" -k /key -d "$2"; }
ours_close() { cotter luks lock "$1"; }

# names NAME: everything in /dev that leads to this mapping, and how.
names() {
    for path in "/dev/mapper/$1" /dev/disk/by-id/dm-*"$1"; do
        if test -L "$path"; then
            echo "$path -> $(readlink "$path")"
        elif test -b "$path"; then
            echo "$path is a node"
        fi
    done
}

# semaphores: all there are, as the kernel and as dmsetup sees them, without their headings.
semaphores() {
    tail -n +2 /proc/sysvipc/sem
    dmsetup udevcookies | tail -n +2
}

# quietly COMMAND...: what it says matters only if it fails.
quietly() { said=$("$@" 2>&1) || { echo "$said"; return 1; }; }

# opened BY NAME DEVICE: opens it, and tells at once what is there then.
opened() { quietly "$1_open" "$2" "$3" && names "$2" && semaphores; }

# closed BY NAME: as above.
closed() { quietly "$1_close" "$2" && names "$2" && semaphores; }

# refused BY NAME DEVICE: opening must fail, and leaves nothing but what was there before.
refused() {
    if "$1_open" "$2" "$3"; then return 99; fi
    names "$2"
    dmsetup info -c --noheadings -o name,uuid
    semaphores
}

# both BY: two disks at once, there and back.
both() {
    quietly "$1_open" one /dev/vda & first=$!
    quietly "$1_open" two /dev/vdb & second=$!
    wait $first && wait $second && names one && names two && semaphores || return
    quietly "$1_close" one & first=$!
    quietly "$1_close" two & second=$!
    wait $first && wait $second && names one && names two && semaphores
}

# known NAME: what udev knows about a mapping, but for numbers that no two events share.
known() { udevadm info --query=property --name="/dev/mapper/$1" | grep -Ev '^(USEC_INITIALIZED|SEQNUM|DISKSEQ)='; }

read_some() { head -c 4096 "/dev/mapper/$1" | md5sum; }

for by in theirs ours; do
    step $by-open opened $by data /dev/vda
    step $by-known known data
    step $by-read read_some data
    step $by-taken refused $by data /dev/vdb
    step $by-close closed $by data
    step $by-slow-open opened $by slow /dev/vda
    step $by-slow-open-seen cat /run/seen-change
    step $by-slow-close closed $by slow
    step $by-slow-close-seen cat /run/seen-remove
    rm /run/seen-*
    step $by-broken refused $by broken /dev/vdc
    step $by-both both $by
done

# What one has opened the other closes.
step theirs-mixed opened theirs mixed /dev/vda
step ours-closes-theirs closed ours mixed
step ours-mixed opened ours mixed /dev/vda
step theirs-closes-ours closed theirs mixed

# Not one semaphore more on this machine.
limits=$(cat /proc/sys/kernel/sem)
echo 250 32000 32 0 >/proc/sys/kernel/sem
step full-theirs theirs_open data /dev/vda
step full ours_open data /dev/vda
udevadm settle
step full-names names data
step full-close ours_close data
udevadm settle
step full-close-names names data
echo "$limits" >/proc/sys/kernel/sem

# Two that udev does not answer: for one there is no rule that tells when it is done, which takes half a minute; of the other it
# never hears, because it has died and left its socket behind.
ours_open mute /dev/vdb >/run/mute 2>&1 & mute=$!
wait_for test -e /dev/disk/by-id/dm-name-mute
step stop kill_udev
step dead-open ours_open dead /dev/vda
wait $mute
step mute-open cat /run/mute
step mute-names names mute
step dead-names names dead
step mute-semaphores semaphores

rm /run/udev/control
step mute-close quietly ours_close mute
step dead-close closed ours dead
for by in theirs ours; do
    step $by-alone-open opened $by data /dev/vda
    step $by-alone-read read_some data
    step $by-alone-close closed $by data
    step $by-alone-broken refused $by broken /dev/vdc
    step $by-alone-left ls /dev/mapper
done
