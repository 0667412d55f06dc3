# The next start of the machine, by a firmware that says what it measures.

# pcrs: what the kernel reads from the TPM.
pcrs() {
    for bank in sha1 sha256; do
        for pcr in $(seq 0 23); do
            echo "$bank $pcr $(cat "/sys/class/tpm/tpm0/pcr-$bank/$pcr")"
        done
    done
}

decrypt() { cotter decrypt <"$1"; }

step latched-decrypt decrypt /latched
step log base64 -w 0 /sys/kernel/security/tpm0/binary_bios_measurements
step pcrs pcrs
step status cotter tpm status
