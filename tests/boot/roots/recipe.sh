#!/bin/sh
# sh recipe.sh NAME INTO BASE [PROGRAM]: makes the root NAME in the empty directory INTO; as root, in a mount namespace of its own, which takes
# every mount away with it however this ends.
#
# A plain root is bootstrapped from the sources that this machine's own apt knows. Others are a layer above the plain one BASE:
#   NAME-clevis      with the original installed
#   NAME-crowd       with the original and others who want the network, the disks or the console as early
#   NAME-cotter      with what is in `integration`, and PROGRAM, a boot build; NAME may be one with a crowd
# Left behind are
#   tree or layer    the file system, or what is above BASE/tree
#   kernel, initrd   what boots it; beside the initrd of dracut with cotter one without systemd
set -eu
here=$(cd "$(dirname "$0")" && pwd)
name=$1 into=$2 base=$3 program=${4-}
framework=${name%%-c[a-z]*}

# What every root has: the layouts that are booted, and what a small initramfs is compressed with.
common=linux-image-cloud-amd64,systemd-sysv,udev,cryptsetup,lvm2,mdadm,zstd,kmod,busybox,ca-certificates
case $framework in
    initramfs-tools)
        include=$common,initramfs-tools,cryptsetup-initramfs clevis="clevis-initramfs clevis-tpm2"
        crowd="$clevis dropbear-initramfs open-iscsi plymouth"
        ;;
    # What its network modules need and its packages do not say: /etc/services, and the bus that systemd-networkd sits on.
    dracut)
        include=$common,dracut,netbase,dbus,procps clevis="clevis-dracut clevis-tpm2" crowd=$clevis
        ;;
    *) echo "no such root: $name" >&2; exit 2 ;;
esac

# One line for each archive of Debian's that this machine has, with its key if it names a file.
sources() {
    apt-get indextargets 'Created-By: Packages' 'Origin: Debian' | awk -v RS= -F '\n' '{
        signed = ""
        for (i = 1; i <= NF; i++) {
            at = index($i, ": ")
            field[substr($i, 1, at - 1)] = substr($i, at + 2)
        }
        if (field["Signed-By"] ~ /^\//) signed = "[signed-by=" field["Signed-By"] "] "
        print "deb " signed field["Repo-URI"], field["Release"], field["Component"]
        delete field
    }' | sort -u
}

# Where a time stands the boot says so: `@@ mark NAME` among the messages of the kernel.
marks() {
    case $framework in
        initramfs-tools)
            for stage in init-top local-top init-bottom; do
                install -D -m 755 "$here/initramfs-tools/mark" "$1/etc/initramfs-tools/scripts/$stage/00mark"
            done
            # Rules that stand there are copied, whoever made them.
            install -D -m 644 "$here/90-mark.rules" "$1/etc/udev/rules.d/90-mark.rules"
            ;;
        dracut)
            install -D -m 755 "$here/dracut/module-setup.sh" "$1/usr/lib/dracut/modules.d/99mark/module-setup.sh"
            install -D -m 644 "$here/90-mark.rules" "$1/usr/lib/udev/rules.d/90-mark.rules"
            install -D -m 644 "$here/dracut/mark.conf" "$1/etc/dracut.conf.d/mark.conf"
            ;;
    esac
}

# Takes the kernel and a fresh initramfs out of a root in which programs can run.
images() {
    # There is one.
    for kernel in "$1"/boot/vmlinuz-*; do
        version=${kernel##*/vmlinuz-}
    done
    case $framework in
        initramfs-tools) chroot "$1" update-initramfs -c -k "$version" ;;
        dracut) chroot "$1" dracut --force "/boot/initrd.img-$version" "$version" ;;
    esac
    mv "$1/boot/initrd.img-$version" "$into/initrd"
    case $name in
        # The other kind of image that dracut makes: shell scripts and no systemd.
        dracut-cotter)
            chroot "$1" dracut --force --omit "systemd systemd-initrd dracut-systemd" /boot/bare "$version"
            mv "$1/boot/bare" "$into/initrd-without-systemd"
            ;;
    esac
    cp "$kernel" "$into/kernel"
}

mounts() {
    mount -t proc proc "$1/proc"
    mount -t sysfs -o ro sys "$1/sys"
    mount -t tmpfs run "$1/run"
    mount --rbind /dev "$1/dev"
}

# Puts packages into a root with a network.
packages() {
    tree=$1
    shift
    cp /etc/resolv.conf "$tree/etc/resolv.conf"
    chroot "$tree" apt-get -q update
    chroot "$tree" apt-get -q -y --no-install-recommends install "$@"
    chroot "$tree" apt-get clean
    rm -rf "$tree/var/lib/apt/lists"
}

# Puts cotter into a root: each file of `integration` where its first lines say.
cotter() {
    install -D -m 755 "$program" "$1/usr/lib/cotter/boot/cotter"
    files=$here/../../../integration
    case $framework in
        initramfs-tools)
            hooks=$files/initramfs-tools packaged=$1/usr/share/initramfs-tools own=$1/etc/initramfs-tools
            install -D -m 755 "$hooks/hook" "$own/hooks/cotter"
            for stage in init-top init-bottom panic; do
                install -D -m 755 "$hooks/scripts/$stage" "$own/scripts/$stage/cotter"
            done
            for stage in local-top local-block; do
                install -D -m 755 "$hooks/scripts/$stage" "$packaged/scripts/$stage/cotter"
            done
            ;;
        dracut)
            module=$1/usr/lib/dracut/modules.d/90cotter
            mkdir "$module"
            cp -L "$files"/dracut/* "$module"
            ;;
    esac
}

export DEBIAN_FRONTEND=noninteractive
if test "$framework" = "$name"; then
    sources >"$into/sources"
    # Settings for downloads, a proxy for one, are the machine's own as well.
    apt-config dump --no-empty Acquire >"$into/acquire"
    suite=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    # Its initramfs is made below, once, with the marks in it.
    mmdebstrap --quiet --variant=minbase --mode=root --include="$include" --aptopt="$into/acquire" \
        --dpkgopt=path-exclude=/usr/share/doc/* --dpkgopt=path-exclude=/usr/share/man/* \
        --dpkgopt=path-exclude=/usr/share/locale/* "$suite" "$into/tree" "$into/sources"
    tree=$into/tree
    mounts "$tree"
else
    mkdir "$into/layer" "$into/work" "$into/merged"
    tree=$into/merged lower=$base/tree
    case $name in
        *-crowd-cotter) lower=$base-crowd/layer:$lower ;;
    esac
    mount -t overlay -o "lowerdir=$lower,upperdir=$into/layer,workdir=$into/work" root "$tree"
    mounts "$tree"
    # Each word is a package.
    # shellcheck disable=SC2086
    case $name in
        *-clevis) packages "$tree" $clevis ;;
        *-crowd) packages "$tree" $crowd ;;
        *-cotter) cotter "$tree" ;;
    esac
fi
marks "$tree"
images "$tree"
umount -R "$tree/dev" "$tree/run" "$tree/sys" "$tree/proc"
if test "$framework" != "$name"; then
    umount "$tree"
    rm -rf "$into/work" "$into/merged"
fi
