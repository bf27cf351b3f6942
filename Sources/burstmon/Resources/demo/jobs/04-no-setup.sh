#!/bin/sh
#BB_LUA pool=nvme capacity=64MiB
#demo fail setup no session: the storage is busy
#demo cancel-after 60
cat "$BB_DIR"/in* | cksum; sleep 5
