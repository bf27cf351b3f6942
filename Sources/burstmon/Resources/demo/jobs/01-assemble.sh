#!/bin/sh
#BB_LUA pool=nvme capacity=96MiB
#demo in 2 0.6
#demo out 4 1
cat "$BB_DIR"/in* | cksum; sleep 12
