#!/bin/sh
# Each time that the devices have settled, before anybody is asked: maps the volumes whose bindings open. dracut sources this file in a
# shell that has its functions, and names volumes by words of the command line; without any, those of the image's crypttab are meant.
cotter_map() {
    set --
    for word in $(getargs rd.luks.name) $(getargs rd.luks.uuid); do
        uuid=${word%%=*} uuid=${uuid#luks-}
        # One that has not come yet holds up nobody: this is called again.
        [ -e "/dev/disk/by-uuid/$uuid" ] || continue
        # A volume that is named twice has the name that it is given first.
        case " $* " in *"/by-uuid/$uuid "*) continue ;; esac
        case $word in
            *=*) set -- "$@" --name "${word#*=}" --device "/dev/disk/by-uuid/$uuid" ;;
            *) set -- "$@" --name "luks-$uuid" --device "/dev/disk/by-uuid/$uuid" ;;
        esac
    done
    /usr/bin/cotter boot map "$@" </dev/null || :
}
cotter_map
