#!/bin/sh
#BB_LUA pool=nvme capacity=32MiB
#demo in 1 0.2
#demo out 8 1
cat "$BB_DIR"/in* | cksum; sleep 1
