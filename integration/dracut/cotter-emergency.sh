#!/bin/sh
# A shell may follow. Until the next start no TPM gives a secret that is bound to the latch, and nothing is answered.
/usr/bin/cotter tpm latch </dev/null || :
/usr/bin/cotter boot end --keep-network </dev/null || :
