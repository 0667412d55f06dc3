#!/bin/sh
# Makes the golden volumes of this directory anew, with cryptsetup 2.6.1. Needs no root and no device mapper.
# The files differ from run to run in what is random; the tests depend on nothing of that.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
printf one >"$work/one"
printf two >"$work/two"

# A volume with 4096 bytes of data ("0123456789abcdef", repeated) that cryptsetup encrypted in place: header, one key area
# of 64 KiB, data from 128 KiB on. What lies between key area and data is left out.
volume="$work/volume"
{ yes 0123456789abcdef | tr -d '\n' | head -c 4096; head -c 262144 /dev/zero; } >"$volume"
cryptsetup reencrypt -q --encrypt --type luks2 --reduce-device-size 256K --cipher aes-cbc-essiv:sha256 --key-size 128 \
    --sector-size 512 --pbkdf argon2id --pbkdf-memory 64 --pbkdf-force-iterations 4 --pbkdf-parallel 1 \
    --key-file "$work/one" "$volume"
{ head -c 98304 "$volume"; tail -c +131073 "$volume" | head -c 4096; } >luks2_cbc128_argon2id.img

# Two header copies of 16 KiB: label, subsystem, flags, priorities, an unbound slot, two tokens. No key material.
header="$work/header"
truncate -s 24M "$header"
pbkdf="--pbkdf pbkdf2 --pbkdf-force-iterations 1000"
cryptsetup luksFormat -q --type luks2 $pbkdf --label "disk one" --subsystem fleet --hash sha512 "$header" "$work/one"
cryptsetup luksAddKey -q $pbkdf --key-slot 7 --key-file "$work/one" "$header" "$work/two"
cryptsetup luksAddKey -q $pbkdf --key-slot 30 --unbound --key-size 256 "$header" "$work/two"
cryptsetup config --key-slot 7 --priority prefer "$header"
cryptsetup token add --key-description "some key" --key-slot 7 "$header"
echo '{"type":"clevis","keyslots":["0"],"jwe":{"protected":"e30","encrypted_key":"","iv":"","ciphertext":"","tag":""}}' |
    cryptsetup token import --token-id 9 "$header"
head -c 32768 "$header" >luks2_header_with_everything.img

# The header of a LUKS1 volume.
truncate -s 0 "$header"
truncate -s 4M "$header"
cryptsetup luksFormat -q --type luks1 $pbkdf "$header" "$work/one"
head -c 592 "$header" >luks1_header.img
