#!/bin/bash
# dracut's module `cotter`: the program, its settings and the modules that it may need, and what starts it in either kind of image.
# Install all files of this directory in /usr/lib/dracut/modules.d/90cotter/.

# The build for boot, where there is one: it has no server and no manual in it.
program() {
    local file
    for file in /usr/lib/cotter/boot/cotter /usr/bin/cotter; do
        if [[ -x ${dracutsysrootdir-}$file ]]; then
            echo "$file"
            return 0
        fi
    done
    return 1
}

# called by dracut
check() {
    program >/dev/null
}

# called by dracut
depends() {
    echo crypt
    # Its package may be missing; then `installkernel` has to do.
    if [[ -d ${dracutbasedir:?}/modules.d/90kernel-network-modules ]]; then
        echo kernel-network-modules
    fi
}

# called by dracut
installkernel() {
    hostonly='' instmods tpm_tis tpm_crb af_packet virtio_net
    instmods '=drivers/net/ethernet' '=drivers/net/phy' hv_netvsc xen-netfront
    if grep -qsE '(bond|vlan)=' /proc/cmdline "${dracutsysrootdir-}"/etc/cotter/boot.json "${dracutsysrootdir-}"/etc/default/grub \
        "${dracutsysrootdir-}"/etc/default/grub.d/*.cfg "${dracutsysrootdir-}"/etc/kernel/cmdline; then
        hostonly='' instmods bonding 8021q
    fi
}

# called by dracut
install() {
    local file unit target targets
    file=$(program) || return 1
    inst "$file" /usr/bin/cotter || return 1
    for file in /etc/cotter/{boot.json,volumes.json,ca.pem}; do
        if [[ -e ${dracutsysrootdir-}$file ]]; then
            inst_simple "$file" || return 1
        fi
    done
    # When the image was made, in seconds since 1970: no clock is right that is behind it.
    mkdir -p "${initdir:?}/etc/cotter"
    echo "${SOURCE_DATE_EPOCH:-$(date +%s)}" >"$initdir/etc/cotter/built" || return 1

    inst_hook emergency 00 "${moddir:?}/cotter-emergency.sh"
    if dracut_module_included systemd; then
        for unit in cotter-boot-initrd.service cotter-latch.service; do
            inst_simple "$moddir/$unit" "${systemdsystemunitdir:?}/$unit" || return 1
            read -ra targets < <(sed -n 's/^WantedBy=//p' "$moddir/$unit")
            for target in "${targets[@]}"; do
                mkdir -p "$initdir$systemdsystemunitdir/$target.wants"
                ln -sfn "../$unit" "$initdir$systemdsystemunitdir/$target.wants/$unit"
            done
        done
    else
        # Whoever asks there reads a terminal and nothing else: volumes are mapped before.
        inst_hook initqueue/settled 00 "$moddir/cotter-map.sh"
        inst_hook cleanup 00 "$moddir/cotter-end.sh"
        dracut_need_initqueue
    fi
}
