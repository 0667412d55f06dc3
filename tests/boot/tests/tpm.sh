# A machine with a TPM, as its kernel gives it: what is bound to it, the latch, and a device without a resource manager.
#
# /dev/vda is LUKS2; /key opens it.

encrypt() { printf planted | cotter encrypt "$1" "$2" >"$3"; }
decrypt() { cotter decrypt <"$1"; }

# refused COMMAND...: it must fail.
refused() {
    if "$@"; then return 99; fi
}

unlocked() { cotter luks unlock -n data -d /dev/vda && test -e /dev/mapper/data && cotter luks lock data; }

step nodes ls -1 /dev/tpm0 /dev/tpmrm0
step encrypt encrypt tpm2 '{"pcr_ids":"0,7"}' /pcrs
step decrypt decrypt /pcrs

step latched-encrypt encrypt cotter-tpm2 '{"latch":true}' /latched
step latched-decrypt decrypt /latched
step latched cat /latched
step counted-encrypt encrypt cotter-tpm2 '{"pcr_ids":"0,7","counter":true,"latch":14}' /counted
step counted-decrypt decrypt /counted
step bind cotter luks bind -d /dev/vda -k /key cotter-tpm2 '{"pcr_ids":"0,7","latch":true}'
step unlock unlocked
step before cat /sys/class/tpm/tpm0/pcr-sha256/15 /sys/class/tpm/tpm0/pcr-sha1/15

# Somebody else holds the device that takes one program at a time; the other one is there for that.
exec 9<>/dev/tpm0
step busy refused env TPM2TOOLS_TCTI=device:/dev/tpm0 cotter decrypt </pcrs
exec 9>&-
mv /dev/tpmrm0 /away
step bare decrypt /pcrs
step bare-status cotter tpm status
mv /away /dev/tpmrm0

step latch cotter tpm latch
step after cat /sys/class/tpm/tpm0/pcr-sha256/15 /sys/class/tpm/tpm0/pcr-sha1/15
step latched-refused refused decrypt /latched
step unlock-refused refused cotter luks unlock -n data -d /dev/vda
step again cotter tpm latch
step still-decrypt decrypt /pcrs
