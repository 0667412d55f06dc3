#!/bin/sh
# Makes the seeds of the fuzz targets anew: real headers of cryptsetup 2.6.1, cut to what a target takes. Needs no root and no
# device mapper. The files differ from run to run in what is random; the tests depend on nothing of that.
#
# The key of every volume is 64 bytes of `B`, so that a target can add a keyslot.
set -eu
cd "$(dirname "$0")"
PATH="$PATH:/usr/sbin:/sbin"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
printf one >"$work/one"
printf two >"$work/two"
printf '%064d' 0 | tr 0 B >"$work/key"
head -c 32 "$work/key" >"$work/key32"
volume="$work/volume"
pbkdf="--pbkdf pbkdf2 --pbkdf-force-iterations 1000"

# luks1: the header's 592 bytes; zeros follow them.
luks1() {
    name=$1
    shift
    rm -f "$volume"
    truncate -s 16M "$volume"
    cryptsetup luksFormat -q --type luks1 --pbkdf-force-iterations 1000 "$@" "$volume" "$work/one"
}
cut_luks1() {
    head -c 592 "$volume" >"luks1/$name"
}
mkdir -p luks1
luks1 usual --volume-key-file "$work/key" --key-size 512 --hash sha512
cut_luks1
luks1 two_slots --volume-key-file "$work/key" --key-size 512 --hash sha256
cryptsetup luksAddKey -q --pbkdf-force-iterations 1000 --key-slot 6 --key-file "$work/one" "$volume" "$work/two"
cut_luks1
luks1 cbc --cipher aes-cbc-essiv:sha256 --key-size 256 --hash sha1
cut_luks1
luks1 aligned --align-payload 8192 --cipher aes-xts-plain64 --key-size 256 --hash ripemd160
cut_luks1

# luksmeta: one byte that tells how (see src/luksmeta.rs), and the beginning of the gap of a volume like `usual`.
cut_meta() {
    { printf "$how"; tail -c +2068481 "$volume" | head -c "$length"; } >"luksmeta/$name"
}
mkdir -p luksmeta
clevis=cb6e8904-81ff-40da-a84a-07ab9ab5715e
luks1 empty --volume-key-file "$work/key" --key-size 512 --hash sha512
luksmeta init -f -d "$volume"
how='\001' length=272
cut_meta
name=one
printf 'some data' | luksmeta save -d "$volume" -s 1 -u "$clevis"
how='\003' length=4128
cut_meta
name=three
head -c 5000 /dev/zero | tr '\0' x | luksmeta save -d "$volume" -s 3 -u "$clevis"
printf 'a note' | luksmeta save -d "$volume" -s 7 -u 00000000-0000-4000-8000-000000000007
how='\213' length=12320
cut_meta
name=wiped
luksmeta wipe -f -d "$volume" -s 3 -u "$clevis"
how='\000' length=12320
cut_meta
name=bound
luks1 bound --volume-key-file "$work/key" --key-size 512 --hash sha512
luksmeta init -f -d "$volume"
clevis encrypt null '{}' <"$work/two" | tr -d '\n' | luksmeta save -d "$volume" -s 1 -u "$clevis"
how='\003' length=4608
cut_meta

# luks2_json: the text of the JSON area of a header of 16 KiB.
luks2() {
    name=$1
    shift
    rm -f "$volume"
    truncate -s 32M "$volume"
    cryptsetup luksFormat -q --type luks2 "$@" "$volume" "$work/one"
}
cut_json() {
    tail -c +4097 "$volume" | head -c 12288 | tr -d '\0' >"luks2_json/$name"
}
add_key() {
    cryptsetup luksAddKey -q $pbkdf --key-file "$work/one" "$@" "$volume" "$work/two"
}
known_key="--volume-key-file $work/key --key-size 512 --luks2-keyslots-size 1M --offset 32768"
mkdir -p luks2_json
luks2 usual $known_key $pbkdf
cut_json
luks2 argon2id $known_key --pbkdf argon2id --pbkdf-memory 64 --pbkdf-parallel 2 --pbkdf-force-iterations 4
cut_json
luks2 cbc --cipher aes-cbc-essiv:sha256 --volume-key-file "$work/key32" --key-size 256 --sector-size 4096 $pbkdf
cut_json
luks2 everything $known_key $pbkdf --label "disk one" --subsystem fleet --hash sha512
add_key --key-slot 7
cryptsetup luksAddKey -q $pbkdf --key-slot 30 --unbound --key-size 256 "$volume" "$work/two"
cryptsetup config --key-slot 7 --priority prefer "$volume"
cryptsetup config --key-slot 0 --priority ignore "$volume"
cryptsetup token add --key-description "some key" --key-slot 7 "$volume"
echo '{"type":"systemd-tpm2","keyslots":["7"],"tpm2-pcrs":[7],"tpm2-blob":"AAAA","tpm2-policy-hash":"00ff"}' |
    cryptsetup token import --token-id 4 "$volume"
cut_json
jwe='{"protected":"eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwiY2xldmlzIjp7InBpbiI6Im51bGwiLCJudWxsIjp7fX19","encrypted_key":"","iv":"AAAAAAAAAAAAAAAA","ciphertext":"AAAA","tag":"AAAAAAAAAAAAAAAAAAAAAA"}'
luks2 bound $known_key $pbkdf
add_key --key-slot 1
echo "{\"type\":\"clevis\",\"keyslots\":[\"1\"],\"jwe\":$jwe}" | cryptsetup token import "$volume"
cut_json
# A threshold over a server and another threshold, as clevis writes it.
mkdir "$work/keys"
/usr/libexec/tangd-keygen "$work/keys"
printf 'GET /adv HTTP/1.1\r\n\r\n' | /usr/libexec/tangd "$work/keys" 2>/dev/null | tail -n 1 >"$work/adv"
tang="{\"url\":\"http://localhost:1\",\"adv\":\"$work/adv\"}"
jwe=$(clevis encrypt sss "{\"t\":1,\"pins\":{\"tang\":$tang,\"sss\":{\"t\":1,\"pins\":{\"null\":{}}}}}" <"$work/two" | jose jwe fmt -i-)
luks2 threshold $known_key $pbkdf
add_key --key-slot 1
echo "{\"type\":\"clevis\",\"keyslots\":[\"1\"],\"jwe\":$jwe}" | cryptsetup token import "$volume"
cut_json
# `sealed` is made of `bound`, by the only program that makes seals, and once: inputs that were found from it carry its seal, and
# the target knows that there is no other.
if [ ! -f luks2_json/sealed ]; then
    cargo run -q -p fuzz --example seal <luks2_json/bound >"$work/sealed"
    mv "$work/sealed" luks2_json/sealed
fi
luks2 reencrypting $known_key $pbkdf
cryptsetup reencrypt -q --init-only --resilience none --key-file "$work/one" $pbkdf "$volume" 2>/dev/null || true
cut_json
luks2 integrity $known_key $pbkdf
cut_json
sed -i 's/"sector_size":4096/&,"integrity":{"type":"hmac(sha256)","journal_encryption":"none","journal_integrity":"none"}/' \
    "luks2_json/$name"
luks2 requirement $known_key $pbkdf
cut_json
sed -i 's/"config":{/"config":{"flags":["allow-discards","no-read-workqueue"],"requirements":{"mandatory":["a-new-thing"]},/' \
    "luks2_json/$name"

# luks2_binary_header: one byte that tells how (see src/luks2_binary_header.rs), and the 512 bytes of fields of both copies.
luks2_both() {
    name=$1 how=$2 size=$3
    shift 3
    luks2 "$name" $known_key $pbkdf --luks2-metadata-size "$size" "$@"
    { printf "$how"; head -c 512 "$volume"; tail -c +$((size + 1)) "$volume" | head -c 512; } >"luks2_binary_header/$name"
}
mkdir -p luks2_binary_header
luks2_both usual '\003' 16384 --label "disk one" --subsystem fleet
luks2_both large '\043' 65536
luks2_both wrong_checksum '\002' 16384
luks2_both without_second '\001' 16384
head -c 513 "luks2_binary_header/$name" >"$work/short" && mv "$work/short" "luks2_binary_header/$name"
luks2_both without_first '\002' 16384
{ printf '\002'; head -c 512 /dev/zero; tail -c +514 "luks2_binary_header/$name"; } >"$work/short"
mv "$work/short" "luks2_binary_header/$name"

# The metadata of that target: no keyslot, so that the header may have any size.
luks2 metadata $known_key $pbkdf
cut_json
cryptsetup luksKillSlot -q "$volume" 0 2>/dev/null
cut_json
sed 's/"json_size":"12288"/"json_size":"JSON_SIZE"/; s/"keyslots_size":"[0-9]*"/"keyslots_size":"8388608"/' "luks2_json/$name" \
    >../src/luks2_binary_header.json
rm "luks2_json/$name"

# crypttab: a file as each of the two manual pages has it, and what they leave open.
mkdir -p crypttab
cat >crypttab/debian <<'TABLE'
# <target name>	<source device>		<key file>	<options>
sda5_crypt UUID=0a1b2c3d-0000-4000-8000-000000000007 none luks,discard,initramfs
cdisk0	/dev/disk/by-label/data	/etc/keys/data.key	luks,key-slot=1,header=/boot/header.img,tries=3
cswap	/dev/sda6	/dev/urandom	swap,cipher=aes-xts-plain64,size=256,hash=sha1
ctmp	/dev/sda7	/dev/urandom	plain,cipher=aes-xts-plain64,offset=8,skip=0,tmp=ext4
cold	/dev/sdb1	none	luks,noauto,keyscript=decrypt_keyctl,check=ext4,checkargs=-n
TABLE
cat >crypttab/systemd <<'TABLE'
luks       UUID=2505567a-9e27-4efe-a4d5-15ad146c258b
swap       /dev/sda7       /dev/urandom       swap
truecrypt  /dev/sda2       /etc/container_password  tcrypt,tcrypt-hidden,tcrypt-keyfile=/a
hidden     /mnt/tc_hidden  /dev/null    tcrypt-hidden,tcrypt-keyfile=/etc/keyfile
external   /dev/sda3       keyfile:LABEL=keydev keyfile-timeout=10s,cipher=xchacha12\,aes-adiantum-plain64
remote     PARTUUID=11111111-2222-3333-4444-555555555555 - _netdev,timeout=1min 30s,x-systemd.device-timeout=0
token      PARTLABEL="my disk" none fido2-device=auto,tpm2-device=/dev/tpmrm0,tpm2-pcrs=7+11,token-timeout=2h
echo       /dev/sdc - password-echo=masked,try-empty-password=no,same-cpu-crypt,headless=true
TABLE
printf 'a\\040b /dev/sda\\134x /key\\054 luks,,nofail\r\n\n \t# comment\nb /dev/b\nb /dev/c\nx\n. /dev/d\ne /dev/e - luks,plain\nf /dev/f - tries=x extra\n\377\n' \
    >crypttab/odd

# event_log: the recorded logs of crates/tpm2/vectors/event_log, which `make` there records.
mkdir -p event_log
for name in ovmf_grub ovmf_shim ovmf_unified; do
    cp "../../crates/tpm2/vectors/event_log/$name.log" "event_log/$name"
done

# tpm_answers: one byte that tells which conversation, and a record for each answer (see src/tpm_answers/line.rs). What a TPM says of itself is
# swtpm's; the rest is what the function makes up, which is `0` three times for each command.
mkdir -p tpm_answers
swtpm socket --tpm2 --tpmstate "dir=$work" --server "type=unixio,path=$work/tpm" --ctrl "type=unixio,path=$work/tpm.ctrl" \
    --flags not-need-init,startup-clear &
tpm=$!
while ! [ -S "$work/tpm" ]; do sleep 0.1; done
# An answer without its header, as a record.
said() {
    printf "$1" | tpm2_send -T "swtpm:path=$work/tpm" | tail -c +11 >"$work/said"
    length=$(wc -c <"$work/said")
    printf "\\002\\$(printf %o $((length / 256)))\\$(printf %o $((length % 256)))"
    cat "$work/said"
}
property='\200\001\0\0\0\026\0\0\001\172\0\0\0'
{
    printf '\000'
    said "$property"'\006\0\0\001\0\0\0\0\100'
    said "$property"'\006\0\0\002\0\0\0\0\100'
    said "$property"'\005\0\0\0\0\0\0\0\001'
    said "$property"'\001\001\0\0\0\0\0\001\0'
    head -c 9 /dev/zero
} >tpm_answers/says
kill "$tpm"
for name in seals opens opens_signed opens_with_pin keeps persistent agrees; do
    which=$((${which:-0} + 1))
    { printf "\\$which"; head -c 120 /dev/zero; } >"tpm_answers/$name"
done
# The answer to TPM2_Unseal is not the TPM's.
{ printf '\002'; head -c 9 /dev/zero; printf '\003'; head -c 110 /dev/zero; } >tpm_answers/forged

# Tokens of systemd's are the vectors of the tests that open them, and one that is only named.
mkdir -p systemd_token
for name in all pcrs pin signed; do
    cp "../../tests/compliance/vectors/systemd_257/$name.json" "systemd_token/257_$name"
done
cp ../../crates/clevis/vectors/systemd/252.json systemd_token/252
sed 's/^{/{"tpm2_pcrlock":true,/' ../../crates/clevis/vectors/systemd/252.json >systemd_token/pcrlock

# Lists of expected volumes, as `luks identity` writes one and as people do.
mkdir -p volumes
key=976c6256b71852a889a700f4a61ab3961ffd43ddfe87301b6119ad8773248bcc
printf '{"volumes":[\n{"uuid":"398592f7-6cdd-4e43-9dae-7117d5b4f0e4","key":"%s","name":"root"}\n]}\n' $key >volumes/one
printf '{"volumes":[{"uuid":"398592F76CDD4E439DAE7117D5B4F0E4","key":"%s"},{"uuid":"5e5a3c52-3c1f-4b1e-8d8e-0a2b1c3d4e5f","key":"%s","name":"\\"\\u0000"}],"others":"refuse"}' $key $key >volumes/strict
printf '{"volumes":[\n{"uuid":"398592f7-6cdd-4e43-9dae-7117d5b4f0e4","key":"%s","parents":["000b%s"]},\n{"uuid":"5e5a3c52-3c1f-4b1e-8d8e-0a2b1c3d4e5f","key":"%s","parents":[]}\n]}\n' $key $key $key >volumes/parents

# Messages of the network are the vectors of the tests that read them. Those of a conversation stand behind their lengths, and what a
# target is told beside them in front.
vector() {
    sed 's/#.*//' "../../crates/earlynet/vectors/$1.hex" | xxd -r -p
}
messages() {
    for message in "$@"; do
        vector "$message" >"$work/message"
        size=$(wc -c <"$work/message")
        printf "\\$(printf %03o $((size / 256)))\\$(printf %03o $((size % 256)))"
        cat "$work/message"
    done
}
mkdir -p dhcp4 dhcp6 router_advertisement dns_answer command_line network_files
messages dhcp4_offer_dnsmasq dhcp4_ack_dnsmasq >dhcp4/lease
messages dhcp4_offer_dnsmasq dhcp4_ack_dnsmasq dhcp4_ack_dnsmasq dhcp4_ack_dnsmasq >dhcp4/renewed
{ printf '\000'; messages dhcp6_advertise_dnsmasq dhcp6_reply_dnsmasq; } >dhcp6/address
{ printf '\001'; messages dhcp6_information_dnsmasq; } >dhcp6/information
vector router_advertisement_dnsmasq >router_advertisement/dnsmasq
{ printf '\000'; messages dns_a_dnsmasq; } >dns_answer/addresses
{ printf '\011'; messages dns_alias_dnsmasq; } >dns_answer/alias_of_alias
{ printf '\001'; messages dns_alias_nsd; } >dns_answer/alias
{ printf '\012'; messages dns_no_name_though_four_dnsmasq; } >dns_answer/no_name_though_four
{ printf '\003'; messages dns_no_name_dnsmasq; } >dns_answer/no_name
{ printf '\015'; messages dns_alias_no_address_nsd; } >dns_answer/alias_no_address
{ printf '\006'; messages dns_alias_away_nsd dns_alias_away_nsd; } >dns_answer/alias_away
printf 'ip=192.0.2.7::192.0.2.1:255.255.255.0:host:eth0:none:192.0.2.53 rd.neednet=1 quiet' >command_line/static
printf 'BOOT_IMAGE=/vmlinuz root=/dev/mapper/root ip=bond0.5:dhcp:1400 vlan=bond0.5:bond0 bond=bond0:a,b:mode=1,miimon=100 ifname=a:52:54:00:00:00:01' >command_line/stacked
printf 'ip=[2001:db8::7]::[2001:db8::1]:64::eth0:none:[2001:db8::53] rd.route=[2001:db8:9::/48]:[2001:db8::2] nameserver=192.0.2.53 x="y init=/bin/sh"' >command_line/six
printf 'ip=dhcp BOOTIF=01-52-54-00-12-34-56 bond bootdev=eth0 rd.net.timeout.dhcp=30 single' >command_line/boot_loader
cp ../../crates/earlynet/vectors/klibc_ipconfig.conf network_files/klibc
printf 'nameserver fe80::1%%eth0\nsearch a.example b.example\noptions ndots:2\n' >network_files/resolv
printf "127.0.0.1 localhost\n2001:db8::7 tang.example tang # here\nDEVICE=eth0\nIPV6ADDR='2001:db8::7/64'\nIPV4ROUTE0SUBNET='10.1.2.3/8'\n" >network_files/hosts
printf 'OPER_STATE=routable\nDNS=192.0.2.53 [2001:db8::53]:53%%eth0#dns.example\nDOMAINS=a.example\n' >network_files/networkd

# Images of the kernel's are the vectors of the room that reads them.
mkdir -p bootimage
for image in initramfs_tools.img dracut_systemd.img mkinitcpio.img small.zstd; do
    cp "../../crates/bootimage/vectors/$image" "bootimage/${image%.*}"
done

# Certificates of either version, with a name and with none.
mkdir -p certificate
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$work/key" 2>/dev/null
openssl req -x509 -key "$work/key" -days 30 -subj '/O=Company/CN=keys.example' -outform DER -out certificate/version_3
openssl req -new -key "$work/key" -subj / -out "$work/request"
openssl x509 -req -in "$work/request" -days 30 -signkey "$work/key" -outform DER -out certificate/version_1 2>/dev/null
