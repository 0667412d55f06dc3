#!/bin/sh
# sh make.sh ROOTS: makes the images beside this file; ROOTS is `guest-roots` below Cargo's target directory, made by `cargo xtask setup`.
# Needs GNU cpio and the compressors.
#
# What tells one builder from another is taken out of images that they have built, by name: all else is left out, and what the files say, which
# is not ours to copy. mkinitcpio is not in Debian: its image is put together after its documentation.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
roots=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

pack() { (cd "$1" && find . -mindepth 1 | LC_ALL=C sort | cpio --quiet --reproducible -o -H newc -R 0:0); }
unpack() { # IMAGE, into the directory that this runs in
    case $(head -c 2 "$1" | od -An -tx1) in
        ' 1f 8b') gzip -dc "$1" ;;
        *) zstd -dcq "$1" ;;
    esac | cpio --quiet -idm --no-absolute-filenames 2>/dev/null || true
}
keep() { # FROM TO PATH...
    from=$1 to=$2
    shift 2
    (cd "$from" && printf '%s\n' "$@" | cpio --quiet -pdm "$to")
    (cd "$to" && find . -type f -exec sh -c 'for file; do printf "%s\n" "${file#./}" >"$file"; done' sh {} +)
}

mkdir "$work/early" "$work/it" "$work/dracut" "$work/initramfs_tools" "$work/dracut_systemd" "$work/dracut_script" "$work/mkinitcpio"
mkdir -p "$work/early/kernel/x86/microcode"
printf 'microcode' >"$work/early/kernel/x86/microcode/GenuineIntel.bin"

(cd "$work/it" && unpack "$roots/initramfs-tools/initrd")
keep "$work/it" "$work/initramfs_tools" init conf/initramfs.conf scripts/functions scripts/init-top/ORDER bin sbin lib lib64
mkdir -p "$work/initramfs_tools/usr/bin" "$work/initramfs_tools/usr/sbin" "$work/initramfs_tools/etc"
printf 'program' >"$work/initramfs_tools/usr/bin/cotter"
chmod 755 "$work/initramfs_tools/usr/bin/cotter"
ln "$work/initramfs_tools/usr/bin/cotter" "$work/initramfs_tools/usr/sbin/second-name"
ln -s ../usr/bin/cotter "$work/initramfs_tools/etc/link"
mknod "$work/initramfs_tools/pipe" p
{ pack "$work/early"; pack "$work/initramfs_tools"; } >"$here/initramfs_tools.img"

(cd "$work/dracut" && unpack "$roots/dracut/initrd")
keep "$work/dracut" "$work/dracut_systemd" init bin lib usr/lib/dracut/build-parameter.txt usr/lib/dracut/modules.txt
mkdir -p "$work/dracut_systemd/usr/lib/systemd"
printf 'systemd' >"$work/dracut_systemd/usr/lib/systemd/systemd"
pack "$work/dracut_systemd" >"$here/dracut_systemd.img"
cp -a "$work/dracut_systemd/." "$work/dracut_script"
rm "$work/dracut_script/init"
printf '#!/bin/sh\n' >"$work/dracut_script/init"
pack "$work/dracut_script" >"$here/dracut_script.img"

printf '#!/usr/bin/ash\n' >"$work/mkinitcpio/init"
printf '#!/usr/bin/ash\n' >"$work/mkinitcpio/init_functions"
printf 'EARLYHOOKS=""\n' >"$work/mkinitcpio/config"
pack "$work/mkinitcpio" >"$here/mkinitcpio.img"

# The same small image in every form.
small() { pack "$work/early"; }
small | gzip -9n >"$here/small.gzip"
small | zstd -19q >"$here/small.zstd"
small | xz --check=crc32 >"$here/small.xz"
small | lz4 -lq >"$here/small.lz4"
small | xz --format=lzma >"$here/small.lzma"
small | bzip2 >"$here/small.bzip2"

# A program with its symbols and the table of its sections, and what `strip` leaves of it.
printf 'void _start(void) { for (;;) {} }\n' | cc -Os -nostdlib -static -g -x c -o "$here/program.elf" -
strip -g -p -o "$here/program_stripped.elf" "$here/program.elf"
