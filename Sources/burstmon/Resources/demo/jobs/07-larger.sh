#!/bin/sh
#BB_LUA pool=nvme capacity=640MiB
#demo in 3 1
#demo out 3 1
cat "$BB_DIR"/in* | cksum; sleep 6
